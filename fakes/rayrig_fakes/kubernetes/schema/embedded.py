"""Objects inside objects (`x-kubernetes-embedded-resource`): their type and metadata (K8-037)."""

from __future__ import annotations

import json
from dataclasses import replace

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import objectmeta, status
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

_KIND_TEXT = (
    "may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters "
    "or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def coerce(value: JsonObject, at: str, unknown: list[str]) -> None:
    """Give an embedded object typed metadata, in place; paths of fields that metadata does not have go to `unknown`.

    Raises `Undecodable`.
    """
    found: list[str] = []
    for field in ("apiVersion", "kind"):
        part = value.get(field)
        if part is not None and not isinstance(part, str):
            raise Undecodable(f"{at}.{field}: Invalid value: {_shown(part)}: must be a string")
    meta = value.get("metadata")
    if meta is not None:
        try:
            value["metadata"] = decode(meta, "meta.v1.ObjectMeta", found)
        except Undecodable as problem:
            raise Undecodable(f"{at}.metadata: Invalid value: {_shown(meta)}: {problem}") from None
        unknown += [f"{at}.metadata.{field}" for field in found]


def _shown(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def problems(value: JsonObject, at: str) -> list[Cause]:
    """Causes against the type and metadata of an embedded object."""
    causes: list[Cause] = []
    version, kind, meta = value.get("apiVersion"), value.get("kind"), value.get("metadata")
    if isinstance(version, str):
        if not version:
            causes.append(status.invalid_value(f"{at}.apiVersion", version, "must not be empty"))
        elif version.count("/") > 1:
            text = f"unexpected GroupVersion string: {version}"
            causes.append(status.invalid_value(f"{at}.apiVersion", version, text))
    if isinstance(kind, str):
        if not kind:
            causes.append(status.invalid_value(f"{at}.kind", kind, "must not be empty"))
        elif dns_label(kind.lower()) or kind[0].isdecimal():
            causes.append(status.invalid_value(f"{at}.kind", kind, _KIND_TEXT))
    if isinstance(meta, dict) and meta:
        named = {**meta, "name": meta.get("name") or "any"}
        found = objectmeta.validate(named, _path_segment, bool(meta.get("namespace")), False)
        causes += [replace(cause, field=f"{at}.{cause.field}") for cause in found]
    return causes


def _path_segment(name: str) -> tuple[str, ...]:
    if name in (".", ".."):
        return (f"may not be '{name}'",)
    return tuple(f"may not contain '{char}'" for char in "/%" if char in name)
