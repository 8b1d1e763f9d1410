"""Roles and bindings that are there from the beginning: those of `default_roles.txt` (Kubernetes, "Default roles")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ROLE, ROLE_BINDING, ResourceType
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes.authorization.rbac import RbacAuthorizer
from rayrig_fakes.kubernetes.authorization.rules import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP
from rayrig_fakes.kubernetes.state import ServerState

_GATHERS = "gathers:"
_CORE = "core"


def enforce_rbac(state: ServerState) -> RbacAuthorizer:
    """Store the default roles and bindings, and let roles decide from now on."""
    lines = Path(__file__).with_name("default_roles.txt").read_text(encoding="utf-8").splitlines()
    roles = list(_roles(lines))
    _gather(roles)
    for kind, obj in (*roles, *_bindings(lines)):
        _store(state, kind, obj)
    authorizer = RbacAuthorizer(state)
    state.authorizer = authorizer
    return authorizer


def _roles(lines: list[str]) -> Iterator[tuple[ResourceType, JsonObject]]:
    rules: list[JsonObject] = []
    for line in lines:
        if line.startswith("  "):
            rules.append(_rule(line))
        elif line.startswith("role "):
            _, place, *more = line.split()
            rules = []
            labels = [part for part in more if not part.startswith(_GATHERS)]
            gathered = [part.removeprefix(_GATHERS) for part in more if part.startswith(_GATHERS)]
            namespace, _, name = place.partition("/")
            role: JsonObject = {"metadata": _metadata(namespace, name, labels)}
            if gathered:
                role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": _labels(gathered)}]}
            role["rules"] = rules
            yield (ROLE if namespace else CLUSTER_ROLE), role


def _rule(line: str) -> JsonObject:
    verbs, *parts = (part.split() for part in line.split("|"))
    if len(parts) == 1:
        return {"verbs": verbs, "nonResourceURLs": parts[0]}
    groups = ["" if group == _CORE else group for group in parts[0]]
    rule: JsonObject = {"verbs": verbs, "apiGroups": groups, "resources": parts[1]}
    if len(parts) > 2:
        rule["resourceNames"] = parts[2]
    return rule


def _gather(roles: list[tuple[ResourceType, JsonObject]]) -> None:
    """Give roles with an aggregationRule the rules of those they select, until nothing changes any more."""
    changed = True
    while changed:
        changed = False
        for _, role in roles:
            selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
            if not selectors:
                continue
            wanted = selectors[0]["matchLabels"].items()
            found: list[JsonObject] = []
            for kind, other in roles:
                if kind is CLUSTER_ROLE and other is not role and wanted <= other["metadata"]["labels"].items():
                    found += [rule for rule in other["rules"] if rule not in found]
            changed = changed or found != role["rules"]
            role["rules"] = found


def _bindings(lines: list[str]) -> Iterator[tuple[ResourceType, JsonObject]]:
    for line in lines:
        if not line.startswith("bind "):
            continue
        _, place, role, *subjects = line.split()
        namespace, _, name = place.partition("/")
        kind, _, role_name = role.partition(":")
        binding: JsonObject = {"metadata": _metadata(namespace, name, [])}
        if subjects:
            binding["subjects"] = [_subject(each) for each in subjects]
        binding["roleRef"] = {"apiGroup": GROUP, "kind": kind, "name": role_name}
        yield (ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING), binding


def _subject(text: str) -> JsonObject:
    kind, _, name = text.partition(":")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def _labels(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def _metadata(namespace: str, name: str, labels: list[str]) -> JsonObject:
    meta: JsonObject = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    meta["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults", **_labels(labels)}
    meta["annotations"] = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    return meta


def _store(state: ServerState, kind: ResourceType, obj: JsonObject) -> None:
    now, meta = state.now_unix_ns(), obj["metadata"]
    meta["uid"] = random_uuid(state.rng)
    meta["creationTimestamp"] = rfc3339(now)
    key = f"{meta['namespace']}/{meta['name']}" if kind.namespaced else meta["name"]
    collection = state.store.collection(kind.group_resource)
    collection.put(key, {"apiVersion": kind.api_version, "kind": kind.kind, **obj}, now)
