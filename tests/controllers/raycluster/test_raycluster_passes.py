"""One pass over a RayCluster: in which order, what ends it, what is looked at again (kuberay-operator 3.1, 3.5, 3.12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import JOB, POD, RAY_CLUSTER, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT
from rayrig_core.resources import validation
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall

FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"
REDIS = {"redisAddress": "redis:6379"}


# Judging the spec


@pytest.mark.accepts("RC-007")
def test_an_edit_that_makes_the_spec_invalid_is_refused_and_one_that_mends_it_is_followed(
    rig: Any, values: Any
) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.change_group(minReplicas=9, replicas=3)
    rig.run(5)
    assert len(rig.told("InvalidRayClusterSpec")) == 1
    assert len(rig.names("worker")) == 1
    rig.change_group(minReplicas=0)
    rig.run(5)
    assert len(rig.names("worker")) == 3


@pytest.mark.accepts("RC-003")
def test_annotations_alone_can_make_a_spec_invalid(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(), gcsFaultToleranceOptions=REDIS))
    rig.patch({"metadata": {"annotations": {"ray.io/ft-enabled": "true"}}})
    rig.run(5)
    ((_, _, note),) = rig.told("InvalidRayClusterSpec")
    assert note.startswith(
        "The RayCluster spec is invalid default/rc: ray.io/ft-enabled annotation and GcsFaultToleranceOptions are both set."
    )


@pytest.mark.accepts("RC-085")
def test_labels_alone_can_make_a_spec_invalid(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(upgradeStrategy={"type": "None"}))
    rig.patch({"metadata": {"labels": {"ray.io/originated-from-crd": "RayJob"}}})
    rig.run(5)
    note = "upgradeStrategy cannot be set when RayCluster is created by RayJob"
    assert rig.told("InvalidRayClusterSpec") == [
        ("Warning", "Validate", f"The RayCluster UpgradeStrategy is invalid default/rc: {note}"),
    ]


def test_a_cluster_of_the_same_name_is_judged_by_itself(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(minReplicas=9)))
    rig.run(1)
    assert rig.names() == []
    rig.delete("rc", RAY_CLUSTER)
    rig.create(values.ray_cluster(values.group()))
    rig.run(1)
    assert len(rig.names()) == 2
    assert rig.status["desiredWorkerReplicas"] == 1


# Order and errors


@pytest.mark.accepts("RC-010", "RC-011")
def test_children_come_in_order(rig: Any, values: Any) -> None:
    annotations = {"ray.io/enable-serve-service": "true"}
    group = values.group(replicas=1, numOfHosts=2)
    head = {"enableIngress": True}
    fields = {"enableInTreeAutoscaling": True, "authOptions": {"mode": "token"}}
    rig.create(values.ray_cluster(group, head=head, metadata={"annotations": annotations}, **fields))
    rig.run(1)
    made = [write for write in rig.writes() if write.startswith("create ") and write != "create events"]
    assert made == [
        "create serviceaccounts",
        "create roles",
        "create rolebindings",
        "create ingresses",
        "create secrets",
        "create services",
        "create services",
        "create services",
        "create pods",
        "create pods",
        "create pods",
    ]


def test_the_first_error_ends_the_making_of_children_but_not_the_status(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(), name="other"))
    rig.run(1)
    rig.refuse("create", "roles/default/rc")
    rig.create(values.ray_cluster(values.group(), enableInTreeAutoscaling=True))
    rig.run(1)
    assert [name_of(each) for each in rig.objects(SERVICE_ACCOUNT)] == ["rc"]
    assert rig.objects(ROLE) == rig.objects(ROLE_BINDING) == []
    assert [name_of(each) for each in rig.objects(SERVICE)] == ["other-head-svc"]
    # Without a head Service there is no status; the pass's own error is what counts.
    assert rig.outcomes()[-1] == "error: not today"
    assert rig.status == {}


def test_a_serve_service_without_a_port_says_what_to_do(rig: Any, values: Any) -> None:
    template = {"spec": {"containers": [values.container("h", ports=[{"name": "gcs-server", "containerPort": 6379}])]}}
    metadata = {"annotations": {"ray.io/enable-serve-service": "true"}}
    rig.create(values.ray_cluster(head={"template": template}, metadata=metadata))
    rig.run(1)
    problem = (
        "Please specify a port named 'serve' (or with the prefix 'serve-', e.g. 'serve-grpc') in the Ray head container; "
        "otherwise, the Kubernetes service for Ray Serve will not be created."
    )
    assert set(rig.outcomes()) == {f"error: {problem}"}


def test_a_spec_is_judged_once_as_long_as_it_stays(rig: Any, values: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    judge = validation.ray_cluster_spec_problems

    def noting(obj: JsonObject, gates: FeatureGates) -> Iterator[validation.Problem]:
        judged.append(obj["metadata"]["name"])
        return judge(obj, gates)

    monkeypatch.setattr(validation, "ray_cluster_spec_problems", noting)
    rig.ready(values.ray_cluster(values.group()))
    rig.run(700)
    assert rig.manager.reconciles > 3
    assert judged == ["rc"]
    rig.patch({"spec": {"rayVersion": "2.53.0"}})
    rig.run(1)
    assert judged == ["rc", "rc"]


@pytest.mark.accepts("RC-017")
def test_two_head_services_are_named(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    labels = rig.get("rc-head-svc", SERVICE)["metadata"]["labels"]
    rig.create({"metadata": {"name": "twin", "labels": labels}, "spec": {"ports": [{"port": 1}]}}, SERVICE)
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(2)
    assert rig.outcomes()[-1] == "error: 2 head service found [rc-head-svc twin]"


@pytest.mark.accepts("RC-098")
def test_a_refused_status_is_an_error_and_tried_again(rig: Any, values: Any) -> None:
    rig.refuse("update", "rayclusters/default/rc/status")
    rig.create(values.ray_cluster())
    rig.run(3)
    assert rig.status == {}
    assert rig.outcomes()[-1] == "error: not today"
    assert len(rig.names()) == 1
    rig.refusals.clear()
    rig.run(30)
    assert rig.condition("HeadPodReady") == ("False", "Unknown")


def test_after_a_failed_pass_a_refused_status_is_not_what_is_told(rig: Any, values: Any) -> None:
    rig.refuse("update", "rayclusters/default/rc/status", message="no status")
    rig.refuse("create", "pods/default/", message="no pods")
    rig.create(values.ray_cluster())
    rig.run(1)
    assert set(rig.outcomes()) == {"error: FailedCreateHeadPod\nno pods"}


@pytest.mark.accepts("RC-098")
def test_a_pass_that_wrote_no_status_is_repeated_after_300_s(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    since = rig.now
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.delete("rc-head-svc", SERVICE)
    rig.run(250)
    assert rig.requeues_ms(since)[-1] == 300_000
    rig.set_pod(rig.names()[0], ready=False)
    since = rig.now
    rig.run(1)
    assert rig.requeues_ms(since) == [2_000]


# Pods


def test_two_groups_are_settled_each_by_itself(make_rig: Any, values: Any) -> None:
    rig = make_rig(watch_lag_s=2.0)
    rig.create(values.ray_cluster(values.group("a", 2), values.group("b", 0)))
    rig.run(60)
    assert (len(rig.names("worker", "a")), len(rig.names("worker", "b"))) == (2, 0)
    rig.change_group(0, replicas=3)
    rig.run(2.5)
    rig.change_group(1, replicas=2)
    rig.run(60)
    assert (len(rig.names("worker", "a")), len(rig.names("worker", "b"))) == (3, 2)
    assert rig.writes().count("create pods") == 6


@pytest.mark.accepts("RC-038")
def test_what_was_deleted_is_not_deleted_again_while_the_cache_shows_it(make_rig: Any, values: Any) -> None:
    rig = make_rig(watch_lag_s=3.0)
    rig.create(values.ray_cluster(values.group(replicas=4)))
    rig.run(60)
    since = rig.now
    rig.change_group(replicas=1)
    rig.run(1)
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(60)
    told = [event for event in rig.kernel.trace.select(Kind.EVENT) if event.t_s > since]
    assert [(event.t_s - since, event["reason"]) for event in told] == [(3.0, "DeletedWorkerPod")] * 3
    assert len(rig.names("worker")) == 1


@pytest.mark.accepts("RC-037", "RC-045")
def test_failed_workers_of_one_pass_are_counted(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3)))
    since = rig.now
    for name in rig.names("worker")[:2]:
        rig.set_pod(name, "Failed", ready=None)
    rig.manager.crash()
    rig.manager = rig.start()
    rig.run(10)
    assert "error: delete 2 unhealthy worker Pods" in rig.outcomes(since)
    assert len(rig.names("worker")) == 3


@pytest.mark.accepts("RC-043", "RC-044")
def test_a_pass_that_took_replicas_away_ends_with_an_error_that_says_so(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3, numOfHosts=2), enableInTreeAutoscaling=True))
    victim, *others = rig.names("worker")
    since = rig.now
    rig.change_group(replicas=2, scaleStrategy={"workersToDelete": [victim]})
    rig.run(1)
    assert rig.outcomes(since)[0] == "error: deleted 2 worker Pods based on ScaleStrategy, requeueing"
    since = rig.now
    replica = rig.get(others[-1], POD)["metadata"]["labels"]["ray.io/worker-group-replica-name"]
    rig.delete(others[-1])
    rig.run(1)
    assert rig.outcomes(since)[0] == f"error: cleaned up incomplete replica group {replica}, requeueing"


@pytest.mark.accepts("RC-035", "RC-038")
@pytest.mark.parametrize("is_named", [True, False])
def test_a_group_waits_until_what_was_deleted_is_gone(rig: Any, values: Any, is_named: bool) -> None:
    fields = {"enableInTreeAutoscaling": True} if is_named else {}
    rig.ready(values.ray_cluster(values.group("a", 2), values.group("b", 1), **fields))
    first, second = rig.names("worker", "a")
    for name in (first, second):
        rig.patch({"metadata": {"finalizers": ["x.org/hold"]}}, name, POD)
    rig.change_group(0, replicas=1, **({"scaleStrategy": {"workersToDelete": [first]}} if is_named else {}))
    rig.run(5)
    assert rig.told("DeletedWorkerPod") == [
        ("Normal", "Delete", f"Deleted {'pod' if is_named else 'Pod'} default/{first}")
    ]
    rig.change_group(0, replicas=4)
    rig.change_group(1, replicas=2)
    rig.run(60)
    assert rig.names("worker", "a") == [first, second]
    # Other groups do not wait.
    assert len(rig.names("worker", "b")) == 2
    rig.patch({"metadata": {"finalizers": []}}, first, POD)
    rig.run(60)
    assert len(rig.names("worker", "a")) == 4
    deletions = [event for event in rig.kernel.trace.select(Kind.EVENT) if event["reason"] == "DeletedWorkerPod"]
    # A name that stays in workersToDelete is no error once its pod is gone.
    assert len(deletions) == 1


@pytest.mark.accepts("RC-104")
def test_pods_that_are_gone_before_they_are_deleted_are_no_error(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    rig.refuse("delete", "pods/default/", 404, "NotFound", "is gone")
    rig.change_group(replicas=1)
    rig.run(1)
    assert rig.condition("ReplicaFailure") is None
    assert len(rig.told("DeletedWorkerPod")) == 1
    assert rig.told("FailedToDeleteWorkerPod") == []


@pytest.mark.accepts("RC-035")
def test_a_named_worker_that_is_gone_is_not_told(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=1), enableInTreeAutoscaling=True))
    rig.change_group(scaleStrategy={"workersToDelete": ["not-there"]})
    rig.run(5)
    assert rig.told("DeletedWorkerPod") == []
    assert rig.condition("ReplicaFailure") is None
    assert len(rig.names("worker")) == 1


@pytest.mark.accepts("RC-026")
def test_a_head_that_was_never_provisioned_is_made_whatever_the_annotation(rig: Any, values: Any) -> None:
    metadata = {"annotations": {"ray.io/disable-provisioned-head-restart": "true"}}
    rig.create(values.ray_cluster(values.group(), metadata=metadata))
    rig.run(1)
    (old,) = rig.names("head")
    rig.delete(old)
    rig.run(5)
    assert len(rig.names("head")) == 1
    rig.all_ready()
    rig.run(5)
    rig.delete(rig.names("head")[0])
    rig.change_group(replicas=3)
    rig.run(10)
    # The pass ends before the workers.
    assert (len(rig.names("head")), len(rig.names("worker"))) == (0, 1)


def test_without_conditions_a_suspension_deletes_at_once(make_rig: Any, values: Any) -> None:
    rig = make_rig(gates=FeatureGates(ray_cluster_status_conditions=False))
    rig.ready(values.ray_cluster(values.group()))
    rig.patch({"spec": {"suspend": True}})
    rig.run(1)
    assert rig.names() == []
    note = "Deleted Pods for RayCluster default/rc due to suspension"
    assert rig.told("DeletedPod") == [("Normal", "Delete", note)]
    rig.run(5)
    assert rig.status["state"] == "suspended"
    rig.patch({"spec": {"suspend": None}})
    rig.run(5)
    assert len(rig.names()) == 2


@pytest.mark.accepts("RC-083")
def test_a_recreation_does_not_wait_for_what_went_before(make_rig: Any, values: Any) -> None:
    rig = make_rig(watch_lag_s=1.0)
    rig.create(values.ray_cluster(values.group(replicas=2), upgradeStrategy={"type": "Recreate"}))
    rig.run(60)
    old = rig.names()
    rig.patch({"spec": {"rayVersion": "2.53.0"}})
    rig.run(60)
    assert len(rig.names()) == 3
    assert not [name for name in rig.names() if name in old]
    version = {pod["metadata"]["annotations"]["ray.io/kuberay-version"] for pod in rig.pods("head")}
    assert version == {"v1.7.0"}


@pytest.mark.accepts("RC-084")
def test_adopting_a_head_keeps_its_other_annotations(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(upgradeStrategy={"type": "Recreate"}))
    (head,) = rig.names()
    before = rig.get(head, POD)
    rig.patch({"metadata": {"annotations": {"ray.io/kuberay-version": "v1.6.0", "mine": "x"}}}, head, POD)
    rig.run(5)
    assert rig.get(head, POD)["metadata"]["annotations"] == {**before["metadata"]["annotations"], "mine": "x"}
    assert rig.get(head, POD)["spec"] == before["spec"]


# Redis


@pytest.mark.accepts("RC-075")
def test_the_finalizer_is_written_with_the_object_as_the_operators_types_have_it(rig: Any, values: Any) -> None:
    head = {"rayStartParams": None, "template": {"spec": {"containers": [{"name": "h", "image": "x"}]}}}
    rig.create(values.ray_cluster(values.group(), head=head, gcsFaultToleranceOptions=REDIS))
    before = rig.get()["metadata"]["generation"]
    rig.run(0.01)
    obj = rig.get()
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    assert obj["metadata"]["generation"] == before + 1
    spec = obj["spec"]
    assert spec["headGroupSpec"]["rayStartParams"] == {}
    assert spec["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"] == {}
    assert spec["workerGroupSpecs"][0]["scaleStrategy"] == {}
    rig.run(1)
    assert len(rig.names()) == 2


def finish(rig: Any, kind: str) -> None:
    job = rig.get("rc-redis-cleanup", JOB)
    job["status"] = {"conditions": [{"type": kind, "status": "True"}], "startTime": "2026-01-01T00:00:00Z"}
    rig.server.call(ApiCall("update", JOB, "default", "rc-redis-cleanup", "status", body=job))


@pytest.mark.accepts("RC-076")
@pytest.mark.parametrize(
    ("kind", "is_over"), [("FailureTarget", True), ("SuccessCriteriaMet", False), ("Suspended", False)]
)
def test_a_job_that_is_about_to_fail_is_over(rig: Any, values: Any, kind: str, is_over: bool) -> None:
    metadata = {"finalizers": ["x.org/hold"]}
    rig.ready(values.ray_cluster(values.group(), gcsFaultToleranceOptions=REDIS, metadata=metadata))
    rig.ready(values.ray_cluster(values.group(), name="other"))
    others = [name for name in rig.names() if name.startswith("other-")]
    rig.delete("rc", RAY_CLUSTER)
    rig.run(12)
    assert rig.names() == others
    assert [name_of(job) for job in rig.objects(JOB)] == ["rc-redis-cleanup"]
    finish(rig, kind)
    rig.run(3)
    left = rig.get()["metadata"]["finalizers"]
    assert left == (["x.org/hold"] if is_over else ["x.org/hold", FINALIZER])


@pytest.mark.accepts("RC-076")
def test_a_cluster_without_the_finalizer_is_not_cleaned_up(make_rig: Any, values: Any) -> None:
    rig = make_rig()
    metadata = {"finalizers": ["x.org/hold"]}
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions=REDIS, metadata=metadata))
    rig.patch({"metadata": {"finalizers": ["x.org/hold"]}})
    rig.run(0.001)
    rig.delete("rc", RAY_CLUSTER)
    rig.patch({"metadata": {"finalizers": ["x.org/hold"]}})
    rig.run(60)
    assert rig.objects(JOB) == []
    off = make_rig(redis_cleanup=False)
    kept: JsonObject = {"finalizers": [FINALIZER]}
    off.ready(values.ray_cluster(gcsFaultToleranceOptions=REDIS, metadata=kept))
    off.delete("rc", RAY_CLUSTER)
    off.run(400)
    assert off.objects(JOB) == []
    assert off.get()["metadata"]["finalizers"] == [FINALIZER]


@pytest.mark.accepts("RC-078")
def test_a_cluster_without_redis_keeps_a_stale_finalizer_until_it_is_deleted(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(metadata={"finalizers": [FINALIZER, "x.org/hold"]}))
    rig.run(10)
    assert rig.get()["metadata"]["finalizers"] == [FINALIZER, "x.org/hold"]
    assert len(rig.names()) == 1
    rig.delete("rc", RAY_CLUSTER)
    rig.run(1)
    assert rig.get()["metadata"]["finalizers"] == ["x.org/hold"]
    rig.patch({"metadata": {"finalizers": []}})
    with pytest.raises(NotFound):
        rig.get()


def test_a_pod_that_the_kubelet_refuses_again_and_again_is_made_anew_each_time_without_a_growing_back_off(
    rig: Any, values: Any
) -> None:
    rig.create(values.ray_cluster())
    rig.run(0.1)
    refused: list[str] = []
    for _ in range(12):
        (name,) = rig.names("head")
        refused.append(name)
        rig.set_pod(name, "Failed", ready=None, reason="OutOfcpu", message="Node didn't have enough resource: cpu")
        rig.run(0.02)
    assert len(dict.fromkeys(refused)) == 12
    passes = [
        event["requeue_ms"] for event in rig.kernel.trace.select(Kind.RECONCILE) if "terminal state" in event["outcome"]
    ]
    assert passes == [5] * 12
