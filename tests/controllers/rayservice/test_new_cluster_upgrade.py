"""A changed cluster spec: a second cluster, the switch of the Services, the old one's end (kuberay-operator 2.3, 2.17)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import name_of
from rayrig_core.resource_types import RAY_CLUSTER, SERVICE


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


@pytest.mark.accepts("RS-059", "RS-060", "RS-063", "RS-071")
def test_an_upgrade_tick_by_tick(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(10.001)
    new = running.pending()
    assert running.condition("UpgradeInProgress") == (
        "True",
        "BothActivePendingClustersExist",
        "Both active and pending Ray clusters exist",
    )
    assert running.ready() == "True"
    assert "applicationStatuses" not in running.status()["activeServiceStatus"]
    running.run(80)
    assert running.writes(since_s=10) == [
        (10.0, "update rayservices/default/rs"),  # a name for the new cluster, UpgradeInProgress
        (12.0, f"create rayclusters/default/{new}"),
        (14.0, f"update pods/default/{new}-head"),
        (14.0, "update rayservices/default/rs"),  # its applications are DEPLOYING
        (16.0, "update services/default/rs-head-svc"),
        (16.0, "update services/default/rs-serve-svc"),
        (16.0, "update rayservices/default/rs"),  # promoted
        (78.0, f"delete rayclusters/default/{old}"),  # first seen dangling at 16, deleted strictly after 60 s
    ]
    assert (running.active(), running.pending()) == (new, "")
    assert running.names(RAY_CLUSTER) == [new]
    assert ("DeletedRayCluster", f"Deleted the RayCluster default/{old}") in running.events()


@pytest.mark.accepts("RS-060")
def test_both_services_switch_in_one_tick(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(15.999)
    assert {running.selected("rs-head-svc"), running.selected("rs-serve-svc")} == {old}
    running.run(16.001)
    new = running.active()
    assert new != old
    assert {running.selected("rs-head-svc"), running.selected("rs-serve-svc")} == {new}


@pytest.mark.accepts("RS-062")
def test_a_pending_cluster_that_never_gets_ready_leaves_the_active_one_in_peace(running: Any) -> None:
    old = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(600)
    assert running.active() == old
    assert running.selected("rs-serve-svc") == old
    assert running.reason("UpgradeInProgress") == "BothActivePendingClustersExist"
    assert running.ready() == "True"


@pytest.mark.accepts("RS-063")
def test_during_an_upgrade_only_the_pending_clusters_applications_are_shown(running: Any) -> None:
    old = running.active()
    begin = len(running.ray[old].calls())
    running.edit(rayVersion="2.53.0")
    running.run(15)
    status = running.status()
    assert "applicationStatuses" not in status["activeServiceStatus"]
    assert set(status["pendingServiceStatus"]["applicationStatuses"]) == {"fruit_app", "math_app"}
    assert running.ray[old].calls()[begin:] == []


@pytest.mark.accepts("RS-064")
def test_a_third_spec_replaces_the_pending_cluster(running: Any) -> None:
    old = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    second = running.pending()
    running.ready_after_s = 0.0
    running.edit(rayVersion="2.54.0")
    running.run(40)
    third = running.active()
    assert len({old, second, third}) == 3
    assert sorted(running.names(RAY_CLUSTER)) == sorted([old, second, third])
    running.run(130)
    assert running.names(RAY_CLUSTER) == [third]


@pytest.mark.accepts("RS-065")
def test_going_back_in_the_middle_makes_yet_another_cluster(running: Any) -> None:
    old = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    second = running.pending()
    running.edit(rayVersion="2.52.0")
    running.run(24)
    assert running.active() == old
    assert running.pending() not in ("", old, second)


@pytest.mark.accepts("RS-066", "RS-067")
def test_a_group_appended_in_the_middle_goes_to_the_pending_cluster_in_place(running: Any) -> None:
    old = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    new = running.pending()
    before = running.get(RAY_CLUSTER, old)
    running.edit(workerGroupSpecs=[running.group("small"), running.group("large")])
    running.run(30)
    assert running.pending() == new
    assert [g["groupName"] for g in running.get(RAY_CLUSTER, new)["spec"]["workerGroupSpecs"]] == ["small", "large"]
    assert running.get(RAY_CLUSTER, old) == before
    assert ("UpdatedRayCluster", f"Updated the pending RayCluster default/{new}") in running.events()


@pytest.mark.accepts("RS-068")
def test_a_configuration_changed_with_the_cluster_reaches_only_the_new_one(running: Any) -> None:
    old = running.active()
    text = running.service()["spec"]["serveConfigV2"].replace("MangoStand", "PearStand")
    running.patch({"spec": {"serveConfigV2": text, "rayClusterConfig": {"rayVersion": "2.53.0"}}})
    running.run(30)
    new = running.active()
    assert [len(running.ray[cluster].puts()) for cluster in (old, new)] == [1, 1]
    assert running.ray[new].puts()[0]["applications"][0]["deployments"] == [{"name": "PearStand"}]


@pytest.mark.accepts("RS-069")
def test_a_pending_cluster_deleted_by_hand_comes_back_under_its_name(running: Any) -> None:
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    new = running.pending()
    first = running.get(RAY_CLUSTER, new)
    running.delete(RAY_CLUSTER, new)
    running.run(30)
    again = running.get(RAY_CLUSTER, new)
    assert running.pending() == new
    assert again["metadata"]["uid"] != first["metadata"]["uid"]


@pytest.mark.accepts("RS-070")
def test_an_active_cluster_deleted_by_hand_is_replaced_by_a_new_one(running: Any) -> None:
    old = running.active()
    running.delete(RAY_CLUSTER, old)
    running.run(40)
    assert running.active() not in ("", old)
    assert running.names(RAY_CLUSTER) == [running.active()]
    assert running.ready() == "True"


@pytest.mark.accepts("RS-072")
def test_the_old_cluster_lives_as_long_as_it_is_told(running: Any) -> None:
    old = running.active()
    running.patch({"spec": {"rayClusterDeletionDelaySeconds": 10, "rayClusterConfig": {"rayVersion": "2.53.0"}}})
    running.run(26.0)
    assert old in running.names(RAY_CLUSTER)
    running.run(40)
    assert [what for what in running.writes() if "delete" in what[1]] == [(28.0, f"delete rayclusters/default/{old}")]


@pytest.mark.accepts("RS-073")
def test_without_delay_the_old_cluster_goes_on_the_second_tick_after_the_switch(running: Any) -> None:
    old = running.active()
    running.patch({"spec": {"rayClusterDeletionDelaySeconds": 0, "rayClusterConfig": {"rayVersion": "2.53.0"}}})
    running.run(30)
    # Switched at 16, scheduled at once by the tick that the Services woke, deleted two seconds later.
    assert [what for what in running.writes() if "delete" in what[1]] == [(18.0, f"delete rayclusters/default/{old}")]


@pytest.mark.accepts("RS-074")
def test_an_edited_delay_does_not_move_a_scheduled_deletion(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(20)
    running.patch({"spec": {"rayClusterDeletionDelaySeconds": 3}})
    running.run(70)
    assert old in running.names(RAY_CLUSTER)
    running.run(80)
    assert old not in running.names(RAY_CLUSTER)


@pytest.mark.accepts("RS-075")
def test_a_restarted_operator_counts_anew(running: Any) -> None:
    old = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(60)
    running.restart_operator()
    running.run(110)
    assert old in running.names(RAY_CLUSTER)
    running.run(125)
    assert old not in running.names(RAY_CLUSTER)


@pytest.mark.accepts("RS-077")
def test_the_switch_keeps_the_address_of_the_serve_service(running: Any) -> None:
    before = running.get(SERVICE, "rs-serve-svc")["spec"]["clusterIP"]
    running.edit(rayVersion="2.53.0")
    running.run(30)
    assert running.get(SERVICE, "rs-serve-svc")["spec"]["clusterIP"] == before


def test_an_old_cluster_held_by_a_finalizer_is_deleted_again_on_every_tick(running: Any) -> None:
    old = running.active()
    running.patch({"metadata": {"finalizers": ["example.org/hold"]}}, old, RAY_CLUSTER)
    running.patch({"spec": {"rayClusterDeletionDelaySeconds": 0, "rayClusterConfig": {"rayVersion": "2.53.0"}}})
    running.run(40)
    assert len([e for e in running.kernel.trace if e.kind.label == "event" and e["reason"] == "DeletedRayCluster"]) > 3
    assert name_of(running.get(RAY_CLUSTER, old)) == old
