"""How many workers a group should have and which pods go: the decisions by themselves."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_controllers.raycluster.scaling import (
    MultiHostPlan,
    deletion_note,
    desired_pods,
    free_indices,
    plan_multi_host,
    reason_to_delete,
    replica_bounds,
)
from rayrig_core.objects import JsonObject


def pod(name: str, phase: str = "Running", replica: str = "", index: int = 0, **spec: Any) -> JsonObject:
    labels = {"ray.io/worker-group-replica-name": replica, "ray.io/worker-group-replica-index": str(index)}
    return {
        "metadata": {"name": name, "labels": labels if replica else {}},
        "spec": {"containers": [{"name": "ray-worker"}, {"name": "sidecar"}], **spec},
        "status": {"phase": phase},
    }


def ended(name: str, policy: str, container: str = "ray-worker", **state: Any) -> JsonObject:
    """A running pod one of whose containers has terminated."""
    found = pod(name, restartPolicy=policy)
    statuses = [{"name": "init", "state": {"terminated": {"exitCode": 9}}}, {"name": container, "state": {}}]
    statuses[1]["state"] = {"terminated": state or {"exitCode": 1}}
    found["status"]["containerStatuses"] = statuses
    return found


@pytest.mark.accepts("RC-031", "RC-032", "RC-039")
@pytest.mark.parametrize(
    ("group", "count"),
    [
        ({}, 0),
        ({"minReplicas": 2}, 2),
        ({"minReplicas": 2, "maxReplicas": 5}, 2),
        ({"minReplicas": 2, "maxReplicas": 5, "replicas": 1}, 2),
        ({"minReplicas": 2, "maxReplicas": 5, "replicas": 2}, 2),
        ({"minReplicas": 2, "maxReplicas": 5, "replicas": 3}, 3),
        ({"minReplicas": 2, "maxReplicas": 5, "replicas": 9}, 5),
        ({"replicas": 7}, 7),
        ({"replicas": 3_000_000_000}, 2_147_483_647),
        ({"replicas": 3, "numOfHosts": 4}, 12),
        ({"replicas": 3, "numOfHosts": 0}, 0),
        ({"replicas": 1, "numOfHosts": -1}, -1),
        ({"replicas": 3, "suspend": True}, 0),
        ({"replicas": 3, "suspend": False}, 3),
    ],
)
def test_the_pods_of_a_group_are_its_clamped_replicas_times_its_hosts(group: JsonObject, count: int) -> None:
    assert desired_pods(group) == count


def test_bounds_that_are_not_set_are_none_and_the_largest_number() -> None:
    assert replica_bounds({}) == (0, 2_147_483_647)
    assert replica_bounds({"minReplicas": 0, "maxReplicas": 0}) == (0, 0)
    assert replica_bounds({"minReplicas": 3, "maxReplicas": 4}) == (3, 4)


@pytest.mark.accepts("RC-022")
@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_a_pod_that_has_ended_is_replaced_whatever_its_policy(phase: str, policy: str) -> None:
    assert reason_to_delete(pod("a", phase, restartPolicy=policy), "worker") == (
        f"The worker Pod a status is {phase} which is a terminal state. "
        "KubeRay will delete the Pod and create new Pods in the next reconciliation if necessary."
    )


@pytest.mark.accepts("RC-023", "RC-024")
@pytest.mark.parametrize(
    ("found", "is_replaced"),
    [
        (ended("a", "Never"), True),
        (ended("a", "OnFailure"), False),
        (ended("a", "Always"), False),
        (ended("a", "Never", container="sidecar"), False),
        (pod("a", restartPolicy="Never"), False),
        (pod("a"), False),
        ({**ended("a", "Never"), "status": {**ended("a", "Never")["status"], "phase": "Pending"}}, False),
        ({"metadata": {"name": "a"}, "spec": {"restartPolicy": "Never"}, "status": {"phase": "Running"}}, False),
        ({"metadata": {"name": "a"}, "spec": {}}, False),
    ],
)
def test_a_running_pod_goes_only_when_its_ray_container_has_ended_for_good(
    found: JsonObject, is_replaced: bool
) -> None:
    assert bool(reason_to_delete(found, "head")) is is_replaced


def test_a_deletion_says_how_the_ray_container_ended() -> None:
    state = {
        "exitCode": 137,
        "signal": 9,
        "reason": "OOMKilled",
        "message": "out of memory",
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T01:02:03Z",
        "containerID": "containerd://abc",
    }
    assert deletion_note(ended("a", "Never", **state)) == (
        "Pod status: Running; Pod restart policy: Never; Ray container terminated status: &ContainerStateTerminated{"
        "ExitCode:137,Signal:9,Reason:OOMKilled,Message:out of memory,StartedAt:2026-01-01 00:00:00 +0000 UTC,"
        "FinishedAt:2026-01-01 01:02:03 +0000 UTC,ContainerID:containerd://abc,}"
    )
    assert deletion_note(ended("a", "Always", exitCode=0)).endswith(
        "&ContainerStateTerminated{ExitCode:0,Signal:0,Reason:,Message:,StartedAt:0001-01-01 00:00:00 +0000 UTC,"
        "FinishedAt:0001-01-01 00:00:00 +0000 UTC,ContainerID:,}"
    )
    assert deletion_note({"metadata": {"name": "a"}, "spec": {}}) == (
        "Pod status: ; Pod restart policy: Always; Ray container terminated status: nil"
    )


@pytest.mark.accepts("RC-030")
def test_new_workers_take_the_lowest_free_indices() -> None:
    present = [pod("a", replica="x", index=1), pod("b", replica="y", index=3), pod("odd")]
    assert free_indices(present, 0) == []
    assert free_indices(present, 1) == [0]
    assert free_indices(present, 3) == [0, 2, 4]
    assert free_indices([], 2) == [0, 1]


# Groups of several hosts


def replica(name: str, index: int, size: int = 2, phase: str = "Running") -> list[JsonObject]:
    """All pods of a replica; `phase` is the last one's."""
    phases = ["Running"] * (size - 1) + [phase]
    return [pod(f"{name}{host}", phases[host], f"w-{name}", index) for host in range(size)]


def plan(pods: list[JsonObject], replicas: int, *, may_shrink: bool = True, **fields: Any) -> MultiHostPlan:
    group = {"groupName": "w", "numOfHosts": 2, "replicas": replicas, **fields}
    return plan_multi_host(group, pods, may_shrink=may_shrink, rng=Random(1))


def deletions(found: MultiHostPlan) -> list[tuple[str, str]]:
    return [(deletion.pod["metadata"]["name"], deletion.reason) for deletion in found.deletions]


def places(found: MultiHostPlan) -> list[tuple[int, int | None]]:
    return [(place.index, place.host) for place in found.creations]


@pytest.mark.accepts("RC-042")
def test_missing_replicas_are_made_whole_at_the_free_indices() -> None:
    found = plan(replica("a", 1), 3)
    assert places(found) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    first, second, third, fourth = [place.replica for place in found.creations]
    assert first == second != third == fourth
    assert all(name.startswith("w-") and len(name) == 7 for name in (first, third))
    assert (found.deletions, found.error) == ([], "")


def test_a_group_that_is_as_it_should_be_is_left_alone() -> None:
    pods = [*replica("a", 0), *replica("b", 1), pod("without-a-replica")]
    assert plan(pods, 2) == MultiHostPlan()


@pytest.mark.accepts("RC-043")
def test_one_incomplete_replica_goes_in_a_pass_and_nothing_else_happens() -> None:
    pods = [*replica("a", 0, phase="Failed"), replica("b", 1)[0], replica("c", 2)[1]]
    found = plan(pods, 9)
    assert deletions(found) == [("b0", "cleanup of incomplete multi-host group")]
    assert found.error == "cleaned up incomplete replica group w-b, requeueing"
    assert found.creations == []


@pytest.mark.accepts("RC-045")
def test_replicas_with_a_failed_host_are_replaced_in_the_same_pass() -> None:
    found = plan([*replica("a", 0, phase="Failed"), *replica("b", 1), *replica("c", 2, phase="Succeeded")], 3)
    assert [name for name, _ in deletions(found)] == ["a0", "a1", "c0", "c1"]
    assert {reason.partition(" which")[0] for _, reason in deletions(found)} == {
        "The worker Pod a1 status is Failed",
        "The worker Pod c1 status is Succeeded",
    }
    assert places(found) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    assert found.error == ""


@pytest.mark.accepts("RC-044")
def test_workers_to_delete_take_their_whole_replicas_and_end_the_pass() -> None:
    pods = [*replica("a", 0), *replica("b", 1), *replica("c", 2)]
    found = plan(pods, 9, scaleStrategy={"workersToDelete": ["a1", "c0", "c1", "not-there"]}, may_shrink=False)
    asked = "autoscaler scale-down request"
    assert deletions(found) == [("a0", asked), ("a1", asked), ("c0", asked), ("c1", asked)]
    assert found.error == "deleted 4 worker Pods based on ScaleStrategy, requeueing"
    assert found.creations == []


def test_a_replica_that_fails_and_is_named_goes_once_for_its_failure() -> None:
    found = plan(replica("a", 0, phase="Failed"), 1, scaleStrategy={"workersToDelete": ["a0"]})
    assert [name for name, _ in deletions(found)] == ["a0", "a1"]
    assert found.error == ""
    assert places(found) == [(0, 0), (0, 1)]


@pytest.mark.accepts("RC-046")
def test_surplus_replicas_go_whole_unless_only_the_autoscaler_may_choose() -> None:
    pods = [*replica("a", 0), *replica("b", 1), *replica("c", 2)]
    found = plan(pods, 1)
    assert deletions(found) == [(name, "scaling down") for name in ("a0", "a1", "b0", "b1")]
    assert (found.creations, found.error) == ([], "")
    assert plan(pods, 1, may_shrink=False) == MultiHostPlan()
    assert [name for name, _ in deletions(plan(pods, 0, minReplicas=2))] == ["a0", "a1"]
