"""What the status says, and when it is written (kuberay-operator 2.13, 2.14)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resource_types import ENDPOINT_SLICE, RAY_CLUSTER
from rayrig_core.trace import Kind


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


@pytest.mark.accepts("RS-031")
def test_ready_follows_the_endpoints(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].proxy_status = 503
    running.do(running.set_pod(f"{cluster}-worker", ready=False))
    running.run(16)
    assert running.condition("Ready") == ("False", "ZeroServeEndpoints", "Number of serve endpoints dropped to 0")
    assert "serviceStatus" not in running.status()
    running.ray[cluster].proxy_status = None
    running.run(22)
    assert running.reason("Ready") == "NonZeroServeEndpoints"
    assert running.status()["serviceStatus"] == "Running"


@pytest.mark.accepts("RS-032")
def test_an_unhealthy_application_does_not_make_the_service_unready(running: Any) -> None:
    running.ray[running.active()].statuses = {"math_app": "UNHEALTHY"}
    running.run(16)
    apps = running.status()["activeServiceStatus"]["applicationStatuses"]
    assert apps["math_app"]["status"] == "UNHEALTHY"
    assert running.ready() == "True"


@pytest.mark.accepts("RS-033")
def test_a_pod_in_two_slices_counts_once(running: Any) -> None:
    (found,) = running.all(ENDPOINT_SLICE)
    twin = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "twin", "labels": found["metadata"]["labels"]},
        "addressType": "IPv6",
        "ports": [],
        "endpoints": [
            {**found["endpoints"][0], "addresses": ["fd00::1"]},
            {"addresses": ["fd00::2"], "conditions": {"ready": True}},
            {"addresses": ["fd00::3"], "targetRef": {"kind": "Pod", "name": "x", "uid": "x"}},
        ],
    }
    running.create(twin)
    running.run(20)
    assert running.status()["numServeEndpoints"] == 2


@pytest.mark.accepts("RS-035")
def test_the_observed_generation_catches_up(running: Any) -> None:
    running.patch({"spec": {"rayClusterDeletionDelaySeconds": 5}})
    running.run(11)
    service = running.service()
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"] == 3
    assert {c["observedGeneration"] for c in service["status"]["conditions"]} == {3}


@pytest.mark.accepts("RS-036")
def test_without_a_change_nothing_is_written(running: Any) -> None:
    before = running.service()["metadata"]["resourceVersion"]
    running.run(120)
    assert running.service()["metadata"]["resourceVersion"] == before


@pytest.mark.accepts("RS-037")
def test_a_changed_cluster_status_alone_is_not_written(running: Any) -> None:
    before = running.service()["metadata"]["resourceVersion"]
    running.patch({"status": {"availableWorkerReplicas": 7}}, running.active(), RAY_CLUSTER, "status")
    running.run(20)
    assert running.service()["metadata"]["resourceVersion"] == before


@pytest.mark.accepts("RS-038")
def test_an_application_without_a_name_is_called_default(stage: Any) -> None:
    stage.create(
        stage.manifest(serveConfigV2='applications: [{name: "", import_path: "m:a", deployments: [{name: D}]}]\n')
    )
    stage.run_until_ready()
    assert list(stage.status()["activeServiceStatus"]["applicationStatuses"]) == ["default"]


@pytest.mark.accepts("RS-039")
def test_a_removed_application_leaves_the_status(running: Any) -> None:
    text = "applications:\n- name: fruit_app\n  import_path: fruit:app\n  deployments: [{name: MangoStand}]\n"
    running.patch({"spec": {"serveConfigV2": text}})
    running.run(20)
    assert list(running.status()["activeServiceStatus"]["applicationStatuses"]) == ["fruit_app"]


@pytest.mark.accepts("RS-040")
def test_without_a_ready_head_the_applications_are_not_shown(running: Any) -> None:
    running.do(running.set_head_ready(running.active(), "False"))
    running.run(20)
    assert "applicationStatuses" not in running.status()["activeServiceStatus"]
    assert running.ready() == "True"


def test_an_empty_slot_still_shows_zero_quantities(running: Any) -> None:
    assert running.status()["pendingServiceStatus"] == {
        "rayClusterStatus": {"desiredCPU": "0", "desiredGPU": "0", "desiredMemory": "0", "desiredTPU": "0", "head": {}}
    }


def test_what_a_service_that_comes_up_says_of_itself(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(1)
    soon = ("False", "Initializing", "RayService is initializing")
    assert (stage.condition("Ready"), stage.condition("UpgradeInProgress")) == (soon, soon)
    assert "serviceStatus" not in stage.status()
    stage.run(10)
    assert stage.condition("Ready") == ("True", "NonZeroServeEndpoints", "Number of serve endpoints is greater than 0")
    assert stage.condition("UpgradeInProgress") == (
        "False",
        "NoPendingCluster",
        "Active Ray cluster exists and no pending Ray cluster",
    )
    assert stage.status()["serviceStatus"] == "Running"
    stage.edit(rayVersion="2.53.0")
    stage.run(10.1)
    assert stage.condition("UpgradeInProgress") == (
        "True",
        "BothActivePendingClustersExist",
        "Both active and pending Ray clusters exist",
    )


def test_a_service_that_lost_its_only_cluster_name_does_not_know(running: Any) -> None:
    running.patch({"status": {"activeServiceStatus": {"rayClusterName": ""}}}, subresource="status")
    running.patch({"metadata": {"labels": {"a": "b"}}})
    running.run_for(0.1)
    assert running.condition("UpgradeInProgress") == (
        "Unknown",
        "NoActiveCluster",
        (
            "No active Ray cluster exists, and the RayService is not initializing. "
            "Please open a GitHub issue in the KubeRay repository."
        ),
    )


def test_turns_worth_telling_are_in_the_trace(running: Any) -> None:
    before = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(30)
    after = running.active()
    notes = [(e.t_s, e.subject, e["detail"]) for e in running.kernel.trace.select(Kind.NOTE)]
    who = "rayservices/default/rs"
    assert notes == [
        (6.01, who, f"RayCluster {before} is active now"),
        (16.0, who, f"RayCluster {after} is active now instead of {before}"),
        (16.0, who, f"RayCluster {before} is no longer used, to be deleted in 60 s"),
    ]


def test_the_delay_of_a_deletion_is_the_services_own(stage: Any) -> None:
    stage.create(stage.manifest(rayClusterDeletionDelaySeconds=0))
    stage.run(10)
    before = stage.active()
    stage.edit(rayVersion="2.53.0")
    stage.run(30)
    (deleted,) = (write for write in stage.writes() if write[1].startswith("delete rayclusters"))
    assert deleted == (18.0, f"delete rayclusters/default/{before}"), (
        "seen at 16, due at 16, deleted strictly afterwards"
    )
