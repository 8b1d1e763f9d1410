"""Whether a body is of the kind its path takes, and in which words the real server refuses another (K8-015)."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes import objectmeta, status
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.typed.catalogue import type_name
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode, json_type

#: Where the real server says its kinds are registered; clients match on the text.
_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
#: Bodies of subresources that are of a kind of their own.
SUBRESOURCE_KINDS: dict[str, ResourceType] = {
    "binding": ResourceType("", "v1", "bindings", "Binding"),
    "eviction": ResourceType("policy", "v1", "evictions", "Eviction"),
    "scale": ResourceType("autoscaling", "v1", "scales", "Scale"),
    "token": ResourceType("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest"),
}
_OF_SUBRESOURCES = frozenset((kind.api_version, kind.kind) for kind in SUBRESOURCE_KINDS.values())
#: Registered with every group version.
_OPTIONS = frozenset(f"{verb}Options" for verb in ("Create", "Delete", "Get", "List", "Patch", "Update")) | {
    "WatchEvent"
}
_UNVERSIONED = frozenset(("Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList"))

KnownKind = Callable[[str, str], bool]


def check_type(served: Served, obj: JsonObject) -> None:
    """Raises `ApiError` when apiVersion or kind are given and not the path's."""
    kind = served.type
    if obj.get("apiVersion") == kind.api_version and obj.get("kind") == kind.kind:
        return
    if served.rules.is_custom:
        _check_custom(kind, obj)
    else:
        check_kind(kind, obj, served.is_known_kind)


def check_kind(kind: ResourceType, obj: JsonObject, is_known: KnownKind) -> None:
    """As `check_type`, for any built-in kind; `is_known` says whether one is served."""
    _check_texts(kind, obj)
    why = other_kind(kind, obj, is_known)
    if why is None:
        return
    if why.startswith("the API version"):
        raise status.bad_request(why)
    raise status.bad_request(_cannot_handle(kind, obj, _undecodable(obj) or why))


def other_kind(kind: ResourceType, obj: JsonObject, is_known: KnownKind) -> str | None:
    """Why an object is not of a built-in kind; None when it is."""
    version, name = str(obj.get("apiVersion") or kind.api_version), str(obj.get("kind") or kind.kind)
    if version == kind.api_version and name == kind.kind:
        return None
    if name == kind.kind and version.rpartition("/")[0] == kind.group and is_known(version, name):
        return f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
    if {version, kind.api_version} == {"v1", "events.k8s.io/v1"} and name == kind.kind == "Event":
        return f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
    if not _is_registered(version, name, is_known):
        return f'no kind "{name}" is registered for version "{version}" in scheme "{_SCHEME}"'
    package = kind.group.partition(".")[0] or "core"
    return f"converting ({version.rpartition('/')[2]}.{name}) to ({package}.{kind.kind}): unknown conversion"


def _is_registered(version: str, name: str, is_known: KnownKind) -> bool:
    if is_known(version, name) or (version, name) in _OF_SUBRESOURCES or (version == "v1" and name in _UNVERSIONED):
        return True
    if name in _OPTIONS:
        return type_name(version, name) is not None or version in ("v1", "apps/v1", "policy/v1", "meta.k8s.io/v1")
    return name.endswith("List") and is_known(version, name.removesuffix("List"))


def _check_custom(kind: ResourceType, obj: JsonObject) -> None:
    _check_texts(kind, obj)
    version, name = str(obj.get("apiVersion") or kind.api_version), str(obj.get("kind") or kind.kind)
    if version == kind.api_version and name == kind.kind:
        return
    meta = obj.get("metadata")
    try:
        decode(meta if meta is not None else {}, "meta.v1.ObjectMeta", [])
    except Undecodable as problem:
        raise status.bad_request(_cannot_handle(kind, obj, str(problem))) from None
    if version != kind.api_version:
        text = f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        raise status.bad_request(text)
    cause = status.invalid_value("kind", name, f"must be {kind.kind}")
    named = str(objectmeta.mapping(obj.get("metadata")).get("name", ""))
    raise status.invalid(name, kind.group, named, [cause])


def _check_texts(kind: ResourceType, obj: JsonObject) -> None:
    problem = not_text(obj)
    if problem:
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            f"json parse error: {problem}"
        )


def not_text(obj: JsonObject) -> str:
    """What is wrong with an apiVersion or kind that is no string; empty when nothing is."""
    # The first of the two is told, in the order of the text.
    for field, value in obj.items():
        if field in ("kind", "apiVersion") and value is not None and not isinstance(value, str):
            return f"json: cannot unmarshal {json_type(value)} into Go struct field .{field} of type string"
    return ""


def _undecodable(obj: JsonObject) -> str:
    """An object is read as what it says it is before it is refused for that."""
    own = type_name(str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""))
    if own is None:
        return ""
    try:
        decode(obj, own, [])
    except Undecodable as problem:
        return str(problem)
    return ""


def _cannot_handle(kind: ResourceType, obj: JsonObject, why: str) -> str:
    version = str(obj.get("apiVersion") or kind.api_version).rpartition("/")[2]
    return f'{obj.get("kind") or kind.kind} in version "{version}" cannot be handled as a {kind.kind}: {why}'
