"""The controller dies and comes back: what survives, and that nobody notices who only sends requests."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ServeStartFailed, ServeUnavailable


def restart(world: Any) -> None:
    world.serve.crash_controller()
    with pytest.raises(ServeUnavailable):
        world.serve.details()
    world.run_until(lambda: world.serve.controller is not None, step_s=0.01)


@pytest.mark.accepts("SV-136", "SV-137")
def test_a_running_application_survives_its_controller(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", num_replicas=2))
    ids, deployed = world.ids(), world.app()["last_deployed_time_s"]
    began = [r["start_time_s"] for r in world.deployment()["replicas"]]
    proxy = world.serve.proxy_processes()[0]
    world.run(5)
    world.serve.crash_controller()
    assert world.ask("/a") == (200, "v1")
    world.run_until(lambda: world.serve.controller is not None, step_s=0.01)
    assert world.states() == {"RECOVERING": 2}
    assert world.app()["status"] == "DEPLOYING"
    assert world.proxies() == {}
    assert world.ask("/a") == (200, "v1")
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert (world.ids(), world.states()) == (ids, {"RUNNING": 2})
    assert world.app()["last_deployed_time_s"] == deployed
    assert all(r["start_time_s"] > began[0] + 5 for r in world.deployment()["replicas"])
    world.run(1)
    assert world.proxies() == {"head": "HEALTHY"}
    assert world.serve.proxy_processes()[0] is proxy
    world.deploy(app("m:probe", num_replicas=1))
    assert world.states() == {"RUNNING": 1}


@pytest.mark.accepts("SV-136")
def test_no_request_fails_meanwhile(world: Any, app: Any) -> None:
    world.deploy(app("m:probe"))
    world.serve.crash_controller()
    for _ in range(60):
        assert world.ask("/a") == (200, "v1")
        world.run(0.05)
    assert world.app()["status"] == "RUNNING"


@pytest.mark.accepts("SV-138")
def test_a_count_from_the_scale_api_is_kept(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=1, external_scaler_enabled=True))
    world.serve.scale("a", "D", 3)
    world.run(4)
    restart(world)
    world.run(3)
    assert world.deployment()["target_num_replicas"] == 3
    assert world.states() == {"RUNNING": 3}


@pytest.mark.accepts("SV-139")
def test_a_failed_rollout_stays_failed(world: Any, app: Any) -> None:
    options = {"num_replicas": 2, "graceful_shutdown_wait_loop_s": 0.5}
    world.deploy(app("m:probe", **options))
    world.deploy(app("m:raises", **options))
    assert world.app()["status"] == "DEPLOY_FAILED"
    world.run(3)
    restart(world)
    world.run(20)
    assert (world.app()["status"], world.states()) == ("DEPLOY_FAILED", {"RUNNING": 1})
    assert "had failed before" in world.deployment()["message"]
    assert world.ask("/a") == (200, "v1")


def test_replicas_that_had_not_started_are_replaced_without_counting(world: Any, app: Any) -> None:
    world.put(app("m:slow"))
    world.run(5)
    assert world.states() == {"STARTING": 1}
    (before,) = world.ids()
    restart(world)
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert world.ids() != [before]
    assert world.deployment()["message"] == ""


def test_an_application_that_was_being_built_is_built_again(world: Any, app: Any) -> None:
    world.put(app())
    world.run(2.5)
    restart(world)
    world.run_until(lambda: world.app()["status"] == "RUNNING")


def test_a_controller_that_dies_before_its_first_document_comes_back_too(world: Any, app: Any) -> None:
    answered = world.put(app())
    world.run(1.5)
    restart(world)
    assert isinstance(answered.value, ServeStartFailed)
    world.deploy(app())
    assert world.app()["status"] == "RUNNING"


def test_a_controller_killed_for_good_comes_back_with_the_next_document(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", num_replicas=2))
    ids, proxy = world.ids(), world.serve.proxy_processes()[0]
    actor = world.serve.controller.actor
    actor.is_final = True
    world.cluster.actor_died(actor, "killed")
    world.run(30)
    assert (world.serve.is_running, world.apps()) == (False, {})
    assert world.ask("/a") == (200, "v1")
    answered = world.put(app("m:probe", num_replicas=2))
    world.run_until(lambda: answered.is_done)
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert (world.ids(), world.serve.proxy_processes()) == (ids, [proxy])
    assert world.ask("/a") == (200, "v1")


def test_a_look_at_a_controller_that_restarts_waits_for_it(world: Any, app: Any) -> None:
    world.deploy(app())
    world.serve.crash_controller()
    began = world.now_s
    looked = world.kernel.spawn("user", world.serve.answering())
    world.run_until(lambda: looked.is_done, step_s=0.01)
    assert round(world.now_s - began, 1) == 1.0


def test_missing_replicas_are_started(world: Any, app: Any) -> None:
    world.add_node("w1", cpus=2)
    world.deploy(app(num_replicas=2))
    world.serve.crash_controller()
    world.cluster.remove_node(world.nodes["w1"], "stopped")
    world.run_until(lambda: world.serve.controller is not None and world.app()["status"] == "RUNNING")
    assert world.states() == {"RUNNING": 2}


@pytest.mark.accepts("SV-142")
def test_a_shutdown_goes_on_after_a_crash(world: Any, app: Any) -> None:
    world.deploy(app())
    done: list[float] = []

    async def delete() -> None:
        await world.serve.shutdown()
        done.append(world.now_s)

    world.kernel.spawn("user", delete())
    world.run(0.5)
    world.serve.crash_controller()
    world.run(10)
    assert len(done) == 1
    assert world.serve.details()["applications"] == {}
    assert not world.serve.is_running
    assert world.cluster.available_resources() == world.cluster.total_resources()
