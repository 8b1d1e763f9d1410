"""PersistentVolumeClaim of the GCS's embedded store (kuberay-operator 3.12; gate GCSFaultToleranceEmbeddedStorage)."""

from __future__ import annotations

from rayrig_controllers.raycluster import gcs_fault_tolerance
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import PERSISTENT_VOLUME_CLAIM
from rayrig_core.resources import labels
from rayrig_core.resources.quantities import canonical

DEFAULT_SIZE = "1Gi"


def claim(cluster: Cluster) -> JsonObject | None:
    """The operator's own claim; None when the user named one. Outlives the cluster with deletionPolicy Retain."""
    storage = (gcs_fault_tolerance.options_of(cluster) or {}).get("storage") or {}
    if storage.get("claimName"):
        return None
    metadata = cluster.child_metadata(gcs_fault_tolerance.claim_name(cluster), {labels.CLUSTER: cluster.name})
    if storage.get("deletionPolicy") == "Retain":
        del metadata["ownerReferences"]
    spec: JsonObject = {
        "accessModes": storage.get("accessModes") or ["ReadWriteOnce"],
        "resources": {"requests": {"storage": canonical(storage.get("size") or DEFAULT_SIZE)}},
    }
    if storage.get("storageClassName"):
        spec["storageClassName"] = storage["storageClassName"]
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": metadata,
        "spec": spec,
    }


def has_drifted(desired: JsonObject, present: JsonObject) -> bool:
    """Access modes, size or class differ from what was asked for."""
    return any(desired["spec"][key] != (present.get("spec") or {}).get(key) for key in desired["spec"])
