"""Status, conditions, suspension, recreation, validation and Redis clean-up of RayClusters."""

from typing import Any

import pytest

from rayrig_controllers.raycluster.status import counts
from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import JOB, PERSISTENT_VOLUME_CLAIM, POD, RAY_CLUSTER, SERVICE
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall


@pytest.mark.accepts("RC-086")
def test_the_cluster_is_ready_when_all_pods_are(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=2)))
    rig.run(1)
    assert "state" not in rig.status
    head, first, second = rig.names("head") + rig.names("worker")
    rig.set_pod(head)
    rig.set_pod(first)
    rig.run(1)
    assert "state" not in rig.status
    assert rig.condition("HeadPodReady") == ("True", "HeadPodRunningAndReady")
    rig.set_pod(second)
    rig.run(1)
    assert rig.status["state"] == "ready"
    assert rig.status["stateTransitionTimes"] == {"ready": "2026-01-01T00:00:02Z"}
    assert rig.condition("RayClusterProvisioned") == ("True", "AllPodRunningAndReadyFirstTime")
    assert rig.condition("RayClusterSuspended") == ("False", "RayClusterSuspended")
    assert rig.condition("RayClusterSuspending") == ("False", "RayClusterSuspending")


@pytest.mark.accepts("RC-086")
def test_a_pod_too_many_keeps_the_cluster_from_ready_but_not_from_provisioned(rig: Any, values: Any) -> None:
    labels = {"ray.io/cluster": "rc", "ray.io/node-type": "worker", "ray.io/group": "gone"}
    rig.create({"metadata": {"name": "odd", "labels": labels}, "spec": {"containers": [values.container("x")]}}, POD)
    rig.ready(values.ray_cluster(values.group()))
    assert "state" not in rig.status
    assert rig.condition("RayClusterProvisioned") == ("True", "AllPodRunningAndReadyFirstTime")
    rig.delete("odd")
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(1)
    assert rig.status["state"] == "ready"


@pytest.mark.accepts("RC-087", "RC-089")
def test_ready_and_provisioned_stick_while_counters_and_head_follow(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    times = rig.status["stateTransitionTimes"]
    rig.set_pod(rig.names("worker")[0], ready=False)
    rig.set_pod(rig.names("head")[0], ready=False)
    rig.run(5)
    assert rig.status["state"] == "ready"
    assert rig.status["stateTransitionTimes"] == times
    assert (rig.status["availableWorkerReplicas"], rig.status["readyWorkerReplicas"]) == (2, 1)
    assert rig.condition("HeadPodReady") == ("False", "ContainersNotReady")
    assert rig.condition("RayClusterProvisioned") == ("True", "AllPodRunningAndReadyFirstTime")


@pytest.mark.accepts("RC-088")
def test_one_worker_that_never_gets_ready_keeps_the_cluster_from_it(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=2)))
    rig.run(1)
    rig.all_ready()
    rig.set_pod(rig.names("worker")[0], ready=False)
    rig.run(600)
    assert "state" not in rig.status
    assert rig.condition("RayClusterProvisioned") == ("False", "RayClusterPodsProvisioning")


@pytest.mark.accepts("RC-090")
def test_without_a_head_pod_the_head_is_not_found(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(suspend=True))
    rig.run(1)
    assert rig.condition("HeadPodReady") == ("False", "HeadPodNotFound")


@pytest.mark.accepts("RC-091")
def test_a_waiting_container_is_named_as_the_reason(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster())
    rig.run(1)
    (head,) = rig.names("head")
    waiting = {"name": "ray-head", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    rig.set_pod(head, "Pending", ready=False, containerStatuses=[waiting])
    rig.run(1)
    assert rig.condition("HeadPodReady") == ("False", "ImagePullBackOff")
    message = next(entry["message"] for entry in rig.status["conditions"] if entry["type"] == "HeadPodReady")
    assert message == "containers with unready status; ray-head: no such image"


@pytest.mark.accepts("RC-092")
def test_counters_are_pods_and_the_maximum_saturates(values: Any) -> None:
    cluster = values.cluster(
        values.group("a", 7, minReplicas=1, maxReplicas=4, numOfHosts=2),
        values.group("b", None, minReplicas=3, maxReplicas=2_147_483_647),
        values.group("c", 2, suspend=True),
    )
    known = counts(cluster)
    assert (known.desired, known.low, known.high) == (4 * 2 + 3, 1 * 2 + 3, 2_147_483_647)


@pytest.mark.accepts("RC-093", "RC-094")
def test_resource_totals(values: Any) -> None:
    resources = {
        "limits": {"cpu": "4", "nvidia.com/gpu": "2", "nvidia.com/mig-1g.5gb": "1", "google.com/tpu": "4"},
        "requests": {"cpu": "500m"},
    }
    ray = {"name": "w", "image": "x", "resources": resources}
    worker = {"spec": {"containers": [ray, values.container("sidecar", "1", "1Gi")]}}
    cluster = values.cluster(
        values.group("a", 9, maxReplicas=1, numOfHosts=2, template=worker), values.group("s", 5, suspend=True)
    )
    # 9 replicas of 2 hosts, although only one may exist.
    assert counts(cluster).totals == {
        "desiredCPU": "28",
        "desiredMemory": "20Gi",
        "desiredGPU": "54",
        "desiredTPU": "72",
    }


@pytest.mark.accepts("RC-095", "RC-096")
def test_endpoints_and_head_address(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    assert rig.status["endpoints"]["dashboard"] == "8265"
    assert rig.status["head"] == {
        "podIP": "10.1.0.1",
        "podName": rig.names("head")[0],
        "serviceIP": "10.1.0.1",
        "serviceName": "rc-head-svc",
    }
    rig.create(values.ray_cluster(name="np", head={"serviceType": "NodePort"}))
    rig.run(1)
    service = rig.get("np-head-svc", SERVICE)
    status = rig.get("np")["status"]
    node_ports = {port["name"]: str(port["nodePort"]) for port in service["spec"]["ports"]}
    assert status["endpoints"] == node_ports
    assert status["head"]["serviceIP"] == service["spec"]["clusterIP"] != "None"


@pytest.mark.accepts("RC-097", "RC-098")
def test_a_status_is_written_only_for_a_reason_and_then_looked_at_again_after_2_s(make_rig: Any, values: Any) -> None:
    rig = make_rig(ray_cluster_requeue_s=60)
    rig.ready(values.ray_cluster(values.group()))
    before = rig.status
    since = rig.now
    rig.patch({"spec": {"rayVersion": "2.52.1"}})
    rig.run(200)
    assert rig.get()["metadata"]["generation"] == before["observedGeneration"] + 1
    assert rig.status == before
    since = rig.now
    rig.set_pod(rig.names("worker")[0], ready=False)
    rig.run(120)
    assert rig.writes(since) == ["update rayclusters/status"]
    ticks = [
        (round(event.t_s - since), event["requeue_ms"])
        for event in rig.kernel.trace.select(Kind.RECONCILE)
        if event.t_s >= since
    ]
    assert ticks == [(0, 2000), (2, 60_000)]


# Suspension


@pytest.mark.accepts("RC-080")
def test_suspension_runs_in_two_steps_and_resumes(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.patch({"spec": {"suspend": True}})
    rig.run(0.5)
    assert rig.condition("RayClusterSuspending") == ("True", "RayClusterSuspending")
    assert len(rig.objects(POD)) == 2
    rig.run(5)
    assert rig.objects(POD) == []
    assert rig.condition("RayClusterSuspending") == ("False", "RayClusterSuspending")
    assert rig.condition("RayClusterSuspended") == ("True", "RayClusterSuspended")
    assert rig.condition("RayClusterProvisioned") == ("False", "RayClusterPodsProvisioning")
    assert rig.status["state"] == "suspended"
    assert rig.events("DeletedPod")[0] == "Deleted Pods for RayCluster default/rc due to suspension"


@pytest.mark.accepts("RC-081")
def test_a_suspension_once_begun_is_carried_through(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    for name in rig.names():
        rig.patch({"metadata": {"finalizers": ["example.org/hold"]}}, name, POD)
    rig.patch({"spec": {"suspend": True}})
    rig.run(5)
    rig.patch({"spec": {"suspend": False}})
    rig.run(10)
    old = rig.names()
    assert len(old) == 2
    assert rig.condition("RayClusterSuspending") == ("True", "RayClusterSuspending")
    for name in old:
        rig.patch({"metadata": {"finalizers": []}}, name, POD)
    rig.run(10)
    assert len(rig.names()) == 2
    assert not [name for name in rig.names() if name in old]
    assert rig.status["state"] == "ready"


@pytest.mark.accepts("RC-082")
def test_a_suspended_cluster_resumes_only_for_an_explicit_false(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(), suspend=False))
    rig.patch({"spec": {"suspend": True}})
    rig.run(10)
    rig.patch({"spec": {"suspend": None}})
    rig.run(10)
    assert rig.objects(POD) == []
    assert rig.condition("RayClusterSuspended") == ("True", "RayClusterSuspended")
    rig.patch({"spec": {"suspend": False}})
    rig.run(0.5)
    assert rig.condition("RayClusterSuspended") == ("False", "RayClusterSuspended")
    messages = {entry["type"]: entry["message"] for entry in rig.status["conditions"]}
    assert messages["RayClusterProvisioned"] == "RayCluster has been suspended"
    rig.run(5)
    rig.all_ready()
    rig.run(5)
    assert len(rig.objects(POD)) == 2
    assert rig.status["state"] == "ready"


# Recreate


@pytest.mark.accepts("RC-083")
def test_recreate_replaces_all_pods_for_a_spec_change_that_counts(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(), upgradeStrategy={"type": "Recreate"}))
    old = rig.names()
    rig.change_group(replicas=2)
    rig.run(5)
    assert rig.names()[:2] == old
    head = rig.get()["spec"]["headGroupSpec"]
    head["template"]["spec"]["containers"][0]["image"] = "rayproject/ray:2.53.0"
    rig.patch({"spec": {"headGroupSpec": head}})
    rig.run(5)
    assert not [name for name in rig.names() if name in old]
    assert rig.pods("head")[0]["spec"]["containers"][0]["image"] == "rayproject/ray:2.53.0"
    assert len(rig.events("DeletedPod")) == 1


def test_without_recreate_a_spec_change_leaves_pods_alone(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    old = rig.names()
    rig.patch({"spec": {"rayVersion": "2.53.0"}})
    rig.run(10)
    assert rig.names() == old


@pytest.mark.accepts("RC-084")
def test_a_head_of_another_operator_version_is_adopted(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(), upgradeStrategy={"type": "Recreate"}))
    old = rig.names()
    stale = {"ray.io/kuberay-version": "v1.6.0", "ray.io/upgrade-strategy-recreate-hash": "OTHER"}
    rig.patch({"metadata": {"annotations": stale}}, rig.names("head")[0], POD)
    rig.run(5)
    assert rig.names() == old
    annotations = rig.pods("head")[0]["metadata"]["annotations"]
    assert annotations["ray.io/kuberay-version"] == "v1.7.0"
    assert annotations["ray.io/upgrade-strategy-recreate-hash"] != "OTHER"


def test_a_head_without_a_version_is_compared_by_its_hash(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(upgradeStrategy={"type": "Recreate"}))
    (old,) = rig.names()
    stale = {"ray.io/kuberay-version": None, "ray.io/upgrade-strategy-recreate-hash": "OTHER"}
    rig.patch({"metadata": {"annotations": stale}}, old, POD)
    rig.run(5)
    assert rig.names() != [old]


# Refusals


@pytest.mark.accepts("RC-001")
def test_a_name_too_long_is_refused_with_an_event_only(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(name="r" * 54))
    rig.run(400)
    assert rig.events() == [
        f"The RayCluster metadata is invalid default/{'r' * 54}: RayCluster name should be no more than 53 characters"
    ]
    assert rig.objects(SERVICE) == []
    assert not rig.get("r" * 54).get("status")
    assert rig.manager.reconciles == 1


@pytest.mark.accepts("RC-003", "RC-005", "RC-006", "RC-007")
@pytest.mark.parametrize(
    ("spec", "annotations", "text"),
    [
        ({"gcsFaultToleranceOptions": {"redisAddress": "r"}}, {"ray.io/ft-enabled": "true"}, "are both set"),
        ({"enableInTreeAutoscaling": True, "group": {"suspend": True}}, {}, "worker group w cannot be suspended"),
        ({"group": {"minReplicas": 9}}, {}, "worker group w has minReplicas 9 greater than maxReplicas 5"),
    ],
)
def test_an_invalid_spec_is_refused_and_not_looked_at_again(
    rig: Any, values: Any, spec: JsonObject, annotations: dict[str, str], text: str
) -> None:
    spec = dict(spec)
    group = values.group(**spec.pop("group", {}))
    rig.create(values.ray_cluster(group, metadata={"annotations": annotations}, **spec))
    rig.run(400)
    (note,) = rig.events("InvalidRayClusterSpec")
    assert note.startswith("The RayCluster spec is invalid default/rc: ")
    assert text in note
    assert rig.names() == []
    assert rig.manager.reconciles == 1


def test_a_cluster_of_another_manager_is_left_alone(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(managedBy="kueue.x-k8s.io/multikueue"))
    rig.run(10)
    assert rig.writes() == []
    assert not rig.get().get("status")


@pytest.mark.accepts("RC-085")
@pytest.mark.parametrize("maker", ["RayService", "RayJob"])
def test_clusters_made_by_others_have_no_upgrade_strategy(rig: Any, values: Any, maker: str) -> None:
    labels = {"ray.io/originated-from-crd": maker}
    rig.create(values.ray_cluster(upgradeStrategy={"type": "None"}, metadata={"labels": labels}))
    rig.run(10)
    (note,) = rig.events("InvalidRayClusterSpec")
    assert note == (
        "The RayCluster UpgradeStrategy is invalid default/rc: "
        f"upgradeStrategy cannot be set when RayCluster is created by {maker}"
    )
    assert rig.names() == []


@pytest.mark.accepts("RC-009")
def test_a_cluster_that_is_being_deleted_is_left_to_the_garbage_collector(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(), metadata={"finalizers": ["example.org/hold"]}))
    rig.delete("rc", RAY_CLUSTER)
    since = rig.now
    rig.delete(rig.names("worker")[0])
    rig.run(400)
    assert rig.writes(since) == []
    assert len(rig.names()) == 1


@pytest.mark.accepts("RC-105")
def test_a_cluster_that_is_gone_is_forgotten(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    reconciler = rig.manager.controllers["raycluster-controller"].reconciler
    assert reconciler.remembered == 1
    rig.delete("rc", RAY_CLUSTER)
    rig.run(1)
    assert reconciler.remembered == 0


def test_a_restarted_operator_finds_everything_done(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.manager.crash()
    rig.run(10)
    since = rig.now
    rig.start()
    rig.run(400)
    assert rig.writes(since) == []


# Redis clean-up

REDIS = {"redisAddress": "redis:6379", "redisPassword": {"value": "pw"}}


@pytest.mark.accepts("RC-075")
def test_the_finalizer_is_there_before_any_pod(make_rig: Any, values: Any) -> None:
    rig = make_rig()
    rig.create(values.ray_cluster(gcsFaultToleranceOptions=REDIS))
    rig.run(1)
    assert rig.writes()[0] == "update rayclusters"
    assert rig.get()["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]
    off = make_rig(redis_cleanup=False)
    off.create(values.ray_cluster(gcsFaultToleranceOptions=REDIS))
    off.run(1)
    assert "finalizers" not in off.get()["metadata"]


@pytest.mark.accepts("RC-076")
@pytest.mark.parametrize("ending", ["Complete", "Failed"])
def test_redis_is_cleaned_by_a_job_after_the_head_has_gone(rig: Any, values: Any, ending: str) -> None:
    rig.ready(values.ray_cluster(values.group(), gcsFaultToleranceOptions=REDIS))
    rig.patch({"metadata": {"finalizers": ["example.org/hold"]}}, rig.names("head")[0], POD)
    rig.delete("rc", RAY_CLUSTER)
    rig.run(5)
    assert rig.objects(JOB) == []
    assert rig.names("worker") == []
    rig.patch({"metadata": {"finalizers": []}}, rig.names("head")[0], POD)
    rig.run(12)
    (job,) = rig.objects(JOB)
    assert job["metadata"]["name"] == "rc-redis-cleanup"
    assert job["spec"]["template"]["metadata"]["labels"]["ray.io/node-type"] == "redis-cleanup"
    assert job["spec"]["activeDeadlineSeconds"] == 300
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[ending]
    job["status"] = {"conditions": [{"type": kind, "status": "True"} for kind in (before, ending)]}
    job["status"]["startTime"] = "2026-01-01T00:00:00Z"
    if ending == "Complete":
        job["status"]["completionTime"] = "2026-01-01T00:00:01Z"
    rig.server.call(ApiCall("update", JOB, "default", "rc-redis-cleanup", "status", body=job))
    rig.run(3)
    with pytest.raises(NotFound):
        rig.get()


@pytest.mark.accepts("RC-077")
@pytest.mark.parametrize(("annotations", "limit_s"), [({}, 300), ({"ray.io/gcs-ft-deletion-timeout": "20"}, 20)])
def test_a_stuck_clean_up_is_ended_by_force(rig: Any, values: Any, annotations: dict[str, str], limit_s: int) -> None:
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions=REDIS, metadata={"annotations": annotations}))
    rig.delete("rc", RAY_CLUSTER)
    rig.run(limit_s - 3)
    rig.get()
    rig.run(6)
    with pytest.raises(NotFound):
        rig.get()
    (note,) = rig.events("ForceDeletedStuckCluster")
    assert note.endswith('due to Redis cleanup timeout; Redis storage namespace "" may need manual cleanup')


@pytest.mark.accepts("RC-078")
def test_an_embedded_store_needs_no_clean_up_and_sheds_a_stale_finalizer(make_rig: Any, values: Any) -> None:
    rig = make_rig(gates=FeatureGates(gcs_fault_tolerance_embedded_storage=True))
    rocksdb = {"backend": "rocksdb"}
    rig.ready(values.ray_cluster(gcsFaultToleranceOptions=rocksdb))
    assert "finalizers" not in rig.get()["metadata"]
    assert rig.get("rc-gcs-pvc", PERSISTENT_VOLUME_CLAIM)["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    finalizers = ["ray.io/gcs-ft-redis-cleanup-finalizer"]
    rig.ready(
        values.ray_cluster(name="was-redis", gcsFaultToleranceOptions=rocksdb, metadata={"finalizers": finalizers})
    )
    for name in ("rc", "was-redis"):
        rig.delete(name, RAY_CLUSTER)
        rig.run(1)
        with pytest.raises(NotFound):
            rig.get(name)
    assert rig.objects(JOB) == []
