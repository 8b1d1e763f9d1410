"""How the lists of built-in kinds merge: by a key, or as a set of plain values. Lists not named here are replaced whole.

A path is made of field names joined by dots, without list indices. Pod specs occur at several places (pods, templates), so
their lists are named from the spec on.
"""

from __future__ import annotations

from functools import lru_cache

_POD_SPEC_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
}
_CONTAINER_KEYS: dict[str, str] = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")

#: Paths from the root of the object, for any kind.
_COMMON: dict[str, str] = {
    "metadata.ownerReferences": "uid",
    "status.conditions": "type",
}
_SETS = ("metadata.finalizers",)

#: Where a kind keeps a pod spec.
_POD_SPECS: dict[str, str] = {
    "Pod": "spec",
    "Deployment": "spec.template.spec",
    "ReplicaSet": "spec.template.spec",
    "StatefulSet": "spec.template.spec",
    "DaemonSet": "spec.template.spec",
    "Job": "spec.template.spec",
    "ReplicationController": "spec.template.spec",
    "PodTemplate": "template.spec",
    "CronJob": "spec.jobTemplate.spec.template.spec",
}

_BY_KIND: dict[str, dict[str, str]] = {
    "Service": {"spec.ports": "port"},
    "ServiceAccount": {"secrets": "name", "imagePullSecrets": "name"},
    "Node": {"spec.taints": "key", "status.addresses": "type"},
    "Pod": {"status.podIPs": "ip", "status.hostIPs": "ip"},
}


@lru_cache(maxsize=256)
def merge_keys(kind: str) -> dict[str, str]:
    """Merge key by list path."""
    keys = dict(_COMMON)
    keys.update(_BY_KIND.get(kind, {}))
    spec = _POD_SPECS.get(kind)
    if spec is not None:
        for path, key in _POD_SPEC_KEYS.items():
            keys[f"{spec}.{path}"] = key
        for container_list in _CONTAINER_LISTS:
            for path, key in _CONTAINER_KEYS.items():
                keys[f"{spec}.{container_list}.{path}"] = key
        template_metadata = spec.removesuffix(".spec")
        if template_metadata != spec:
            keys[f"{template_metadata}.metadata.ownerReferences"] = "uid"
    return keys


def merges_as_set(path: str) -> bool:
    """Lists of plain values that merge instead of being replaced."""
    return path in _SETS or path.endswith(".metadata.finalizers")
