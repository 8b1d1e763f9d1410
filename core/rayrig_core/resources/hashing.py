"""The hash of a cluster spec that tells an upgrade from nothing (kuberay-operator 2.5).

Only equality counts; the digest has the operator's outer form (32 characters of base32 hex) but not its literal value.
"""

from __future__ import annotations

import json
from base64 import b32hexencode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import canonical


@dataclass(frozen=True, slots=True)
class HashRules:
    """What does not count: fields of the cluster, of its worker groups, of their pods' specs. `workersToDelete` never does."""

    cluster: frozenset[str]
    group: frozenset[str]
    pod: frozenset[str]


HASH_RULES = HashRules(
    frozenset({"suspend", "upgradeStrategy"}),
    frozenset({"replicas", "minReplicas", "maxReplicas"}),
    frozenset({"tolerations", "schedulingGates"}),
)
#: Of KubeRay 1.1 (kuberay-operator 6.1).
HASH_RULES_1_1 = HashRules(frozenset(), frozenset({"replicas"}), frozenset())
#: Maps of quantities, by the name of the field that holds them.
_QUANTITY_MAPS = frozenset({"limits", "requests", "overhead"})
_QUANTITIES = frozenset({"sizeLimit", "size", "divisor"})


def spec_hash(spec: JsonObject, groups: int | None = None, rules: HashRules = HASH_RULES) -> str:
    """32 characters over what counts of a RayClusterSpec; with `groups`, over its first so many worker groups only.

    Quantities count by value, so `1000m` and `1` are equal; null, an empty object or list and a missing field are the same but for
    `rayStartParams`. Order of lists counts, order of keys does not.
    """
    return _digest(json.dumps(_what_counts(spec, groups, rules), separators=(",", ":"), sort_keys=True))


def own_spec_hash(spec: JsonObject) -> str:
    """32 characters over a RayCluster's own spec, by which `upgradeStrategy: Recreate` tells a change (3.10).

    The cluster's `suspend` counts here, and missing `rayStartParams` are as good as empty ones.
    """
    filled = dict(spec)
    if spec.get("headGroupSpec") is not None:
        filled["headGroupSpec"] = _with_start_params(spec["headGroupSpec"])
    filled["workerGroupSpecs"] = [_with_start_params(group) for group in spec.get("workerGroupSpecs") or ()]
    counted = _what_counts(filled, None, HASH_RULES)
    if spec.get("suspend") is not None:
        counted["suspend"] = spec["suspend"]
    return _digest(json.dumps(counted, separators=(",", ":"), sort_keys=True))


def _with_start_params(group: JsonObject) -> JsonObject:
    return group if group.get("rayStartParams") is not None else {**group, "rayStartParams": {}}


@lru_cache(maxsize=4096)
def _digest(text: str) -> str:
    return b32hexencode(sha1(text.encode(), usedforsecurity=False).digest()).decode()


def _what_counts(spec: JsonObject, groups: int | None, rules: HashRules) -> JsonObject:
    counted = {key: _normal(value, key) for key, value in spec.items() if key not in rules.cluster}
    head = spec.get("headGroupSpec")
    if head:
        counted["headGroupSpec"] = _group(head, frozenset(), rules)
    workers = spec.get("workerGroupSpecs") or []
    counted["workerGroupSpecs"] = [_group(group, rules.group, rules) for group in workers[:groups]]
    return {key: value for key, value in counted.items() if value not in _ABSENT}


def _group(group: JsonObject, ignored: frozenset[str], rules: HashRules) -> JsonObject:
    counted: JsonObject = {}
    for key, value in group.items():
        if key in ignored:
            continue
        if key == "template" and value:
            pod = value.get("spec") or {}
            value = {**value, "spec": {name: field for name, field in pod.items() if name not in rules.pod}}
        elif key == "scaleStrategy" and value:
            value = {name: field for name, field in value.items() if name != "workersToDelete"}
        normal = _normal(value, key)
        if normal not in _ABSENT:
            counted[key] = normal
    # The one field whose absence counts: Go serialises a map that isn't there as null (recorded).
    counted["rayStartParams"] = group.get("rayStartParams")
    return counted


_ABSENT: tuple[Any, ...] = (None, {}, [])


def _normal(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if name in _QUANTITY_MAPS:
            return {key: _quantity(item) for key, item in value.items()}
        counted = {}
        for key, item in value.items():
            normal = _normal(item, key)
            if normal not in _ABSENT:
                counted[key] = normal
        return counted
    if isinstance(value, list):
        return [_normal(item, "") for item in value]
    return _quantity(value) if name in _QUANTITIES else value


def _quantity(value: Any) -> Any:
    try:
        return canonical(value)
    except ValueError:
        return value
