"""What a real Ray 2.60 was seen to do where nothing recorded had told (docs/real-ray.md)."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("options", "required"),
    [
        ({"num_cpus": 0}, {"CPU": 0}),
        ({"num_cpus": 0.5, "num_gpus": 0, "memory": 0}, {"CPU": 0.5, "GPU": 0, "memory": 0}),
    ],
)
def test_resources_that_are_asked_for_are_shown_with_their_zeros(
    world: Any, app: Any, options: dict[str, Any], required: dict[str, float]
) -> None:
    world.deploy(app(ray_actor_options=options))
    assert world.deployment()["required_resources"] == required
    assert "GPU" not in world.cluster.available_resources()


def test_an_application_without_logging_has_that_of_the_instance(world: Any, app: Any) -> None:
    own = {**app(), "name": "own", "route_prefix": "/own", "logging_config": {"encoding": "JSON"}}
    given = {"logging_config": {"log_level": "DEBUG"}, "applications": [app(), own]}
    world.kernel.run(until=world.kernel.spawn("put", world.serve.deploy(given)))
    applications = world.serve.details()["applications"]
    shown = {name: each["deployed_app_config"].get("logging_config") for name, each in applications.items()}
    assert shown == {"a": {"log_level": "DEBUG"}, "own": {"encoding": "JSON"}}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"placement_group_strategy": "PACK", "max_replicas_per_node": 101}, "`placement_group_strategy` is provided"),
        ({"max_replicas_per_node": 101}, "Invalid max_replicas_per_node 101"),
        ({}, "Invalid route_prefix '/a/'"),
    ],
)
def test_the_placement_group_is_looked_at_first_and_the_route_last(
    world: Any, app: Any, options: dict[str, Any], text: str
) -> None:
    world.put({**app(**options), "route_prefix": "/a/"})
    world.run(20)
    application = world.serve.details()["applications"]["a"]
    assert application["status"] == "DEPLOY_FAILED"
    assert text in application["message"]


def test_deployments_are_looked_at_in_the_order_of_the_document(world: Any, app: Any) -> None:
    given = app(placement_group_strategy="PACK")
    world.put({**given, "deployments": [*given["deployments"], {"name": "Nobody"}]})
    world.run(20)
    assert "`placement_group_strategy` is provided" in world.serve.details()["applications"]["a"]["message"]
