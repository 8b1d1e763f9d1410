"""Requests to the API server as they are, in the world in memory: they take time, and faults strike them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig.apiserver.simulated import SimulatedApiServer
from rayrig_backends.api_rules import ApiRule
from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import NodeSpec, WorldSpec
from rayrig_core.faultpoints import CrashAfter, CrashBefore, Delay, ErrorBefore, LostReply, Reaction, StaleRead
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.ports import Cancelled
from rayrig_core.resource_types import CONFIG_MAP
from rayrig_core.trace import Kind

MAPS = "/api/v1/namespaces/default/configmaps"
JOBS = "/apis/ray.io/v1/namespaces/default/rayjobs"
JOB = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "j"}, "spec": {"entrypoint": "x"}}


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld(WorldSpec(nodes=(NodeSpec(),)))


def asked(world: MemoryWorld, method: str, path: str, body: Any = None, timeout_s: float = 10.0) -> Any:
    """The answer, or what was raised instead."""
    found: list[HttpResponse | BaseException] = []
    http = world.http_and_kubernetes("me")
    data = b"" if body is None else json.dumps(body).encode()

    async def ask() -> None:
        try:
            found.append(await http.request(method, f"kubernetes://{path}", body=data, timeout_s=timeout_s))
        except (HttpFailure, Cancelled) as error:
            found.append(error)

    world.run_until(world.spawn("test", ask()))
    return found[0]


def strike(world: MemoryWorld, reaction: Reaction, verb: str) -> None:
    world.rules.add(ApiRule(reaction, actor="me", verb=verb, resource="configmaps", left=1))


def map_named(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_a_request_takes_as_long_as_a_call(world: MemoryWorld) -> None:
    assert asked(world, "GET", MAPS).status == 200
    assert 0 < world.kernel.monotonic_ns() < 100_000_000


def test_a_fault_before_and_one_after_the_effect(world: MemoryWorld) -> None:
    strike(world, ErrorBefore(503, "ServiceUnavailable", "later"), "create")
    refused = asked(world, "POST", MAPS, map_named("a"))
    assert (refused.status, refused.json()["message"]) == (503, "later")
    assert asked(world, "GET", f"{MAPS}/a").status == 404
    strike(world, LostReply(504, "Timeout", "lost"), "create")
    assert asked(world, "POST", MAPS, map_named("a")).status == 504
    assert asked(world, "GET", f"{MAPS}/a").status == 200
    struck = [event.subject for event in world.trace.select(Kind.FAULT)]
    assert struck == ["configmaps/default/a"] * 2


def test_who_crashes_hears_nothing(world: MemoryWorld) -> None:
    strike(world, CrashBefore(), "create")
    assert isinstance(asked(world, "POST", MAPS, map_named("a")), Cancelled)
    assert world.objects(CONFIG_MAP, "default") == []
    strike(world, CrashAfter(), "create")
    assert isinstance(asked(world, "POST", MAPS, map_named("a")), Cancelled)
    assert len(world.objects(CONFIG_MAP, "default")) == 1


def test_a_delay_is_waited_for_as_long_as_the_caller_waits(world: MemoryWorld) -> None:
    strike(world, Delay(2.0), "list")
    assert asked(world, "GET", MAPS).status == 200
    assert world.kernel.monotonic_ns() > 2_000_000_000
    strike(world, Delay(2.0), "list")
    late = asked(world, "GET", MAPS, timeout_s=1.0)
    assert late.failure is Failure.TIMEOUT


def test_a_stale_read_shows_what_was(world: MemoryWorld) -> None:
    asked(world, "POST", MAPS, map_named("a"))
    strike(world, StaleRead(1), "list")
    assert asked(world, "GET", MAPS).json()["items"] == []
    assert len(asked(world, "GET", MAPS).json()["items"]) == 1


def test_a_log_that_is_followed_never_ends() -> None:
    from rayrig_scenarios.api import Rig

    rig = Rig()
    rig.apply("fruit-stand")
    rig.wait_ready("fruit-stand", timeout="5m")
    world = rig.world
    pod = rig.objects("Pod")[0]["metadata"]["name"]
    before_ns = world.runtime.monotonic_ns()
    path = f"/api/v1/namespaces/default/pods/{pod}/log?follow=true"
    assert isinstance(asked(world, "GET", path), HttpFailure)  # type: ignore[arg-type]
    assert world.runtime.monotonic_ns() - before_ns > 10_000_000_000


@pytest.mark.accepts("AS-063", "AS-064")
def test_v2_tries_again_what_the_world_lets_fail(world: MemoryWorld) -> None:
    api = SimulatedApiServer(world)
    busy = ErrorBefore(503, "ServiceUnavailable", "later")
    world.rules.add(ApiRule(busy, actor="kuberay-apiserver", verb="list", resource="rayjobs", left=2))
    assert api.request("GET", JOBS).status == 200
    assert 1_500_000_000 < world.kernel.monotonic_ns() < 1_600_000_000
    lost = LostReply(500, "InternalError", "lost")
    world.rules.add(ApiRule(lost, actor="kuberay-apiserver", verb="create", resource="rayjobs", left=1))
    again = api.request("POST", JOBS, JOB)
    assert (again.status, again.json()["reason"]) == (409, "AlreadyExists")
