"""Pods with claims in the world in memory: they wait for their volumes, and say so."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject, condition_of, name_of
from rayrig_scenarios.api import Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.node(cpu=8)
    return made


def claim(name: str = "c", **spec: Any) -> JsonObject:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": asked}


def pod_with(claim_name: str = "c") -> JsonObject:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}
    spec = {"containers": [{"name": "main", "image": "busybox"}], "volumes": [volume]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def storage_class(name: str, **fields: Any) -> JsonObject:
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    return {**kind, "provisioner": "example.com/disk", **fields}


def volume(name: str, size: str, **spec: Any) -> JsonObject:
    fields = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "hostPath": {"path": "/d"}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": fields}


def phase(rig: Rig, kind: str, name: str) -> str:
    found = rig.get(kind, name)
    return str(found["status"]["phase"]) if found is not None else "gone"


def why_not_scheduled(rig: Rig) -> str:
    condition = condition_of(rig.objects("Pod")[0], "PodScheduled")
    assert condition is not None
    assert condition["status"] == "False"
    return str(condition["message"])


def test_a_claim_without_a_class_gets_the_default_one_and_a_volume_when_a_pod_uses_it(rig: Rig) -> None:
    rig.apply(claim())
    rig.sleep("30s")
    assert phase(rig, "PersistentVolumeClaim", "c") == "Pending"
    rig.apply(pod_with())
    rig.sleep("30s")
    bound = rig.get("PersistentVolumeClaim", "c")
    assert bound is not None
    assert bound["spec"]["storageClassName"] == "standard"
    assert bound["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    (made,) = rig.objects("PersistentVolume")
    assert name_of(made) == bound["spec"]["volumeName"] == f"pvc-{bound['metadata']['uid']}"
    assert made["spec"]["claimRef"]["name"] == "c"
    assert phase(rig, "Pod", "p") == "Running"


def test_a_pod_whose_claim_is_missing_waits_for_it(rig: Rig) -> None:
    rig.apply(pod_with())
    rig.sleep("5s")
    assert why_not_scheduled(rig) == '0/1 nodes are available: persistentvolumeclaim "c" not found. not found'
    rig.apply(claim())
    rig.sleep("30s")
    assert phase(rig, "Pod", "p") == "Running"


@pytest.mark.parametrize("class_name", ["", "nowhere"])
def test_a_claim_that_nobody_provisions_stays_open_and_its_pod_waits(rig: Rig, class_name: str) -> None:
    rig.apply(claim(storageClassName=class_name))
    rig.apply(pod_with())
    rig.sleep("60s")
    assert phase(rig, "PersistentVolumeClaim", "c") == "Pending"
    assert "pod has unbound immediate PersistentVolumeClaims" in why_not_scheduled(rig)


def test_a_class_that_binds_at_once_needs_no_pod(rig: Rig) -> None:
    rig.apply(storage_class("disk"))
    rig.apply(claim(storageClassName="disk"))
    rig.sleep("10s")
    assert phase(rig, "PersistentVolumeClaim", "c") == "Bound"
    (made,) = rig.objects("PersistentVolume")
    assert made["spec"]["csi"]["driver"] == "example.com/disk"


def test_the_smallest_volume_that_is_there_and_fits_is_taken(rig: Rig) -> None:
    for name, size in (("small", "500Mi"), ("large", "10Gi"), ("right", "2Gi")):
        rig.apply(volume(name, size))
    rig.apply(claim(storageClassName=""))
    rig.sleep("5s")
    bound = rig.get("PersistentVolumeClaim", "c")
    assert bound is not None
    assert bound["spec"]["volumeName"] == "right"
    assert bound["status"]["capacity"] == {"storage": "2Gi"}
    assert phase(rig, "PersistentVolume", "right") == "Bound"
    assert phase(rig, "PersistentVolume", "large") != "Bound"


def test_a_volume_made_for_a_claim_goes_with_it(rig: Rig) -> None:
    rig.apply(storage_class("disk"))
    rig.apply(claim(storageClassName="disk"))
    rig.sleep("10s")
    rig.delete("PersistentVolumeClaim", "c")
    rig.sleep("10s")
    assert rig.objects("PersistentVolumeClaim") == []
    assert rig.objects("PersistentVolume") == []


def test_a_volume_that_is_to_be_kept_is_released(rig: Rig) -> None:
    rig.apply(volume("v", "1Gi"))
    rig.apply(claim(storageClassName=""))
    rig.sleep("5s")
    rig.delete("PersistentVolumeClaim", "c")
    rig.sleep("5s")
    assert phase(rig, "PersistentVolume", "v") == "Released"
    rig.apply(claim("d", storageClassName=""))
    rig.sleep("5s")
    assert phase(rig, "PersistentVolumeClaim", "d") == "Pending"
