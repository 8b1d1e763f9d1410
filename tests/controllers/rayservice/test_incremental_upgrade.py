"""Incremental upgrades on the stage: Gateway, HTTPRoute, capacities, rollback (kuberay-operator 2.9)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, RAY_CLUSTER, SERVICE
from rayrig_core.resources.feature_gates import FeatureGates

STAMP = "2026-01-01T00:00:00Z"


def conditions(*kinds: str, status: str = "True") -> list[dict[str, str]]:
    return [
        {"type": kind, "status": status, "reason": kind, "message": "", "lastTransitionTime": STAMP} for kind in kinds
    ]


def manifest(stage: Any, step: int = 25, interval_s: int = 5, surge: int = 50, **spec: Any) -> Any:
    strategy = {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {
            "stepSizePercent": step,
            "intervalSeconds": interval_s,
            "maxSurgePercent": surge,
            "gatewayClassName": "istio",
        },
    }
    config = stage.cluster_config(enableInTreeAutoscaling=True)
    return stage.manifest(upgradeStrategy=strategy, rayClusterConfig=config, **spec)


def make_gateway_ready(stage: Any) -> None:
    stage.patch({"status": {"conditions": conditions("Accepted", "Programmed")}}, "rs-gateway", GATEWAY, "status")
    parent = {
        "parentRef": {"name": "rs-gateway", "namespace": "default"},
        "controllerName": "example.org/gateway",
        "conditions": conditions("Accepted", "ResolvedRefs"),
    }
    stage.patch({"status": {"parents": [parent]}}, "rs-httproute", HTTP_ROUTE, "status")


def weights(stage: Any) -> list[tuple[str, int]]:
    (rule,) = stage.get(HTTP_ROUTE, "rs-httproute")["spec"]["rules"]
    return [(backend["name"], backend["weight"]) for backend in rule["backendRefs"]]


def numbers(stage: Any) -> str:
    """Capacity of active and pending, traffic of active and pending."""
    active, pending = stage.status()["activeServiceStatus"], stage.status()["pendingServiceStatus"]
    fields = [(s, f) for f in ("targetCapacity", "trafficRoutedPercent") for s in (active, pending)]
    return "/".join(str(slot.get(name, "-")) for slot, name in fields)


def story(stage: Any, until_s: float) -> list[tuple[float, str]]:
    """Changes of the numbers, looked at every second."""
    seen: list[tuple[float, str]] = []
    while stage.now_s < until_s:
        stage.run_for(1)
        now = numbers(stage)
        if not seen or seen[-1][1] != now:
            seen.append((round(stage.now_s), now))
    return seen


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(manifest(stage))
    stage.run(20)
    make_gateway_ready(stage)
    stage.run(30)
    assert stage.ready() == "True"
    return stage


@pytest.mark.accepts("RS-110", "RS-111", "RS-113")
def test_a_first_start_takes_all_at_once(running: Any) -> None:
    cluster = running.active()
    assert running.ray[cluster].puts()[0]["target_capacity"] == 100
    services = running.names(SERVICE)
    assert f"{cluster}-serve-svc" in services
    assert "rs-serve-svc" not in services
    gateway = running.get(GATEWAY, "rs-gateway")["spec"]
    assert gateway["gatewayClassName"] == "istio"
    assert [(each["name"], each["protocol"], each["port"]) for each in gateway["listeners"]] == [("http", "HTTP", 80)]
    assert weights(running) == [(f"{cluster}-serve-svc", 100)]
    route = running.get(HTTP_ROUTE, "rs-httproute")["spec"]
    assert [(each["name"], each["namespace"]) for each in route["parentRefs"]] == [("rs-gateway", "default")]
    assert route["rules"][0]["backendRefs"][0]["port"] == 8000
    assert numbers(running) == "100/-/100/-"
    assert ("CreatedGateway", "Created Gateway for RayService default/rs-gateway") in running.events()
    assert ("CreatedHTTPRoute", "Created HTTPRoute for RayService default/rs-httproute") in running.events()


def test_endpoints_count_before_anything_is_deployed(stage: Any) -> None:
    stage.ray.defaults = {"code": 500}
    stage.create(manifest(stage))
    stage.run(4)
    stage.do(stage.set_head_ready(stage.pending(), "False"))
    stage.run(8)
    assert stage.active() == ""
    assert stage.reason("Ready") == "NonZeroServeEndpoints"
    assert stage.reason("UpgradeInProgress") == "Initializing"


@pytest.mark.accepts("RS-112", "RS-114", "RS-117", "RS-118", "RS-119", "RS-121", "RS-122")
def test_an_upgrade_by_steps(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(33)
    new = running.pending()
    assert running.get(RAY_CLUSTER, new)["spec"]["workerGroupSpecs"][0]["replicas"] == 0
    seen = story(running, 80)
    assert running.ray[new].puts()[0]["target_capacity"] == 0
    assert [numbers for _, numbers in seen] == [
        "100/50/100/0",
        "100/50/75/25",
        "100/50/50/50",
        "50/50/50/50",
        "50/100/50/50",
        "50/100/25/75",
        "50/100/0/100",
        "100/-/100/-",
    ]
    assert running.active() == new
    assert running.selected("rs-head-svc") == new
    assert [put["target_capacity"] for put in running.ray[old].puts()] == [100, 50, 0]
    assert [put["target_capacity"] for put in running.ray[new].puts()] == [0, 50, 100]
    assert weights(running) == [(f"{new}-serve-svc", 100)]


def test_an_operator_that_restarted_gives_the_old_cluster_the_present_configuration(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(33)
    first, *_ = running.ray[old].puts()
    running.patch({"spec": {"serveConfigV2": "applications: [{name: present, import_path: a:b}]"}})
    running.restart_operator()
    story(running, 80)
    before, *later = running.ray[old].puts()
    assert before == first
    assert [put["target_capacity"] for put in later] == [50, 0]
    assert {put["applications"][0]["name"] for put in later} == {"present"}


def test_the_head_service_moves_only_after_the_promotion(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    while running.active() == old:
        assert running.selected("rs-head-svc") == old
        running.run_for(0.5)
    running.run_for(2.5)
    assert running.selected("rs-head-svc") == running.active()


@pytest.mark.accepts("RS-115")
def test_without_a_working_gateway_no_capacity_moves(stage: Any) -> None:
    stage.create(manifest(stage))
    stage.run(30)
    stage.edit(rayVersion="2.53.0")
    stage.run(60)
    assert numbers(stage) == "100/0/100/0"
    make_gateway_ready(stage)
    stage.run(63)
    assert numbers(stage) == "100/50/75/25"


@pytest.mark.accepts("RS-113")
def test_another_gateway_class_reaches_the_gateway(running: Any) -> None:
    running.patch({"spec": {"upgradeStrategy": {"clusterUpgradeOptions": {"gatewayClassName": "other"}}}})
    running.run(34)
    assert running.get(GATEWAY, "rs-gateway")["spec"]["gatewayClassName"] == "other"
    assert ("UpdatedGateway", "Updated the Gateway default/rs-gateway") in running.events()


@pytest.mark.accepts("RS-120")
def test_traffic_pauses_while_the_pending_cluster_is_not_ready(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.run(33)
    new = running.pending()
    running.ray[new].statuses = {"math_app": "DEPLOYING"}
    running.run(60)
    assert numbers(running) == "100/50/100/0"
    running.ray[new].statuses = {}
    running.run(63)
    assert numbers(running) == "100/50/75/25"


@pytest.mark.accepts("RS-123")
def test_a_new_configuration_goes_to_the_pending_cluster_only(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(40)
    before = len(running.ray[old].puts())
    text = running.service()["spec"]["serveConfigV2"].replace("MangoStand", "PearStand")
    running.patch({"spec": {"serveConfigV2": text}})
    running.run(43)
    new = running.pending()
    assert running.ray[new].puts()[-1]["applications"][0]["deployments"] == [{"name": "PearStand"}]
    later = running.ray[old].puts()[before:]
    assert all(put["applications"][0]["deployments"] == [{"name": "MangoStand"}] for put in later)


@pytest.mark.accepts("RS-124")
def test_with_the_gate_off_the_type_upgrades_nothing(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(gates=FeatureGates(ray_service_incremental_upgrade=False)))
    stage.create(manifest(stage))
    stage.run(20)
    cluster = stage.active()
    assert "rs-serve-svc" in stage.names(SERVICE)
    stage.edit(rayVersion="2.53.0")
    stage.run(40)
    assert (stage.active(), stage.pending()) == (cluster, "")


@pytest.mark.accepts("RS-125")
def test_going_back_in_the_middle_rolls_back(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    while numbers(running) != "100/50/50/50":
        running.run_for(0.5)
    running.edit(rayVersion="2.52.0")
    running.run_for(0.1)
    assert running.condition("RollbackInProgress") == (
        "True",
        "DesiredClusterSpecChanged",
        "Goal state reverted to original cluster, rolling back.",
    )
    seen = [each for _, each in story(running, running.now_s + 30)]
    assert seen == ["100/50/50/50", "100/50/75/25", "100/50/100/0", "100/-/100/-"]
    assert (running.active(), running.pending()) == (old, "")
    assert running.condition("RollbackInProgress") is None
    assert running.reason("UpgradeInProgress") == "NoPendingCluster"
    assert weights(running) == [(f"{old}-serve-svc", 100)]


@pytest.mark.accepts("RS-126")
def test_a_rollback_can_be_taken_back(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    while numbers(running) != "100/50/50/50":
        running.run_for(0.5)
    new = running.pending()
    running.edit(rayVersion="2.52.0")
    running.run_for(0.1)
    assert running.reason("RollbackInProgress") == "DesiredClusterSpecChanged"
    running.edit(rayVersion="2.53.0")
    running.run_for(0.1)
    assert running.condition("RollbackInProgress") is None
    running.run_for(60)
    assert running.active() == new


@pytest.mark.accepts("RS-127")
def test_a_third_spec_rolls_back_first(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    while numbers(running) != "100/50/50/50":
        running.run_for(0.5)
    second = running.pending()
    running.edit(rayVersion="2.54.0")
    running.run_for(0.1)
    assert (
        running.condition("RollbackInProgress")[2]
        == "Goal state changed mid-upgrade, rolling back to original cluster."
    )
    while running.pending() == second:
        assert running.active() == old
        running.run_for(0.5)
    assert (running.active(), running.condition("RollbackInProgress")) == (old, None)
    third = running.pending()
    assert third not in ("", old, second)
    running.run_for(90)
    assert running.active() == third


@pytest.mark.accepts("RS-128")
def test_a_rollback_leaves_a_dead_pending_cluster_behind(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    while numbers(running) != "100/50/75/25":
        running.run_for(0.5)
    running.do(running.set_head_ready(running.pending(), "False"))
    running.edit(rayVersion="2.52.0")
    running.run_for(20)
    assert (running.active(), running.pending()) == (old, "")


@pytest.mark.accepts("RS-129")
def test_a_rollback_before_any_traffic_moved_is_quick(running: Any) -> None:
    old = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(36)
    running.edit(rayVersion="2.52.0")
    running.run(42)
    assert (running.active(), running.pending(), numbers(running)) == (old, "", "100/-/100/-")


@pytest.mark.accepts("RS-130")
def test_during_a_rollback_the_pending_cluster_gets_no_configuration(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    while numbers(running) != "100/50/50/50":
        running.run_for(0.5)
    new = running.pending()
    running.edit(rayVersion="2.52.0")
    text = running.service()["spec"]["serveConfigV2"].replace("MangoStand", "PearStand")
    running.patch({"spec": {"serveConfigV2": text}})
    running.run_for(20)
    assert all(put["applications"][0]["deployments"] == [{"name": "MangoStand"}] for put in running.ray[new].puts())
    assert running.ray[running.active()].puts()[-1]["applications"][0]["deployments"] == [{"name": "PearStand"}]


@pytest.mark.accepts("RS-131")
def test_without_an_active_cluster_a_rollback_is_impossible(running: Any) -> None:
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(36)
    running.delete(RAY_CLUSTER, running.active())
    running.run(42)
    assert set(running.events("RollbackImpossible")) == {
        ("RollbackImpossible", "Active cluster not found, rollback cannot be initiated")
    }


def test_the_step_is_told_even_when_nothing_changes(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.run(33)
    new = running.pending()
    running.ray[new].statuses = {"math_app": "DEPLOYING"}
    running.run(50)
    told = [e for e in running.kernel.trace if e.kind.label == "event" and e["reason"] == "UpdatedServeTargetCapacity"]
    assert len(told) > len(running.ray[new].puts())
    assert str(told[0]["message"]).startswith(
        "Updated target_capacity of serve applications to to the RayCluster default/rs-"
    )


def test_once_numbers_are_set_the_status_is_written_twice_a_tick(running: Any) -> None:
    client = running.operator.controllers["rayservice-controller"].client
    before = client.writes
    running.run(40)
    assert client.writes - before == 2 * 5


def test_an_active_cluster_that_is_gone_in_the_middle_is_an_error(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.run(36)
    running.delete(RAY_CLUSTER, running.active())
    running.run(40)
    outcomes = [str(e["outcome"]) for e in running.kernel.trace if e.kind.label == "reconcile"]
    assert "error: active RayCluster of RayService default/rs is gone in the middle of an upgrade" in outcomes


def test_weights_and_times_are_copied_from_the_route_when_they_change(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.run(33)
    moved = []
    while running.pending():
        slots = running.status()["activeServiceStatus"], running.status()["pendingServiceStatus"]
        now = tuple((slot.get("trafficRoutedPercent"), slot.get("lastTrafficMigratedTime")) for slot in slots)
        if not moved or moved[-1] != now:
            moved.append(now)
        running.run_for(0.25)
    stamps = [f"2026-01-01T00:00:{second}Z" for second in (38, 44, 52, 58)]
    assert [(a, p) for (a, _), (p, _) in moved if p] == [(75, 25), (50, 50), (25, 75), (0, 100)]
    assert [(a, p) for (_, a), (_, p) in moved][-4:] == [(stamp, stamp) for stamp in stamps]
