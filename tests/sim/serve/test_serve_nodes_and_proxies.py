"""Nodes and proxies: where replicas go, which nodes have a proxy, draining, lost machines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rayrig_core.errors import ServeStartFailed
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant

PINNED = {"num_cpus": 0.1, "resources": {"w1": 0.1}}


def two_workers(world: Any) -> None:
    world.add_node("w1", cpus=2, w1=1)
    world.add_node("w2", cpus=2, w2=1)


def nodes_of(world: Any, name: str = "D", app: str = "a") -> list[str]:
    return [r.get("node_instance_id") for r in world.deployment(name, app)["replicas"]]


@pytest.mark.accepts("SV-100")
def test_nodes_with_a_replica_and_the_head_have_a_proxy(world: Any, app: Any) -> None:
    two_workers(world)
    world.deploy(app(ray_actor_options=PINNED))
    world.run(3)
    assert world.proxies() == {"head": "HEALTHY", "w1": "HEALTHY"}
    assert world.ask("/a", "w1") == (200, "ok")
    assert world.ask("/-/healthz", "w2") == "refused"


def test_a_worker_gets_its_proxy_when_its_replica_got_its_node(world: Any, app: Any) -> None:
    two_workers(world)
    world.put(app(ray_actor_options=PINNED))
    world.run_until(lambda: world.now_s > 10)
    story = [line for line in world.story(Kind.PROXY, Kind.REPLICA) if line[0] > 1]
    assert [(t, s[0]) for t, _, s in story] == [
        (2.0, "HEALTHY"),
        (4.1, "STARTING"),
        (4.1, "STARTING"),
        (6.1, "RUNNING"),
        (6.6, "HEALTHY"),
    ]


@pytest.mark.accepts("SV-101")
def test_a_proxy_without_replica_drains_for_30_s(world: Any, app: Any) -> None:
    two_workers(world)
    kept = app(name="b", ray_actor_options={"num_cpus": 0.1, "resources": {"w2": 0.1}})
    world.deploy(app(ray_actor_options=PINNED, graceful_shutdown_wait_loop_s=0.5), kept)
    world.run(4)
    world.put(kept)
    world.run(0.3)
    assert world.proxies()["w1"] == "DRAINING"
    for path in ("/-/healthz", "/-/routes"):
        assert world.ask(path, "w1") == (503, "This node is being drained.")
    assert world.ask("/b", "w1") == (200, "ok")
    lasted = world.run_until(lambda: "w1" not in world.proxies())
    assert 30 <= lasted + 0.3 <= 36
    assert world.ask("/b", "w1") == "refused"


@pytest.mark.accepts("SV-102")
def test_a_draining_proxy_is_taken_back(world: Any, app: Any) -> None:
    two_workers(world)
    pinned = app(ray_actor_options=PINNED, graceful_shutdown_wait_loop_s=0.5)
    world.deploy(pinned)
    world.run(4)
    process = world.serve.proxy_processes()[1]
    world.put()
    world.run(3)
    assert world.proxies()["w1"] == "DRAINING"
    world.deploy(pinned)
    assert world.proxies()["w1"] == "HEALTHY"
    assert world.serve.proxy_processes()[1] is process
    assert world.ask("/-/healthz", "w1") == (200, "success")


@pytest.mark.accepts("SV-103")
@pytest.mark.parametrize(("location", "proxies"), [("HeadOnly", {"head": "HEALTHY"}), ("Disabled", {})])
def test_proxy_location(make_world: Any, app: Any, location: str, proxies: dict[str, str]) -> None:
    world = make_world()
    two_workers(world)
    world.deploy(app(ray_actor_options=PINNED), proxy_location=location)
    world.run(5)
    assert world.app()["status"] == "RUNNING"
    assert world.proxies() == proxies
    assert world.ask("/-/healthz", "w1") == "refused"


@pytest.mark.accepts("SV-104", "SV-105")
def test_health_of_head_and_worker_proxies(world: Any, app: Any) -> None:
    two_workers(world)
    world.put(app("m:hangs", ray_actor_options=PINNED))
    world.run(10)
    assert world.ask("/-/healthz") == (200, "success")
    assert world.ask("/-/healthz", "w1") == (503, "No replicas are available yet.")
    world.deploy(app(ray_actor_options=PINNED, health_check_period_s=60))
    assert world.ask("/-/healthz", "w1") == (200, "success")
    world.serve.replicas("a", "D")[0].process.crash()
    world.run(0.2)
    assert world.ask("/-/healthz", "w1") == (200, "success")


@pytest.mark.accepts("SV-113")
def test_a_killed_proxy_is_replaced_after_three_checks(world: Any, app: Any) -> None:
    two_workers(world)
    world.deploy(app(ray_actor_options=PINNED))
    world.run(6)
    world.serve.proxy_processes()[0].crash()
    assert world.ask("/a") == "refused"
    assert world.ask("/a", "w1") == (200, "ok")
    assert world.proxies()["head"] == "HEALTHY"
    lasted = world.run_until(lambda: world.ask("/a") == (200, "ok"))
    assert 20 <= lasted <= 35


def test_a_hanging_proxy_is_replaced_too(world: Any, app: Any) -> None:
    world.deploy(app())
    world.run(3)
    world.serve.proxy_processes()[0].set_hanging(True)
    assert world.ask("/a", timeout_s=1) == "timeout"
    lasted = world.run_until(lambda: world.proxies()["head"] == "STARTING")
    assert 25 <= lasted <= 45
    world.run(3)
    assert world.ask("/a") == (200, "ok")


@pytest.mark.accepts("SV-116")
def test_a_proxy_that_is_not_ready_is_restarted_with_more_time(make_world: Any, app: Any) -> None:
    world = make_world()
    world.cluster.calibration = replace(world.cluster.calibration, proxy_start=Constant(18.0))
    world.serve.context.calibration = world.cluster.calibration
    answered = world.put(app())
    world.run(40)
    assert isinstance(answered.value, ServeStartFailed)
    story = [(t, s[0]) for t, _, s in world.story(Kind.PROXY)]
    assert story == [(1.0, "STARTING"), (16.0, "UNHEALTHY"), (16.1, "STARTING"), (34.1, "HEALTHY")]


def test_replicas_are_spread_over_nodes(world: Any, app: Any) -> None:
    two_workers(world)
    world.deploy(app(num_replicas=3))
    assert sorted(nodes_of(world)) == ["head", "w1", "w2"]


@pytest.mark.accepts("SV-098")
def test_max_replicas_per_node(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    two_workers(world)
    world.put(app(num_replicas=3, max_replicas_per_node=1))
    world.run(8)
    assert world.states() == {"RUNNING": 2, "STARTING": 1}
    assert sorted(n for n in nodes_of(world) if n) == ["w1", "w2"]
    world.add_node("w3", cpus=2)
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert sorted(nodes_of(world)) == ["w1", "w2", "w3"]


def test_a_freed_gpu_goes_to_the_replica_that_waits(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    world.add_node("g1", cpus=4, GPU=1)
    on_gpu = {"ray_actor_options": {"num_cpus": 0.1, "num_gpus": 1}, "graceful_shutdown_wait_loop_s": 0.5}
    world.deploy(app(**on_gpu))
    world.put(app(**on_gpu), app(name="b", **on_gpu))
    world.run(10)
    assert world.deployment(app="b")["replicas"][0].get("node_id") is None
    world.put(app(name="b", **on_gpu))
    world.run_until(lambda: world.app("b")["status"] == "RUNNING")


@pytest.mark.accepts("SV-094")
def test_the_emptiest_node_loses_its_replica_first(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    world.add_node("w1", cpus=2)
    world.deploy(app(num_replicas=2))
    world.add_node("w2", cpus=2)
    world.deploy(app(num_replicas=3))
    assert sorted(nodes_of(world)) == ["w1", "w1", "w2"]
    world.deploy(app(num_replicas=2))
    assert nodes_of(world) == ["w1", "w1"]
    world.put(app(num_replicas=3, ray_actor_options={"num_cpus": 0.1}))
    world.run(1)
    running = set(world.ids()[:2])
    world.put(app(num_replicas=2))
    world.run(0.2)
    assert {r["replica_id"] for r in world.deployment()["replicas"] if r["state"] == "RUNNING"} == running


@pytest.mark.accepts("SV-095")
def test_workers_lose_replicas_before_the_head(world: Any, app: Any) -> None:
    world.add_node("w1", cpus=4)
    world.deploy(app(num_replicas=2))
    assert sorted(nodes_of(world)) == ["head", "w1"]
    world.deploy(app(num_replicas=1))
    assert nodes_of(world) == ["head"]


@pytest.mark.accepts("SV-096")
def test_the_newer_of_two_on_a_node_goes(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=1))
    (old,) = world.ids()
    world.deploy(app(num_replicas=2))
    world.deploy(app(num_replicas=1))
    assert world.ids() == [old]


@pytest.mark.accepts("SV-097")
def test_replicas_move_off_a_draining_node(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    world.add_node("w1", cpus=2)
    world.deploy(app())
    world.run(3)
    world.cluster.drain_node(world.nodes["w1"], None)
    world.run(0.2)
    assert world.states() == {"PENDING_MIGRATION": 1, "STARTING": 1}
    assert world.ask("/a") == (200, "ok")
    world.run(20)
    assert world.states() == {"PENDING_MIGRATION": 1, "STARTING": 1}
    world.add_node("w2", cpus=2)
    world.run_until(lambda: "STOPPING" in world.states())
    assert world.states() == {"STOPPING": 1, "RUNNING": 1}
    world.run(3)
    assert nodes_of(world) == ["w2"]


def test_a_migrating_replica_is_stopped_in_time_for_the_deadline(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    world.add_node("w1", cpus=2)
    world.deploy(app())
    deadline_s = world.now_s + 60
    world.cluster.drain_node(world.nodes["w1"], round(deadline_s * 1e9))
    world.run_until(lambda: "STOPPING" in world.states())
    assert world.now_s == pytest.approx(deadline_s - 20, abs=0.2)


@pytest.mark.accepts("SV-141")
def test_a_node_that_is_gone_is_noticed_in_the_next_step(make_world: Any, app: Any) -> None:
    world = make_world(head_cpus=0)
    two_workers(world)
    world.deploy(app(num_replicas=2, max_replicas_per_node=1))
    world.run(4)
    world.cluster.remove_node(world.nodes["w1"], "stopped")
    world.run(0.2)
    assert (world.deployment()["status"], world.app()["status"]) == ("UNHEALTHY", "UNHEALTHY")
    assert world.states() == {"RUNNING": 1, "STARTING": 1}
    assert set(world.proxies()) == {"head", "w2"}
    assert len(world.deployment()["recent_dead_replicas"]) == 1
    world.add_node("w3", cpus=2)
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert world.deployment()["status_trigger"] == "UNSPECIFIED"
