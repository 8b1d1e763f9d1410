"""KubeRay's sample RayServices through `rayrig run FILE`: deployed, upgraded, and nobody notices; read from where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_core.objects import has_condition, labels_of, name_of
from rayrig_core.trace import Kind
from rayrig_scenarios.language.load import load
from rayrig_scenarios.results import RunResult, Verdict, what_broke
from rayrig_scenarios.runner import run

SAMPLES = Path(__file__).parents[3] / "shared" / "kuberay" / "samples"
UPGRADED = (
    "custom-serve-service",
    "deepseek",
    "different-port",
    "high-availability",
    "high-throughput-gemma4",
    "high-throughput-llm",
    "incremental-upgrade",
    "llm-serve",
    "mobilenet",
    "no-ray-serve-replica",
    "sample",
    "stable-diffusion",
    "text-ml",
    "text-summarizer",
    "tpu-single-host",
)


def sample(name: str) -> Path:
    path = SAMPLES / f"ray-service.{name}.yaml"
    if not path.exists():
        pytest.skip("KubeRay's samples are not here")
    return path


def perform(name: str) -> RunResult:
    return run(load(str(sample(name))))


def serve_ports(result: RunResult, service: str) -> list[int]:
    (found,) = (obj for obj in result.objects["services"] if name_of(obj) == service)
    return [port["port"] for port in found["spec"]["ports"]]


@pytest.mark.parametrize("name", UPGRADED)
def test_a_sample_is_deployed_and_upgraded_without_a_lost_request(name: str) -> None:
    result = perform(name)
    assert result.verdict is Verdict.PASS, "\n".join(what_broke(result))
    (service,) = result.objects["rayservices"]
    assert service["status"]["serviceStatus"] == "Running"
    assert [name_of(cluster) for cluster in result.objects["rayclusters"]] == [
        service["status"]["activeServiceStatus"]["rayClusterName"]
    ]
    for accounting in result.requests.values():
        assert accounting.sent > 1000
        assert dict(accounting.fates) == {"ok": accounting.sent}


def test_every_sample_is_tried() -> None:
    found = {path.name.split(".")[1] for path in sample("sample").parent.glob("ray-service.*.yaml")}
    assert found == set(UPGRADED)


def test_a_service_of_ones_own_name_is_the_one_that_is_asked() -> None:
    result = perform("custom-serve-service")
    (source,) = result.scenario.traffic.values()
    assert source.service == "custom-ray-serve-service-name"
    (serve,) = (service for service in result.objects["services"] if name_of(service) == source.service)
    assert labels_of(serve)["custom-label"] == "custom-ray-serve-service-label"
    assert serve["metadata"]["annotations"] == {"custom-annotation": "custom-ray-serve-service-annotation"}


@pytest.mark.accepts("RS-056")
def test_serve_on_another_port_is_checked_and_reached_there() -> None:
    result = perform("different-port")
    assert serve_ports(result, "rayservice-sample-serve-svc") == [9000]
    heads = [pod for pod in result.objects["pods"] if labels_of(pod)["ray.io/node-type"] == "head"]
    assert [labels_of(pod)["ray.io/serve"] for pod in heads] == ["true"], "its proxy's health was asked on 9000"


@pytest.mark.accepts("RS-058")
def test_a_worker_without_replica_stays_unready_and_the_service_runs() -> None:
    result = perform("no-ray-serve-replica")
    workers = [pod for pod in result.objects["pods"] if labels_of(pod)["ray.io/node-type"] == "worker"]
    assert sorted(has_condition(pod, "Ready") for pod in workers) == [False, True]
    (unready,) = result.unready
    assert "Readiness probe" in unready.reason
    asked = {event["pod"] for event in result.trace.select(Kind.REQUEST)}
    assert unready.name not in asked


@pytest.mark.accepts("RS-136")
def test_a_fault_tolerant_cluster_leaves_redis_clean_and_shares_nothing_with_the_next() -> None:
    result = perform("high-availability")
    reasons = [(event.subject.rpartition("-")[0], event["reason"]) for event in result.trace.select(Kind.EVENT)]
    assert ("rayclusters/default/rayservice-ha", "CreatedRedisCleanupJob") in reasons
    assert "ForceDeletedStuckCluster" not in [reason for _, reason in reasons], "the job did its work in time"
    assert ("jobs/default/rayservice-ha-ldpsv-redis", "Completed") in reasons
    namespaces = [
        pod["metadata"]["annotations"]["ray.io/external-storage-namespace"]
        for pod in result.objects["pods"]
        if labels_of(pod).get("ray.io/node-type") == "head"
    ]
    (cluster,) = result.objects["rayclusters"]
    assert namespaces == [cluster["metadata"]["uid"]]


def test_an_incremental_upgrade_moves_the_traffic_step_by_step() -> None:
    result = perform("incremental-upgrade")
    weights = [event["detail"] for event in result.trace.select(Kind.ROUTES) if event["state"] == "in effect"]
    old, new = (f"rayservice-incremental-upgrade-{suffix}-serve-svc" for suffix in ("ldpsv", "4qqt2"))
    steps = [f"/ -> {old} {100 - percent}, {new} {percent}" for percent in range(0, 101, 10)]
    assert weights == ["", f"/ -> {old} 100", *steps, f"/ -> {new} 100"]
