"""What goes wrong with replicas: constructors, health checks, dying processes, resources that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.trace import Kind


def statuses(world: Any) -> list[tuple[str, str]]:
    return [(e["status"], e["trigger"]) for e in world.kernel.trace.select(Kind.DEPLOYMENT)]


def failed_starts(world: Any) -> int:
    return sum(e["state"] == "STARTING" for e in world.kernel.trace.select(Kind.REPLICA))


@pytest.mark.accepts("SV-073", "SV-075", "SV-076", "SV-112")
def test_a_constructor_that_raises(world: Any, app: Any) -> None:
    world.deploy(app("m:raises"))
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"]) == ("DEPLOY_FAILED", "REPLICA_STARTUP_FAILED")
    assert shown["message"].startswith("The deployment failed to start 3 times in a row.")
    assert shown["message"].rstrip().endswith("RuntimeError: constructor refused")
    assert world.app()["message"] == "Failed to update the deployments ['D']."
    messages = [e["message"].partition("\n")[0] for e in world.kernel.trace.select(Kind.DEPLOYMENT)]
    assert messages[1:3] == [
        f"A replica failed to start with exception. Retrying {left} more time(s). Error:" for left in (2, 1)
    ]
    starts = [e.t_s for e in world.kernel.trace.select(Kind.REPLICA) if e["state"] == "STARTING"]
    failures = [e.t_s for e in world.kernel.trace.select(Kind.REPLICA) if e["state"] == "STOPPING"]
    assert starts[1:] == failures[:2]
    world.run(60)
    assert world.deployment()["replicas"] == []
    assert failed_starts(world) == 3
    assert world.ask("/a") == (503, "Deployment(name='D', app='a') is unavailable because it failed to deploy.")
    world.put(app("m:raises", max_queued_requests=7))
    world.run(1)
    assert failed_starts(world) == 4


@pytest.mark.accepts("SV-074")
@pytest.mark.parametrize(("target", "failures"), [(4, 12), (10, 20)])
def test_how_many_failures_are_allowed(make_world: Any, app: Any, target: int, failures: int) -> None:
    world = make_world()
    world.deploy(app("m:raises", num_replicas=target))
    shown = world.deployment()
    assert shown["status"] == "DEPLOY_FAILED"
    counted = int(shown["message"].split()[5])
    # all that start together fail in one step
    assert failures <= counted < failures + target


@pytest.mark.accepts("SV-079")
def test_a_first_health_check_that_raises_is_a_failed_start(world: Any, app: Any) -> None:
    world.deploy(app("m:unready"))
    assert world.deployment()["status"] == "DEPLOY_FAILED"
    assert failed_starts(world) == 3


@pytest.mark.accepts("SV-082")
def test_reconfigure_that_raises_loses_the_running_replica(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", user_config={"text": "one"}))
    world.put(app("m:probe", user_config={"fail": "bad setting"}))
    world.run_until(lambda: world.app()["status"] == "DEPLOY_FAILED")
    world.run(3)
    shown = world.deployment()
    assert (shown["status"], shown["replicas"]) == ("DEPLOY_FAILED", [])
    assert shown["message"].startswith("The deployment failed to start 3 times in a row during a rolling update.")
    assert failed_starts(world) == 3
    world.deploy(app("m:probe", user_config={"text": "two"}))
    assert world.ask("/a") == (200, "v1 two")


@pytest.mark.accepts("SV-077")
def test_a_deployment_that_ran_once_is_tried_for_ever(world: Any, app: Any) -> None:
    world.deploy(app("m:fickle", health_check_period_s=1))
    code = world.serve.context.registry.build("m:fickle").deployments["D"].behaviour
    code.is_broken = True
    world.serve.replicas("a", "D")[0].process.crash()
    world.run(80)
    shown = world.deployment()
    assert failed_starts(world) > 25
    assert (shown["status"], world.app()["status"]) == ("UNHEALTHY", "UNHEALTHY")
    assert shown["message"].startswith("A replica failed to start with exception. Retrying. Error:")
    code.is_broken = False
    world.run_until(lambda: world.app()["status"] == "RUNNING")


@pytest.mark.accepts("SV-078")
def test_a_failed_rollout_is_frozen_and_the_rest_serves(world: Any, app: Any) -> None:
    options = {"num_replicas": 2, "graceful_shutdown_wait_loop_s": 0.5}
    world.deploy(app("m:probe", **options))
    world.deploy(app("m:raises", **options))
    assert world.app()["status"] == "DEPLOY_FAILED"
    world.run(3)
    assert world.states() == {"RUNNING": 1}
    assert failed_starts(world) == 2 + 6
    assert world.ask("/a") == (200, "v1")
    world.put(app("m:raises", **{**options, "num_replicas": 3}))
    world.run(10)
    assert failed_starts(world) == 2 + 6
    world.deploy(app("m:probe2", **options))
    assert world.states() == {"RUNNING": 2}
    assert world.app()["status"] == "RUNNING"


@pytest.mark.accepts("SV-080")
def test_a_replica_that_cannot_be_placed_is_told_after_30_s(world: Any, app: Any) -> None:
    world.put(app(ray_actor_options={"num_cpus": 100}))
    world.run(4.2)
    began = world.now_s
    world.run(29.5)
    assert world.deployment()["message"] == ""
    world.run(0.7)
    shown = world.deployment()
    assert shown["message"] == (
        "Deployment 'D' in application 'a' has 1 replicas that have taken more than 30s to be scheduled. This may be due to "
        "waiting for the cluster to auto-scale or for a runtime environment to be installed. Resources required for each "
        'replica: {"CPU": 100.0}, total resources available: {"CPU": 4.0}. Use `ray status` for more details.'
    )
    assert (shown["status"], world.app()["status"]) == ("UPDATING", "DEPLOYING")
    world.run(300)
    assert world.now_s - began > 300
    assert len(statuses(world)) == 2


@pytest.mark.accepts("SV-081")
def test_a_constructor_that_hangs_is_told_after_30_s(world: Any, app: Any) -> None:
    world.put(app("m:hangs"))
    world.run(40)
    shown = world.deployment()
    assert shown["message"] == (
        "Deployment 'D' in application 'a' has 1 replicas that have taken more than 30s to initialize.\n"
        "This may be caused by a slow __init__ or reconfigure method."
    )
    assert shown["status"] == "UPDATING"


HEALTHY_FAST = {
    "health_check_period_s": 1,
    "health_check_timeout_s": 2,
    "graceful_shutdown_wait_loop_s": 0.3,
}


@pytest.mark.accepts("SV-090", "SV-054")
def test_health_checks_that_raise(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", **HEALTHY_FAST))
    (old,) = world.ids()
    world.ask("/a", body=b'{"health": "raise"}')
    began = world.now_s
    world.run_until(lambda: world.app()["status"] == "UNHEALTHY")
    assert 2 <= world.now_s - began <= 4
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"]) == ("UNHEALTHY", "HEALTH_CHECK_FAILED")
    assert world.states() == {"STOPPING": 1, "STARTING": 1}
    assert world.app()["message"] == "The deployments ['D'] are UNHEALTHY."
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"]) == ("HEALTHY", "UNSPECIFIED")
    assert world.app()["message"] == ""
    assert [(dead["replica_id"], dead["state"]) for dead in shown["recent_dead_replicas"]] == [(old, "STOPPED")]


@pytest.mark.accepts("SV-091")
def test_health_checks_that_hang(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", **HEALTHY_FAST))
    world.ask("/a", body=b'{"health": "hang"}')
    began = world.now_s
    world.run_until(lambda: world.app()["status"] == "UNHEALTHY")
    assert 6 <= world.now_s - began <= 8


@pytest.mark.accepts("SV-092")
def test_two_failed_checks_and_a_good_one_do_nothing(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", **HEALTHY_FAST))
    ids = world.ids()
    for _ in range(4):
        world.ask("/a", body=b'{"health": "raise"}')
        world.run(1.9)
        world.ask("/a", body=b'{"health": "ok"}')
        world.run(1.3)
    assert world.ids() == ids
    assert statuses(world)[-1] == ("HEALTHY", "CONFIG_UPDATE_COMPLETED")


@pytest.mark.accepts("SV-093")
def test_a_failing_check_during_the_first_deployment(world: Any, app: Any) -> None:
    world.add_node("worker", cpus=1)
    world.put(app("m:probe", num_replicas=5, ray_actor_options={"num_cpus": 1}, **HEALTHY_FAST))
    world.put(app("m:probe", num_replicas=6, ray_actor_options={"num_cpus": 1}, **HEALTHY_FAST))
    world.run(8)
    assert world.states() == {"RUNNING": 5, "STARTING": 1}
    world.ask("/a", body=b'{"health": "raise"}')
    world.run(4)
    assert ("DEPLOY_FAILED", "HEALTH_CHECK_FAILED") in statuses(world)


@pytest.mark.accepts("SV-089")
def test_a_killed_process_is_noticed_at_the_next_check(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", num_replicas=2, health_check_period_s=2))
    victim = world.serve.replicas("a", "D")[0]
    world.run(5)
    victim.process.crash()
    assert world.states() == {"RUNNING": 2}
    assert world.ask("/a") == (200, "v1")
    waited = world.run_until(lambda: world.app()["status"] == "UNHEALTHY")
    assert waited <= 2.3
    assert world.states() == {"RUNNING": 1, "STARTING": 1}
    world.run_until(lambda: world.app()["status"] == "RUNNING")


def test_a_request_in_a_killed_process_gets_500(world: Any, app: Any) -> None:
    world.deploy(app("m:probe"))
    world.kernel.call_later(1_000_000_000, lambda _: world.serve.replicas("a", "D")[0].process.crash())
    began = world.now_s
    assert world.ask("/a", body=b'{"sleep": 5}') == (500, "Internal Server Error")
    assert world.now_s - began == pytest.approx(1, abs=0.01)


@pytest.mark.accepts("SV-099")
def test_the_last_ten_dead_replicas_are_listed(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", **HEALTHY_FAST))
    died = []
    for _ in range(12):
        replica = world.serve.replicas("a", "D")[0]
        died.append(replica.replica_id)
        replica.process.crash()
        world.run(0.1)
        world.run_until(lambda: world.states() == {"RUNNING": 1} and world.ids() != [died[-1]])
    assert [dead["replica_id"] for dead in world.deployment()["recent_dead_replicas"]] == died[-10:]


def remove_later(world: Any) -> None:
    """PUT an empty list in a second."""

    def put(_: Any) -> None:
        world.kernel.spawn("user", world.serve.deploy({"applications": []}))

    world.kernel.call_later(1_000_000_000, put)


@pytest.mark.accepts("SV-086")
def test_an_idle_replica_stops_within_its_wait_loop(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=2))
    world.put(app(num_replicas=1))
    world.run_until(lambda: "STOPPING" in world.states(), step_s=0.01)
    lasted = world.run_until(lambda: "STOPPING" not in world.states(), step_s=0.01)
    assert 2.0 <= lasted <= 2.3
    assert world.deployment()["recent_dead_replicas"][0]["state"] == "STOPPED"


@pytest.mark.accepts("SV-087")
def test_a_request_in_progress_is_finished_before_the_replica_ends(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", graceful_shutdown_wait_loop_s=0.5))
    remove_later(world)
    assert world.ask("/a", body=b'{"sleep": 5}') == (200, "slept 5")
    left = world.run_until(lambda: not world.apps(), step_s=0.01)
    assert left <= 0.5 + 0.3


@pytest.mark.accepts("SV-088")
def test_a_request_longer_than_the_grace_is_cut(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", graceful_shutdown_timeout_s=2))
    began = world.now_s
    remove_later(world)
    assert world.ask("/a", body=b'{"sleep": 60}', timeout_s=90) == (500, "Internal Server Error")
    assert world.now_s - began == pytest.approx(1 + 0.1 + 2, abs=0.15)
