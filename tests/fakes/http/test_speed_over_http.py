"""The served fake is no slower than a real server (K8-087).

The only speeds that tests hold, because they are a numbered behaviour: by the server's own time on the processor, which a busy
machine hardly changes, and nine times what is asked or more. `benchmarks/kubernetes_http.py` measures them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.kubernetes_http import (
    CONFIG_MAPS,
    RAY_SERVICES,
    Client,
    Process,
    config_map,
    ray_service,
    with_watchers,
)
from rayrig_core.resources.crds import custom_resource_definitions

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the processor time of another process is read from /proc"
)


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
