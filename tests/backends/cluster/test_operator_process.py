"""The operator as a process against a served fake: it makes clusters, waits for its Lease, tells its health and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import httpx
import pytest

from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.operator_process import LostLease, OperatorProcess, OperatorSettings
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_controllers.options import OperatorOptions
from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject, controller_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import LEASE, POD, RAY_CLUSTER, RAY_JOB, RAY_SERVICE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_scenarios.language.manifests import bundled_manifest

_LIMIT_S = 30.0


@pytest.fixture
def server() -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(definitions=custom_resource_definitions())) as thread:
        yield thread


def process(url: str, *, leader_election: bool = False, host: str = "a", install: bool = False) -> OperatorProcess:
    options = OperatorOptions(leader_election=leader_election, host_name=host)
    return OperatorProcess(OperatorSettings(connect_to(url), options, install_definitions=install), Random(host))


async def seen(
    client: HttpKubernetesClient, resource: ResourceType, holds: Callable[[JsonObject], bool] = lambda obj: True
) -> JsonObject:
    """The first object of which that holds, now or as soon as there is one."""
    stream = await client.watch(resource)
    try:
        while True:
            event = await stream.next()
            if event.type is not WatchType.BOOKMARK and holds(event.object):
                return event.object
    finally:
        stream.close()


def play(url: str, *operators: OperatorProcess, story: Callable[[HttpKubernetesClient], Awaitable[None]]) -> list[Any]:
    """Runs the story beside the operators, then stops them. Their ends: None, or the exception."""

    async def whole() -> list[Any]:
        client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
        up = [asyncio.Event() for _ in operators]
        runs = [asyncio.create_task(each.run(ready.set)) for each, ready in zip(operators, up, strict=True)]
        try:
            async with asyncio.timeout(_LIMIT_S):
                for ready, run in zip(up, runs, strict=True):
                    waiting = asyncio.create_task(ready.wait())
                    await asyncio.wait({waiting, run}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                await story(client)
        finally:
            for each in operators:
                each.stop()
            ends = await asyncio.gather(*runs, return_exceptions=True)
            await client.aclose()
        return ends

    return asyncio.run(whole())


def fruit_stand() -> JsonObject:
    (service,) = (each.object for each in bundled_manifest("fruit-stand") if each.kind == "RayService")
    return service


def test_a_ray_service_gets_its_cluster_and_pods(server: KubernetesThread) -> None:
    operator = process(server.url)

    async def story(client: HttpKubernetesClient) -> None:
        service = await client.create(RAY_SERVICE, fruit_stand(), "default")
        cluster = await seen(client, RAY_CLUSTER)
        assert (controller_of(cluster) or {})["uid"] == service["metadata"]["uid"]
        pod = await seen(client, POD, lambda pod: pod["metadata"]["labels"].get("ray.io/node-type") == "head")
        assert (controller_of(pod) or {})["uid"] == cluster["metadata"]["uid"]
        async with httpx.AsyncClient(base_url=operator.url, trust_env=False) as http:
            assert (await http.get("/healthz")).text == "ok"
            assert (await http.get("/readyz")).status_code == 200
            metrics = (await http.get("/metrics")).text
            assert (await http.get("/nope")).status_code == 404
            assert (await http.post("/metrics")).status_code == 405
        assert 'workqueue_depth{controller="rayservice-controller",name="rayservice-controller"}' in metrics
        assert f'kuberay_service_info{{name="{service["metadata"]["name"]}",namespace="default"' in metrics

    assert play(server.url, operator, story=story) == [None]


def test_of_two_operators_only_the_holder_of_the_lease_works(server: KubernetesThread) -> None:
    first, second = (process(server.url, leader_election=True, host=host) for host in ("a", "b"))

    async def story(client: HttpKubernetesClient) -> None:
        lease = await seen(client, LEASE, lambda lease: lease["metadata"]["name"] == "ray-operator-leader")
        await client.create(RAY_SERVICE, fruit_stand(), "default")
        await seen(client, RAY_CLUSTER)
        holder = lease["spec"]["holderIdentity"]
        reconciles = {host: each.manager.reconciles for host, each in (("a", first), ("b", second)) if each.manager}
        assert reconciles[holder[0]] > 0
        assert reconciles["b" if holder[0] == "a" else "a"] == 0

    assert play(server.url, first, second, story=story) == [None, None]


def test_who_loses_the_lease_ends(server: KubernetesThread) -> None:
    operator = process(server.url, leader_election=True)

    async def story(client: HttpKubernetesClient) -> None:
        await seen(client, LEASE, lambda lease: lease["metadata"]["name"] == "ray-operator-leader")
        assert operator.manager is not None
        with suppress(BaseException):
            operator.manager.crash()
        await operator.manager.ended

    (end,) = play(server.url, operator, story=story)
    assert isinstance(end, LostLease)


def test_without_definitions_the_remedy_is_told_and_they_can_be_installed() -> None:
    with KubernetesThread(KubernetesOptions()) as thread:

        async def nothing(client: HttpKubernetesClient) -> None:
            return

        async def works(client: HttpKubernetesClient) -> None:
            await client.create(RAY_SERVICE, fruit_stand(), "default")
            await seen(client, RAY_CLUSTER)
            # Nobody acts on RayJobs; the KubeRay API server keeps them.
            assert (await client.list(RAY_JOB)).items == []

        (end,) = play(thread.url, process(thread.url), story=nothing)
        assert isinstance(end, InputError)
        assert "knows no rayclusters.ray.io" in str(end)
        assert "--install-crds" in str(end)
        assert play(thread.url, process(thread.url, install=True), story=works) == [None]
