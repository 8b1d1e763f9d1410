"""The short guide to RayService under KubeRay 1.1: what its types ask for, and high availability as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayrig_backends.memory import MemoryWorld
from rayrig_core.objects import JsonObject, annotations_of, labels_of
from rayrig_scenarios.api import Broken, Rig

GUIDE = Path(__file__).parents[3] / "shared" / "guides" / "rayservice-summary.md"


@pytest.fixture
def make() -> Callable[[], Rig]:
    def made() -> Rig:
        rig = Rig(seed=1, world_factory=lambda spec: MemoryWorld(replace(spec, profile="v1.1.0")))
        rig.node("gpu", count=2, cpu=40, memory="160Gi", gpus=2)
        return rig

    return made


def blocks() -> list[JsonObject]:
    if not GUIDE.exists():
        pytest.skip("the guide is not here")
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)]


def example(**worker: Any) -> JsonObject:
    (found,) = (block for block in blocks() if block.get("kind") == "RayService")
    found["spec"]["rayClusterConfig"]["workerGroupSpecs"][0] |= worker
    return found


def test_the_example_is_of_a_later_release_1_1_asks_for_start_parameters(make: Callable[[], Rig]) -> None:
    with pytest.raises(Broken, match=r"workerGroupSpecs\[0\].rayStartParams: Required value"):
        make().apply(example())


def test_with_them_it_runs(make: Callable[[], Rig]) -> None:
    rig = make()
    rig.apply(example(rayStartParams={}))
    rig.wait_ready("llm-service")
    rig.wait({"pods": {"service": "llm-service", "total": 3, "ready": 3}}, timeout="2m")
    service = rig.get("RayService", "llm-service")
    assert service["status"]["serviceStatus"] == "Running"
    assert rig.request("llm-service-serve-svc", "/llm").status == 200


def test_high_availability_as_it_stands_there_is_accepted_and_does_nothing(make: Callable[[], Rig]) -> None:
    """Later releases refuse it; this one looks at the annotation of the cluster alone."""
    (change,) = (block for block in blocks() if "redis-password" in yaml.safe_dump(block))
    head = change["spec"]["rayClusterConfig"]["headGroupSpec"]
    manifest = example(rayStartParams={})
    own = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]
    own["rayStartParams"] |= head["rayStartParams"]
    own["template"]["metadata"] = head["template"]["metadata"]
    own["template"]["spec"]["containers"][0]["env"] = head["template"]["spec"]["containers"][0]["env"]
    rig = make()
    rig.apply(manifest)
    rig.sleep("10s")
    (cluster,) = rig.objects("RayCluster")
    assert "finalizers" not in cluster["metadata"]
    (pod,) = (pod for pod in rig.objects("Pod") if labels_of(pod)["ray.io/node-type"] == "head")
    assert annotations_of(pod)["ray.io/ft-enabled"] == "false"
    environment = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    assert environment["REDIS_PASSWORD"] == "password"
    assert environment["RAY_REDIS_ADDRESS"] == "redis:6379"
