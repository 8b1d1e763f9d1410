"""The head pod serves while its proxy is healthy (kuberay-operator 2.7)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import labels_of
from rayrig_core.resource_types import POD


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


@pytest.mark.accepts("RS-053")
def test_a_healthy_proxy_makes_the_head_serve(running: Any) -> None:
    cluster = running.active()
    assert running.serve_label(cluster) == "true"
    assert running.events("UpdatedHeadPodServeLabel") == [
        ("UpdatedHeadPodServeLabel", f'Updated the serve label to "true" for the Head Pod default/{cluster}-head')
    ]


@pytest.mark.accepts("RS-053")
@pytest.mark.parametrize("status", [404, 500, 204, 503])
def test_any_other_answer_than_200_takes_the_head_out(running: Any, status: int) -> None:
    cluster = running.active()
    running.ray[cluster].proxy_status = status
    running.run(13)
    assert running.serve_label(cluster) == "false"
    assert running.status()["numServeEndpoints"] == 1


@pytest.mark.accepts("RS-053")
def test_no_answer_takes_the_head_out(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].config = None
    running.ray[cluster].put_code = 500
    running.run(12.2)
    assert running.serve_label(cluster) == "false"


@pytest.mark.accepts("RS-054")
def test_a_right_label_is_not_written_again(running: Any) -> None:
    running.run(60)
    pods = [what for _, what in running.writes() if " pods/" in what]
    assert pods == [f"update pods/default/{running.active()}-head"]


@pytest.mark.accepts("RS-055")
def test_an_excluded_head_is_not_asked(stage: Any) -> None:
    stage.create(stage.manifest(excludeHeadPodFromServeSvc=True))
    stage.run(20)
    cluster = stage.active()
    assert stage.serve_label(cluster) == "false"
    assert stage.ray[cluster].calls("/-/") == []
    assert stage.status()["numServeEndpoints"] == 1


@pytest.mark.accepts("RS-056")
def test_the_port_named_serve_is_the_one_that_is_asked(stage: Any) -> None:
    ports = [{"name": "dashboard", "containerPort": 8265}, {"name": "serve", "containerPort": 9000}]
    seen: list[str] = []
    inner = stage.ray.request

    async def request(method: str, url: str, **rest: Any) -> Any:
        seen.append(url)
        return await inner(method, url, **rest)

    stage.ray.request = request
    stage.create(stage.manifest(rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(10)
    asked = {url for url in seen if url.endswith("/-/healthz")}
    assert asked == {f"http://{stage.head(stage.active())['status']['podIP']}:9000/-/healthz"}


@pytest.mark.accepts("RS-057")
def test_during_an_upgrade_the_old_head_is_watched_as_well(running: Any) -> None:
    old = running.active()
    running.do(running.set_pod(f"{old}-worker", ready=False))
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(20)
    assert running.ready() == "True"
    running.ray[old].proxy_status = 500
    running.run(23)
    assert running.serve_label(old) == "false"
    assert running.condition("Ready") == ("False", "ZeroServeEndpoints", "Number of serve endpoints dropped to 0")


def test_several_head_pods_are_an_error(running: Any) -> None:
    cluster = running.active()
    twin = running.head(cluster)
    labels = labels_of(twin)
    running.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "twin", "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
    )
    running.run(14)
    assert running.get(POD, "twin") is not None
    outcomes = [str(e["outcome"]) for e in running.kernel.trace if e.kind.label == "reconcile"]
    assert f"error: found multiple heads. cluster name {cluster}, namespace default" in outcomes


def test_in_a_service_at_rest_nothing_is_asked_of_the_api_server(running: Any) -> None:
    running.run(20)
    running.refusals.asked.clear()
    running.run(40)
    assert [call for call in running.refusals.asked if not call.startswith("deliver")] == []
