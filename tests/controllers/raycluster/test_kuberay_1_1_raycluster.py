"""RayClusters under the operator of KubeRay 1.1: each row of kuberay-operator 6.2 as a story."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster import autoscaler, gcs_fault_tolerance, ingress, services
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.kuberay_1_1.pods import extra_heads
from rayrig_controllers.raycluster.redis_cleanup import cleanup_job
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_core.objects import JsonObject, annotations_of, labels_of
from rayrig_core.resource_types import (
    CORE_EVENT,
    INGRESS,
    JOB,
    POD,
    RAY_CLUSTER,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
)

OLD = OperatorOptions(profile="1.1")
FT = {"annotations": {"ray.io/ft-enabled": "true"}}


@pytest.fixture
def rig(make_rig: Any) -> Any:
    return make_rig(profile="1.1")


def old(values: Any, *groups: JsonObject, **fields: Any) -> Cluster:
    return values.cluster(*groups, options=OLD, **fields)


def container(pod: JsonObject) -> JsonObject:
    found: JsonObject = pod["spec"]["containers"][0]
    return found


def env(pod: JsonObject) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container(pod)["env"]}


def head(values: Any, **fields: Any) -> JsonObject:
    return head_pod(old(values, **fields), "")


def worker(values: Any, **fields: Any) -> JsonObject:
    return worker_pod(old(values, **fields), values.group(), Place(0))


# Status


def test_the_state_is_ready_when_all_pods_are_and_there_are_no_conditions(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=2)))
    rig.run(1)
    assert "state" not in rig.status
    rig.all_ready()
    rig.run(1)
    status = rig.status
    assert {key: status[key] for key in status if key not in ("lastUpdateTime", "endpoints")} == {
        "state": "ready",
        "availableWorkerReplicas": 2,
        "desiredWorkerReplicas": 2,
        "maxWorkerReplicas": 5,
        "desiredCPU": "3",
        "desiredMemory": "6Gi",
        "desiredGPU": "0",
        "desiredTPU": "0",
        "head": {"podIP": "10.1.0.1", "serviceIP": status["head"]["serviceIP"]},
        "observedGeneration": 1,
    }
    assert status["head"]["serviceIP"].startswith("10.")
    assert status["endpoints"] == {
        "client": "10001",
        "dashboard": "8265",
        "metrics": "8080",
        "redis": "6379",
        "serve": "8000",
    }


def test_a_status_tells_when_it_was_written_and_keeps_endpoints_that_are_no_more(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster())
    rig.run(1)
    rig.set_status(endpoints={"old": "1"})
    rig.all_ready()
    rig.run(2)
    assert rig.status["endpoints"]["old"] == "1"
    assert rig.status["endpoints"]["dashboard"] == "8265"
    assert rig.status["lastUpdateTime"] == "2026-01-01T00:00:01Z"


def test_a_group_without_workers_asks_for_no_resources(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=0)))
    rig.run(1)
    assert rig.status["desiredCPU"] == "1"


def test_two_head_services_are_named(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    (head,) = rig.objects(SERVICE)
    twin = {"metadata": {"name": "twin", "labels": labels_of(head)}, "spec": {"ports": [{"port": 1}]}}
    rig.create(twin, SERVICE)
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(2)
    assert rig.outcomes()[-1] == f"error: 2 head service found [{head['metadata']['name']} twin]"


def test_a_ready_cluster_need_not_have_all_its_workers(rig: Any, values: Any) -> None:
    """Unlike later releases: pods that are not there yet are not counted."""
    rig.ready(values.ray_cluster(values.group(replicas=1)))
    rig.change_group(replicas=2, maxReplicas=1)
    rig.run(1)
    assert rig.status["state"] == "ready"
    assert rig.status["desiredWorkerReplicas"] == 1


def test_replicas_are_counted_not_pods(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=2, numOfHosts=3, minReplicas=1, maxReplicas=4)))
    rig.run(1)
    assert len(rig.names("worker")) == 6
    counted = {key: rig.status[f"{key}WorkerReplicas"] for key in ("desired", "min", "max")}
    assert counted == {"desired": 2, "min": 1, "max": 4}
    assert rig.status["desiredCPU"] == "3"
    assert not any(key.startswith("ray.io/worker-group-replica") for key in labels_of(rig.pods("worker")[0]))


def test_two_groups_without_an_upper_bound_overflow(rig: Any, values: Any) -> None:
    most = 2**31 - 1
    rig.create(values.ray_cluster(values.group("a", maxReplicas=most), values.group("b", maxReplicas=most)))
    rig.run(1)
    assert rig.status["maxWorkerReplicas"] == -2


def test_contradicting_bounds_mean_the_upper_one(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(replicas=9, minReplicas=3, maxReplicas=2)))
    rig.run(1)
    assert len(rig.names("worker")) == 2


def test_a_good_pass_is_the_last_for_five_minutes(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    passes = rig.manager.reconciles
    rig.run(290)
    assert rig.manager.reconciles == passes
    rig.run(20)
    assert rig.manager.reconciles == passes + 1


def test_a_failing_pass_leaves_the_state_failed_with_a_reason(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(template=never(values))))
    rig.run(1)
    (name,) = rig.names("worker")
    rig.set_pod(name, "Failed", ready=None)
    rig.run(0.001)
    assert rig.status["state"] == "failed"
    assert rig.status["reason"] == "Delete 1 unhealthy worker Pods."
    rig.run(1)
    rig.all_ready()
    rig.run(1)
    assert rig.status["state"] == "ready"
    assert rig.status["reason"] == "Delete 1 unhealthy worker Pods.", "nobody ever takes the reason away"
    warnings = [event for event in rig.objects(CORE_EVENT) if event["type"] == "Warning"]
    assert {(e["reason"], e["message"]) for e in warnings} == {
        ("PodReconciliationError", "Delete 1 unhealthy worker Pods.")
    }


def test_a_failure_before_the_pods_has_no_reason(rig: Any, values: Any) -> None:
    template = {"spec": {"containers": [values.container("ray-head")], "serviceAccountName": "mine"}}
    cluster = values.ray_cluster(head={"template": template}, enableInTreeAutoscaling=True)
    rig.create(cluster)
    rig.run(1)
    assert rig.status == {**rig.status, "state": "failed"}
    assert "reason" not in rig.status
    assert rig.names() == []
    rig.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine"}}, SERVICE_ACCOUNT)
    rig.run(10)
    assert len(rig.names("head")) == 1


@pytest.mark.parametrize(
    ("memory", "env_entry", "state", "complaint"),
    [
        ("1000", None, "ready", ""),
        ("2147483648", None, "ready", ""),
        ("2147483649", None, "unhealthy", "exceeds head node container's memory request"),
        ("2147483649", "1", "ready", "exceeds head node container's memory request"),
        ("2Gi", None, "unhealthy", "Cannot parse object-store-memory 2Gi as an integer"),
    ],
)
def test_an_object_store_larger_than_the_heads_memory_is_unhealthy(
    rig: Any, values: Any, memory: str, env_entry: str | None, state: str, complaint: str
) -> None:
    fields = {"env": [{"name": "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE", "value": env_entry}]} if env_entry else {}
    template = {"spec": {"containers": [values.container("ray-head", **fields)]}}
    head_group = {"rayStartParams": {"object-store-memory": memory}, "template": template}
    rig.ready(values.ray_cluster(values.group(), head=head_group))
    assert rig.status["state"] == state
    notes = [event["message"] for event in rig.objects(CORE_EVENT) if event["reason"] == "RayConfigError"]
    assert (complaint in notes[0]) if complaint else not notes


# Pods


def test_extra_heads_are_deleted(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    (name,) = rig.names("head")
    twin = rig.get(name, POD)
    for key in ("uid", "resourceVersion", "creationTimestamp"):
        del twin["metadata"][key]
    for number in (1, 2):
        rig.create({**twin, "metadata": {**twin["metadata"], "name": f"twin-{number}"}}, POD)
        rig.set_pod(f"twin-{number}")
    rig.run(5)
    assert len(rig.names("head")) == 1
    assert rig.status["state"] == "ready"


def pod(name: str, phase: str) -> JsonObject:
    return {"metadata": {"name": name}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("phases", "deleted"),
    [
        (["Running", "Running"], [1]),
        (["Running", "Failed"], [1]),
        (["Failed", "Running"], [0]),
        (["Failed", "Failed"], [0, 1]),
        (["Running", "Running", "Running"], [2]),
        (["Pending", "Failed", "Running"], [2, 1]),
    ],
)
def test_which_heads_are_extra(phases: list[str], deleted: list[int]) -> None:
    heads = [pod(str(number), phase) for number, phase in enumerate(phases)]
    assert [int(each["metadata"]["name"]) for each in extra_heads(heads)] == deleted


def test_a_stale_cache_leads_to_pods_too_many_which_go_when_it_shows_them(make_rig: Any, values: Any) -> None:
    rig = make_rig(profile="1.1", watch_lag_s=0.02)
    rig.create(values.ray_cluster(values.group()))
    rig.run(0.03)
    # Until the head Service shows there is no status: tried again after 5 and 10 ms, each time as if there were no pods.
    assert [event for event in rig.writes() if event.startswith("create")] == ["create services", *["create pods"] * 6]
    rig.run(20)
    assert (len(rig.names("head")), len(rig.names("worker"))) == (1, 1)


def test_a_failed_pod_that_restarts_its_containers_stays(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    (name,) = rig.names("worker")
    rig.set_pod(name, "Failed", ready=None)
    rig.run(5)
    assert rig.names("worker") == [name]


def never(values: Any, name: str = "ray") -> JsonObject:
    return {"spec": {"containers": [values.container(name)], "restartPolicy": "Never"}}


def test_a_failed_head_that_does_not_restart_is_replaced(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(head={"template": never(values, "ray-head")}))
    (name,) = rig.names("head")
    rig.set_pod(name, "Failed", ready=None)
    rig.run(1)
    assert len(rig.names("head")) == 1
    assert rig.names("head") != [name]
    (note,) = rig.events("Deleted")
    assert (
        note
        == f"Deleted head Pod {name}; Pod status: Failed; Pod restart policy: Never; Ray container terminated status: nil"
    )


def test_failed_workers_that_do_not_restart_are_replaced_after_an_error(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2, template=never(values))))
    names = rig.names("worker")
    for name in names:
        rig.set_pod(name, "Failed", ready=None)
    rig.run(1)
    assert len(rig.names("worker")) == 2
    assert not set(names) & set(rig.names("worker"))
    fate = "Pod status: Failed; Pod restart policy: Never; Ray container terminated status: nil"
    assert sorted(rig.events("Deleted")) == sorted(f"Deleted worker Pod {name}; {fate}" for name in names)
    assert rig.outcomes(6)[0] == "error: Delete 2 unhealthy worker Pods."
    assert {event["type"] for event in rig.objects(CORE_EVENT) if event["reason"] == "Deleted"} == {"Normal"}


def test_named_victims_go_whatever_the_number(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=2)))
    first, second = rig.names("worker")
    rig.change_group(scaleStrategy={"workersToDelete": [first, "nobody"]}, replicas=1)
    rig.run(1)
    assert rig.names("worker") == [second]
    assert f"Deleted pod {first}" in rig.events("Deleted")


def test_fewer_replicas_take_pods_away_unless_there_is_an_autoscaler(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group(replicas=3)))
    first, second, third = rig.names("worker")
    rig.change_group(replicas=1)
    rig.run(1)
    assert rig.names("worker") == [third]
    assert set(rig.events("Deleted")) == {f"Deleted Pod {first}", f"Deleted Pod {second}"}
    rig.patch({"spec": {"enableInTreeAutoscaling": True}})
    rig.change_group(replicas=0)
    rig.run(1)
    assert rig.names("worker") == [third]


def test_a_suspended_group_is_no_such_thing(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(values.group(suspend=True)))
    rig.run(1)
    assert len(rig.names("worker")) == 1
    assert "suspend" not in rig.get()["spec"]["workerGroupSpecs"][0]


def test_suspension_takes_the_pods_at_once_and_ends_at_once(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(values.group()))
    rig.patch({"spec": {"suspend": True}})
    rig.run(0.001)
    assert rig.names() == []
    rig.run(0.5)
    assert rig.status["state"] == "suspended"
    assert "Deleted Pods for RayCluster default/rc due to suspension" in rig.events("Deleted")
    rig.patch({"spec": {"suspend": False}})
    rig.run(0.001)
    assert len(rig.names()) == 2
    rig.all_ready()
    rig.run(1)
    assert rig.status["state"] == "ready"


# What pods look like


def test_head_and_workers_are_named_by_their_last_50_characters(values: Any) -> None:
    name = "rayservice-sample-raycluster-6mj28"
    group = values.group("small-group")
    cluster = old(values, group, name=name)
    assert worker_pod(cluster, group, Place(0))["metadata"]["generateName"] == (
        "ervice-sample-raycluster-6mj28-worker-small-group-"
    )
    assert head_pod(cluster, "")["metadata"]["generateName"] == f"{name}-head-"
    assert head(values, name="1" + "2" * 52)["metadata"]["generateName"] == "r" + "2" * 43 + "-head-"


def test_container_commands_use_a_login_shell_and_a_fixed_limit(values: Any) -> None:
    found = container(head(values))
    assert found["command"] == ["/bin/bash", "-lc", "--"]
    assert found["args"][0].startswith("ulimit -n 65536; ray start --head ")
    init = worker(values)["spec"]["initContainers"][0]
    assert init["command"] == ["/bin/bash", "-lc", "--"]
    assert "blob/master/docs/guidance/FAQ.md." in init["args"][0]


def test_probes_are_wget_without_tries_within_a_second(values: Any) -> None:
    raylet = "wget -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
    gcs = "wget -T 2 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
    found = container(head(values, rayVersion="2.53.0"))
    times = {"timeoutSeconds": 1, "periodSeconds": 5, "successThreshold": 1}
    exec_ = {"exec": {"command": ["bash", "-c", f"{raylet} && {gcs}"]}}
    assert found["livenessProbe"] == {**exec_, "initialDelaySeconds": 30, "failureThreshold": 120, **times}
    assert found["readinessProbe"] == {**exec_, "initialDelaySeconds": 10, "failureThreshold": 10, **times}
    serves = {"labels": {"ray.io/originated-from-crd": "RayService"}}
    readiness = container(worker(values, metadata=serves))["readinessProbe"]
    proxy = "wget -T 2 -q -O- http://localhost:8000/-/healthz | grep success"
    assert readiness == {
        "exec": {"command": ["bash", "-c", f"{raylet} && {proxy}"]},
        "initialDelaySeconds": 10,
        "failureThreshold": 1,
        **times,
    }


def test_ray_counts_the_limit_of_cpus_only(values: Any) -> None:
    requested = {**values.container("ray-head"), "resources": {"requests": {"cpu": "3"}}}
    template = {"spec": {"containers": [requested]}}
    assert "num-cpus" not in container(head(values, head={"template": template}))["args"][0]
    assert "--num-cpus=3" in container(head_pod(values.cluster(head={"template": template}), ""))["args"][0]


def test_pods_carry_neither_version_nor_namespace(values: Any) -> None:
    found = head(values)
    assert annotations_of(found) == {"ray.io/ft-enabled": "false"}
    assert "RAY_CLUSTER_NAMESPACE" not in env(found)
    assert env(found)["RAY_USAGE_STATS_EXTRA_TAGS"] == "kuberay_version=v1.1.0;kuberay_crd=RayCluster"


# Services, roles, ingress


def test_services_lose_the_beginning_of_over_long_names(values: Any) -> None:
    cluster = old(values, values.group(numOfHosts=2), name="a-cluster-whose-name-is-rather-long-as-names-go")
    assert (
        services.head_service(cluster)["metadata"]["name"]
        == "uster-whose-name-is-rather-long-as-names-go-head-svc"[-50:]
    )
    assert cluster.head_service_fqdn.startswith(services.head_service(cluster)["metadata"]["name"] + ".default.svc")
    assert len(services.serve_service(cluster)["metadata"]["name"]) == 50
    headless = services.headless_service(cluster)
    assert headless["metadata"]["name"].endswith("-go-headless-worker-svc")
    assert len(headless["metadata"]["name"]) == 50
    assert "publishNotReadyAddresses" not in headless["spec"]
    assert headless["spec"]["clusterIP"] == "None"


def test_the_sidecar_runs_the_autoscaler_itself_and_may_not_resize_pods(values: Any) -> None:
    sidecar = head(values, enableInTreeAutoscaling=True)["spec"]["containers"][1]
    assert sidecar["command"] == ["ray"]
    assert sidecar["args"] == [
        "kuberay-autoscaler",
        "--cluster-name",
        "$(RAY_CLUSTER_NAME)",
        "--cluster-namespace",
        "$(RAY_CLUSTER_NAMESPACE)",
    ]
    assert "KUBERAY_GEN_AUTOSCALER_START_CMD" not in [entry["name"] for entry in sidecar["env"]]
    rules = autoscaler.role(old(values))["rules"]
    assert [rule["resources"] for rule in rules] == [["pods"], ["rayclusters"]]


def test_version_two_of_the_autoscaler_is_not_known(values: Any) -> None:
    found = head(values, enableInTreeAutoscaling=True, autoscalerOptions={"version": "v2"})
    assert "RAY_enable_autoscaler_v2" not in env(found)
    assert "restartPolicy" not in found["spec"]


def test_the_ingress_leads_to_a_path_of_the_clusters_name(rig: Any, values: Any) -> None:
    (path,) = ingress.ingress(old(values))["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/rc/(.*)", "Exact")
    rig.create(values.ray_cluster(head={"enableIngress": True}))
    rig.run(1)
    (found,) = rig.objects(INGRESS)
    rig.patch({"metadata": {"annotations": {"mine": "yes"}}}, found["metadata"]["name"], INGRESS)
    rig.patch({"metadata": {"annotations": {"touched": "yes"}}})
    rig.run(1)
    assert annotations_of(rig.objects(INGRESS)[0]) == {"mine": "yes"}, "nobody puts it right"


def test_what_is_made_is_told_in_core_events(rig: Any, values: Any) -> None:
    rig.create(
        values.ray_cluster(
            values.group(numOfHosts=2),
            head={"enableIngress": True},
            enableInTreeAutoscaling=True,
            metadata={"annotations": {"ray.io/enable-serve-service": "true"}},
        )
    )
    rig.run(1)
    events = [event for event in rig.objects(CORE_EVENT) if event["involvedObject"]["kind"] == "RayCluster"]
    assert sorted(event["message"] for event in events) == [
        f"Created head pod {rig.names('head')[0]}",
        "Created ingress rc-head-ingress",
        "Created role binding rc",
        "Created role rc",
        "Created service account rc",
        "Created service rc-head-svc",
        "Created service rc-headless-worker-svc",
        "Created worker pod ",
    ]
    assert {event["reason"] for event in events} == {"Created"}
    (workers,) = [event for event in events if event["message"] == "Created worker pod "]
    assert workers["count"] == 2
    names = {each["metadata"]["name"] for each in rig.objects(SERVICE)}
    assert names == {"rc-head-svc", "rc-headless-worker-svc", "rc-serve-svc"}
    assert [len(rig.objects(resource)) for resource in (ROLE, ROLE_BINDING, SERVICE_ACCOUNT)] == [1, 1, 1]


def test_nothing_is_made_twice(rig: Any, values: Any) -> None:
    rig.ready(
        values.ray_cluster(values.group(numOfHosts=2), head={"enableIngress": True}, enableInTreeAutoscaling=True)
    )
    rig.patch({"metadata": {"annotations": {"touched": "yes"}}})
    before = len(rig.writes())
    rig.run(1)
    assert rig.writes()[before:] == []


# GCS fault tolerance


def test_every_pod_tells_of_fault_tolerance(values: Any) -> None:
    for made in (head(values, metadata=FT), worker(values, metadata=FT)):
        assert annotations_of(made) == {"ray.io/ft-enabled": "true", "ray.io/external-storage-namespace": "uid-rc"}
        assert env(made)["RAY_external_storage_namespace"] == "uid-rc"
        assert env(made)["REDIS_PASSWORD"] == ""
    assert env(worker(values, metadata=FT))["RAY_gcs_rpc_server_reconnect_timeout_s"] == "600"
    without = worker(values)
    assert annotations_of(without) == {"ray.io/ft-enabled": "false"}
    assert env(without)["REDIS_PASSWORD"] == ""
    assert "RAY_external_storage_namespace" not in env(without)
    assert "RAY_gcs_rpc_server_reconnect_timeout_s" not in env(without)
    chosen = {"annotations": {"ray.io/external-storage-namespace": "mine"}}
    assert env(worker(values, metadata=chosen))["RAY_external_storage_namespace"] == "mine"
    password = head(values, head={"rayStartParams": {"redis-password": "secret"}})
    assert env(password)["REDIS_PASSWORD"] == "secret"


def test_the_annotation_is_the_only_switch(values: Any) -> None:
    cluster = old(values, gcsFaultToleranceOptions={"redisAddress": "redis:6379"})
    assert not gcs_fault_tolerance.is_enabled(cluster)
    assert gcs_fault_tolerance.is_enabled(old(values, metadata=FT))


def test_an_address_of_redis_without_fault_tolerance_is_accepted(rig: Any, values: Any) -> None:
    template = {
        "spec": {"containers": [values.container("ray-head", env=[{"name": "RAY_REDIS_ADDRESS", "value": "r:1"}])]}
    }
    rig.create(values.ray_cluster(head={"template": template}))
    rig.run(1)
    assert len(rig.names("head")) == 1


def test_the_clean_up_waits_for_its_job_without_limit_and_without_events(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(metadata=FT))
    assert rig.get()["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]
    rig.delete("rc", RAY_CLUSTER)
    rig.run(1000)
    assert len(rig.objects(JOB)) == 1
    assert rig.get()["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]
    reasons = {event["reason"] for event in rig.objects(CORE_EVENT) if event["involvedObject"]["kind"] == "RayCluster"}
    assert reasons == {"Created"}
    assert cleanup_job(old(values, metadata=FT))["spec"]["template"]["spec"]["containers"][0]["command"] == [
        "/bin/bash",
        "-lc",
        "--",
    ]


def test_a_finalizer_without_fault_tolerance_stays_for_ever(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster(metadata=FT))
    rig.patch({"metadata": {"annotations": {"ray.io/ft-enabled": "false"}}})
    rig.delete("rc", RAY_CLUSTER)
    rig.run(1000)
    assert rig.get()["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]
