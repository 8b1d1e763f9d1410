"""What clients send, as objects of the path's kind: types, unknown and duplicate fields (K8-013, K8-015, K8-017)."""

from __future__ import annotations

import json
from collections.abc import Iterable

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.body_types import check_type, not_text, other_kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.patch.outcomes import patched_text
from rayrig_fakes.kubernetes.patch.restoring import misfit
from rayrig_fakes.kubernetes.quoted_text import quoted_text
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.typed.catalogue import type_of
from rayrig_fakes.kubernetes.typed.decoding import Undecodable


def take_in(served: Served, call: ApiCall, admission: Admission, body: Json, *, new: bool) -> JsonObject:
    """A copy of a body of the path's kind. Raises `ApiError` 400."""
    if not isinstance(body, dict):
        raise status.bad_request("the object provided is unrecognized: it is not a JSON object")
    check_type(served, body)
    rules, kind = served.rules, served.type
    admission.type_name = type_of(kind) or ""
    try:
        obj = rules.take_in(body, admission) if new else rules.decode(body, admission)
    except Undecodable as problem:
        raise unhandled(served, str(problem)) from None
    problems = _strict_problems(call, admission)
    if problems and call.field_validation == "Strict":
        raise unhandled(served, f"strict decoding error: {', '.join(problems)}")
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    return obj


def take_patched(served: Served, call: ApiCall, admission: Admission, obj: JsonObject, touched: Iterable[str]) -> None:
    """Decode, in place, the parts of an object that a patch touched. Raises `ApiError` 422 (400 for another type)."""
    rules, kind = served.rules, served.type
    admission.type_name = type_of(kind) or ""
    if not rules.is_custom and (wrong := not_text(obj)):
        raise bad_patch(call, obj, f"couldn't get version/kind; json parse error: {wrong}")
    if not rules.is_custom and (why := other_kind(kind, obj, served.is_known_kind)):
        raise bad_patch(call, obj, why)
    if rules.is_custom and (version := obj.get("apiVersion")) and version != kind.api_version:
        cause = status.invalid_value("apiVersion", version, f"must be {kind.api_version}")
        raise status.invalid(str(obj.get("kind")), str(version).rpartition("/")[0], call.name, [cause])
    check_type(served, obj)
    parts = {field: obj[field] for field in touched if field in obj}
    if call.patch_type == "strategic" and admission.type_name and (why := misfit(parts, admission.type_name)):
        raise bad_patch(call, obj, why)
    try:
        decoded = rules.decode(parts, admission)
    except Undecodable as problem:
        why = str(problem)
        if call.patch_type == "strategic" and why.startswith("illegal base64"):
            why = f"error decoding from json: {why}"
        raise bad_patch(call, obj, why) from None
    problems = _strict_problems(call, admission)
    if problems and call.field_validation == "Strict":
        raise bad_patch(call, obj, f"strict decoding error: {', '.join(problems)}", custom=rules.is_custom)
    for field in parts:
        if field in decoded:
            obj[field] = decoded[field]
        else:
            del obj[field]
    for field, zero in decoded.items():
        obj.setdefault(field, zero)
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind


def _strict_problems(call: ApiCall, admission: Admission) -> list[str]:
    """Duplicate and unknown fields; they become warnings when they are not to be refused."""
    if call.field_validation == "Ignore":
        return []
    problems = [f"duplicate field {quoted_text(field)}" for field in call.duplicates]
    problems += [f"unknown field {quoted_text(field)}" for field in admission.unknown]
    if call.field_validation == "Warn":
        admission.warnings += problems
    return problems


def unhandled(served: Served, why: str) -> ApiError:
    """400: the body is not what its kind should be."""
    kind = served.type
    return status.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


# Patches that lead nowhere


def bad_patch(call: ApiCall, obj: JsonObject, why: str, *, custom: bool = False) -> ApiError:
    """422: what the patch makes of the object is not of its kind."""
    if custom:
        shown = json.dumps(obj, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    else:
        type_name = type_of(call.resource) or ""
        shown = status.go_map(call.body) if call.patch_type == "strategic" else patched_text(obj, call.body, type_name)
    return status.invalid("", "", "", [status.invalid_value("patch", shown, why)])
