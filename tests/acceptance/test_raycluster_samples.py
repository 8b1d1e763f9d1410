"""KubeRay's sample RayClusters through `rayrig run FILE`: each comes up, or fails for the reason the real one would."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rayrig_backends.memory import MemoryWorld
from rayrig_core.objects import JsonObject, annotations_of, copy_json, has_condition, labels_of, name_of
from rayrig_core.trace import Kind
from rayrig_scenarios.api import Rig
from rayrig_scenarios.language.load import load
from rayrig_scenarios.language.manifests import manifest_file
from rayrig_scenarios.results import RunResult, StepState, Verdict, what_broke
from rayrig_scenarios.runner import run
from rayrig_sim.ray.cluster import Actor, ActorSpec, RayCluster

SAMPLES = Path(__file__).parents[3] / "shared" / "kuberay" / "samples"
#: Samples that come up with what is in them, and how many workers they have then.
READY = {
    ".auth": 1,
    ".auth.secret-ref": 1,
    ".autoscaler": 0,
    ".autoscaler-v2": 0,
    ".autoscaler-v2-overwrite-cmd": 0,
    ".complete": 1,
    ".custom-head-service": 0,
    ".deprecate-gcs-ft": 1,
    ".external-redis": 1,
    ".external-redis-uri": 1,
    ".head-command": 0,
    "-label-selector": 1,
    ".overwrite-command": 1,
    ".persistent-redis": 1,
    ".persistent-redis-sidecar": 1,
    ".sample": 1,
    ".separate-ingress": 0,
    ".tls": 1,
    ".tpu-v4-multihost": 2,
    ".tpu-v4-singlehost": 1,
    ".tpu-v6e-16-multihost": 4,
    ".tpu-v6e-256-multihost": 64,
    ".tpu-v6e-singlehost": 1,
}
#: Samples that need a feature gate of the operator: which, and the operator's words when it is off.
GATED = {
    ".embedded-gcs-ft": (
        "GCSFaultToleranceEmbeddedStorage",
        "(GcsFaultToleranceOptions.Backend: 'rocksdb') requires the GCSFaultToleranceEmbeddedStorage feature gate",
    ),
    ".mtls": (
        "RayClusterMTLS",
        "spec.tlsOptions requires the RayClusterMTLS feature gate to be enabled",
    ),
    ".network-policy-deny-all": (
        "RayClusterNetworkPolicy",
        "spec.networkPolicy requires the RayClusterNetworkPolicy feature gate to be enabled",
    ),
}
#: Samples that lack something: a Secret, the cluster that an Ingress is for.
LACKING = (".auth-manual", "-alb-ingress")


def sample(name: str) -> Path:
    path = SAMPLES / f"ray-cluster{name}.yaml"
    if not path.exists():
        pytest.skip("KubeRay's samples are not here")
    return path


@cache
def perform(name: str, gates: str = "") -> RunResult:
    return run(load(str(sample(name))).with_gates(gates))


def pods(result: RunResult, role: str) -> list[JsonObject]:
    return [pod for pod in result.objects["pods"] if labels_of(pod).get("ray.io/node-type") == role]


def head(result: RunResult) -> JsonObject:
    (found,) = pods(result, "head")
    return found


def env(pod: JsonObject, container: int = 0) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry) for entry in pod["spec"]["containers"][container].get("env") or ()}


def status(result: RunResult) -> JsonObject:
    (cluster,) = result.objects["rayclusters"]
    found: JsonObject = cluster["status"]
    return found


def first(result: RunResult, kind: Kind, subject: str, **data: str) -> float:
    """Virtual seconds of the first event about something, with these data."""
    return next(
        event.t_s
        for event in result.trace.select(kind)
        if subject in event.subject and all(event[name] == value for name, value in data.items())
    )


def test_every_sample_is_tried() -> None:
    found = {path.stem.removeprefix("ray-cluster") for path in sample(".sample").parent.glob("ray-cluster*.yaml")}
    assert found == {*READY, *GATED, *LACKING}


@pytest.mark.parametrize("name", READY)
def test_a_sample_comes_up(name: str) -> None:
    result = perform(name)
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    (cluster,) = result.objects["rayclusters"]
    assert cluster["status"]["state"] == "ready"
    assert has_condition(cluster, "HeadPodReady")
    assert has_condition(cluster, "RayClusterProvisioned")
    assert has_condition(head(result), "Ready")
    assert [has_condition(pod, "Ready") for pod in pods(result, "worker")] == [True] * READY[name]
    assert result.requests == {}, "a cluster without Serve has nobody to ask"


@pytest.mark.parametrize("name", GATED)
def test_a_sample_whose_gate_is_off_is_refused_by_the_operator(name: str) -> None:
    result = perform(name)
    assert result.verdict is Verdict.FAIL
    (wait,) = (step for step in result.steps if step.state is StepState.FAILED)
    assert "InvalidRayClusterSpec: The RayCluster spec is invalid default/" in wait.detail
    assert GATED[name][1] in wait.detail
    assert result.objects["pods"] == []


# Authentication


def test_a_token_is_made_for_a_cluster_with_authentication() -> None:
    result = perform(".auth")
    for pod, container in ((head(result), 0), (head(result), 1), (pods(result, "worker")[0], 0)):
        found = env(pod, container)
        assert found["RAY_AUTH_MODE"] == "token"
        reference = found["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
        assert (reference["name"], reference["key"]) == ("ray-cluster-with-auth", "auth_token")
    assert [name for name, _ in secrets_made(result)] == ["ray-cluster-with-auth"]


def secrets_made(result: RunResult) -> list[tuple[str, str]]:
    """(name, by whom) of each Secret that was created."""
    return [
        (event.subject.rpartition("/")[2], event.actor)
        for event in result.trace.select(Kind.API_WRITE)
        if event.subject.startswith("secrets/") and event["verb"] == "create"
    ]


def test_a_token_of_ones_own_is_used_and_none_is_made() -> None:
    result = perform(".auth.secret-ref")
    reference = env(head(result))["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert reference["name"] == "ray-cluster-token"
    assert [name for name, _ in secrets_made(result)] == ["ray-cluster-token"]


def test_a_secret_that_nobody_made_stops_the_containers() -> None:
    result = perform(".auth-manual")
    assert result.verdict is Verdict.FAIL
    why = 'ray-head: CreateContainerConfigError (secret "ray-cluster-with-auth" not found)'
    assert [pod.reason for pod in result.unready if "-head-" in pod.name] == [why]
    (wait,) = (step for step in result.steps if step.state is StepState.FAILED)
    assert why in wait.detail
    (warning,) = result.scenario.warnings
    assert warning.startswith("Secret ray-cluster-with-auth is not in ")


def test_with_its_secret_the_same_cluster_comes_up() -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    secret = {"kind": "Secret", "metadata": {"name": "ray-cluster-with-auth"}, "stringData": {"auth_token": "t"}}
    rig.apply({"apiVersion": "v1", **secret})
    rig.apply(sample(".auth-manual"))
    assert "1 of 1 worker ready" in rig.wait({"cluster-ready": "ray-cluster-with-auth"})


# Commands


def test_a_command_before_ray_start_is_kept_and_a_hook_waits_for_ray() -> None:
    result = perform(".head-command")
    (argument,) = head(result)["spec"]["containers"][0]["args"]
    assert argument.startswith(" echo 123  456  && ulimit -n ")
    subject = f"pods/default/{name_of(head(result))}"
    gcs_runs = first(result, Kind.RAY, "raycluster-head-command", component="gcs", state="running")
    # Probes begin when the hook, which asks for the health of the GCS, has ended.
    assert first(result, Kind.PROBE, subject) > gcs_runs
    assert "FailedPostStartHook" not in [event["reason"] for event in result.trace.select(Kind.EVENT)]


def test_a_command_of_ones_own_starts_ray_by_the_generated_one() -> None:
    result = perform(".overwrite-command")
    for pod, word in ((head(result), "head"), (pods(result, "worker")[0], "worker")):
        container = pod["spec"]["containers"][0]
        assert container["args"] == [f"ulimit -n 65536; echo {word}; $KUBERAY_GEN_RAY_START_CMD"]
        assert annotations_of(pod)["ray.io/overwrite-container-cmd"] == "true"


# Autoscaler


@pytest.mark.accepts("RC-062")
@pytest.mark.parametrize(
    ("name", "restarts", "switch"),
    [(".autoscaler", "Always", None), (".autoscaler-v2", "Never", "true"), ("-label-selector", "Never", "true")],
)
def test_the_version_of_the_autoscaler_shows_in_the_pods(name: str, restarts: str, switch: str | None) -> None:
    result = perform(name)
    assert env(head(result)).get("RAY_enable_autoscaler_v2") == switch
    assert {pod["spec"]["restartPolicy"] for pod in result.objects["pods"]} == {restarts}
    sidecar = head(result)["spec"]["containers"][1]
    assert sidecar["name"] == "autoscaler"


def ray_cluster(rig: Rig) -> RayCluster:
    assert isinstance(rig.world, MemoryWorld)
    (cluster,) = rig.objects("RayCluster")
    found = rig.world.ray.cluster("default", name_of(cluster))
    assert found is not None
    return found


def workers(rig: Rig) -> list[JsonObject]:
    return [pod for pod in rig.objects("Pod") if labels_of(pod).get("ray.io/node-type") == "worker"]


@pytest.mark.parametrize("name", [".autoscaler", ".autoscaler-v2", ".autoscaler-v2-overwrite-cmd"])
def test_demand_brings_workers_whatever_command_starts_the_autoscaler(name: str) -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    rig.apply(sample(name))
    rig.wait({"cluster-ready": ""})
    actor = ray_cluster(rig).create_actor(ActorSpec("detached", {"CPU": 1.0}))
    rig.wait({"pods": {"role": "worker", "ready": 1}})
    ray_cluster(rig).kill_actor(actor)
    # Idle for 60 s, seen at the next look.
    rig.wait({"pods": {"role": "worker", "total": 0}}, timeout="3m")


@pytest.mark.accepts("RC-044")
def test_slices_of_several_hosts_come_and_go_as_a_whole() -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    labels = {"cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice", "cloud.google.com/gke-tpu-topology": "4x4"}
    rig.node("tpu", count=8, cpu=48, memory="256Gi", resources={"google.com/tpu": "4"}, labels=labels)
    (manifest,) = manifest_file(sample(".tpu-v6e-16-multihost"))
    cluster = copy_json(manifest.object)
    (group,) = cluster["spec"]["workerGroupSpecs"]
    cluster["spec"] |= {"enableInTreeAutoscaling": True, "autoscalerOptions": {"idleTimeoutSeconds": 30}}
    group |= {"replicas": 0, "maxReplicas": 2}
    rig.apply(cluster)
    rig.wait({"cluster-ready": ""})
    ray = ray_cluster(rig)
    # Five hosts' worth of chips take two slices of four hosts.
    actors = [ray.create_actor(ActorSpec(f"a{number}", {"TPU": 4.0})) for number in range(5)]
    rig.wait({"pods": {"role": "worker", "ready": 8}})
    slices = {labels_of(pod)["ray.io/worker-group-replica-name"] for pod in workers(rig)}
    assert len(slices) == 2
    gone = _slice(rig, actors[0])
    *first_ones, last = [actor for actor in actors if _slice(rig, actor) == gone]
    for actor in first_ones:
        ray.kill_actor(actor)
    rig.sleep("60s")
    assert len(workers(rig)) == 8, "one of its hosts is in use"
    ray.kill_actor(last)
    rig.wait({"pods": {"role": "worker", "total": 4}}, timeout="3m")
    rig.sleep("60s")
    assert [labels_of(pod)["ray.io/worker-group-replica-name"] for pod in workers(rig)] == [*(slices - {gone})] * 4
    assert sorted(labels_of(pod)["ray.io/replica-host-index"] for pod in workers(rig)) == ["0", "1", "2", "3"]


def _slice(rig: Rig, actor: Actor) -> str:
    """Name of the replica on one of whose hosts the actor is."""
    assert actor.node is not None
    (pod,) = (pod for pod in workers(rig) if pod["status"]["podIP"] == actor.node.ip)
    return labels_of(pod)["ray.io/worker-group-replica-name"]


# Redis


@pytest.mark.parametrize("name", [".deprecate-gcs-ft", ".external-redis", ".external-redis-uri", ".persistent-redis"])
def test_the_gcs_waits_for_its_redis_in_another_pod(name: str) -> None:
    result = perform(name)
    (redis,) = (pod for pod in result.objects["pods"] if labels_of(pod).get("app") == "redis")
    assert has_condition(redis, "Ready")
    (cluster,) = result.objects["rayclusters"]
    redis_runs = first(result, Kind.CONTAINER, f"pods/default/{name_of(redis)}", state="running")
    assert first(result, Kind.RAY, name_of(cluster), component="gcs", state="running") > redis_runs
    assert annotations_of(head(result))["ray.io/external-storage-namespace"] == cluster["metadata"]["uid"]
    assert cluster["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]


def test_redis_beside_the_head_is_reached_over_the_pods_own_address() -> None:
    result = perform(".persistent-redis-sidecar")
    assert env(head(result))["RAY_REDIS_ADDRESS"] == "127.0.0.1:6380"
    assert [container["name"] for container in head(result)["spec"]["containers"]] == ["ray-head", "redis"]


@pytest.mark.parametrize("name", [".persistent-redis", ".persistent-redis-sidecar"])
def test_redis_keeps_its_data_on_a_volume_of_the_default_class(name: str) -> None:
    result = perform(name)
    spoken = [e["reason"] for e in result.trace.select(Kind.EVENT, subject="persistentvolumeclaims/default/redis-data")]
    assert spoken == ["WaitForFirstConsumer", "ExternalProvisioning", "ProvisioningSucceeded"]


def test_without_a_class_for_its_claim_the_pod_of_redis_waits_and_the_head_with_it() -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    for written in manifest_file(sample(".persistent-redis")):
        made = copy_json(written.object)
        if written.kind == "PersistentVolumeClaim":
            made["spec"]["storageClassName"] = ""
        rig.apply(made)
    rig.sleep("2m")
    (redis,) = (pod for pod in rig.objects("Pod") if labels_of(pod).get("app") == "redis")
    assert "pod has unbound immediate PersistentVolumeClaims" in rig.why_unready(redis)
    assert not rig.holds({"cluster-ready": ""})


@pytest.mark.parametrize(
    ("password", "why"),
    [("d3Jvbmc=", "WRONGPASS"), ("", "NOAUTH")],
)
def test_a_head_with_another_password_than_its_redis_crashes(password: str, why: str) -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    for written in manifest_file(sample(".external-redis")):
        made = copy_json(written.object)
        if written.kind == "Secret":
            made["data"]["password"] = password
        rig.apply(made)
    rig.wait({"happened": {"what": "kubelet.container", "subject": "-head-", "with": {"state": "terminated"}}})
    (found,) = (pod for pod in rig.objects("Pod") if labels_of(pod).get("ray.io/node-type") == "head")
    (container,) = found["status"]["containerStatuses"]
    ended = container["state"].get("terminated") or container["lastState"]["terminated"]
    assert ended["exitCode"] == 1
    assert why in ended["message"]


@pytest.mark.accepts("RC-076")
def test_the_clean_up_job_of_a_redis_beside_the_head_finds_none_and_the_cluster_goes_all_the_same() -> None:
    rig = Rig()
    rig.node("node", cpu=32)
    rig.apply(sample(".persistent-redis-sidecar"))
    rig.wait({"cluster-ready": ""})
    rig.delete("RayCluster", "raycluster-redis-sidecar")
    began_s = rig.now_s
    rig.wait({"gone": "RayCluster/raycluster-redis-sidecar"}, timeout="5m")
    # Its own knocks, 120 of them half a second apart; KubeRay would have waited for 300 s.
    assert 60 < rig.now_s - began_s < 120


def test_a_new_head_finds_the_data_that_redis_kept_and_none_when_redis_lost_it() -> None:
    for name, keeps in ((".persistent-redis", True), (".external-redis", False)):
        rig = Rig()
        rig.node("node", cpu=16)
        rig.apply(sample(name))
        rig.wait({"cluster-ready": ""})
        before = ray_cluster(rig)
        (redis,) = (pod for pod in rig.objects("Pod") if labels_of(pod).get("app") == "redis")
        rig.delete("Pod", name_of(redis))
        rig.sleep("60s")
        (old,) = (pod for pod in rig.objects("Pod") if labels_of(pod).get("ray.io/node-type") == "head")
        rig.delete("Pod", name_of(old))
        rig.sleep("10s")
        rig.wait({"cluster-ready": ""}, timeout="15m")
        assert (ray_cluster(rig) is before) is keeps


def test_a_store_of_the_gcs_itself_is_on_a_claim_of_its_own() -> None:
    result = perform(".embedded-gcs-ft", "GCSFaultToleranceEmbeddedStorage=true")
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    claim = "persistentvolumeclaims/default/raycluster-embedded-gcs-ft-gcs-pvc"
    spoken = [event["reason"] for event in result.trace.select(Kind.EVENT, subject=claim)]
    assert spoken[-1] == "ProvisioningSucceeded"
    assert env(head(result))["RAY_gcs_storage"] == "rocksdb"


# TLS


def test_certificates_are_made_before_ray_starts() -> None:
    result = perform(".tls")
    for pod, container, others in (
        (head(result), "ray-head-tls", []),
        (pods(result, "worker")[0], "ray-worker-tls", ["wait-gcs-ready"]),
    ):
        assert [each["name"] for each in pod["status"]["initContainerStatuses"]] == [container, *others]
        for each in pod["status"]["initContainerStatuses"]:
            assert each["state"]["terminated"]["exitCode"] == 0
        assert env(pod)["RAY_USE_TLS"] == "1"


def test_without_its_authority_no_certificate_is_made() -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    for written in manifest_file(sample(".tls")):
        if written.kind != "Secret":
            rig.apply(copy_json(written.object))
    rig.sleep("60s")
    (found,) = (pod for pod in rig.objects("Pod") if labels_of(pod).get("ray.io/node-type") == "head")
    assert 'FailedMount: MountVolume.SetUp failed for volume "ca-tls" : secret "ca-tls" not found' in rig.why_unready(
        found
    )


# TPU


@pytest.mark.parametrize(
    ("name", "hosts", "topology"),
    [
        (".tpu-v4-singlehost", 1, "2x2x1"),
        (".tpu-v4-multihost", 2, "2x2x2"),
        (".tpu-v6e-singlehost", 1, "2x2"),
        (".tpu-v6e-16-multihost", 4, "4x4"),
        (".tpu-v6e-256-multihost", 64, "16x16"),
    ],
)
def test_each_host_of_a_slice_has_a_node_with_four_chips_to_itself(name: str, hosts: int, topology: str) -> None:
    result = perform(name)
    nodes = {name_of(node): node for node in result.objects["nodes"]}
    found = pods(result, "worker")
    homes = [nodes[pod["spec"]["nodeName"]] for pod in found]
    assert len({name_of(home) for home in homes}) == hosts
    assert {labels_of(home)["cloud.google.com/gke-tpu-topology"] for home in homes} == {topology}
    assert {home["status"]["capacity"]["google.com/tpu"] for home in homes} == {"4"}
    assert status(result)["desiredTPU"] == str(4 * hosts)
    assert any("TPU_WORKER_ID" in warning for warning in result.scenario.warnings)
    indices = [labels_of(pod).get("ray.io/replica-host-index") for pod in found]
    if hosts > 1:
        assert sorted(map(int, filter(None, indices))) == list(range(hosts))
        assert len({labels_of(pod)["ray.io/worker-group-replica-name"] for pod in found}) == 1
        assert "raycluster-tpu" in name_of(_headless(result))
    assert {labels_of(pod)["ray.io/worker-group-replica-index"] for pod in found} == {"0"}


def _headless(result: RunResult) -> JsonObject:
    (found,) = (service for service in result.objects["services"] if name_of(service).endswith("-headless"))
    return found


# Services, Ingress, NetworkPolicy, labels


def test_a_head_service_of_ones_own_keeps_its_name_port_and_labels() -> None:
    result = perform(".custom-head-service")
    (service,) = result.objects["services"]
    assert name_of(service) == "custom-ray-head-service-name"
    assert labels_of(service)["custom-label"] == "custom-ray-head-service-label"
    assert 12345 in [port["port"] for port in service["spec"]["ports"]]
    assert service["spec"]["type"] == "LoadBalancer"


def test_an_ingress_finds_the_head_service_of_the_cluster_beside_it() -> None:
    (expectation,) = (e for e in perform(".separate-ingress").expectations if "Ingress" in e.title)
    assert expectation.title == (
        "Ingress raycluster-ingress-head-ingress has its backend, Service raycluster-ingress-head-svc"
    )
    assert expectation.verdict is Verdict.PASS


def test_an_ingress_alone_has_no_backend() -> None:
    result = perform("-alb-ingress")
    assert result.verdict is Verdict.FAIL
    (expectation,) = result.expectations
    assert expectation.detail == "no Service ray-cluster-kuberay-head-svc"


def test_with_its_gate_a_cluster_that_denies_all_has_policies_and_comes_up() -> None:
    result = perform(".network-policy-deny-all", "RayClusterNetworkPolicy=true")
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    made = [
        event.subject.rpartition("/")[2]
        for event in result.trace.select(Kind.API_WRITE)
        if event.subject.startswith("networkpolicies/") and event["verb"] == "create"
    ]
    assert sorted(made) == ["raycluster-deny-all-head", "raycluster-deny-all-workers-workergroup"]
    assert result.replay.endswith("--feature-gates RayClusterNetworkPolicy=true --seed 0")


def test_labels_of_groups_reach_ray_and_the_pods() -> None:
    result = perform("-label-selector")
    (worker,) = pods(result, "worker")
    assert labels_of(worker)["ray.io/market-type"] == "on-demand"
    assert "--labels=cpu-family=intel,ray.io/market-type=on-demand" in worker["spec"]["containers"][0]["args"][0]
    nodes = {name_of(node): labels_of(node) for node in result.objects["nodes"]}
    assert nodes[worker["spec"]["nodeName"]]["cloud.google.com/machine-family"] == "N4"
