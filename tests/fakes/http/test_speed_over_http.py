"""How fast the served fake answers, by its own time on the processor: a busy machine makes no difference (K8-086, K8-087)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.kubernetes_http import CONFIG_MAPS, Client, Process, config_map, with_watchers
from rayrig_core.resources.crds import custom_resource_definitions

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the processor time of another process is read from /proc"
)

RAY_SERVICES = "/apis/ray.io/v1/namespaces/default/rayservices"


def ray_service(name: str) -> bytes:
    head = {"rayStartParams": {}, "template": {"spec": {"containers": [{"name": "ray-head", "image": "ray:2"}]}}}
    spec = {"serveConfigV2": "applications: []", "rayClusterConfig": {"headGroupSpec": head}}
    return json.dumps(
        {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": name}, "spec": spec}
    ).encode()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    definitions: Path = tmp_path_factory.mktemp("crds") / "ray.json"
    definitions.write_text(json.dumps(custom_resource_definitions()))
    with Process("--crd", str(definitions)) as running:
        yield running


def per_second(process: Process, count: int, work: Callable[[], object]) -> float:
    """What it would do with a processor of its own."""
    before = process.cpu_s
    work()
    return count / max(process.cpu_s - before, 0.01)


def send(process: Process, method: str, path: str, bodies: list[bytes], wanted: int) -> Callable[[], None]:
    def one_after_the_other() -> None:
        client = Client(process.port)
        try:
            for body in bodies:
                assert client.send(method, path, body) == wanted
        finally:
            client.close()

    return one_after_the_other


@pytest.mark.accepts("K8-087")
def test_config_maps_are_created_and_read_faster_than_by_a_real_server(process: Process) -> None:
    bodies = [config_map(f"c-{number}") for number in range(1000)]
    assert per_second(process, 1000, send(process, "POST", CONFIG_MAPS, bodies, 201)) >= 500
    assert per_second(process, 1000, send(process, "GET", f"{CONFIG_MAPS}/c-1", [b""] * 1000, 200)) >= 850


@pytest.mark.accepts("K8-087")
def test_ray_services_are_created_and_listed_faster_than_by_a_real_server(process: Process) -> None:
    bodies = [ray_service(f"s-{number}") for number in range(1000)]
    assert per_second(process, 1000, send(process, "POST", RAY_SERVICES, bodies, 201)) >= 300
    lists = per_second(process, 10, send(process, "GET", RAY_SERVICES, [b""] * 10, 200))
    assert 1 / lists <= 0.055


@pytest.mark.accepts("K8-087")
def test_a_hundred_watchers_are_told_of_every_event() -> None:
    with Process() as process:
        # The fewest events that a watcher saw are checked there.
        rate = per_second(process, 100 * 200, lambda: with_watchers(process.port, 100, 200))
    assert rate >= 20_000


@pytest.mark.accepts("K8-086")
def test_it_is_ready_within_a_third_of_a_second_of_processor_time() -> None:
    times = []
    for _ in range(3):
        with Process() as process:
            times.append(process.cpu_s)
    assert min(times) <= 0.35
