"""Columns of storage: claims, volumes, classes, drivers (K8-011)."""

from __future__ import annotations

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.tables.cells import (
    Cell,
    Column,
)
from rayrig_fakes.kubernetes.tables.layouts import (
    CREATED,
    NAME,
    Layout,
    age_of,
    columns,
    layout_of,
    spec_of,
    status_of,
)

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_STORAGE = "storage.k8s.io"


def _modes(modes: Json) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def _claim(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = spec_of(obj), status_of(obj)
    volume = spec.get("volumeName") or ""
    capacity = modes = ""
    if volume:
        modes = _modes(state.get("accessModes"))
        capacity = (state.get("capacity") or {}).get("storage", "0")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else state.get("phase", "")
    return [
        phase,
        volume,
        capacity,
        modes,
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _volume(obj: JsonObject, now: int) -> list[Cell]:
    spec, state = spec_of(obj), status_of(obj)
    claim = spec.get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else state.get("phase", "")
    return [
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        state.get("reason") or "",
        age_of(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _storage_class(obj: JsonObject, now: int) -> list[Cell]:
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    keys = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    is_default = any(annotations.get(key) == "true" for key in keys)
    return [
        f"{meta['name']} (default)" if is_default else meta["name"],
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]


def _driver(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    audiences = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ())
    return [
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        audiences or "<unset>",
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age_of(obj, now),
    ]


def _attachment(obj: JsonObject, now: int) -> list[Cell]:
    spec = spec_of(obj)
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = status_of(obj).get("attached", False)
    return [spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age_of(obj, now)]


LAYOUTS: dict[str, Layout] = {
    "persistentvolumeclaims": layout_of(
        columns(
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        _claim,
    ),
    "persistentvolumes": layout_of(
        columns(
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        _volume,
    ),
    f"storageclasses.{_STORAGE}": (
        [NAME, *columns("Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age")],
        _storage_class,
    ),
    f"csidrivers.{_STORAGE}": layout_of(
        columns(
            "AttachRequired:boolean",
            "PodInfoOnMount:boolean",
            "StorageCapacity:boolean",
            "TokenRequests",
            "RequiresRepublish:boolean",
            "Modes",
            "Age",
        ),
        _driver,
    ),
    f"csinodes.{_STORAGE}": layout_of(
        columns("Drivers:integer", "Age"), lambda obj, now: [len(spec_of(obj).get("drivers") or ()), age_of(obj, now)]
    ),
    f"volumeattachments.{_STORAGE}": layout_of(
        [Column("Attacher", format="name"), *columns("PV", "Node", "Attached:boolean", "Age")], _attachment
    ),
    f"volumeattributesclasses.{_STORAGE}": layout_of(
        columns("DriverName", "Age"), lambda obj, now: [obj.get("driverName", ""), age_of(obj, now)]
    ),
    f"csistoragecapacities.{_STORAGE}": CREATED,
}
