"""What a claim says and what fits it. Pure. Source: Kubernetes, "Persistent Volumes", "Storage Classes"."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from rayrig_core.objects import JsonObject, annotations_of, is_being_deleted, labels_of, name_of, namespace_of, uid_of
from rayrig_core.resources.quantities import parse_quantity
from rayrig_sim.kubernetes.selectors import label_selector

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class BindingMode(StrEnum):
    """When a volume is sought for a claim: at once, or when a pod that uses it has a node."""

    IMMEDIATE = "Immediate"
    FIRST_CONSUMER = "WaitForFirstConsumer"


def is_bound(claim: JsonObject) -> bool:
    return bool(claim["spec"].get("volumeName")) and (claim.get("status") or {}).get("phase") == "Bound"


def class_of(obj: JsonObject) -> str:
    """Name of the class of a claim or volume; empty: none."""
    return str(obj["spec"].get("storageClassName") or "")


def binding_mode(storage_class: JsonObject | None) -> BindingMode:
    """Claims without a class are sought for at once."""
    return BindingMode((storage_class or {}).get("volumeBindingMode") or BindingMode.IMMEDIATE)


def default_class(classes: Iterable[JsonObject]) -> JsonObject | None:
    """The newest of those that are marked as the default."""
    marked = [each for each in classes if annotations_of(each).get(DEFAULT_CLASS) == "true"]
    marked.sort(key=name_of)
    marked.sort(key=lambda each: str(each["metadata"].get("creationTimestamp") or ""), reverse=True)
    return marked[0] if marked else None


def is_for(volume: JsonObject, claim: JsonObject) -> bool:
    """Whether the volume is bound, or promised, to this claim."""
    reference = volume["spec"].get("claimRef") or {}
    return (
        reference.get("name") == name_of(claim)
        and reference.get("namespace") == namespace_of(claim)
        and reference.get("uid") in (None, "", uid_of(claim))
    )


def best_volume(claim: JsonObject, volumes: Iterable[JsonObject]) -> JsonObject | None:
    """The smallest volume that satisfies the claim; one that is promised to it before any other."""
    spec = claim["spec"]
    asked = _storage(spec.get("resources") or {}, "requests")
    selector = label_selector(spec["selector"]) if spec.get("selector") else None
    found: list[tuple[bool, float, str, JsonObject]] = []
    for volume in volumes:
        promised = bool(volume["spec"].get("claimRef"))
        if is_being_deleted(volume) or (promised and not is_for(volume, claim)):
            continue
        offers = volume["spec"]
        size = _storage(offers, "capacity")
        fits = (
            class_of(volume) == class_of(claim)
            and size >= asked
            and all(mode in (offers.get("accessModes") or ()) for mode in spec.get("accessModes") or ())
            and (offers.get("volumeMode") or "Filesystem") == (spec.get("volumeMode") or "Filesystem")
            and (selector is None or selector.matches(labels_of(volume)))
            and (volume.get("status") or {}).get("phase", "Available") in ("Available", "Pending")
        )
        if fits:
            found.append((not promised, size, name_of(volume), volume))
    return min(found, key=lambda each: each[:3])[3] if found else None


def _storage(holder: JsonObject, field: str) -> float:
    return float(parse_quantity((holder.get(field) or {}).get("storage", "0")))


def provisioned_volume(claim: JsonObject, storage_class: JsonObject) -> JsonObject:
    """The volume that the class's provisioner makes for a claim."""
    name, provisioner, spec = f"pvc-{uid_of(claim)}", str(storage_class.get("provisioner")), claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: provisioner}},
        "spec": {
            "accessModes": list(spec.get("accessModes") or ()),
            "capacity": {"storage": ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")},
            "claimRef": claim_reference(claim),
            "csi": {"driver": provisioner, "volumeHandle": name},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": name_of(storage_class),
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }


def claim_reference(claim: JsonObject) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": name_of(claim),
        "namespace": namespace_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }
