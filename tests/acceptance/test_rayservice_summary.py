"""The short guide to RayService: its GPU example as it stands there, its Services, both kinds of update, high availability."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayrig_core.objects import JsonObject, condition_of, has_condition, labels_of, name_of
from rayrig_core.trace import Kind
from rayrig_scenarios.api import Rig
from rayrig_scenarios.language.load import load
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run

GUIDE = Path(__file__).parents[3] / "shared" / "guides" / "rayservice-summary.md"


def blocks() -> list[JsonObject]:
    """The YAML in the guide, read from where it lies."""
    if not GUIDE.exists():
        pytest.skip("the guide is not here")
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)]


def example() -> JsonObject:
    (found,) = (block for block in blocks() if block.get("kind") == "RayService")
    return found


@pytest.fixture
def rig() -> Rig:
    """The example, ready, on a node of CPUs and two of GPUs."""
    rig = Rig(seed=1)
    rig.node("cpu", cpu=16)
    rig.node("gpu", count=2, cpu=40, memory="160Gi", gpus=2, taints=["nvidia.com/gpu=present:NoSchedule"])
    manifest = example()
    worker = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
    worker["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    rig.apply(manifest)
    rig.wait_ready("llm-service")
    rig.wait({"pods": {"service": "llm-service", "total": 3, "ready": 3}}, timeout="2m")
    return rig


def pods(rig: Rig, role: str) -> list[Any]:
    return [pod for pod in rig.objects("Pod") if labels_of(pod)["ray.io/node-type"] == role]


def test_the_example_runs_as_it_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "llm-service.yaml"
    path.write_text(yaml.safe_dump(example()))
    result = run(load(str(path)))
    assert result.verdict is Verdict.PASS
    assert result.usage.peak("gpus") == 4, "two workers each, in two clusters"
    (accounting,) = result.requests.values()
    assert dict(accounting.fates) == {"ok": accounting.sent}


def test_two_workers_with_a_gpu_each_and_a_replica_on_each(rig: Rig) -> None:
    (cluster,) = rig.objects("RayCluster")
    assert cluster["status"]["desiredGPU"] == "2"
    assert cluster["status"]["desiredWorkerReplicas"] == 2
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (0, 2147483647), "what the example leaves out"
    nodes = [pod["spec"]["nodeName"] for pod in pods(rig, "worker")]
    assert all(node.startswith("gpu-") for node in nodes)
    assert pods(rig, "head")[0]["spec"]["nodeName"] == "cpu-0"
    joined = [str(event["detail"]) for event in rig.trace.select(Kind.RAY) if event["state"] == "joined"]
    assert sum("GPU 1" in detail for detail in joined) == 2


def test_where_the_replicas_are_is_what_the_application_asks_for(rig: Rig) -> None:
    # The example's import path is nobody's here, so its deployment is one that rayrig makes up from what the configuration says.
    started = {
        event.subject: str(event["node"]) for event in rig.trace.select(Kind.REPLICA) if event["state"] == "RUNNING"
    }
    assert sorted(started.values()) == sorted(name_of(pod) for pod in pods(rig, "worker"))


def test_both_services_lead_where_the_guide_says(rig: Rig) -> None:
    services = {name_of(service): service for service in rig.objects("Service")}
    head = {port["port"] for port in services["llm-service-head-svc"]["spec"]["ports"]}
    assert {8265, 10001} <= head
    assert [port["port"] for port in services["llm-service-serve-svc"]["spec"]["ports"]] == [8000]
    answer = rig.request("llm-service-serve-svc", "/llm", json={"prompt": "hello"})
    assert answer.status == 200
    assert rig.request("llm-service-serve-svc", "/other").status == 404
    dashboard = rig.request("llm-service-head-svc", "/api/serve/applications/", port=8265)
    assert dashboard.json()["applications"]["llm-app"]["status"] == "RUNNING"


def test_a_change_of_the_serve_configuration_alone_stays_in_the_cluster(rig: Rig) -> None:
    before = [name_of(cluster) for cluster in rig.objects("RayCluster")]
    config = example()["spec"]["serveConfigV2"].replace("num_replicas: 2", "num_replicas: 1")
    assert config != example()["spec"]["serveConfigV2"]
    rig.apply("RayService/llm-service", {"spec.serveConfigV2": config})
    rig.wait({"pods": {"service": "llm-service", "role": "worker", "ready": 1}}, timeout="2m")
    assert [name_of(cluster) for cluster in rig.objects("RayCluster")] == before
    assert rig.request("llm-service-serve-svc", "/llm").status == 200


def test_a_change_of_the_cluster_brings_another_and_needs_its_gpus_twice(rig: Rig) -> None:
    with rig.traffic("llm-service-serve-svc", rate="5/s", path="/llm", connection_age="20s") as readers:
        rig.upgrade("llm-service", {"spec.rayClusterConfig.rayVersion": "2.54.0"})
    assert readers.fates == {"ok": readers.sent}
    rig.expect({"clusters": {"service": "llm-service", "created": 2, "peak": 2, "count": 1, "switches": 1}})
    rig.expect({"peak": {"gpus": 4}})


@pytest.mark.accepts("RS-015")
def test_high_availability_as_the_guide_has_it_is_refused_by_todays_operator() -> None:
    (given,) = (block for block in blocks() if "headGroupSpec" in str(block) and block.get("kind") is None)
    manifest = example()
    head = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]
    wanted = given["spec"]["rayClusterConfig"]["headGroupSpec"]
    head["rayStartParams"] |= wanted["rayStartParams"]
    head["template"]["metadata"] = wanted["template"]["metadata"]
    head["template"]["spec"]["containers"][0]["env"] = wanted["template"]["spec"]["containers"][0]["env"]
    rig = Rig(seed=1)
    rig.node("n", cpu=16)
    rig.apply(manifest)
    rig.sleep("30s")
    (service,) = rig.objects("RayService")
    ready = condition_of(service, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ValidationFailed")
    assert "RAY_REDIS_ADDRESS is set which implicitly enables GCS fault tolerance" in ready["message"]
    assert rig.objects("RayCluster") == []
    (told,) = (event for event in rig.trace.select(Kind.EVENT) if event["type"] == "Warning")
    assert told["reason"] == "InvalidRayServiceSpec"


def test_high_availability_as_it_is_written_today_keeps_the_workers_serving() -> None:
    manifest = example()
    manifest["spec"]["excludeHeadPodFromServeSvc"] = True
    cluster = manifest["spec"]["rayClusterConfig"]
    cluster["gcsFaultToleranceOptions"] = {"redisAddress": "redis:6379"}
    rig = Rig(seed=1)
    rig.node("n", cpu=32, memory="128Gi", gpus=2)
    rig.apply(manifest)
    rig.wait_ready("llm-service")
    rig.wait({"pods": {"service": "llm-service", "role": "worker", "ready": 2}}, timeout="2m")
    rig.sleep("2s")
    with rig.traffic("llm-service-serve-svc", rate="20/s", path="/llm") as readers:
        rig.sleep("5s")
        rig.fault("head-crash")
        rig.wait({"pods": {"service": "llm-service", "role": "head", "ready": 0}}, timeout="10s")
        assert [has_condition(pod, "Ready") for pod in pods(rig, "worker")] == [True, True]
        rig.wait({"pods": {"service": "llm-service", "role": "head", "ready": 1}}, timeout="1m")
        rig.sleep("10s")
    assert readers.fates == {"ok": readers.sent}
