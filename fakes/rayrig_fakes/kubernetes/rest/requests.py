"""HTTP requests as API calls: paths, query parameters, media types and bodies (`kubernetes-api.md` section 1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from rayrig_core.http import HttpRequest
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import PatchType, Preconditions, PropagationPolicy
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.durations import parse_go_duration
from rayrig_core.timestamps import parse_rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.bodies import Malformed, parse_body, parse_json, parse_yaml
from rayrig_fakes.kubernetes.body_types import SUBRESOURCE_KINDS, not_text
from rayrig_fakes.kubernetes.calls import ApiCall, FieldValidation, Verb
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.patch import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, unsupported_patch
from rayrig_fakes.kubernetes.registry import Registry, Served
from rayrig_fakes.kubernetes.rest.list_options import check_list_options, is_set
from rayrig_fakes.kubernetes.rest.write_options import check_delete_options, check_write_options
from rayrig_fakes.kubernetes.selectors import label_predicate, parse_field_selector
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode, json_type
from rayrig_fakes.kubernetes.typed.times import read_time

BODY_LIMIT = 3 * 1024 * 1024
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PATCH_TYPES: dict[str, PatchType] = {
    JSON_PATCH: "json",
    MERGE_PATCH: "merge",
    STRATEGIC_PATCH: "strategic",
    APPLY_PATCH: "apply",
}
#: Subresources that are not asked with an object.
_WITHOUT_BODY = ("attach", "exec", "portforward", "proxy")


class PlainNotFound(Exception):
    """A path nobody serves: 404 as plain text, not a Status."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    served: Served
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    #: The old `/watch/` prefix.
    watch: bool = False
    #: What follows the subresource `proxy`, from its slash on.
    path: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """A path that asks what is served: the path itself, without slashes at its ends."""

    path: str


def resolve(registry: Registry, path: str) -> Target | Discovery:
    """Raises `PlainNotFound`, or `ApiError` 404 inside a group version that is served (K8-005)."""
    parts = path.split("/")[1:]
    if parts and parts[-1] == "":
        parts.pop()
    if not parts or parts[0] not in ("api", "apis"):
        return Discovery("/".join(parts))
    depth = 2 if parts[0] == "api" else 3
    if len(parts) <= depth:
        return Discovery("/".join(parts))
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    if not registry.has_group_version(group, version):
        if parts[0] == "api" or registry.is_builtin_group(group):
            raise status.unknown_resource()
        raise PlainNotFound
    rest = parts[depth:]
    beyond = ""
    watch = rest[0] == "watch"
    if watch:
        rest = rest[1:]
    if "proxy" in rest:
        rest, beyond = _cut_at_proxy(rest, path)
    if not all(rest) or not rest:
        _unknown(registry, group, version)
    namespace = ""
    in_namespace = (
        rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize"))
    )
    if in_namespace:
        namespace, rest = rest[1], rest[2:]
    served = registry.at(group, version, rest[0])
    if served is None or len(rest) > 3 or bool(namespace) != (served.type.namespaced and (in_namespace)):
        _unknown(registry, group, version)
    if served.type.namespaced and not namespace and len(rest) > 1:
        _unknown(registry, group, version)
    name = rest[1] if len(rest) > 1 else ""
    if name in (".", "..") or "%" in name:
        why = f"may not be '{name}'" if name in (".", "..") else "may not contain '%'"
        raise status.bad_request(f'Name parameter invalid: "{name}": {why}')
    return Target(served, namespace, name, rest[2] if len(rest) > 2 else "", watch, beyond)


def _cut_at_proxy(rest: list[str], path: str) -> tuple[list[str], str]:
    """The parts up to a subresource `proxy`, and the path behind it as it was sent."""
    at = 4 if rest[0] == "namespaces" and len(rest) > 4 and rest[4] == "proxy" else 2
    if len(rest) <= at or rest[at] != "proxy":
        return rest, ""
    names = rest[: at + 1]
    return names, path.split("/".join(names), 1)[1]


def _unknown(registry: Registry, group: str, version: str) -> NoReturn:
    if registry.is_custom_group(group, version):
        raise PlainNotFound
    raise status.unknown_resource()


def one(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def flag(query: Mapping[str, list[str]], name: str) -> bool:
    return is_set(query, name)


def number(query: Mapping[str, list[str]], name: str) -> int | None:
    """Raises `ApiError` 400."""
    text = one(query, name)
    if not text:
        return None
    try:
        value = int(text) if not text.count("_") else None
    except ValueError:
        value = None
    if value is None:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -(1 << 63) <= value < 1 << 63:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def call_of(request: HttpRequest, target: Target, verb: Verb) -> ApiCall:
    """The call a request makes. Raises `ApiError` 400, 413, 415, 422."""
    query = request.query
    served = target.served
    call = _call_with_options(request, target, verb) if query else _plain_call(request, target, verb)
    if "timeout" in query and verb != "watch":
        _check_timeout(one(query, "timeout"))
    if target.subresource == "log":
        return call._replace(log=_log_options(query))
    if len(request.body) > BODY_LIMIT:
        text = f"Request entity too large: limit is {BODY_LIMIT}"
        raise status.error(413, "RequestEntityTooLarge", text)
    if query and verb in ("list", "watch", "deletecollection"):
        # What cannot be read comes before what does not go together.
        label_predicate(call.label_selector)
        parse_field_selector(call.field_selector)
    if verb in ("list", "watch"):
        if query:
            number(query, "timeoutSeconds")
            check_list_options(query)
        return call
    if verb in ("create", "update", "patch") and (query or _is_apply(request)):
        check_write_options(
            verb,
            one(query, "fieldManager"),
            query.get("dryRun") or (),
            one(query, "fieldValidation"),
            applies=verb == "patch" and _is_apply(request),
            forces="force" in query and verb == "patch",
        )
    if verb in ("create", "update"):
        if target.subresource in _WITHOUT_BODY:
            return call
        kind = SUBRESOURCE_KINDS.get(target.subresource)
        custom = kind is None and served.rules.is_custom
        body, duplicates = _object_body(request, kind or served.type, custom, call.field_validation != "Ignore")
        return call._replace(body=body, duplicates=duplicates)
    if verb == "patch":
        return _with_patch(request, served, call)
    if verb in ("delete", "deletecollection"):
        return _with_delete_options(request, call)
    return call


def _plain_call(request: HttpRequest, target: Target, verb: Verb) -> ApiCall:
    """Without any parameters in the query."""
    return ApiCall(
        verb,
        target.served.type,
        target.namespace,
        target.name,
        target.subresource,
        field_manager="" if _is_apply(request) else _agent(request),
        field_validation="Warn",
    )


def _call_with_options(request: HttpRequest, target: Target, verb: Verb) -> ApiCall:
    query = request.query
    return ApiCall(
        verb,
        target.served.type,
        target.namespace,
        target.name,
        target.subresource,
        label_selector=one(query, "labelSelector"),
        field_selector=one(query, "fieldSelector"),
        limit=max(0, number(query, "limit") or 0),
        continue_token=one(query, "continue"),
        resource_version=one(query, "resourceVersion"),
        resource_version_match=one(query, "resourceVersionMatch"),
        dry_run=bool(query.get("dryRun")),
        field_manager=one(query, "fieldManager") or ("" if _is_apply(request) else _agent(request)),
        force=flag(query, "force"),
        field_validation=cast(FieldValidation, one(query, "fieldValidation") or "Warn"),
        send_initial_events=flag(query, "sendInitialEvents"),
        container=one(query, "container"),
    )


def _check_timeout(text: str) -> None:
    """How long the server may take. Raises `ApiError` 400."""
    if not text:
        return
    try:
        parse_go_duration(text)
    except ValueError:
        problem = "missing unit in" if re.fullmatch(r"[+-]?\d*\.?\d+", text) else "invalid"
        why = f"time: {problem} duration {json.dumps(text)}"
        raise status.bad_request(f"invalid timeout specified in the request URL - {why}") from None


def _log_options(query: Mapping[str, list[str]]) -> LogOptions:
    """Raises `ApiError` 400."""
    since = one(query, "sinceTime")
    try:
        since_unix_ns = parse_rfc3339(read_time(since)) if since else None
    except ValueError as problem:
        raise status.bad_request(str(problem)) from None
    return LogOptions(
        one(query, "container"),
        follow=is_set(query, "follow"),
        previous=is_set(query, "previous"),
        timestamps=is_set(query, "timestamps"),
        since_seconds=number(query, "sinceSeconds"),
        since_unix_ns=since_unix_ns,
        tail_lines=number(query, "tailLines"),
        limit_bytes=number(query, "limitBytes"),
        stream=one(query, "stream"),
    )


def media_type(header: str) -> str:
    """Without parameters, in lower case; as it is when a parameter has no value."""
    media, *parameters = header.split(";")
    if parameters and not all("=" in part for part in parameters if part.strip()):
        return header
    return media.strip().lower()


# Bodies

TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def _object_body(
    request: HttpRequest, kind: ResourceType, custom: bool, counting: bool
) -> tuple[JsonObject, tuple[str, ...]]:
    media = media_type(request.headers.get("content-type", ""))
    if media not in ("", JSON, YAML):
        raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
    value, duplicates = _parse(request.body, media, kind.kind, counting=counting)
    if value is None and not custom:
        value = {}
    if value is not None and not isinstance(value, dict):
        text = f"json: cannot unmarshal {json_type(value)} into Go value of type {TYPE_META}"
        raise _unrecognized(kind.kind, f"couldn't get version/kind; json parse error: {text}", request.body)
    if value is None:
        raise _unrecognized(kind.kind, "Object 'Kind' is missing in 'null'", request.body)
    if why := not_text(value):
        raise _unrecognized(kind.kind, f"couldn't get version/kind; json parse error: {why}", request.body)
    version = value.get("apiVersion") or ""
    if version.count("/") > 1:
        raise _unrecognized(kind.kind, f"unexpected GroupVersion string: {version}", request.body)
    if custom:
        if not value.get("kind"):
            text = request.body.decode("utf-8", "replace")
            raise _unrecognized(kind.kind, f"Object 'Kind' is missing in '{text}'", request.body)
        if not version:
            raise status.bad_request(
                f"the API version in the data () does not match the expected API version ({kind.api_version})"
            )
    return value, duplicates


def _parse(body: bytes, media: str, kind: str, *, counting: bool = False) -> tuple[Json, tuple[str, ...]]:
    """The value, and (`counting`) which fields occur twice in it."""
    try:
        if media == YAML:
            return parse_yaml(body.decode("utf-8", "replace")), ()
        value, doubles = parse_body(body)
        return value, doubles if counting else ()
    except Malformed as problem:
        why = str(problem).removeprefix("error converting YAML to JSON: ")
        if media != YAML:
            why = f"couldn't get version/kind; json parse error: {why}"
        raise _unrecognized(kind, why, body) from None


_SHOWN = 30
_MOST_OPERATIONS = 10_000


def _unrecognized(kind: str, why: str, body: bytes) -> Exception:
    """400 with the beginning of the body: as text when it looks like an object, otherwise in hexadecimal."""
    begin = body[:_SHOWN]
    shown = begin.decode("utf-8", "replace") if body.startswith(b"{") else begin.hex()
    rest = " ..." if len(body) > _SHOWN else ""
    text = f"{shown}{rest}" if body else "<empty>"
    return status.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({text})")


def _is_apply(request: HttpRequest) -> bool:
    return media_type(request.headers.get("content-type", "")) == APPLY_PATCH


def _agent(request: HttpRequest) -> str:
    """Field manager of a client that names none: its User-Agent up to the first `/`."""
    return request.headers.get("user-agent", "").partition("/")[0][:128] or "unknown"


def _with_patch(request: HttpRequest, served: Served, call: ApiCall) -> ApiCall:
    media = media_type(request.headers.get("content-type", ""))
    patch_type = PATCH_TYPES.get(media)
    if patch_type is None or (patch_type == "strategic" and served.rules.is_custom):
        raise unsupported_patch(served)
    if patch_type == "apply":
        try:
            applied = parse_yaml(request.body.decode("utf-8", "replace"))
        except Malformed as problem:
            raise status.bad_request(f"error decoding YAML: {problem}") from None
        applied = {} if applied is None else applied
        if isinstance(applied, dict) and not (applied.get("apiVersion") and applied.get("kind")):
            raise status.other_object_type(str(applied.get("apiVersion") or ""), str(applied.get("kind") or ""))
        if isinstance(applied, dict) and isinstance(applied.setdefault("metadata", {}), dict):
            # Over HTTP a name must be said to be one of what is created.
            applied["metadata"].setdefault("name", "")
        return call._replace(body=applied, patch_type=patch_type)
    try:
        patch, doubles = parse_body(request.body)
    except Malformed as problem:
        # An object that is not there is missed first.
        return call._replace(body=problem, patch_type=patch_type)
    if patch_type == "json" and isinstance(patch, list) and len(patch) > _MOST_OPERATIONS:
        text = (
            f"Request entity too large: The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, "
            f"got {len(patch)}"
        )
        raise status.error(413, "RequestEntityTooLarge", text)
    duplicates = tuple(doubles) if served.rules.is_custom and patch_type == "merge" else ()
    return call._replace(body=patch, patch_type=patch_type, duplicates=duplicates)


def _with_delete_options(request: HttpRequest, call: ApiCall) -> ApiCall:
    # A body is all that counts; parameters of the query say it where there is none.
    options = _sent_delete_options(request) if request.body else _queried_delete_options(request.query)
    policy, orphan = options.get("propagationPolicy"), options.get("orphanDependents")
    dry_run = options.get("dryRun") or []
    check_delete_options(policy, orphan, dry_run)
    if policy is None and orphan is not None:
        policy = "Orphan" if orphan else "Background"
    wanted = options.get("preconditions")
    preconditions = Preconditions(wanted.get("uid"), wanted.get("resourceVersion")) if wanted else None
    return call._replace(
        grace_period_seconds=options.get("gracePeriodSeconds"),
        propagation_policy=cast("PropagationPolicy | None", policy),
        preconditions=preconditions,
        dry_run=bool(dry_run),
    )


_OPTIONS = "DeleteOptions"
#: Other types that the decoder of options knows, and finds to be none.
_NOT_OPTIONS = ("Status", "WatchEvent", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions")


def _sent_delete_options(request: HttpRequest) -> dict[str, Any]:
    """Raises `ApiError` 400."""
    media = media_type(request.headers.get("content-type", ""))
    if media not in ("", JSON, YAML):
        raise status.unsupported_media_type((JSON, YAML, PROTOBUF))
    text = request.body.decode("utf-8", "replace")
    try:
        value = parse_yaml(text) if media == YAML else parse_json(text)
    except Malformed as problem:
        why = str(problem).removeprefix("error converting YAML to JSON: ")
        raise status.bad_request(
            why if media == YAML else f"couldn't get version/kind; json parse error: {why}"
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {json_type(value)} into Go value of type {TYPE_META}"
        raise status.bad_request(f"couldn't get version/kind; json parse error: {why}")
    if why := not_text(value):
        raise status.bad_request(f"couldn't get version/kind; json parse error: {why}")
    version, kind = value.get("apiVersion") or "meta.k8s.io/v1", value.get("kind") or _OPTIONS
    if kind in _NOT_OPTIONS and version == "v1":
        raise status.bad_request(f"converting (v1.{kind}) to (v1.{_OPTIONS}): unknown conversion")
    if kind != _OPTIONS:
        text = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise status.bad_request(text)
    try:
        return decode(value, "meta.v1.DeleteOptions", [])
    except Undecodable as problem:
        raise status.bad_request(str(problem)) from None


def _queried_delete_options(query: Mapping[str, list[str]]) -> dict[str, Any]:
    options: dict[str, Any] = {"dryRun": query.get("dryRun") or []}
    grace = number(query, "gracePeriodSeconds")
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if "propagationPolicy" in query:
        options["propagationPolicy"] = one(query, "propagationPolicy")
    if "orphanDependents" in query:
        # Anything that isn't a no is a yes, nothing at all included.
        options["orphanDependents"] = one(query, "orphanDependents").lower() not in ("false", "0")
    return options
