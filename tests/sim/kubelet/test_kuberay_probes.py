"""What a kubelet makes of the health commands KubeRay gives its pods, and of sidecars and headers."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject, condition_of
from rayrig_sim.kubernetes.kubelet import health_commands

RAYLET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
PROXY = "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
GCS = "wget --tries 1 -T 10 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
GOOD = {"*": [[0, "200:success"]]}


def is_ready(pod: JsonObject) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "True"


def command(*parts: str) -> JsonObject:
    return {"exec": {"command": ["bash", "-c", " && ".join(parts)]}}


def worker(proxy: JsonObject, raylet: JsonObject = GOOD) -> tuple[JsonObject, JsonObject]:
    """Script and container of a RayService worker."""
    script = {"main": {"exec": [{"schedule": [[0, {"real": True}]]}], "http": {"52365": raylet, "8000": proxy}}}
    ready = {**command(RAYLET, PROXY), "initialDelaySeconds": 10, "periodSeconds": 5, "timeoutSeconds": 2}
    live = {**command(RAYLET), "initialDelaySeconds": 30, "periodSeconds": 5, "timeoutSeconds": 2}
    return script, {
        "readinessProbe": {**ready, "failureThreshold": 1},
        "livenessProbe": {**live, "failureThreshold": 120},
    }


def head(gcs: JsonObject) -> tuple[JsonObject, JsonObject]:
    script = {"main": {"exec": [{"schedule": [[0, {"real": True}]]}], "http": {"52365": GOOD, "8265": gcs}}}
    probe = {**command(RAYLET, GCS), "initialDelaySeconds": 10, "periodSeconds": 5, "timeoutSeconds": 5}
    return script, {"readinessProbe": {**probe, "failureThreshold": 10}}


def play(node: Any, made: tuple[JsonObject, JsonObject], until_s: float) -> list[tuple[float, bool]]:
    script, container = made
    node.play(lambda: node.add_pod(script, container=container), until_s=until_s)
    return node.story(is_ready)[1:]


@pytest.mark.accepts("KL-033", "KL-034", "KL-037")
def test_a_worker_follows_its_proxy(node):
    proxy = {"*": [[0, "503:draining"], [40, "200:success"], [61, "503:no"], [66, "200:success"]]}
    assert play(node, worker(proxy), 80) == [(40.0, True), (65.0, False), (70.0, True)]
    assert node.texts("Unhealthy") == ["Readiness probe failed: success\n"]
    assert node.starts() == [0.0]


@pytest.mark.accepts("KL-035")
def test_a_worker_whose_proxy_hangs_is_unready_two_seconds_after_the_probe_began(node):
    proxy = {"*": [[0, "200:success"], [21, "hang"], [37, "200:success"]]}
    story = play(node, worker(proxy), 60)
    assert story[:2] == [(10.0, True), (27.0, False)]
    assert story[2][1] is True
    assert node.texts("Unhealthy")[0].endswith(" timed out after 2s")


@pytest.mark.accepts("KL-036")
@pytest.mark.parametrize(
    ("outage", "unready"), [([[22, "500:no"], [45, "200:success"]], []), ([[22, "500:no"]], [70.0])]
)
def test_a_head_outlasts_nine_failing_checks(node, outage, unready):
    story = play(node, head({"*": [[0, "200:success"], *outage]}), 90)
    assert story == [(10.0, True), *((t, False) for t in unready)]


@pytest.mark.accepts("KL-038")
def test_a_slow_agent_costs_nothing_but_time(node):
    late = {"listen": [[0, False], [25, True]], **GOOD}
    assert play(node, worker(GOOD, raylet=late), 60) == [(25.0, True)]
    assert node.starts() == [0.0]
    assert set(node.texts("Unhealthy")) == {"Readiness probe failed: "}


@pytest.mark.accepts("KL-031")
def test_headers_of_the_manifest_replace_the_probes_own(node):
    seen: list[dict[str, str]] = []
    inner = node.runtime.make_container

    def make(name: str, script: Any, attempt: int, pod_ip: str) -> Any:
        container = inner(name, script, attempt, pod_ip)

        async def http_get(port: int, path: str, headers: dict[str, str], timeout_s: float) -> HttpResponse:
            seen.append({"path": path, **headers})
            return HttpResponse(200)

        container.http_get = http_get
        return container

    node.runtime.make_container = make
    own = [{"name": "user-agent", "value": "mine/1"}, {"name": "Host", "value": "example.test"}]
    probes = [
        {"path": "/a?b=1", "port": 80, "httpHeaders": own},
        {"path": "plain", "port": 80, "httpHeaders": [{"name": "Accept", "value": ""}]},
    ]
    for n, get in enumerate(probes):
        node.kernel.spawn("add", node.add_pod(name=f"p{n}", container={"readinessProbe": {"httpGet": get}}))
    node.kernel.run(until_s=1)
    assert seen[0] == {
        "path": "/a?b=1",
        "Host": "example.test",
        "User-Agent": "mine/1",
        "Accept": "*/*",
        "Connection": "close",
    }
    other = next(headers for headers in seen if headers["path"] == "/plain")
    assert other["User-Agent"].startswith("kube-probe/")
    assert other["Host"] == "10.244.0.2:80"
    assert "Accept" not in other


@pytest.mark.accepts("KL-062")
def test_a_sidecar_lets_the_next_start_when_it_has_started_and_is_restarted_alone(node):
    paths = {"/up": [[0, "503:no"], [4.5, "200:ok"]]}
    script = {"side": {"http": {"9000": paths}, "runs": [{"for": 20, "exit": 1}, {}]}}
    side = {
        "name": "side",
        "image": "registry.test/present/app:1",
        "restartPolicy": "Always",
        "startupProbe": {"httpGet": {"path": "/up", "port": 9000}, "periodSeconds": 1, "failureThreshold": 30},
    }
    node.play(lambda: node.add_pod(script, initContainers=[side]), until_s=40)
    assert node.starts() == [5.0]
    assert node.starts("side") == [0.0, 20.0]
    # It counts for the pod's readiness, from its own start on.
    assert node.story(is_ready)[1:] == [(5.0, True), (20.0, False), (25.0, True)]


def test_only_plain_checks_of_the_pod_itself_are_understood():
    assert [c.port for c in health_commands.parse(("bash", "-c", f"{RAYLET} && {PROXY}"))] == [52365, 8000]
    for line in (
        "curl http://localhost:1",
        "wget -O- http://elsewhere:1/",
        "wget -O- http://localhost:1/ | sed s/a/b/",
    ):
        with pytest.raises(health_commands.NotUnderstood):
            health_commands.parse(("sh", "-c", line))
