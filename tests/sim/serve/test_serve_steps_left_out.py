"""Steps in which nothing is due are left out; a run that carries every one of them out has the same trace."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_sim.serve.controller import ServeController
from rayrig_sim.serve.deployment import DeploymentState


def eventful(world: Any, app: Any) -> str:
    """Deploys, changes, a killed replica and proxy, a draining node, a restart, a removal."""
    world.add_node("w1", cpus=2)
    world.add_node("w2", cpus=2)
    watched = {"health_check_period_s": 3, "health_check_timeout_s": 1}
    world.put(app(num_replicas=3), app("m:probe", name="b", num_replicas=2, **watched))
    world.run(12)
    world.put(app("m:app2", num_replicas=2), app("m:probe", name="b", num_replicas=2, **watched))
    world.run(15)
    world.serve.replicas("a", "D")[0].process.crash()
    world.serve.proxy_processes()[0].crash()
    world.run(45)
    world.cluster.drain_node(world.nodes["w1"], None)
    world.run(20.05)
    world.serve.crash_controller()
    world.run(20)
    world.put(app("m:raises"), app("m:probe", name="b", ray_actor_options={"num_cpus": 99}, **watched))
    world.run(50)
    world.put()
    world.run(70)
    digest: str = world.kernel.trace.digest()
    return digest


def test_the_trace_is_that_of_a_run_with_all_steps(make_world: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    sparse = eventful(world, app)
    steps = world.serve.context.kernel.monotonic_ns() // 100_000_000
    monkeypatch.setattr(ServeController, "_plan_next", lambda self, now_ns: self.wake())
    full = make_world()
    assert eventful(full, app) == sparse
    assert steps > 2000


def test_all_parts_of_a_step_every_time_change_nothing_either(
    make_world: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = eventful(make_world(), app)
    monkeypatch.setattr(ServeController, "_plan_next", lambda self, now_ns: self.wake())
    monkeypatch.setattr(DeploymentState, "is_due", lambda self, now_ns: True)
    assert eventful(make_world(), app) == sparse


def test_equal_seeds_give_equal_traces_and_others_do_not(make_world: Any, app: Any) -> None:
    first, again, other = (eventful(make_world(seed=seed), app) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_an_idle_instance_takes_no_steps(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=3))
    world.run(5)
    steps, events = world.serve.controller.steps, len(world.kernel.trace)
    world.run(3600)
    assert (world.serve.controller.steps, len(world.kernel.trace)) == (steps, events)
