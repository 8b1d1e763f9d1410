"""Events as `kubectl describe` shows them, and what a refused call of the operator leads to (kuberay-operator 3.18)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import INGRESS, JOB, PERSISTENT_VOLUME_CLAIM, RAY_CLUSTER, SECRET, SERVICE
from rayrig_core.resources.feature_gates import FeatureGates

RECREATE = {"upgradeStrategy": {"type": "Recreate"}}
REDIS = {"redisAddress": "redis:6379"}


def message_of(rig: Any, kind: str) -> str:
    return next(str(entry["message"]) for entry in rig.status["conditions"] if entry["type"] == kind)


# What went well


def test_what_is_made_is_told(rig: Any, values: Any) -> None:
    head = {"enableIngress": True}
    rig.create(values.ray_cluster(values.group(numOfHosts=2), head=head, enableInTreeAutoscaling=True))
    rig.run(1)
    (head_pod,) = rig.names("head")
    assert rig.told("CreatedServiceAccount") == [("Normal", "Create", "Created service account default/rc")]
    assert rig.told("CreatedRole") == [("Normal", "Create", "Created role default/rc")]
    assert rig.told("CreatedRoleBinding") == [("Normal", "Create", "Created role binding default/rc")]
    assert rig.told("CreatedIngress") == [("Normal", "Create", "Created ingress default/rc-head-ingress")]
    # The two Services make one series: only the first one's note is seen.
    assert rig.told("CreatedService") == [("Normal", "Create", "Created service default/rc-head-svc")]
    assert rig.told("CreatedHeadPod") == [("Normal", "Create", f"Created head Pod default/{head_pod}")]
    worker = rig.names("worker")[0]
    assert rig.told("CreatedWorkerPod") == [("Normal", "Create", f"Created worker Pod default/{worker}")]


def test_the_claim_is_told_and_one_that_differs_is_left(make_rig: Any, values: Any) -> None:
    rig = make_rig(gates=FeatureGates(gcs_fault_tolerance_embedded_storage=True))
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions={"backend": "rocksdb"}))
    assert rig.told("CreatedPVC") == [("Normal", "Create", "Created GCS storage PVC default/rc-gcs-pvc")]
    assert rig.told("FailedToCreatePVC") == []
    rig.patch({"spec": {"gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": {"size": "5Gi"}}}})
    rig.run(1)
    ((type_, action, note),) = rig.told("FailedToCreatePVC")
    assert (type_, action) == ("Warning", "Create")
    assert note.startswith("Failed to create GCS storage PVC default/rc-gcs-pvc")
    claim = rig.get("rc-gcs-pvc", PERSISTENT_VOLUME_CLAIM)
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    named = {"backend": "rocksdb", "storage": {"claimName": "mine"}}
    rig.ready(values.ray_cluster(name="named", gcsFaultToleranceOptions=named))
    assert [name_of(found) for found in rig.objects(PERSISTENT_VOLUME_CLAIM)] == ["rc-gcs-pvc"]


def test_workers_that_go_are_told_by_why_they_went(make_rig: Any, values: Any) -> None:
    def first(change: dict[str, Any], replicas: int = 2, **fields: Any) -> tuple[list[str], list[tuple[str, str, str]]]:
        rig = make_rig()
        rig.ready(values.ray_cluster(values.group(replicas=replicas, **fields)))
        workers = rig.names("worker")
        rig.change_group(**{key: [workers[1]] if value is None else value for key, value in change.items()})
        rig.run(1)
        return workers, rig.told("DeletedWorkerPod")

    workers, told = first({"replicas": 1})
    assert told == [("Normal", "Delete", f"Deleted Pod default/{workers[0]}")]
    workers, told = first({"replicas": 1}, numOfHosts=2)
    assert told == [
        ("Normal", "Delete", f"Deleted worker Pod default/{workers[0]} for group w: scaling down"),
    ]
    _, told = first({"suspend": True})
    assert told == [
        ("Normal", "Delete", "Deleted all pods for suspended worker group w in RayCluster default/rc"),
    ]


@pytest.mark.accepts("RC-035")
def test_a_worker_named_by_the_autoscaler_is_told(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2), enableInTreeAutoscaling=True))
    victim = rig.names("worker")[1]
    rig.change_group(replicas=1, scaleStrategy={"workersToDelete": [victim]})
    rig.run(1)
    assert rig.told("DeletedWorkerPod") == [("Normal", "Delete", f"Deleted pod default/{victim}")]
    assert len(rig.names("worker")) == 1


def test_heads_and_whole_clusters_that_go_are_told(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(**RECREATE))
    (head,) = rig.names()
    rig.set_pod(head, "Failed", ready=None)
    rig.run(1)
    ((type_, action, note),) = rig.told("DeletedHeadPod")
    assert (type_, action) == ("Normal", "Delete")
    assert note == (
        f"Deleted head Pod default/{head}; Pod status: Failed; Pod restart policy: Always; "
        "Ray container terminated status: nil"
    )
    rig.all_ready()
    rig.patch({"spec": {"rayVersion": "2.53.0"}})
    rig.run(1)
    note = "Deleted all Pods for RayCluster default/rc due to spec change with Recreate upgradeStrategy"
    assert rig.told("DeletedPod") == [("Normal", "Delete", note)]


@pytest.mark.accepts("RC-080")
def test_a_suspension_is_told(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.patch({"spec": {"suspend": True}})
    rig.run(10)
    note = "Deleted Pods for RayCluster default/rc due to suspension"
    assert set(rig.told("DeletedPod")) == {("Normal", "Delete", note)}


@pytest.mark.accepts("RC-103")
def test_an_ingress_that_follows_or_is_foreign_is_told(rig: Any, values: Any) -> None:
    annotations = {"kubernetes.io/ingress.class": "nginx", "a": "1"}
    rig.create(values.ray_cluster(head={"enableIngress": True}, metadata={"annotations": annotations}))
    rig.run(1)
    rig.patch({"metadata": {"labels": {"stray": "x"}}}, "rc-head-ingress", INGRESS)
    rig.patch({"metadata": {"annotations": {"a": "2"}}})
    rig.run(1)
    ingress = rig.get("rc-head-ingress", INGRESS)
    assert ingress["metadata"]["annotations"] == {"a": "2"}
    assert "stray" not in ingress["metadata"]["labels"]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert rig.told("UpdatedIngress") == [("Normal", "Update", "Updated ingress default/rc-head-ingress")]
    rig.patch({"metadata": {"ownerReferences": None}}, "rc-head-ingress", INGRESS)
    rig.patch({"metadata": {"annotations": {"a": "3"}}})
    rig.run(1)
    ((type_, action, note),) = rig.told("FailedToCreateIngress")
    assert (type_, action) == ("Warning", "Create")
    assert "default/rc-head-ingress" in note
    assert rig.get("rc-head-ingress", INGRESS)["metadata"]["annotations"] == {"a": "2"}


def test_an_ingress_class_that_someone_filled_in_survives_an_update(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(head={"enableIngress": True}, metadata={"annotations": {"a": "1"}}))
    rig.run(1)
    rig.patch({"spec": {"ingressClassName": "the-default"}}, "rc-head-ingress", INGRESS)
    rig.patch({"metadata": {"annotations": {"a": "2"}}})
    rig.run(1)
    assert rig.get("rc-head-ingress", INGRESS)["spec"]["ingressClassName"] == "the-default"
    assert rig.get("rc-head-ingress", INGRESS)["metadata"]["annotations"] == {"a": "2"}


# What was refused


@pytest.mark.accepts("RC-028")
def test_a_refused_head_pod(rig: Any, values: Any) -> None:
    rig.refuse("create", "pods/default/rc-head-")
    rig.create(values.ray_cluster(values.group()))
    rig.run(1)
    assert rig.told("FailedToCreateHeadPod") == [
        ("Warning", "Create", "Failed to create head Pod default/, not today"),
    ]
    assert rig.condition("ReplicaFailure") == ("True", "FailedCreateHeadPod")
    assert message_of(rig, "ReplicaFailure") == "FailedCreateHeadPod\nnot today"
    assert rig.names() == []
    rig.refusals.clear()
    rig.run(30)
    assert rig.condition("ReplicaFailure") is None
    assert len(rig.names()) == 2


@pytest.mark.accepts("RC-027")
def test_a_refused_head_pod_of_a_fixed_name_is_named(make_rig: Any, values: Any) -> None:
    rig = make_rig(deterministic_head_pod_name=True)
    rig.refuse("create", "pods/default/rc-head")
    rig.create(values.ray_cluster())
    rig.run(1)
    note = "Failed to create head Pod default/rc-head, not today"
    assert rig.told("FailedToCreateHeadPod") == [("Warning", "Create", note)]


@pytest.mark.accepts("RC-028")
def test_a_refused_worker_pod(rig: Any, values: Any) -> None:
    rig.refuse("create", "pods/default/rc-a-worker-")
    rig.create(values.ray_cluster(values.group("a"), values.group("b")))
    rig.run(1)
    note = "Failed to create worker Pod for the cluster default/rc, not today"
    assert rig.told("FailedToCreateWorkerPod") == [("Warning", "Create", note)]
    assert rig.condition("ReplicaFailure") == ("True", "FailedCreateWorkerPod")
    assert message_of(rig, "ReplicaFailure") == "FailedCreateWorkerPod\nnot today"
    # The first error stops all later groups.
    assert rig.names() == rig.names("head")


def test_a_refused_deletion_of_a_head(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    (head,) = rig.names()
    rig.refuse("delete", "pods/default/")
    rig.set_pod(head, "Failed", ready=None)
    rig.run(1)
    note = (
        f"Failed deleting head Pod default/{head}; Pod status: Failed; Pod restart policy: Always; "
        "Ray container terminated status: nil, not today"
    )
    assert rig.told("FailedToDeleteHeadPod") == [("Warning", "Delete", note)]
    assert rig.condition("ReplicaFailure") == ("True", "FailedDeleteHeadPod")
    assert message_of(rig, "ReplicaFailure") == "FailedDeleteHeadPod\nnot today"
    assert rig.told("DeletedHeadPod") == []


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_refused_deletion_of_a_worker(rig: Any, values: Any, hosts: int) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2, numOfHosts=hosts)))
    worker = rig.names("worker")[0]
    rig.refuse("delete", "pods/default/")
    rig.change_group(replicas=1)
    rig.run(1)
    note = f"Failed deleting worker Pod default/{worker}, not today"
    assert rig.told("FailedToDeleteWorkerPod") == [("Warning", "Delete", note)]
    assert rig.condition("ReplicaFailure") == ("True", "FailedDeleteWorkerPod")
    assert message_of(rig, "ReplicaFailure") == "FailedDeleteWorkerPod\nnot today"
    assert rig.told("DeletedWorkerPod") == []
    rig.refusals.clear()
    rig.run(30)
    assert len(rig.names("worker")) == hosts


def test_a_refused_deletion_of_a_named_worker(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2), enableInTreeAutoscaling=True))
    victim = rig.names("worker")[1]
    rig.refuse("delete", "pods/default/")
    rig.change_group(replicas=1, scaleStrategy={"workersToDelete": [victim]})
    rig.run(1)
    note = f"Failed deleting pod default/{victim}, not today"
    assert rig.told("FailedToDeleteWorkerPod") == [("Warning", "Delete", note)]
    assert rig.condition("ReplicaFailure") == ("True", "FailedDeleteWorkerPod")
    assert message_of(rig, "ReplicaFailure") == "FailedDeleteWorkerPod\nnot today"


def test_a_refused_deletion_of_all_pods(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.refuse("deletecollection", "pods/default")
    rig.patch({"spec": {"suspend": True}})
    rig.run(5)
    note = "Failed to delete Pods of RayCluster default/rc, not today"
    assert set(rig.told("FailedToDeletePodCollection")) == {("Warning", "Delete", note)}
    assert rig.condition("ReplicaFailure") == ("True", "FailedDeleteAllPods")
    assert message_of(rig, "ReplicaFailure") == "FailedDeleteAllPods\nnot today"
    assert rig.told("DeletedPod") == []
    assert len(rig.names()) == 2


def test_a_refused_deletion_of_a_suspended_group(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group("a"), values.group("b")))
    rig.refuse("deletecollection", "pods/default")
    rig.change_group(1, suspend=True)
    rig.run(1)
    note = "Failed to delete worker Pods of group b in RayCluster default/rc, not today"
    assert rig.told("FailedToDeleteWorkerPodCollection") == [("Warning", "Delete", note)]
    assert rig.condition("ReplicaFailure") == ("True", "FailedDeleteWorkerPod")
    assert message_of(rig, "ReplicaFailure") == "FailedDeleteWorkerPod\nnot today"
    assert rig.told("DeletedWorkerPod") == []


def test_pods_of_another_cluster_survive_suspensions(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.ready(values.ray_cluster(values.group(), name="other"))
    others = [name for name in rig.names() if name.startswith("other-")]
    rig.change_group(suspend=True)
    rig.run(1)
    assert len(rig.names()) == 3
    rig.patch({"spec": {"suspend": True}})
    rig.run(10)
    assert rig.names() == others


def test_a_refused_service(rig: Any, values: Any) -> None:
    rig.refuse("create", "services/default/")
    rig.create(values.ray_cluster())
    rig.run(1)
    note = "Failed creating service default/rc-head-svc, not today"
    assert rig.told("FailedToCreateService") == [("Warning", "Create", note)]
    assert rig.told("CreatedService") == []
    assert rig.names() == []
    rig.refusals.clear()
    rig.run(30)
    assert len(rig.names()) == 1


def test_a_child_that_is_there_already_is_no_error_and_no_event(rig: Any, values: Any) -> None:
    rig.refuse("create", "services/default/", 409, "AlreadyExists", "is there")
    rig.refuse("create", "roles/default/", 409, "AlreadyExists", "is there")
    rig.create(values.ray_cluster(enableInTreeAutoscaling=True))
    rig.run(1)
    assert rig.told("FailedToCreateService") == rig.told("CreatedService") == rig.told("CreatedRole") == []
    assert len(rig.names()) == 1


def test_a_missing_account_of_the_user_is_told(rig: Any, values: Any) -> None:
    template = {"spec": {"serviceAccountName": "mine", "containers": [values.container("h")]}}
    rig.create(values.ray_cluster(head={"template": template}, enableInTreeAutoscaling=True))
    rig.run(1)
    note = (
        "Failed to reconcile RayCluster default/rc. If users specify ServiceAccountName for the head Pod, they need to create a "
        "ServiceAccount themselves. However, ServiceAccount mine is not found. Please create one. See the PR description of "
        "https://github.com/ray-project/kuberay/pull/1128 for more details."
    )
    assert rig.told("AutoscalerServiceAccountNotFound") == [("Warning", "Validate", note)]
    assert set(rig.outcomes()) == {"error: ServiceAccount default/mine not found"}


# Refused and warned specs


@pytest.mark.accepts("RC-001")
def test_a_refused_name_is_a_warning(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(name="r" * 54))
    rig.run(1)
    ((type_, action, _),) = rig.told("InvalidRayClusterMetadata")
    assert (type_, action) == ("Warning", "Validate")


def test_a_refused_spec_is_a_warning_and_the_first_problem_is_told(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group("a", minReplicas=9), values.group("b", minReplicas=8)))
    rig.run(1)
    note = "The RayCluster spec is invalid default/rc: worker group a has minReplicas 9 greater than maxReplicas 5"
    assert rig.told("InvalidRayClusterSpec") == [("Warning", "Validate", note)]


def test_a_restart_policy_that_autoscaling_does_without_is_warned_of_and_no_hindrance(rig: Any, values: Any) -> None:
    group = values.group()
    group["template"]["spec"]["restartPolicy"] = "Always"
    rig.create(values.ray_cluster(group, enableInTreeAutoscaling=True))
    rig.run(1)
    ((type_, action, note),) = rig.told("InvalidRayClusterSpec")
    assert (type_, action) == ("Warning", "Validate")
    assert note.startswith("RayCluster spec warning default/rc: restartPolicy for worker groups [w] should be Never")
    assert len(rig.names()) == 2


def test_a_status_that_contradicts_itself_is_an_error(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    conditions = [
        {**entry, "status": "True"} if entry["type"] in ("RayClusterSuspending", "RayClusterSuspended") else entry
        for entry in rig.status["conditions"]
    ]
    rig.set_status(conditions=conditions)
    since = rig.now
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(1)
    ((type_, action, note),) = rig.told("InvalidRayClusterStatus")
    assert (type_, action) == ("Warning", "Validate")
    assert note.startswith("The RayCluster status is invalid default/rc, ")
    assert all(outcome.startswith("error: ") for outcome in rig.outcomes(since))
    assert len(rig.outcomes(since)) > 3


# Redis clean-up


def deleted(rig: Any, values: Any, **fields: Any) -> None:
    """A cluster with Redis that is being deleted; its pods are gone."""
    rig.ready(values.ray_cluster(values.group(), gcsFaultToleranceOptions=REDIS, **fields))
    rig.delete("rc", RAY_CLUSTER)


@pytest.mark.accepts("RC-076")
def test_the_clean_up_job_is_told_once(rig: Any, values: Any) -> None:
    deleted(rig, values)
    rig.run(30)
    note = "Created Redis cleanup Job default/rc-redis-cleanup"
    assert rig.told("CreatedRedisCleanupJob") == [("Normal", "Create", note)]
    assert rig.writes().count("create jobs") == 1


def test_a_refused_clean_up_job(rig: Any, values: Any) -> None:
    rig.refuse("create", "jobs/default/")
    deleted(rig, values)
    rig.run(30)
    note = "Failed to create Redis cleanup Job default/rc-redis-cleanup, not today"
    assert set(rig.told("FailedToCreateRedisCleanupJob")) == {("Warning", "Create", note)}
    rig.refusals.clear()
    rig.run(60)
    assert len(rig.objects(JOB)) == 1


@pytest.mark.accepts("RC-077")
def test_a_clean_up_ended_by_force_says_after_which_time_and_of_which_namespace(rig: Any, values: Any) -> None:
    fields = {"metadata": {"annotations": {"ray.io/gcs-ft-deletion-timeout": "20"}, "finalizers": ["x.org/hold"]}}
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions={**REDIS, "externalStorageNamespace": "mine"}, **fields))
    rig.delete("rc", RAY_CLUSTER)
    rig.run(60)
    ((type_, action, note),) = rig.told("ForceDeletedStuckCluster")
    assert (type_, action) == ("Warning", "Cleanup")
    assert note.startswith("Force-removed GCS FT finalizer after 2")
    assert note.endswith(
        's due to Redis cleanup timeout; Redis storage namespace "mine" may need manual cleanup',
    )
    assert rig.get()["metadata"]["finalizers"] == ["x.org/hold"]


@pytest.mark.accepts("RC-075")
def test_the_finalizer_comes_after_those_there_are(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(gcsFaultToleranceOptions=REDIS, metadata={"finalizers": ["x.org/hold"]}))
    rig.run(1)
    assert rig.get()["metadata"]["finalizers"] == ["x.org/hold", "ray.io/gcs-ft-redis-cleanup-finalizer"]


@pytest.mark.accepts("RC-076")
def test_the_head_is_waited_for_10_s_at_a_time_and_the_job_2_s(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions=REDIS))
    rig.delete("rc", RAY_CLUSTER)
    since = rig.now
    rig.run(16)
    assert rig.requeues_ms(since) == [10_000, 2_000]
    assert rig.outcomes(since) == ["ok", "ok"]


# Other children


def test_the_token_is_the_operators_only_where_the_user_names_none(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(authOptions={"mode": "token", "secretName": "mine"}))
    rig.create(values.ray_cluster(name="own", authOptions={"mode": "token"}))
    rig.run(5)
    assert [name_of(secret) for secret in rig.objects(SECRET)] == ["own"]
    assert rig.writes().count("create secrets") == 1


def test_each_service_is_made_once(rig: Any, values: Any) -> None:
    metadata = {"annotations": {"ray.io/enable-serve-service": "true"}}
    obj: JsonObject = values.ray_cluster(values.group(numOfHosts=2), metadata=metadata)
    rig.ready(obj)
    rig.run(700)
    assert rig.writes().count("create services") == 3
    rig.delete("rc-headless", SERVICE)
    rig.delete("rc-serve-svc", SERVICE)
    rig.run(1)
    assert [name_of(each) for each in rig.objects(SERVICE)] == ["rc-head-svc", "rc-headless", "rc-serve-svc"]
