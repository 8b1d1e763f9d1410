"""Events of the RayService controller to the letter: type, reason, action and note (kuberay-operator 2.16)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import condition_of
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, RAY_CLUSTER, SERVICE

INCREMENTAL = {
    "type": "NewClusterWithIncrementalUpgrade",
    "clusterUpgradeOptions": {"stepSizePercent": 25, "intervalSeconds": 5, "gatewayClassName": "istio"},
}


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


def refuse(stage: Any, verb: str, resource: str, times: int = 1) -> None:
    stage.refusals.left = {(verb, resource): times}


def test_what_is_told_of_a_service_that_comes_up(running: Any) -> None:
    cluster = running.active()
    assert running.events_in_full() == [
        ("Normal", "CreatedRayCluster", "Create", f"Created the RayCluster default/{cluster}"),
        (
            "Normal",
            "UpdatedServeApplications",
            "Update",
            f"Updated serve applications to the RayCluster default/{cluster}",
        ),
        (
            "Normal",
            "UpdatedHeadPodServeLabel",
            "Update",
            f'Updated the serve label to "true" for the Head Pod default/{cluster}-head',
        ),
        ("Normal", "CreatedService", "Create", "Created the service default/rs-head-svc"),
    ]


def test_what_is_told_of_an_upgrade(running: Any) -> None:
    before = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(80)
    after = running.active()
    told = running.events_in_full()[4:]
    assert ("Normal", "UpdatedService", "Update", "Updated the service default/rs-head-svc") in told
    assert ("Normal", "DeletedRayCluster", "Delete", f"Deleted the RayCluster default/{before}") in told
    assert ("Normal", "CreatedRayCluster", "Create", f"Created the RayCluster default/{after}") in told
    assert running.deletions == [(f"rayclusters/{before}", "Background")]


@pytest.mark.parametrize("which", ["active", "pending"])
def test_an_update_in_place_says_which_cluster(running: Any, which: str) -> None:
    groups = [running.group("small"), running.group("large")]
    if which == "pending":
        running.ready_after_s = None
        running.edit(rayVersion="2.53.0")
        running.run(13)
    name = getattr(running, which)()
    refuse(running, "update", "rayclusters")
    running.edit(workerGroupSpecs=groups)
    running.run_for(5)
    assert running.events_in_full("UpdatedRayCluster", "FailedToUpdateRayCluster") == [
        (
            "Warning",
            "FailedToUpdateRayCluster",
            "Update",
            f"Failed to update the {which} RayCluster default/{name}: no luck",
        ),
        ("Normal", "UpdatedRayCluster", "Update", f"Updated the {which} RayCluster default/{name}"),
    ]


def test_a_cluster_that_could_not_be_made_or_deleted(running: Any) -> None:
    before = running.active()
    refuse(running, "create", "rayclusters")
    running.edit(rayVersion="2.53.0")
    running.run(60)
    after = running.active()
    refuse(running, "delete", "rayclusters")
    running.run(100)
    assert [event for event in running.events_in_full() if event[0] == "Warning"] == [
        (
            "Warning",
            "FailedToCreateRayCluster",
            "Create",
            f"Failed to create the RayCluster default/{after}: no luck",
        ),
        (
            "Warning",
            "FailedToDeleteRayCluster",
            "Delete",
            f"Failed to delete the RayCluster default/{before}: no luck",
        ),
    ]
    assert running.names(RAY_CLUSTER) == [after]


@pytest.mark.parametrize("verb", ["create", "update"])
def test_a_service_that_could_not_be_made_or_turned(running: Any, verb: str) -> None:
    refuse(running, verb, "services")
    if verb == "create":
        running.delete(SERVICE, "rs-head-svc")
    else:
        running.edit(rayVersion="2.53.0")
    running.run(20)
    word = verb.capitalize()
    assert running.events_in_full(f"FailedTo{word}Service") == [
        ("Warning", f"FailedTo{word}Service", word, f"Failed to {verb} the service default/rs-head-svc, no luck")
    ]
    assert running.selected("rs-head-svc") == running.active()


def test_a_head_pod_that_could_not_be_labelled(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].proxy_status = 503
    refuse(running, "update", "pods")
    running.run(14)
    who = f"Head Pod default/{cluster}-head"
    assert running.events_in_full("FailedToUpdateHeadPodServeLabel", "UpdatedHeadPodServeLabel")[1:] == [
        (
            "Warning",
            "FailedToUpdateHeadPodServeLabel",
            "Update",
            f'Failed to update the serve label to "false" for the {who}: no luck',
        ),
        ("Normal", "UpdatedHeadPodServeLabel", "Update", f'Updated the serve label to "false" for the {who}'),
    ]


def test_a_configuration_that_was_refused(stage: Any) -> None:
    stage.ray.defaults = {"put_code": 500}
    stage.create(stage.manifest())
    stage.run(3)
    ((kind, _, action, note),) = stage.events_in_full("FailedToUpdateServeApplications")
    assert (kind, action) == ("Warning", "Update")
    who = f"default/{stage.pending()}"
    assert note.startswith(f"Failed to update serve applications to the RayCluster {who}: fail to create / update")
    assert note.endswith("err: UpdateDeployments fail: 500 Internal Server Error no luck")


def test_a_spec_that_is_refused_says_whose_it_is(running: Any) -> None:
    running.patch({"spec": {"upgradeStrategy": {"type": "Nonsense"}}})
    running.run(12)
    ((kind, _, action, note),) = running.events_in_full("InvalidRayServiceSpec")
    assert (kind, action) == ("Warning", "Validate")
    assert note.startswith("default/rs: ")
    ready = condition_of(running.service(), "Ready")
    assert note == f"default/rs: {ready['message']}"
    assert running.status()["lastUpdateTime"] == "2026-01-01T00:00:10Z"


# Suspension


def test_what_is_told_and_how_it_is_deleted_when_a_service_is_suspended(stage: Any) -> None:
    config = stage.cluster_config(enableInTreeAutoscaling=True)
    stage.create(stage.manifest(upgradeStrategy=INCREMENTAL, rayClusterConfig=config))
    stage.run(20)
    cluster = stage.active()
    before = len(stage.events_in_full())
    stage.patch({"spec": {"suspend": True}})
    stage.run(23)
    deleted = stage.events_in_full()[before:]
    assert deleted == [
        ("Normal", "DeletedRayCluster", "Delete", f"Deleted the RayCluster default/{cluster} during suspend"),
        ("Normal", "DeletedService", "Delete", "Deleted the Service default/rs-head-svc during suspend"),
        ("Normal", "DeletedGateway", "Delete", "Deleted the Gateway default/rs-gateway during suspend"),
        ("Normal", "DeletedHTTPRoute", "Delete", "Deleted the HTTPRoute default/rs-httproute during suspend"),
    ]
    assert stage.deletions == [
        (f"rayclusters/{cluster}", "Background"),
        ("services/rs-head-svc", "Background"),
        ("gateways/rs-gateway", "Background"),
        ("httproutes/rs-httproute", "Background"),
    ]


def test_a_deletion_that_was_refused_during_suspension(running: Any) -> None:
    cluster = running.active()
    refuse(running, "delete", "rayclusters")
    running.patch({"spec": {"suspend": True}})
    running.run(20)
    assert running.events_in_full("FailedToDeleteRayCluster") == [
        (
            "Warning",
            "FailedToDeleteRayCluster",
            "Delete",
            f"Failed to delete the RayCluster default/{cluster} during suspend: no luck",
        )
    ]
    assert running.names(RAY_CLUSTER) == []


def test_what_was_deleted_by_somebody_else_is_not_told_of(running: Any) -> None:
    running.refusals.reaction = ErrorBefore(404, "NotFound", "gone")
    refuse(running, "delete", "services/default/rs-head-svc", 1000)
    running.patch({"spec": {"suspend": True}})
    running.run(16)
    assert running.events_in_full("DeletedService", "FailedToDeleteService") == [
        ("Normal", "DeletedService", "Delete", "Deleted the Service default/rs-serve-svc during suspend")
    ]


def conditions(stage: Any) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in stage.status()["conditions"]}


def test_each_condition_of_a_suspension_says_what_goes_on(running: Any) -> None:
    running.patch({"metadata": {"finalizers": ["example.org/hold"]}}, running.active(), RAY_CLUSTER)
    cluster = running.active()
    running.patch({"spec": {"suspend": True}})
    running.run(10.001)
    none = {
        "UpgradeInProgress": ("False", "SuspendInProgress", "No upgrade in progress."),
        "RollbackInProgress": ("False", "SuspendInProgress", "No rollback in progress."),
    }
    assert conditions(running) == {
        "Ready": ("False", "SuspendInProgress", "RayService is suspending."),
        "Suspending": (
            "True",
            "SuspendRequested",
            "Spec.Suspend is true; will delete all Kubernetes resources owned by this RayService.",
        ),
        **none,
    }
    assert "serviceStatus" not in running.status()
    empty = {
        "rayClusterStatus": {"desiredCPU": "0", "desiredGPU": "0", "desiredMemory": "0", "desiredTPU": "0", "head": {}}
    }
    assert running.status()["activeServiceStatus"] == running.status()["pendingServiceStatus"] == empty
    running.run(14)
    assert conditions(running)["Suspending"] == (
        "True",
        "SuspendInProgress",
        "Waiting for all Kubernetes resources owned by this RayService to be deleted.",
    )
    running.patch({"metadata": {"finalizers": None}}, cluster, RAY_CLUSTER)
    running.run(20)
    all_gone = "All owned resources have been deleted."
    assert conditions(running) == {
        "Ready": ("False", "SuspendComplete", "RayService is suspended."),
        "UpgradeInProgress": ("False", "SuspendComplete", "No upgrade in progress."),
        "RollbackInProgress": ("False", "SuspendComplete", "No rollback in progress."),
        "Suspending": ("False", "SuspendComplete", all_gone),
        "Suspended": ("True", "SuspendComplete", all_gone),
    }
    running.patch({"spec": {"suspend": False}})
    running.run(20.001)
    anew = ("False", "Initializing", "RayService is initializing after resuming from suspend.")
    assert conditions(running) == {
        "Ready": anew,
        "UpgradeInProgress": anew,
        "RollbackInProgress": ("False", "SuspendComplete", "No rollback in progress."),
        "Suspending": ("False", "SuspendComplete", all_gone),
        "Suspended": ("False", "RayServiceResumed", "Spec.Suspend is false; RayService has resumed."),
    }


# Incremental upgrades


@pytest.fixture
def incremental(stage: Any) -> Any:
    config = stage.cluster_config(enableInTreeAutoscaling=True)
    stage.create(stage.manifest(upgradeStrategy=INCREMENTAL, rayClusterConfig=config))
    return stage


def make_gateway_ready(stage: Any) -> None:
    def holds(*kinds: str) -> list[dict[str, str]]:
        stamp = "2026-01-01T00:00:00Z"
        return [{"type": k, "status": "True", "reason": k, "message": "", "lastTransitionTime": stamp} for k in kinds]

    stage.patch({"status": {"conditions": holds("Accepted", "Programmed")}}, "rs-gateway", GATEWAY, "status")
    parent = {
        "parentRef": {"name": "rs-gateway", "namespace": "default"},
        "controllerName": "example.org/gateway",
        "conditions": holds("Accepted", "ResolvedRefs"),
    }
    stage.patch({"status": {"parents": [parent]}}, "rs-httproute", HTTP_ROUTE, "status")


@pytest.mark.parametrize(
    ("kind", "resource", "failed"),
    [
        ("Gateway", "gateways", "Failed to create Gateway for RayService default/rs-gateway: no luck"),
        ("HTTPRoute", "httproutes", "Failed to create the HTTPRoute for RayService default/rs-httproute: no luck"),
    ],
)
def test_a_gateway_or_route_that_could_not_be_made(incremental: Any, kind: str, resource: str, failed: str) -> None:
    refuse(incremental, "create", resource)
    incremental.run(20)
    name = {"Gateway": "rs-gateway", "HTTPRoute": "rs-httproute"}[kind]
    assert incremental.events_in_full(f"FailedToCreate{kind}", f"Created{kind}") == [
        ("Warning", f"FailedToCreate{kind}", "Create", failed),
        ("Normal", f"Created{kind}", "Create", f"Created {kind} for RayService default/{name}"),
    ]


@pytest.mark.parametrize(
    ("kind", "resource", "name"), [("Gateway", GATEWAY, "rs-gateway"), ("HTTPRoute", HTTP_ROUTE, "rs-httproute")]
)
def test_a_gateway_or_route_that_could_not_be_put_right(incremental: Any, kind: str, resource: Any, name: str) -> None:
    incremental.run(20)
    refuse(incremental, "update", resource.plural)
    if kind == "Gateway":
        incremental.patch({"spec": {"gatewayClassName": "another"}}, name, resource)
    else:
        incremental.patch({"spec": {"hostnames": ["example.org"]}}, name, resource)
    incremental.run(30)
    assert incremental.events_in_full(f"FailedToUpdate{kind}", f"Updated{kind}") == [
        ("Warning", f"FailedToUpdate{kind}", "Update", f"Failed to update the {kind} default/{name}: no luck"),
        ("Normal", f"Updated{kind}", "Update", f"Updated the {kind} default/{name}"),
    ]
    spec = incremental.get(resource, name)["spec"]
    assert spec.get("gatewayClassName", "istio") == "istio"
    assert "hostnames" not in spec


def test_capacity_that_moves_and_capacity_that_cannot(incremental: Any) -> None:
    incremental.run(20)
    make_gateway_ready(incremental)
    incremental.edit(rayVersion="2.53.0")
    incremental.run(23)
    incremental.ray[incremental.pending()].put_code = 200
    active, pending = incremental.active(), incremental.pending()
    incremental.run(60)
    told = incremental.events_in_full("UpdatedServeTargetCapacity")
    # A series of one object, so of the two clusters only the first is ever named.
    assert {(kind, action) for kind, _, action, _ in told} == {("Normal", "Update")}
    assert {note for *_, note in told} <= {
        f"Updated target_capacity of serve applications to to the RayCluster default/{cluster}"
        for cluster in (active, pending)
    }
    assert incremental.active() == pending


def test_a_refused_capacity_is_told_and_tried_again(incremental: Any) -> None:
    incremental.run(20)
    make_gateway_ready(incremental)
    incremental.edit(rayVersion="2.53.0")
    while not incremental.pending() or not incremental.ray[incremental.pending()].puts():
        incremental.run_for(0.005)
    pending, active = incremental.pending(), incremental.active()
    incremental.ray[active].put_code = 500
    while not incremental.events_in_full("FailedToUpdateTargetCapacity"):
        assert incremental.now_s < 100
        incremental.run_for(1)
    ((kind, _, action, note),) = incremental.events_in_full("FailedToUpdateTargetCapacity")
    assert (kind, action) == ("Warning", "Update")
    assert note.startswith(
        f"Failed to update target_capacity of serve applications to the RayCluster default/{active}: "
        "fail to create / update Serve applications."
    )
    capacity = incremental.status()["activeServiceStatus"]["targetCapacity"]
    assert capacity == 100, "as long as it is refused"
    incremental.ray[active].put_code = 200
    incremental.run_for(60)
    assert incremental.active() == pending


def test_without_the_active_cluster_there_is_no_way_back(incremental: Any) -> None:
    incremental.run(20)
    incremental.ready_after_s = None
    incremental.edit(rayVersion="2.53.0")
    incremental.run(26)
    incremental.delete(RAY_CLUSTER, incremental.active())
    incremental.run(30)
    assert incremental.events_in_full("RollbackImpossible")[0] == (
        "Warning",
        "RollbackImpossible",
        "Reconcile",
        "Active cluster not found, rollback cannot be initiated",
    )


@pytest.mark.parametrize(
    ("back", "message"),
    [
        ("2.52.0", "Goal state reverted to original cluster, rolling back."),
        ("2.54.0", "Goal state changed mid-upgrade, rolling back to original cluster."),
    ],
)
def test_a_roll_back_says_why(incremental: Any, back: str, message: str) -> None:
    incremental.run(20)
    make_gateway_ready(incremental)
    incremental.edit(rayVersion="2.53.0")
    while not incremental.status()["pendingServiceStatus"].get("trafficRoutedPercent"):
        incremental.run_for(1)
    incremental.edit(rayVersion=back)
    incremental.run_for(0.1)
    assert incremental.condition("RollbackInProgress") == ("True", "DesiredClusterSpecChanged", message)


def test_giving_up_tells_how_long_it_took(stage: Any) -> None:
    stage.ready_after_s = None
    stage.create(stage.manifest(metadata={"annotations": {"ray.io/initializing-timeout": "5"}}))
    stage.run(7)
    assert stage.events_in_full("RayServiceInitializingTimeout") == [
        (
            "Warning",
            "RayServiceInitializingTimeout",
            "Reconcile",
            "RayService initializing timeout exceeded after 6.01s (configured timeout: 5s)",
        )
    ]
    assert stage.condition("Ready") == (
        "False",
        "InitializingTimeout",
        "RayService failed to become ready within the configured timeout of 5s. Time spent initializing: 6.01s",
    )
