"""Changes of a running application: what restarts, what is reconfigured, how a rollout goes."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.trace import Kind


def bounds_during(world: Any, condition: Any, app: str = "a") -> dict[str, tuple[int, int]]:
    """Least and most replicas by state, looked at every 0.05 s until the condition holds."""
    seen: dict[str, list[int]] = {state: [] for state in ("RUNNING", "STARTING", "UPDATING", "STOPPING")}

    def look() -> bool:
        if "D" in world.app(app)["deployments"]:
            states = world.states(app=app)
            for state, counts in seen.items():
                counts.append(states.get(state, 0))
        return bool(condition())

    world.run_until(look)
    return {state: (min(counts), max(counts)) for state, counts in seen.items()}


def is_settled(world: Any) -> bool:
    return world.app()["status"] == "RUNNING"


@pytest.mark.accepts("SV-015")
def test_an_unchanged_document_changes_nothing_but_the_time(world: Any, app: Any) -> None:
    world.deploy(app())
    ids, deployed = world.ids(), world.app()["last_deployed_time_s"]
    world.run(5)
    world.put(app())
    world.run(0.001)
    assert (world.app()["status"], world.app()["message"]) == ("DEPLOYING", "")
    assert world.app()["last_deployed_time_s"] > deployed
    world.run(0.3)
    assert world.app()["status"] == "RUNNING"
    assert world.ids() == ids


@pytest.mark.accepts("SV-061", "SV-062")
def test_changed_counts_scale(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=1))
    world.put(app(num_replicas=3))
    world.run(0.01)
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"], shown["message"]) == (
        "UPSCALING",
        "CONFIG_UPDATE_STARTED",
        "Upscaling from 1 to 3 replicas.",
    )
    world.run_until(lambda: is_settled(world))
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"], shown["message"]) == ("HEALTHY", "UPSCALE_COMPLETED", "")
    world.put(app(num_replicas=1))
    world.run(1)
    shown = world.deployment()
    assert (shown["status"], shown["message"]) == ("DOWNSCALING", "Downscaling from 3 to 1 replicas.")
    assert world.states() == {"RUNNING": 1, "STOPPING": 2}
    world.run_until(lambda: is_settled(world))
    assert world.states() == {"RUNNING": 1}
    assert world.deployment()["status_trigger"] == "DOWNSCALE_COMPLETED"


@pytest.mark.accepts("SV-063")
def test_a_newly_listed_count_is_an_update(world: Any, app: Any) -> None:
    world.deploy(app())
    world.put(app(num_replicas=3))
    world.run(0.01)
    shown = world.deployment()
    assert (shown["status"], shown["status_trigger"], shown["message"]) == ("UPDATING", "CONFIG_UPDATE_STARTED", "")


@pytest.mark.accepts("SV-064")
def test_user_config_goes_to_the_same_replica(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", user_config={"text": "one"}))
    ids = world.ids()
    assert world.ask("/a") == (200, "v1 one")
    world.put(app("m:probe", user_config={"text": "two"}))
    world.run_until(lambda: is_settled(world))
    assert world.ids() == ids
    assert world.ask("/a") == (200, "v1 two")
    states = [e["state"] for e in world.kernel.trace.select(Kind.REPLICA)]
    assert states == ["STARTING", "RUNNING", "UPDATING", "RUNNING"]


def test_requests_wait_while_the_only_replica_reconfigures(world: Any, app: Any) -> None:
    world.deploy(app("m:probe", user_config={"text": "one"}))
    world.put(app("m:probe", user_config={"text": "two", "delay": 3}))
    world.run(0.5)
    assert world.states() == {"UPDATING": 1}
    began = world.now_s
    assert world.ask("/a") == (200, "v1 two")
    assert world.now_s - began > 2


@pytest.mark.accepts("SV-065")
@pytest.mark.parametrize("option", [{"max_queued_requests": 3}, {"health_check_period_s": 7}])
def test_options_that_touch_no_replica(world: Any, app: Any, option: dict[str, Any]) -> None:
    world.deploy(app())
    world.put(app(**option))
    world.run(0.01)
    assert world.deployment()["status"] == "UPDATING"
    world.run(0.3)
    assert world.deployment()["status"] == "HEALTHY"
    assert [e["state"] for e in world.kernel.trace.select(Kind.REPLICA)] == ["STARTING", "RUNNING"]


@pytest.mark.accepts("SV-066")
def test_other_resources_need_new_replicas(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=2))
    before = world.ids()
    world.deploy(app(num_replicas=2, ray_actor_options={"num_cpus": 0.2}))
    assert not set(before) & set(world.ids())
    assert world.deployment()["required_resources"] == {"CPU": 0.2}
    world.run(3)
    assert world.cluster.available_resources()["CPU"] == 3.6


@pytest.mark.accepts("SV-067")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"max_replicas_per_node": 1}, {"max_replicas_per_node": 2}),
        ({"placement_group_bundles": [{"CPU": 1}]}, {"placement_group_bundles": [{"CPU": 2}]}),
    ],
)
def test_placement_values_are_not_noticed(world: Any, app: Any, before: Any, after: Any) -> None:
    world.deploy(app(**before))
    ids = world.ids()
    world.put(app(**after))
    world.run(1)
    assert world.ids() == ids
    assert len(list(world.kernel.trace.select(Kind.DEPLOYMENT))) == 2


@pytest.mark.accepts("SV-068", "SV-059")
def test_arguments_and_autoscaling_objects_rebuild_the_application(world: Any) -> None:
    graph = {"name": "g", "import_path": "m:pair", "route_prefix": "/g", "deployments": [{"name": "Back"}]}
    world.deploy(graph)
    before = [*world.ids("Back", "g"), *world.ids("Front", "g")]
    world.deploy({**graph, "deployments": [{"name": "Back", "autoscaling_config": {"max_replicas": 2}}]})
    after = [*world.ids("Back", "g"), *world.ids("Front", "g")]
    assert not set(before) & set(after)


@pytest.mark.accepts("SV-069")
def test_a_rollout_of_three_goes_one_by_one(world: Any, app: Any) -> None:
    options = {"num_replicas": 3, "graceful_shutdown_wait_loop_s": 0.5}
    world.deploy(app(**options))
    old = set(world.ids())
    world.put(app("m:app2", **options))
    seen = bounds_during(world, lambda: is_settled(world))
    assert seen["RUNNING"] == (2, 3)
    assert seen["STARTING"] == (0, 1)
    assert not old & set(world.ids())
    moves = [
        (e["state"], e.subject.rpartition("/")[2] in old)
        for e in world.kernel.trace.select(Kind.REPLICA)
        if e["state"] in ("STOPPING", "RUNNING") and e.t_s > 6.5
    ]
    assert moves == [("STOPPING", True), ("RUNNING", False)] * 3


@pytest.mark.accepts("SV-070")
@pytest.mark.parametrize(("percentage", "at_once"), [(None, 2), (0.5, 5)])
def test_how_many_are_replaced_at_a_time(make_world: Any, app: Any, percentage: float | None, at_once: int) -> None:
    world = make_world()
    options: dict[str, Any] = {"num_replicas": 10, "graceful_shutdown_wait_loop_s": 0.5}
    if percentage is not None:
        options["rolling_update_percentage"] = percentage
    world.deploy(app(**options))
    world.put(app("m:app2", **options))
    seen = bounds_during(world, lambda: is_settled(world))
    assert seen["RUNNING"] == (10 - at_once, 10)
    assert seen["STARTING"] == (0, at_once)


@pytest.mark.accepts("SV-071", "SV-111")
def test_with_one_replica_requests_wait_for_the_new_one(world: Any, app: Any) -> None:
    world.deploy(app("m:probe"))
    world.put(app("m:probe2"))
    world.run_until(lambda: "D" in world.app()["deployments"] and world.states() == {"STOPPING": 1, "STARTING": 1})
    world.run(0.1)
    assert world.ask("/a") == (200, "v2")


@pytest.mark.accepts("SV-072")
def test_a_surge_keeps_all_running(world: Any, app: Any) -> None:
    options = {"num_replicas": 4, "max_surge_percent": 25, "graceful_shutdown_wait_loop_s": 0.5}
    world.deploy(app(**options))
    world.put(app("m:app2", **options))
    most = 0

    def is_over() -> bool:
        nonlocal most
        if "D" in world.app()["deployments"]:
            states = world.states()
            most = max(most, states.get("RUNNING", 0) + states.get("STARTING", 0))
            assert states.get("RUNNING", 0) + states.get("UPDATING", 0) >= 4
        return is_settled(world)

    world.run_until(is_over)
    assert most == 5


def test_an_outdated_starting_replica_is_dropped_at_once(world: Any, app: Any) -> None:
    world.put(app(ray_actor_options={"num_cpus": 16}))
    world.run(5)
    assert world.states() == {"STARTING": 1}
    world.put(app())
    world.run_until(lambda: is_settled(world))
    assert world.states() == {"RUNNING": 1}


def test_removing_an_application_that_never_got_a_node_takes_its_grace(world: Any, app: Any) -> None:
    world.put(app(ray_actor_options={"num_cpus": 16}))
    world.run(5)
    world.put()
    assert 20 <= world.run_until(lambda: not world.apps()) <= 20.4


@pytest.mark.accepts("SV-055")
def test_an_application_is_deploying_while_a_document_scales_it(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=1))
    world.put(app(num_replicas=2))
    world.run(1)
    assert world.app()["status"] == "DEPLOYING"
    world.run(3)
    assert world.app()["status"] == "RUNNING"


@pytest.mark.accepts("SV-083")
def test_target_capacity_scales_all_deployments(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=4), app(name="b", num_replicas=5), target_capacity=50)
    assert world.deployment()["target_num_replicas"] == 2
    assert world.deployment(app="b")["target_num_replicas"] == 3
    world.deploy(app(num_replicas=4), app(name="b", num_replicas=5), target_capacity=0)
    assert world.app()["status"] == "RUNNING"
    assert world.deployment()["replicas"] == []


@pytest.mark.accepts("SV-084")
def test_a_deployment_being_deleted_is_updating(world: Any, app: Any) -> None:
    world.deploy(app())
    world.put()
    world.run(1)
    state = next(iter(world.serve.controller.deployments.values()))
    assert (state.status.status, state.status.trigger) == ("UPDATING", "DELETING")
    world.run(2)
    assert not world.serve.controller.deployments


@pytest.mark.accepts("SV-017", "SV-018", "SV-019", "SV-020")
def test_the_scale_api_moves_no_status(world: Any, app: Any) -> None:
    document = app(num_replicas=1, external_scaler_enabled=True)
    world.deploy(document, app(name="b"))
    events = len(list(world.kernel.trace.select(Kind.DEPLOYMENT, Kind.APPLICATION)))
    world.serve.scale("a", "D", 3)
    world.run(4)
    assert world.states() == {"RUNNING": 3}
    assert world.deployment()["target_num_replicas"] == 3
    assert len(list(world.kernel.trace.select(Kind.DEPLOYMENT, Kind.APPLICATION))) == events
    world.deploy(document, app(name="b"))
    assert world.deployment()["target_num_replicas"] == 3
    with pytest.raises(Exception, match="external_scaler_enabled"):
        world.serve.scale("b", "D", 2)
    with pytest.raises(KeyError):
        world.serve.scale("a", "E", 2)
