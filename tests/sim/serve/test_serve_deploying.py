"""Deploying applications: from the document to RUNNING, refused and failed builds, removal."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ServeStartFailed
from rayrig_core.trace import Kind


def test_story_of_a_first_deploy_and_why(world: Any, app: Any) -> None:
    world.deploy(app())
    replica = world.ids()[0]
    assert world.story(Kind.APPLICATION, Kind.DEPLOYMENT, Kind.REPLICA, Kind.PROXY) == [
        (1.0, "head", ("STARTING", "")),
        (2.0, "head", ("HEALTHY", "")),
        (2.0, "a", ("DEPLOYING", "")),
        (4.0, "D", ("UPDATING", "CONFIG_UPDATE_STARTED", "")),
        (4.1, replica, ("STARTING", "head", "")),
        (6.1, replica, ("RUNNING", "head", "")),
        (6.1, "D", ("HEALTHY", "CONFIG_UPDATE_COMPLETED", "")),
        (6.1, "a", ("RUNNING", "")),
    ]
    running = list(world.kernel.trace.select(Kind.APPLICATION))[-1]
    chain = [(event.kind, event.data[0]) for event in world.kernel.trace.causes_of(running.seq)]
    assert chain == [
        (Kind.DEPLOYMENT, "HEALTHY"),
        (Kind.REPLICA, "RUNNING"),
        (Kind.REPLICA, "STARTING"),
        (Kind.DEPLOYMENT, "UPDATING"),
        (Kind.APPLICATION, "DEPLOYING"),
        (Kind.PROXY, "HEALTHY"),
        (Kind.PROXY, "STARTING"),
        (Kind.RAY, "serve controller"),
    ]


@pytest.mark.accepts("SV-049")
def test_deployments_are_unseen_until_the_build_is_done(world: Any, app: Any) -> None:
    world.put(app())
    world.run(3.9)
    shown = world.app()
    assert (shown["status"], shown["deployments"], shown["message"], shown["route_prefix"]) == (
        "DEPLOYING",
        {},
        "",
        None,
    )
    world.run(0.15)
    shown = world.app()
    assert list(shown["deployments"]) == ["D"]
    assert (shown["status"], shown["message"], shown["route_prefix"]) == ("DEPLOYING", "", "/a")
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert world.app()["message"] == ""


@pytest.mark.accepts("SV-009")
def test_first_document_starts_controller_and_proxies(world: Any, app: Any) -> None:
    assert not world.serve.is_running
    answered = world.put(app())
    world.run(1.05)
    details = world.serve.details()
    assert details["controller_info"]["actor_name"] == "SERVE_CONTROLLER_ACTOR"
    assert (world.proxies(), world.apps(), answered.is_done) == ({"head": "STARTING"}, {}, False)
    world.run(0.95)
    assert (world.proxies(), world.app()["status"], answered.is_done) == ({"head": "HEALTHY"}, "DEPLOYING", True)


def test_a_document_that_starts_serve_is_applied_when_its_client_has_left_too(world: Any, app: Any) -> None:
    gave_up = world.put(app())
    gave_up.cancel()
    world.run(1)
    later = world.put(app("m:app2", name="b"))
    world.run(1.5)
    assert later.is_done
    story = [(t, name, s[0]) for t, name, s in world.story(Kind.APPLICATION)]
    assert story == [(2.0, "a", "DEPLOYING"), (2.0, "b", "DEPLOYING"), (2.0, "a", "DELETING"), (2.1, "a", "GONE")]


def test_without_proxies_the_first_document_waits_for_the_controller_only(world: Any, app: Any) -> None:
    answered = world.put(app(), proxy_location="Disabled")
    world.run(1.0)
    assert answered.is_done
    assert world.app()["status"] == "DEPLOYING"


def test_serve_that_is_removed_while_it_starts(world: Any, app: Any) -> None:
    answered = world.put(app())
    world.run(0.5)
    removed = world.kernel.spawn("user", world.serve.shutdown())
    world.run(1.0)
    assert removed.is_done
    assert isinstance(answered.value, ServeStartFailed)
    assert not world.serve.is_running


@pytest.mark.accepts("SV-085")
def test_a_replica_that_fits_nowhere_has_no_node(world: Any, app: Any) -> None:
    world.put(app(ray_actor_options={"num_cpus": 100}))
    world.run(5)
    (replica,) = world.deployment()["replicas"]
    assert replica["state"] == "STARTING"
    assert not {"node_id", "node_ip", "pid", "worker_id", "actor_id", "log_file_path"} & set(replica)
    world.put(app())
    world.run(0.3)
    (replica,) = [r for r in world.deployment()["replicas"] if r["state"] == "STARTING"]
    assert replica["node_id"] == world.nodes["head"].node_id


@pytest.mark.accepts("SV-050")
def test_a_failing_import_is_told_and_not_tried_again(world: Any, app: Any) -> None:
    world.deploy(app("no_such_module:app"))
    shown = world.app()
    assert shown["status"] == "DEPLOY_FAILED"
    assert shown["message"].startswith("Deploying app 'a' failed with exception:\nTraceback (most recent call last):")
    assert shown["message"].rstrip().endswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert shown["deployments"] == {}
    events = len(world.kernel.trace)
    world.run(60)
    assert len(world.kernel.trace) == events


@pytest.mark.accepts("SV-051", "SV-052")
def test_old_version_serves_while_the_new_one_fails_to_build(world: Any, app: Any) -> None:
    world.deploy(app())
    before = world.ids()
    world.deploy(app("m:nothing"))
    assert world.app()["status"] == "DEPLOY_FAILED"
    assert world.app()["deployments"] == {}
    assert world.ask("/a") == (200, "ok")
    world.deploy(app())
    assert world.app()["status"] == "RUNNING"
    assert world.ids() == before


@pytest.mark.accepts("SV-040")
@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("a", "ValueError: Invalid route_prefix 'a', must start with a forward slash ('/')."),
        ("/a/", "ValueError: Invalid route_prefix '/a/', may not end with a trailing '/'."),
        ("/{x}", "ValueError: Invalid route_prefix '/{x}', may not contain wildcards."),
    ],
)
def test_a_bad_prefix_is_found_after_the_build(world: Any, app: Any, prefix: str, text: str) -> None:
    world.deploy({**app(), "route_prefix": prefix})
    shown = world.app()
    assert (shown["status"], shown["deployments"], shown["route_prefix"]) == ("DEPLOY_FAILED", {}, None)
    assert shown["message"].startswith("Traceback (most recent call last):")
    assert shown["message"].rstrip().rpartition("\n")[2] == text


@pytest.mark.accepts("SV-041", "SV-043")
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"autoscaling_config": {"min_replicas": 5, "max_replicas": 2}},
            "max_replicas (2) must be greater than or equal to min_replicas (5)!",
        ),
        (
            {"max_replicas_per_node": 101},
            "Invalid max_replicas_per_node 101. Valid values are None or an integer in the range of [1, 100].",
        ),
    ],
)
def test_options_that_the_controller_refuses(world: Any, app: Any, options: Any, text: str) -> None:
    world.deploy(app(**options))
    assert world.app()["status"] == "DEPLOY_FAILED"
    assert text in world.app()["message"]
    assert world.app()["deployments"] == {}


@pytest.mark.accepts("SV-042")
def test_a_listed_deployment_that_the_code_does_not_have(world: Any, app: Any) -> None:
    world.deploy({**app(), "deployments": [{"name": "E"}]})
    assert world.app()["status"] == "DEPLOY_FAILED"
    assert "Deployment 'E' does not exist. Available: ['D']" in world.app()["message"]


@pytest.mark.accepts("SV-016", "SV-037")
def test_the_submitted_application_is_shown_as_it_was_given(world: Any, app: Any) -> None:
    world.deploy(app(max_concurrent_queries=7))
    assert world.app()["deployed_app_config"] == app()
    assert world.deployment()["deployment_config"]["max_ongoing_requests"] == 5


@pytest.mark.accepts("SV-046")
def test_an_option_taken_out_of_the_document_is_the_codes_again(world: Any, app: Any) -> None:
    world.deploy(app("m:three", max_ongoing_requests=9))
    assert world.deployment()["deployment_config"]["max_ongoing_requests"] == 9
    world.deploy(app("m:three"))
    assert world.deployment()["deployment_config"]["max_ongoing_requests"] == 3
    assert world.states() == {"RUNNING": 1}


@pytest.mark.accepts("SV-013", "SV-056")
def test_an_application_left_out_of_the_document_goes(world: Any, app: Any) -> None:
    world.deploy(app(), app(name="b"))
    kept = world.ids(app="b")
    world.put(app(name="b"))
    world.run(0.05)
    shown = world.app("a")
    assert (shown["status"], shown["deployed_app_config"], shown["deployments"]) == ("DELETING", None, {})
    assert world.ask("/-/routes") == (200, '{"/b":"b"}')
    assert world.ask("/a")[0] == 404
    world.run_until(lambda: "a" not in world.apps())
    assert 2.0 <= world.now_s - 6.1 <= 2.6
    assert world.ids(app="b") == kept
    assert world.app("b")["status"] == "RUNNING"


@pytest.mark.accepts("SV-057")
def test_a_deleting_application_can_be_put_again(world: Any, app: Any) -> None:
    world.deploy(app())
    world.put()
    world.run(0.5)
    assert world.app()["status"] == "DELETING"
    world.put(app())
    world.run(0.05)
    assert world.app()["status"] == "DEPLOYING"
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert world.states() == {"RUNNING": 1}


@pytest.mark.accepts("SV-058")
def test_the_later_of_two_documents_wins_over_a_build_under_way(world: Any, app: Any) -> None:
    world.deploy(app())
    world.put(app("m:three"))
    world.run(1)
    world.put(app("m:app2"))
    world.run_until(lambda: world.app()["status"] == "RUNNING")
    assert world.app()["deployed_app_config"]["import_path"] == "m:app2"
    assert world.deployment()["deployment_config"]["max_ongoing_requests"] == 5
    updates = [e for e in world.kernel.trace.select(Kind.DEPLOYMENT) if e["status"] == "UPDATING"]
    assert len(updates) == 2


@pytest.mark.accepts("SV-060")
def test_deployments_come_and_go_with_the_code(world: Any, app: Any) -> None:
    graph = {"name": "g", "import_path": "m:pair", "route_prefix": "/g"}
    world.deploy(graph)
    before = {name: world.ids(name, "g") for name in ("Front", "Back")}
    world.deploy({**graph, "import_path": "m:three_of_them"})
    assert world.states("Extra", "g") == {"RUNNING": 1}
    assert all(world.ids(name, "g") != before[name] for name in before)
    world.deploy(graph)
    world.run(3)
    assert list(world.app("g")["deployments"]) == ["Back", "Front"]
    assert world.app("g")["deployment_topology"]["nodes"]["Front"]["outbound_deployments"] == [
        {"name": "Back", "app_name": "g"}
    ]


@pytest.mark.accepts("SV-010")
def test_delete_returns_when_all_is_gone(world: Any, app: Any) -> None:
    world.deploy(app())
    done: list[float] = []

    async def delete() -> None:
        await world.serve.shutdown()
        done.append(round(world.now_s, 1))
        await world.serve.shutdown()
        done.append(round(world.now_s, 1))

    began = world.now_s
    world.kernel.spawn("user", delete())
    world.run(5)
    assert len(done) == 2
    assert done[0] == done[1]
    assert 2.1 <= done[0] - began <= 2.5
    assert world.serve.details() == {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}
    assert world.ask("/-/healthz") == "refused"
    assert world.cluster.available_resources() == world.cluster.total_resources()
    world.deploy(app())
    assert world.ask("/a") == (200, "ok")


@pytest.mark.accepts("SV-011", "SV-012")
def test_options_of_the_instance_are_those_of_its_first_document(world: Any, app: Any) -> None:
    world.deploy(app(num_replicas=4), target_capacity=50)
    assert world.serve.details()["target_capacity"] == 50
    assert world.deployment()["target_num_replicas"] == 2
    world.deploy(app(num_replicas=4), http_options={"port": 8123}, proxy_location="Disabled")
    details = world.serve.details()
    assert (details["http_options"]["port"], details["proxy_location"]) == (8000, "EveryNode")
    assert details["target_capacity"] is None
    assert world.network.listener(world.nodes["head"].ip, 8123) is None
    assert world.deployment()["target_num_replicas"] == 4


@pytest.mark.accepts("SV-030")
def test_an_application_without_prefix_has_no_route(world: Any, app: Any) -> None:
    world.deploy({**app(), "route_prefix": None}, {**app(name="b"), "route_prefix": None})
    assert world.app()["status"] == "RUNNING"
    assert world.app()["route_prefix"] is None
    assert world.ask("/a")[0] == 404


@pytest.mark.accepts("SV-106")
def test_health_and_routes_after_all_applications_went(world: Any, app: Any) -> None:
    world.put()
    world.run(3)
    assert world.ask("/-/healthz") == (503, "Route table is not populated yet.")
    world.deploy(app())
    world.put()
    world.run(4)
    assert world.apps() == {}
    assert world.ask("/-/routes") == (200, "{}")
    assert world.ask("/-/healthz") == (200, "success")


def test_the_prefix_of_a_deleting_application_can_be_used_at_once(world: Any, app: Any) -> None:
    world.deploy(app())
    world.put({**app(name="c"), "route_prefix": "/a"})
    world.run_until(lambda: world.app("c")["status"] == "RUNNING")
    assert world.ask("/-/routes") == (200, '{"/a":"c"}')


@pytest.mark.accepts("SV-014", "SV-165")
def test_imperative_applications_are_left_alone(world: Any, app: Any) -> None:
    world.deploy(app())
    code = world.serve.context.registry.build("m:app")
    document = {"name": "i", "import_path": "m:app", "route_prefix": "/i"}
    world.serve.controller.run_application(document, code, None)
    world.run(3)
    assert (world.app("i")["status"], world.app("i")["source"]) == ("RUNNING", "imperative")
    world.deploy(app())
    assert world.app("i")["status"] == "RUNNING"
    refused = 'Prefix /a is being used by application "a". Failed to deploy application "b".'
    with pytest.raises(ValueError, match=refused):
        world.serve.controller.run_application({**document, "name": "b", "route_prefix": "/a"}, code, None)
    world.deploy(app(), app(name="i"))
    assert world.app("i")["source"] == "declarative"
    world.put(app())
    world.run(4)
    assert "i" not in world.apps()


@pytest.mark.accepts("SV-005")
def test_details_by_source(world: Any, app: Any) -> None:
    world.deploy(app())
    code = world.serve.context.registry.build("m:app")
    world.serve.controller.run_application({"name": "i", "import_path": "m:app", "route_prefix": "/i"}, code, None)
    assert list(world.serve.details(["imperative"])["applications"]) == ["i"]
    assert list(world.serve.details(["declarative"])["applications"]) == ["a"]
