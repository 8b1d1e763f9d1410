"""Suspension in two phases, and resumption (kuberay-operator 2.6)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import condition_of
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, RAY_CLUSTER, RAY_SERVICE, SERVICE


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


def conditions(stage: Any) -> list[tuple[str, str, str, int]]:
    return [(c["type"], c["status"], c["reason"], c["observedGeneration"]) for c in stage.status()["conditions"]]


@pytest.mark.accepts("RS-099", "RS-100", "RS-106")
def test_suspension_tick_by_tick(running: Any) -> None:
    cluster = running.active()
    running.patch({"spec": {"suspend": True}})
    running.run(10.001)
    assert conditions(running) == [
        ("Ready", "False", "SuspendInProgress", 3),
        ("UpgradeInProgress", "False", "SuspendInProgress", 3),
        ("Suspending", "True", "SuspendRequested", 3),
        ("RollbackInProgress", "False", "SuspendInProgress", 3),
    ]
    assert running.names(RAY_CLUSTER) == [cluster]
    assert "rs-serve-svc" in running.names(SERVICE)
    assert running.status()["observedGeneration"] == 3
    assert (running.active(), running.pending()) == ("", "")
    assert "numServeEndpoints" not in running.status()
    running.run(30)
    assert conditions(running) == [
        ("Ready", "False", "SuspendComplete", 3),
        ("UpgradeInProgress", "False", "SuspendComplete", 3),
        ("Suspending", "False", "SuspendComplete", 3),
        ("RollbackInProgress", "False", "SuspendComplete", 3),
        ("Suspended", "True", "SuspendComplete", 3),
    ]
    assert (running.names(RAY_CLUSTER), running.names(SERVICE)) == ([], [])
    assert [what for what in running.writes() if " ray" not in what[1] and what[0] > 10] == [
        (12.0, "delete services/default/rs-head-svc"),
        (12.0, "delete services/default/rs-serve-svc"),
    ]
    assert ("DeletedRayCluster", f"Deleted the RayCluster default/{cluster} during suspend") in running.events()
    assert ("DeletedService", "Deleted the Service default/rs-head-svc during suspend") in running.events()


def test_a_suspended_service_is_at_rest(running: Any) -> None:
    running.patch({"spec": {"suspend": True}})
    running.run(30)
    reconciles = running.operator.controllers["rayservice-controller"].reconciles
    running.run(300)
    assert running.operator.controllers["rayservice-controller"].reconciles == reconciles


@pytest.mark.accepts("RS-104", "RS-106")
def test_resumption_begins_anew(running: Any) -> None:
    old = running.active()
    running.patch({"spec": {"suspend": True}})
    running.run(30)
    running.patch({"spec": {"suspend": False}})
    running.run(30.001)
    assert conditions(running) == [
        ("Suspending", "False", "SuspendComplete", 3),
        ("RollbackInProgress", "False", "SuspendComplete", 3),
        ("Suspended", "False", "RayServiceResumed", 4),
        ("Ready", "False", "Initializing", 4),
        ("UpgradeInProgress", "False", "Initializing", 4),
    ]
    ready = condition_of(running.service(), "Ready")
    assert ready is not None
    assert ready["lastTransitionTime"] == "2026-01-01T00:00:30Z"
    assert ready["message"] == "RayService is initializing after resuming from suspend."
    assert running.status()["observedGeneration"] == 4
    assert running.pending() not in ("", old)
    running.run(60)
    assert running.ready() == "True"
    assert running.active() != old


@pytest.mark.accepts("RS-101")
def test_a_suspension_that_began_is_carried_through(running: Any) -> None:
    old = running.active()
    running.patch({"metadata": {"finalizers": ["example.org/hold"]}}, old, RAY_CLUSTER)
    running.patch({"spec": {"suspend": True}})
    running.run(20)
    for suspend in (False, True, False):
        running.patch({"spec": {"suspend": suspend}})
        running.run_for(6)
        assert condition_of(running.service(), "Suspending")["status"] == "True"
    running.patch({"metadata": {"finalizers": None}}, old, RAY_CLUSTER)
    running.run_for(30)
    assert running.ready() == "True"
    assert running.active() not in ("", old)


@pytest.mark.accepts("RS-102")
def test_a_service_created_suspended_never_has_a_cluster(stage: Any) -> None:
    stage.create(stage.manifest(suspend=True))
    stage.run(20)
    assert conditions(stage)[0][:3] == ("Suspending", "False", "SuspendComplete")
    assert condition_of(stage.service(), "Suspended")["status"] == "True"
    assert [what for what in stage.writes() if "rayservices" not in what[1]] == []
    stage.patch({"spec": {"suspend": False}})
    stage.run(50)
    assert stage.ready() == "True"


@pytest.mark.accepts("RS-103")
def test_suspension_in_the_middle_of_an_upgrade_takes_both_clusters(running: Any) -> None:
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    assert len(running.names(RAY_CLUSTER)) == 2
    running.patch({"spec": {"suspend": True}})
    running.run(40)
    assert running.names(RAY_CLUSTER) == []
    running.ready_after_s = 0.0
    running.patch({"spec": {"suspend": False}})
    running.run(70)
    (cluster,) = running.all(RAY_CLUSTER)
    assert cluster["spec"]["rayVersion"] == "2.53.0"
    assert running.active() == cluster["metadata"]["name"]


@pytest.mark.accepts("RS-105")
def test_in_incremental_mode_gateway_and_route_go_too(stage: Any) -> None:
    strategy = {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {"stepSizePercent": 10, "intervalSeconds": 5, "gatewayClassName": "istio"},
    }
    config = stage.cluster_config(enableInTreeAutoscaling=True)
    stage.create(stage.manifest(upgradeStrategy=strategy, rayClusterConfig=config))
    stage.run(20)
    assert (stage.names(GATEWAY), stage.names(HTTP_ROUTE)) == (["rs-gateway"], ["rs-httproute"])
    stage.patch({"spec": {"suspend": True}})
    stage.run(40)
    assert (stage.names(GATEWAY), stage.names(HTTP_ROUTE)) == ([], [])
    assert condition_of(stage.service(), "Suspended")["status"] == "True"
    assert ("DeletedGateway", "Deleted the Gateway default/rs-gateway during suspend") in stage.events()


@pytest.mark.accepts("RS-108")
def test_a_suspended_service_can_be_deleted(running: Any) -> None:
    running.patch({"spec": {"suspend": True}})
    running.run(30)
    running.delete(RAY_SERVICE, "rs")
    running.run(32)
    assert running.names(RAY_SERVICE) == []
