"""Who manages a RayService or RayCluster is said once, and the operator leaves alone what is not its own."""

from __future__ import annotations

import pytest

from rayrig_core.objects import condition_of, name_of
from rayrig_scenarios.api import Broken, Rig

OURS, FOREIGN = "ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"


def rig() -> Rig:
    rig = Rig(seed=1)
    rig.node("n", cpu=16)
    return rig


@pytest.mark.accepts("RS-010")
def test_a_service_managed_elsewhere_is_left_alone() -> None:
    world = rig()
    world.apply("fruit-stand", {"spec.managedBy": FOREIGN})
    world.sleep("30s")
    (service,) = world.objects("RayService")
    assert not service.get("status")
    assert "finalizers" not in service["metadata"]
    assert world.objects("RayCluster") == []


@pytest.mark.accepts("RS-011")
@pytest.mark.parametrize(("given", "other"), [(OURS, FOREIGN), (FOREIGN, OURS)])
def test_who_manages_a_service_cannot_be_changed(given: str, other: str) -> None:
    world = rig()
    world.apply("fruit-stand", {"spec.managedBy": given})
    with pytest.raises(Broken, match="the managedBy field is immutable"):
        world.patch("RayService", "fruit-stand", merge={"spec": {"managedBy": other}})
    (service,) = world.objects("RayService")
    assert service["spec"]["managedBy"] == given


@pytest.mark.accepts("RS-012")
@pytest.mark.parametrize("stranger", ["", "me", "ray.io/kuberay-operator "])
def test_nobody_else_manages_a_service(stranger: str) -> None:
    world = rig()
    with pytest.raises(Broken, match="managedBy"):
        world.apply("fruit-stand", {"spec.managedBy": stranger})
    assert world.objects("RayService") == []


def a_foreign_cluster() -> Rig:
    world = rig()
    world.apply("fruit-stand")
    world.wait_ready("fruit-stand")
    (own,) = world.objects("RayCluster")
    spec = {**own["spec"], "managedBy": FOREIGN}
    world.apply({"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "foreign"}, "spec": spec})
    world.sleep("30s")
    return world


def test_a_cluster_managed_elsewhere_is_left_alone() -> None:
    world = a_foreign_cluster()
    foreign = world.get("RayCluster", "foreign")
    assert foreign is not None
    assert not foreign.get("status")
    assert [name_of(pod) for pod in world.objects("Pod") if name_of(pod).startswith("foreign")] == []
    (service,) = world.objects("RayService")
    assert condition_of(service, "Ready")["status"] == "True"


@pytest.mark.accepts("RC-004")
def test_who_manages_a_cluster_cannot_be_changed() -> None:
    world = a_foreign_cluster()
    foreign = world.get("RayCluster", "foreign")
    assert foreign is not None
    assert not foreign.get("status")
    with pytest.raises(Broken, match="the managedBy field is immutable"):
        world.patch("RayCluster", "foreign", merge={"spec": {"managedBy": OURS}})
