"""Autoscaled deployments under load in the model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpFailure, HttpRequest
from rayrig_core.trace import Kind
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.identity import DeploymentId


def clients(world: Any, count: int, seconds: float, work_s: float = 0.5) -> list[int]:
    """Closed loops of requests that take `work_s` each; the list counts the answers."""
    ends = world.kernel.monotonic_ns() + round(seconds * 1e9)
    answers: list[int] = []

    async def client() -> None:
        while world.kernel.monotonic_ns() < ends:
            server = world.network.listener(world.nodes["head"].ip, 8000)
            body = f'{{"sleep": {work_s}}}'.encode()
            try:
                answers.append((await server.handle(HttpRequest.of("POST", "/a", body=body))).status)
            except HttpFailure:
                return

    for number in range(count):
        world.kernel.spawn(f"client {number}", client())
    return answers


def targets(world: Any) -> list[tuple[int, int]]:
    return [(e["from"], e["to"]) for e in world.kernel.trace.select(Kind.AUTOSCALE)]


FAST = {
    "min_replicas": 1,
    "max_replicas": 5,
    "upscale_delay_s": 2,
    "downscale_delay_s": 4,
    "metrics_interval_s": 1,
    "look_back_period_s": 2,
}


@pytest.mark.accepts("SV-055")
def test_load_brings_replicas_and_their_absence_takes_them(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", autoscaling_config=FAST, graceful_shutdown_wait_loop_s=0.5))
    answers = clients(world, 8, 15)
    world.run(6)
    assert targets(world)[0][0] == 1
    assert world.deployment()["target_num_replicas"] >= 4
    assert world.app()["status"] == "RUNNING"
    shown = {(e["status"], e["trigger"]) for e in world.kernel.trace.select(Kind.DEPLOYMENT)}
    assert ("UPSCALING", "AUTOSCALING") in shown
    world.run(30)
    assert world.deployment()["target_num_replicas"] == 1
    assert world.states() == {"RUNNING": 1}
    assert set(answers) == {200}


@pytest.mark.accepts("SV-129")
def test_a_request_wakes_a_deployment_without_replicas(world: Any, app: Any) -> None:
    config = {**FAST, "min_replicas": 0, "upscale_delay_s": 30}
    world.deploy(app("m:probe", autoscaling_config=config))
    world.run_until(lambda: world.deployment()["target_num_replicas"] == 0)
    world.run(5)
    assert world.states() == {}
    began = world.now_s
    answers = clients(world, 1, 0.1, work_s=0.01)
    world.run_until(lambda: world.deployment()["target_num_replicas"] == 1)
    # Noted after 0.4 s at most, reported 1 s after that at most. Recorded: 0.93, 1.01 and 1.19 s (golden/ray-serve S51).
    assert round(world.now_s - began, 2) == 1.0
    world.run_until(lambda: bool(answers))
    assert (answers[0], world.now_s - began < 5) == (200, True)


def test_an_idle_autoscaled_deployment_costs_no_steps(world: Any, app: Any) -> None:
    world.deploy(app(autoscaling_config={"min_replicas": 1, "max_replicas": 3}))
    world.run(60)
    steps = world.serve.controller.steps
    events = len(world.kernel.trace)
    world.run(300)
    assert world.serve.controller.steps - steps <= 40
    assert len(world.kernel.trace) == events


SLOW_TO_RISE = {**FAST, "upscale_delay_s": 12, "downscale_delay_s": 1000}


def highest_target(world: Any, seconds: float) -> int:
    world.run(seconds)
    return max((to for _, to in targets(world)), default=1)


@pytest.mark.accepts("SV-135")
def test_what_waited_in_a_handle_of_a_process_that_died_no_longer_counts(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", autoscaling_config=SLOW_TO_RISE))
    clients(world, 20, 5, work_s=1000)
    world.run(8)
    proxy = world.serve.proxy_processes()[0]
    proxy.crash()
    assert highest_target(world, 60) == 1, "nothing waits any more, and the wish to rise is forgotten at once"


@pytest.mark.accepts("SV-135")
def test_without_a_death_the_same_load_raises_the_target(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", autoscaling_config=SLOW_TO_RISE))
    clients(world, 20, 5, work_s=1000)
    assert highest_target(world, 68) == 5


@pytest.mark.accepts("SV-135")
@pytest.mark.parametrize(("metrics_interval_s", "forgotten_after_s"), [(1, 10), (8, 16)])
def test_a_driver_that_fell_silent_counts_until_its_last_report_is_too_old(
    world: Any, app: Any, metrics_interval_s: float, forgotten_after_s: float
) -> None:
    config = {**FAST, "metrics_interval_s": metrics_interval_s, "look_back_period_s": 300, "upscale_delay_s": 0.5}
    config["downscale_delay_s"] = 0.5
    world.deploy(app("m:probe", autoscaling_config=config))
    routers = world.serve.context.routers
    handle = DeploymentHandle(routers.router(DeploymentId("D", "a"), owner="driver"))
    for _ in range(8):
        handle.remote(_Body(b'{"sleep": 100000}'))
    world.run_until(lambda: world.deployment()["target_num_replicas"] == 4)
    # The last report is made at the end of an interval.
    world.run(2 * metrics_interval_s)
    routers.silent["driver"] = None
    silent_since = world.now_s
    world.run_until(lambda: world.deployment()["target_num_replicas"] == 1)
    took = world.now_s - silent_since
    assert forgotten_after_s - metrics_interval_s <= took <= forgotten_after_s + 2


class _Body:
    """As much of a request as the probe asks for."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def body(self) -> bytes:
        return self._body

    async def json(self) -> Any:
        return json.loads(self._body)
