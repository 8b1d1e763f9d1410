"""Pods come and go as the spec, their own fate and the autoscaler say."""

from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import POD
from rayrig_core.trace import Kind


def indices(pods: list[JsonObject]) -> list[str]:
    return sorted(pod["metadata"]["labels"]["ray.io/worker-group-replica-index"] for pod in pods)


@pytest.mark.accepts("RC-010", "RC-029")
def test_service_head_and_workers_are_made_in_one_pass(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=3)))
    rig.run(1)
    assert rig.writes()[:5] == ["create services", "create pods", "create pods", "create pods", "create pods"]
    first = next(event.seq for event in rig.kernel.trace.select(Kind.RECONCILE))
    made = [event.seq for event in rig.kernel.trace.select(Kind.API_WRITE) if event["resource"] == "pods"]
    assert max(made) < first
    assert [name.rpartition("-")[0] for name in rig.names("head")] == ["rc-head"]
    assert indices(rig.pods("worker")) == ["0", "1", "2"]


@pytest.mark.accepts("RC-030")
def test_a_deleted_worker_is_replaced_and_takes_the_free_index(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3)))
    victim = next(pod for pod in rig.pods("worker") if indices([pod]) == ["1"])
    rig.delete(victim["metadata"]["name"])
    rig.run(1)
    assert victim["metadata"]["name"] not in rig.names()
    assert indices(rig.pods("worker")) == ["0", "1", "2"]


@pytest.mark.accepts("RC-031", "RC-032")
@pytest.mark.parametrize(
    ("fields", "count"), [({"replicas": 9}, 5), ({"replicas": 0, "minReplicas": 2}, 2), ({"replicas": 4}, 4)]
)
def test_replicas_stay_within_their_bounds(rig: Any, values: Any, fields: JsonObject, count: int) -> None:
    rig.create(values.ray_cluster(values.group(**fields)))
    rig.run(1)
    assert len(rig.names("worker")) == count


@pytest.mark.accepts("RC-039")
def test_no_hosts_no_pods(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(numOfHosts=0), values.group("one")))
    rig.run(1)
    assert rig.names("worker", "w") == []
    assert len(rig.names("worker", "one")) == 1


@pytest.mark.accepts("RC-033")
def test_fewer_replicas_delete_the_surplus(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=4)))
    rig.change_group(replicas=1)
    rig.run(1)
    assert len(rig.names("worker")) == 1
    assert len(rig.events("DeletedWorkerPod")) >= 1


@pytest.mark.accepts("RC-034")
def test_with_an_autoscaler_nothing_is_deleted_unasked(make_rig: Any, values: Any) -> None:
    for may_choose, left in ((False, 3), (True, 1)):
        rig = make_rig(random_pod_delete=may_choose)
        rig.ready(values.ray_cluster(values.group(replicas=3), enableInTreeAutoscaling=True))
        rig.change_group(replicas=1)
        rig.run(1)
        assert len(rig.names("worker")) == left


@pytest.mark.accepts("RC-035")
def test_named_workers_go_whatever_the_count_and_absent_ones_do_not_matter(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    victim = rig.names("worker")[0]
    rig.change_group(scaleStrategy={"workersToDelete": [victim, "not-there"]})
    rig.run(5)
    assert victim not in rig.names()
    assert len(rig.names("worker")) == 2
    assert rig.events("DeletedWorkerPod") == [f"Deleted pod default/{victim}"]
    assert rig.get()["spec"]["workerGroupSpecs"][0]["scaleStrategy"]["workersToDelete"] == [victim, "not-there"]


@pytest.mark.accepts("RC-036")
def test_the_autoscaler_scales_down_and_up(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3), enableInTreeAutoscaling=True))
    victim = rig.names("worker")[1]
    rig.change_group(replicas=2, scaleStrategy={"workersToDelete": [victim]})
    rig.run(5)
    assert victim not in rig.names()
    assert len(rig.names("worker")) == 2
    rig.change_group(replicas=4, scaleStrategy={"workersToDelete": []})
    rig.run(5)
    assert len(rig.names("worker")) == 4


@pytest.mark.accepts("RC-037")
def test_a_failed_worker_is_deleted_with_an_error_and_replaced_in_a_later_pass(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    victim = rig.names("worker")[0]
    since = rig.now
    rig.set_pod(victim, "Failed", ready=None)
    rig.run(1)
    assert len(rig.names("worker")) == 2
    assert victim not in rig.names()
    (note,) = rig.events("DeletedWorkerPod")
    assert note == (
        f"Deleted worker Pod default/{victim}; Pod status: Failed; Pod restart policy: Always; "
        "Ray container terminated status: nil"
    )
    first, second = [event["outcome"] for event in rig.kernel.trace.select(Kind.RECONCILE) if event.t_s >= since][:2]
    assert (first, second) == ("error: delete 1 unhealthy worker Pods", "ok")


@pytest.mark.accepts("RC-038")
def test_what_the_cache_does_not_show_yet_is_not_made_twice(make_rig: Any, values: Any) -> None:
    rig = make_rig(watch_lag_s=3.0)
    rig.create(values.ray_cluster(values.group(replicas=2)))
    rig.run(30)
    # Several passes saw neither Service nor pods.
    assert rig.manager.errors > 3
    assert rig.writes().count("create pods") == 3
    rig.change_group(replicas=1)
    rig.run(30)
    assert rig.writes().count("delete pods") <= 2
    assert len(rig.names("worker")) == 1


@pytest.mark.accepts("RC-041")
def test_a_suspended_group_loses_its_pods_only(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group("a", 2), values.group("b", 1)))
    rig.change_group(0, suspend=True)
    rig.run(1)
    assert rig.names("worker", "a") == []
    assert (len(rig.names("worker", "b")), len(rig.names("head"))) == (1, 1)
    assert rig.status["desiredWorkerReplicas"] == 1
    rig.change_group(0, suspend=False)
    rig.run(1)
    assert len(rig.names("worker", "a")) == 2


# Head


@pytest.mark.accepts("RC-022")
@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_head_that_has_ended_is_replaced(rig: Any, values: Any, policy: str, phase: str) -> None:
    template = {"spec": {"restartPolicy": policy, "containers": [values.container("h")]}}
    rig.ready(values.ray_cluster(head={"template": template}))
    (old,) = rig.names("head")
    since = rig.now
    rig.set_pod(old, phase, ready=None)
    rig.run(1)
    (new,) = rig.names("head")
    assert new != old
    assert rig.events("DeletedHeadPod")[0].startswith(f"Deleted head Pod default/{old}; Pod status: {phase}; ")
    outcomes = [event["outcome"] for event in rig.kernel.trace.select(Kind.RECONCILE) if event.t_s >= since]
    assert str(outcomes[0]).startswith(f"error: The head Pod {old} status is {phase}")


@pytest.mark.accepts("RC-023", "RC-024")
@pytest.mark.parametrize(
    ("policy", "ended", "is_replaced"),
    [("Never", "h", True), ("Always", "h", False), ("OnFailure", "h", False), ("Never", "sidecar", False)],
)
def test_a_running_head_goes_only_when_ray_has_ended_for_good(
    rig: Any, values: Any, policy: str, ended: str, is_replaced: bool
) -> None:
    containers = [values.container("h"), values.container("sidecar")]
    rig.ready(values.ray_cluster(head={"template": {"spec": {"restartPolicy": policy, "containers": containers}}}))
    (old,) = rig.names("head")
    state = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-01-01T00:00:00Z"}}
    rig.set_pod(old, "Running", ready=False, containerStatuses=[{"name": ended, "state": state}])
    rig.run(1)
    assert (rig.names("head") != [old]) is is_replaced
    if is_replaced:
        assert rig.events("DeletedHeadPod")[0].endswith(
            "Ray container terminated status: &ContainerStateTerminated{ExitCode:1,Signal:0,Reason:Error,Message:,"
            "StartedAt:2026-01-01 00:00:00 +0000 UTC,FinishedAt:0001-01-01 00:00:00 +0000 UTC,ContainerID:,}"
        )


@pytest.mark.accepts("RC-025")
def test_two_heads_are_an_error_and_neither_is_deleted(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    (head,) = rig.pods("head")
    twin = {"metadata": {"name": "second-head", "labels": head["metadata"]["labels"]}, "spec": head["spec"]}
    rig.create(twin, POD)
    rig.change_group(replicas=2)
    rig.run(2)
    assert len(rig.objects(POD)) == 3
    last = list(rig.kernel.trace.select(Kind.RECONCILE))[-1]
    assert str(last["outcome"]).startswith("error: 2 head pods found [")
    assert str(last["outcome"]).endswith("Please delete extra head pods")
    rig.delete("second-head")
    rig.run(10)
    assert len(rig.names("worker")) == 2


@pytest.mark.accepts("RC-026")
@pytest.mark.parametrize(("annotation", "heads"), [("true", 0), ("false", 1)])
def test_a_provisioned_head_is_not_restarted_when_that_is_switched_off(
    rig: Any, values: Any, annotation: str, heads: int
) -> None:
    metadata = {"annotations": {"ray.io/disable-provisioned-head-restart": annotation}}
    rig.ready(values.ray_cluster(values.group(), metadata=metadata))
    errors = rig.manager.errors
    rig.delete(rig.names("head")[0])
    rig.run(5)
    assert len(rig.names("head")) == heads
    assert rig.manager.errors == errors


@pytest.mark.accepts("RC-028")
def test_a_refused_pod_shows_in_condition_and_event_until_it_is_made(rig: Any, values: Any) -> None:
    bad = values.group()
    bad["template"]["spec"]["dnsPolicy"] = "Nonsense"
    rig.create(values.ray_cluster(bad))
    rig.run(1)
    assert rig.condition("ReplicaFailure") == ("True", "FailedCreateWorkerPod")
    note = rig.events("FailedToCreateWorkerPod")[0]
    assert note.startswith("Failed to create worker Pod for the cluster default/rc, Pod")
    rig.patch({"spec": {"workerGroupSpecs": [values.group()]}})
    rig.run(10)
    assert rig.condition("ReplicaFailure") is None
    assert len(rig.names("worker")) == 1


@pytest.mark.accepts("RC-028")
def test_a_refused_head_stops_the_pass(rig: Any, values: Any) -> None:
    template = {"spec": {"dnsPolicy": "Nonsense", "containers": [values.container("h")]}}
    rig.create(values.ray_cluster(values.group(), head={"template": template}))
    rig.run(1)
    assert rig.condition("ReplicaFailure") == ("True", "FailedCreateHeadPod")
    assert rig.events("FailedToCreateHeadPod")[0].startswith("Failed to create head Pod default/, Pod")
    assert rig.names() == []


@pytest.mark.accepts("RC-104")
def test_pods_without_a_node_type_are_not_seen(rig: Any, values: Any) -> None:
    labels = {"ray.io/cluster": "rc", "ray.io/group": "w"}
    rig.create({"metadata": {"name": "odd", "labels": labels}, "spec": {"containers": [values.container("x")]}}, POD)
    rig.create(values.ray_cluster(values.group(replicas=1)))
    rig.run(1)
    assert len(rig.names("worker")) == 1


# Multi-host groups


def replicas(rig: Any) -> dict[str, list[tuple[str, str]]]:
    """(index, host) of each pod, by replica name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for pod in rig.pods("worker"):
        labels = pod["metadata"]["labels"]
        place = (labels["ray.io/worker-group-replica-index"], labels["ray.io/replica-host-index"])
        found.setdefault(labels["ray.io/worker-group-replica-name"], []).append(place)
    return found


@pytest.mark.accepts("RC-042")
def test_every_replica_of_a_multi_host_group_is_whole(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=3, numOfHosts=4)))
    rig.run(1)
    found = replicas(rig)
    assert sorted(found.values()) == [[(str(index), str(host)) for host in range(4)] for index in range(3)]
    assert all(name.startswith("w-") and len(name) == 7 for name in found)


@pytest.mark.accepts("RC-043")
def test_a_replica_that_lost_a_pod_is_replaced_as_a_whole(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2, numOfHosts=2)))
    before = replicas(rig)
    first = next(name for name, places in before.items() if places[0][0] == "0")
    victim = next(
        pod for pod in rig.pods() if pod["metadata"]["labels"].get("ray.io/worker-group-replica-name") == first
    )
    rig.delete(victim["metadata"]["name"])
    rig.run(2)
    after = replicas(rig)
    assert first not in after
    assert sorted(after.values()) == [[("0", "0"), ("0", "1")], [("1", "0"), ("1", "1")]]
    assert rig.events("DeletedWorkerPod")[0].endswith("for group w: cleanup of incomplete multi-host group")


@pytest.mark.accepts("RC-044")
def test_naming_one_host_takes_its_whole_replica(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2, numOfHosts=2), enableInTreeAutoscaling=True))
    victim = rig.names("worker")[0]
    rig.change_group(replicas=1, scaleStrategy={"workersToDelete": [victim]})
    rig.run(5)
    assert [len(places) for places in replicas(rig).values()] == [2]
    assert victim not in rig.names()


@pytest.mark.accepts("RC-045")
def test_one_failed_host_takes_its_whole_replica(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2, numOfHosts=2)))
    before = rig.names("worker")
    rig.set_pod(before[0], "Failed", ready=None)
    rig.run(2)
    left = [name for name in before if name in rig.names()]
    assert left == before[2:]
    assert sorted(len(places) for places in replicas(rig).values()) == [2, 2]


@pytest.mark.accepts("RC-046")
def test_scaling_down_removes_whole_replicas(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3, numOfHosts=2)))
    rig.change_group(replicas=1)
    rig.run(2)
    assert [len(places) for places in replicas(rig).values()] == [2]


@pytest.mark.accepts("RC-047")
def test_single_host_workers_have_an_index_and_no_replica_name(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=3, numOfHosts=1)))
    rig.run(1)
    assert indices(rig.pods("worker")) == ["0", "1", "2"]
    assert all("ray.io/worker-group-replica-name" not in pod["metadata"]["labels"] for pod in rig.pods("worker"))


def test_a_negative_number_of_hosts_ends_the_pass_before_the_status(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=1, numOfHosts=-1)))
    rig.run(30)
    assert rig.names() == rig.names("head")
    assert rig.status == {}
    outcomes = [event["outcome"] for event in rig.kernel.trace.select(Kind.RECONCILE)]
    assert outcomes
    assert all(str(outcome).startswith("panic: ") for outcome in outcomes)


def test_a_negative_number_of_hosts_first_takes_the_pods_there_are(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    rig.change_group(numOfHosts=-1)
    rig.run(1)
    assert rig.names("worker") == []
