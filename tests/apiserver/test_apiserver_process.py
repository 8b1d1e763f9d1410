"""The server as a process against a served fake: it answers over HTTP, finds dashboards, and says why it cannot begin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any, cast

import httpx
import pytest

from rayrig.apiserver.server import ApiServerSettings
from rayrig.apiserver.serving import ApiServerProcess, LiveObjects, ProcessSettings, ThroughKubernetes
from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.service_names import ServiceNames
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import InputError
from rayrig_core.http import HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import ENDPOINT_SLICE, POD, SERVICE
from rayrig_core.resources.crds import custom_resource_definitions, ray_job_definition
from rayrig_fakes.kubernetes.identity import ADMIN

_V1 = "/apis/v1/namespaces/default"
_NAME = "c1-head-svc.default.svc.cluster.local"
_TEMPLATE: JsonObject = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}
_HEAD: JsonObject = {"computeTemplate": "t", "rayStartParams": {"dashboard-host": "0.0.0.0"}}
_CLUSTER: JsonObject = {"name": "c1", "namespace": "default", "user": "ada", "clusterSpec": {"headGroupSpec": _HEAD}}


@pytest.fixture
def kubernetes() -> Iterator[KubernetesThread]:
    definitions = [*custom_resource_definitions(), ray_job_definition()]
    with KubernetesThread(KubernetesOptions(definitions=definitions)) as thread:
        yield thread


def _play(settings: ProcessSettings, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Runs the story, with a client of the server, beside it."""

    async def whole() -> None:
        process = ApiServerProcess(settings, Random(1))
        ready = asyncio.Event()
        running = asyncio.create_task(process.run(ready.set))
        try:
            async with asyncio.timeout(30):
                await asyncio.wait((running, asyncio.create_task(ready.wait())), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    await running
                async with httpx.AsyncClient(base_url=process.url, trust_env=False) as client:
                    await story(client)
        finally:
            process.stop()
            await running

    asyncio.run(whole())


def _settings(kubernetes: KubernetesThread, **changes: Any) -> ProcessSettings:
    return ProcessSettings(connect_to(kubernetes.url), port=0, **changes)


def test_clusters_are_made_and_told_of_by_both_apis(kubernetes: KubernetesThread) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post(f"{_V1}/compute_templates", json=_TEMPLATE)).json() == {
            **_TEMPLATE,
            "memoryUnit": "Gi",
        }
        assert (await client.post(f"{_V1}/clusters", json=_CLUSTER)).status_code == 200
        listed = (await client.get("/apis/v1/clusters", params={"limit": 1})).json()
        assert [each["name"] for each in listed["clusters"]] == ["c1"]
        found = (await client.get("/apis/ray.io/v1/namespaces/default/rayclusters/c1")).json()
        assert found["metadata"]["labels"]["ray.io/user"] == "ada"
        head = await client.head("/apis/v1/clusters")
        assert (head.status_code, head.content) == (501, b"")
        assert (await client.delete(f"{_V1}/clusters/c%31")).json() == {}

    _play(_settings(kubernetes), story)


class _Dashboard:
    """At whatever address (port `HttpClient`)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    async def request(self, method: str, url: str, *, body: bytes = b"", **_: Any) -> HttpResponse:
        self.asked.append((method, url, json.loads(body)))
        return HttpResponse.of_json(200, {"job_id": "one", "submission_id": "one"})


def test_dashboards_are_reached_through_kubernetes_where_asked_for() -> None:
    dashboard = _Dashboard()
    definitions = [*custom_resource_definitions(), ray_job_definition()]
    options = KubernetesOptions(definitions=definitions, controllers=False, http=cast(HttpClient, dashboard))

    async def story(client: httpx.AsyncClient) -> None:
        await client.post(f"{_V1}/compute_templates", json=_TEMPLATE)
        await client.post(f"{_V1}/clusters", json=_CLUSTER)
        path = "/apis/ray.io/v1/namespaces/default/rayclusters/c1/status"
        merge = {"content-type": "application/merge-patch+json"}
        ready = await client.patch(path, content=json.dumps({"status": {"state": "ready"}}), headers=merge)
        assert ready.status_code == 200
        reply = await client.post(f"{_V1}/jobsubmissions/c1", json={"entrypoint": "python x.py"})
        assert reply.json() == {"submissionId": "one"}

    with KubernetesThread(options) as kubernetes:
        asyncio.run(_make_head_service(kubernetes.url))
        _play(_settings(kubernetes, use_kubernetes_proxy=True), story)
    assert dashboard.asked == [("POST", "http://10.1.2.3:8265/api/jobs/", {"entrypoint": "python x.py"})]


async def _make_head_service(url: str) -> None:
    """With one ready pod behind it."""
    client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
    pod = {"metadata": {"name": "head"}, "spec": {"containers": [{"name": "ray-head", "image": "x"}]}}
    await client.create(POD, pod, "default")
    await client.patch(POD, "head", {"status": {"podIP": "10.1.2.3"}}, "default", subresource="status")
    spec = {"clusterIP": "None", "ports": [{"name": "dashboard", "port": 8265}]}
    await client.create(SERVICE, {"metadata": {"name": "c1-head-svc"}, "spec": spec}, "default")
    slices = {
        "metadata": {"name": "c1-head-svc-1", "labels": {"kubernetes.io/service-name": "c1-head-svc"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "targetRef": {"kind": "Pod", "name": "head"}}],
        "ports": [{"name": "dashboard", "port": 8265}],
    }
    await client.create(ENDPOINT_SLICE, slices, "default")
    await client.aclose()


def test_services_are_named_to_kubernetes_as_its_proxy_wants_them() -> None:
    asked: list[tuple[str, float]] = []

    class Http:
        async def request(self, method: str, url: str, *, timeout_s: float = 10.0, **_: Any) -> HttpResponse:
            asked.append((url, timeout_s))
            return HttpResponse(200)

    http = ThroughKubernetes(cast(HttpClient, Http()))
    for url in (
        "http://c1-head-svc.ns.svc.cluster.local:8265/api/jobs/?a=b",
        "kubernetes:///apis",
        "http://10.0.0.1:1/x",
    ):
        asyncio.run(http.request("GET", url, timeout_s=2.0))
    assert asked == [
        ("kubernetes:/api/v1/namespaces/ns/services/c1-head-svc:8265/proxy/api/jobs/?a=b", 2.0),
        ("kubernetes:///apis", 2.0),
        ("http://10.0.0.1:1/x", 2.0),
    ]


def test_names_of_services_lead_to_pods_as_they_are_now(kubernetes: KubernetesThread) -> None:
    async def resolved() -> list[object]:
        client = HttpKubernetesClient(connect_to(kubernetes.url), Random(1), user_agent="test")
        names = ServiceNames(LiveObjects(client))
        found: list[object] = [await names.resolve(_NAME, 8265)]
        await _make_head_service(kubernetes.url)
        found.append(await names.resolve(_NAME, 8265))
        await client.aclose()
        return found

    assert asyncio.run(resolved()) == [None, ("10.1.2.3", 8265)]


def test_a_token_is_asked_of_clients(kubernetes: KubernetesThread) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        assert (await client.get("/apis/v1/clusters")).status_code == 401
        assert (await client.get("/apis/v1/clusters", headers={"Authorization": "abc"})).json() == {}

    _play(_settings(kubernetes, server=ApiServerSettings(token="abc")), story)


def test_a_kubernetes_that_does_not_answer_is_named() -> None:
    async def story(client: httpx.AsyncClient) -> None:
        raise AssertionError

    with pytest.raises(InputError) as refused:
        _play(ProcessSettings(connect_to("http://127.0.0.1:1"), port=0), story)
    assert (refused.value.where, refused.value.remedy) == (
        "http://127.0.0.1:1",
        "check the URL, and that the API server runs",
    )


def test_a_kubernetes_that_refuses_says_why() -> None:
    async def story(client: httpx.AsyncClient) -> None:
        raise AssertionError

    with KubernetesThread(KubernetesOptions(users={"admin": ADMIN}, controllers=False)) as kubernetes:
        with pytest.raises(InputError) as refused:
            _play(_settings(kubernetes), story)
        told = refused.value
    assert (told.where, told.remedy) == (kubernetes.url, "give a --token or --kubeconfig that may")
