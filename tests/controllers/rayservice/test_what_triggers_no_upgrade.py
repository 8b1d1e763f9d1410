"""Edits that change nothing, or that reach the cluster in place (kuberay-operator 2.4, 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_core.objects import annotations_of
from rayrig_core.resource_types import RAY_CLUSTER


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


def cluster_of(stage: Any) -> Any:
    (cluster,) = stage.all(RAY_CLUSTER)
    return cluster


@pytest.mark.accepts("RS-078")
@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 4},
        {"minReplicas": 0},
        {"maxReplicas": 9},
        {"scaleStrategy": {"workersToDelete": ["some-pod"]}},
    ],
)
def test_replica_edits_change_nothing_at_all(running: Any, change: Any) -> None:
    before = cluster_of(running)
    running.edit(workerGroupSpecs=[running.group("small", **change)])
    running.run(30)
    assert cluster_of(running) == before
    assert running.pending() == ""


@pytest.mark.accepts("RS-079")
def test_tolerations_gates_suspension_and_upgrade_strategy_do_not_count(running: Any) -> None:
    before = running.active()
    template = running.service()["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]
    running.edit(
        suspend=True,
        upgradeStrategy={"type": "None"},
        headGroupSpec={
            "template": {
                "spec": {**template["spec"], "tolerations": [{"key": "x"}], "schedulingGates": [{"name": "g"}]}
            }
        },
    )
    running.run(20)
    assert (running.active(), running.pending(), running.names(RAY_CLUSTER)) == (before, "", [before])


@pytest.mark.accepts("RS-080")
def test_what_the_autoscaler_writes_is_left_alone(running: Any) -> None:
    cluster = running.active()
    running.patch({"spec": {"workerGroupSpecs": [running.group("small", replicas=3)]}}, cluster, RAY_CLUSTER)
    before = cluster_of(running)
    running.run(30)
    assert cluster_of(running) == before
    assert running.pending() == ""


@pytest.mark.accepts("RS-081")
def test_an_appended_group_reaches_the_active_cluster_in_place(running: Any) -> None:
    cluster = running.active()
    running.edit(workerGroupSpecs=[running.group("small"), running.group("large")])
    running.run(20)
    found = cluster_of(running)
    assert [group["groupName"] for group in found["spec"]["workerGroupSpecs"]] == ["small", "large"]
    assert annotations_of(found)["ray.io/num-worker-groups"] == "2"
    assert ("UpdatedRayCluster", f"Updated the active RayCluster default/{cluster}") in running.events()
    assert (running.active(), running.pending()) == (cluster, "")


@pytest.mark.accepts("RS-082")
@pytest.mark.parametrize("groups", [[], ["large", "small"], ["large"]])
def test_groups_removed_inserted_or_changed_make_a_new_cluster(running: Any, groups: list[str]) -> None:
    running.edit(workerGroupSpecs=[running.group(name) for name in groups])
    running.run(12)
    assert running.pending() != ""


@pytest.mark.accepts("RS-083")
def test_an_appended_group_takes_changed_replicas_along(running: Any) -> None:
    running.edit(workerGroupSpecs=[running.group("small", replicas=4), running.group("large")])
    running.run(20)
    assert [group["replicas"] for group in cluster_of(running)["spec"]["workerGroupSpecs"]] == [4, 1]


@pytest.mark.accepts("RS-084")
def test_another_operator_version_restamps_the_cluster_in_place(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(kuberay_version="v1.6.0"))
    stage.create(stage.manifest())
    stage.run(10)
    cluster = stage.active()
    spoiled = {"metadata": {"annotations": {"ray.io/hash-without-replicas-and-workers-to-delete": "other"}}}
    stage.patch(spoiled, cluster, RAY_CLUSTER)
    stage.options = OperatorOptions()
    stage.restart_operator()
    stage.run(30)
    annotations = annotations_of(cluster_of(stage))
    assert annotations["ray.io/kuberay-version"] == "v1.7.0"
    assert annotations["ray.io/hash-without-replicas-and-workers-to-delete"] != "other"
    assert (stage.active(), stage.pending()) == (cluster, "")


@pytest.mark.accepts("RS-085")
def test_an_update_in_place_keeps_the_clusters_own_suspend(running: Any) -> None:
    running.edit(suspend=True, workerGroupSpecs=[running.group("small"), running.group("large")])
    running.run(14)
    found = cluster_of(running)
    assert len(found["spec"]["workerGroupSpecs"]) == 2
    assert "suspend" not in found["spec"]


@pytest.mark.accepts("RS-086")
def test_with_type_none_a_first_cluster_is_made_and_no_other(stage: Any) -> None:
    stage.create(stage.manifest(upgradeStrategy={"type": "None"}))
    stage.run_until_ready()
    cluster = stage.active()
    stage.edit(rayVersion="2.53.0")
    stage.run_for(30)
    assert (stage.active(), stage.pending(), stage.names(RAY_CLUSTER)) == (cluster, "", [cluster])
    stage.patch({"spec": {"upgradeStrategy": {"type": "NewCluster"}}})
    stage.run_for(30)
    assert stage.active() != cluster


@pytest.mark.accepts("RS-087")
def test_the_operators_switch_is_beaten_by_the_type(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(zero_downtime=False))
    stage.create(stage.manifest())
    stage.run_until_ready()
    cluster = stage.active()
    stage.edit(rayVersion="2.53.0")
    stage.run_for(30)
    assert (stage.active(), stage.pending()) == (cluster, "")
    stage.patch({"spec": {"upgradeStrategy": {"type": "NewCluster"}}})
    stage.run_for(30)
    assert stage.active() != cluster


@pytest.mark.accepts("RS-088")
def test_with_upgrades_off_a_combined_edit_still_brings_the_configuration(stage: Any) -> None:
    stage.create(stage.manifest(upgradeStrategy={"type": "None"}))
    stage.run_until_ready()
    cluster = stage.active()
    before = stage.get(RAY_CLUSTER, cluster)
    text = stage.service()["spec"]["serveConfigV2"].replace("MangoStand", "PearStand")
    stage.patch({"spec": {"serveConfigV2": text, "rayClusterConfig": {"rayVersion": "2.53.0"}}})
    stage.run_for(20)
    assert len(stage.ray[cluster].puts()) == 2
    assert stage.get(RAY_CLUSTER, cluster)["spec"] == before["spec"]


def test_writing_out_a_default_changes_nothing(running: Any) -> None:
    before = running.active()
    running.edit(workerGroupSpecs=[running.group("small", numOfHosts=1, priority=0)])
    running.run(20)
    assert (running.active(), running.pending()) == (before, "")


def test_an_equal_quantity_written_otherwise_changes_nothing(stage: Any) -> None:
    def with_cpu(cpu: str) -> Any:
        container = {"name": "ray-worker", "image": "i", "resources": {"limits": {"cpu": cpu}}}
        return [stage.group("small", template={"spec": {"containers": [container]}})]

    stage.create(stage.manifest(rayClusterConfig=stage.cluster_config(workerGroupSpecs=with_cpu("1"))))
    stage.run_until_ready()
    before = stage.active()
    stage.edit(workerGroupSpecs=with_cpu("1000m"))
    stage.run_for(20)
    assert (stage.active(), stage.pending()) == (before, "")
