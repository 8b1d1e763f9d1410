"""`upgradeStrategy.type: Recreate`: when a spec change replaces all pods (kuberay-operator 3.10)."""

from __future__ import annotations

from enum import Enum

from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject, annotations_of
from rayrig_core.resources import labels
from rayrig_core.resources.hashing import own_spec_hash


class Recreation(Enum):
    """What to do with the pods that exist."""

    NOTHING = "nothing"
    ADOPT = "rewrite the head's annotations: another operator version made it"
    DELETE_ALL = "delete all pods: the spec has changed"


def recreate_hash(cluster: Cluster) -> str:
    """Hash of the cluster's own spec. Unlike the hash of an upgrade it takes in `suspend`."""
    return own_spec_hash(cluster.spec)


def decide(cluster: Cluster, heads: list[JsonObject]) -> Recreation:
    if (cluster.spec.get("upgradeStrategy") or {}).get("type") != "Recreate" or not heads:
        return Recreation.NOTHING
    annotations = annotations_of(heads[0])
    version = annotations.get(labels.KUBERAY_VERSION)
    if version and version != cluster.options.kuberay_version:
        return Recreation.ADOPT
    found = annotations.get(labels.RECREATE_HASH)
    return Recreation.DELETE_ALL if found and found != recreate_hash(cluster) else Recreation.NOTHING
