"""Policy rules (Kubernetes API, "PolicyRule"): what one speaks of, and whether some cover another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.identity import Attributes

GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLE = ResourceType(GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = ResourceType(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)

ALL = "*"


def _strings(rule: JsonObject, field: str) -> Sequence[str]:
    return rule.get(field) or ()


def _has(values: Sequence[str], wanted: str) -> bool:
    return ALL in values or wanted in values


def allows(rule: JsonObject, attributes: Attributes) -> bool:
    """Whether the rule permits what is asked."""
    if not _has(_strings(rule, "verbs"), attributes.verb):
        return False
    if not attributes.resource:
        return any(_path_matches(pattern, attributes.path) for pattern in _strings(rule, "nonResourceURLs"))
    names = _strings(rule, "resourceNames")
    return (
        _has(_strings(rule, "apiGroups"), attributes.group)
        and _resource_matches(_strings(rule, "resources"), attributes.resource, attributes.subresource)
        and (not names or attributes.name in names)
    )


def _resource_matches(patterns: Sequence[str], resource: str, subresource: str) -> bool:
    """`pods`, `pods/log`, `*` (all, subresources too), `*/scale` (of all)."""
    if not subresource:
        return _has(patterns, resource)
    return _has(patterns, f"{resource}/{subresource}") or f"{ALL}/{subresource}" in patterns


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in (ALL, path):
        return True
    return pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL))


# Covering


def uncovered(owned: Iterable[JsonObject], wanted: Iterable[JsonObject]) -> list[JsonObject]:
    """What of `wanted` none of the `owned` rules gives, in the smallest pieces, those that differ in verbs alone put together."""
    held = list(owned)
    missing: dict[str, JsonObject] = {}
    for rule in wanted:
        for piece in _pieces(rule):
            if any(_covers(own, piece) for own in held):
                continue
            where = json.dumps({**piece, "verbs": []}, sort_keys=True)
            known = missing.setdefault(where, {**piece, "verbs": []})
            if piece["verbs"][0] not in known["verbs"]:
                known["verbs"].append(piece["verbs"][0])
    return list(missing.values())


def _pieces(rule: JsonObject) -> Iterator[JsonObject]:
    for verb in _strings(rule, "verbs"):
        for url in _strings(rule, "nonResourceURLs"):
            yield {"verbs": [verb], "nonResourceURLs": [url]}
        for group in _strings(rule, "apiGroups"):
            for resource in _strings(rule, "resources"):
                piece: JsonObject = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = _strings(rule, "resourceNames")
                if not names:
                    yield piece
                for name in names:
                    yield {**piece, "resourceNames": [name]}


def _covers(own: JsonObject, piece: JsonObject) -> bool:
    if not _has(_strings(own, "verbs"), piece["verbs"][0]):
        return False
    if "nonResourceURLs" in piece:
        return any(_url_covers(pattern, piece["nonResourceURLs"][0]) for pattern in _strings(own, "nonResourceURLs"))
    names, wanted = _strings(own, "resourceNames"), piece.get("resourceNames")
    resource, _, subresource = piece["resources"][0].partition("/")
    patterns = _strings(own, "resources")
    return (
        _has(_strings(own, "apiGroups"), piece["apiGroups"][0])
        and _resource_matches(patterns, resource, subresource)
        and (not names or (wanted is not None and wanted[0] in names))
    )


def _url_covers(own: str, wanted: str) -> bool:
    return own in (wanted, ALL) or (own.endswith(ALL) and wanted.startswith(own.rstrip(ALL)))


def describe(rule: JsonObject) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    fields = (
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("ResourceNames", "resourceNames"),
        ("Verbs", "verbs"),
    )
    parts = [f"{shown}:{quoted(rule[field])}" for shown, field in fields if rule.get(field)]
    return "{" + ", ".join(parts) + "}"


def quoted(values: Iterable[str]) -> str:
    """A list of strings as error messages show it: `["a" "b"]`."""
    return "[" + " ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"
