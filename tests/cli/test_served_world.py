"""The world in memory behind sockets: what comes by HTTP happens in it, and takes its time there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rayrig.served_world import ServedWorld, ServedWorldSettings
from rayrig_backends.world import WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.timestamps import NS

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
}
_PODS = "/api/v1/namespaces/default/pods"


def settings(**changes: Any) -> ServedWorldSettings:
    return ServedWorldSettings(WorldSpec(start_unix_ns=NS), port=0, apiserver_port=0, speed=100.0, **changes)


def served(settings: ServedWorldSettings, walk: Callable[[ServedWorld, httpx.AsyncClient], Any]) -> None:
    world = ServedWorld(settings)

    async def run() -> None:
        up = asyncio.Event()
        running = asyncio.create_task(world.run(up.set))
        await up.wait()
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                await asyncio.wait_for(walk(world, client), 30)
        finally:
            world.stop()
            await running

    asyncio.run(run())


def test_a_pod_that_comes_by_http_gets_ready_in_virtual_time() -> None:
    async def walk(world: ServedWorld, client: httpx.AsyncClient) -> None:
        made = (await client.post(world.url + _PODS, json=POD)).json()
        assert made["metadata"]["creationTimestamp"].startswith("1970-01-01T00:0")
        # The watch ends with what it waits for: nobody asks again and again.
        query = {"watch": "1", "resourceVersion": made["metadata"]["resourceVersion"]}
        async with client.stream("GET", world.url + _PODS, params=query) as events:
            async for line in events.aiter_lines():
                if '"type":"Ready","status":"True"' in line.replace(" ", "") or '"phase":"Running"' in line:
                    break
        pulled = [event["reason"] for event in (await client.get(f"{world.url}/api/v1/events")).json()["items"]]
        assert "Pulled" in pulled

    served(settings(), walk)


def test_both_servers_tell_of_the_same_objects() -> None:
    async def walk(world: ServedWorld, client: httpx.AsyncClient) -> None:
        templates = f"{world.apiserver_url}/apis/v1/namespaces/default/compute_templates"
        template = {"name": "small", "namespace": "default", "cpu": 2, "memory": 4}
        assert (await client.post(templates, json=template)).status_code == 200
        stored = await client.get(f"{world.url}/api/v1/namespaces/default/configmaps/small")
        assert stored.json()["data"]["cpu"] == "2"

    served(settings(), walk)


def test_objects_of_the_start_are_there_before_anybody_asks() -> None:
    async def walk(world: ServedWorld, client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{world.url}{_PODS}/web")).status_code == 200

    served(settings(objects=[POD]), walk)


def test_an_object_that_is_refused_is_told_at_once() -> None:
    with pytest.raises(InputError, match="apply of Pod/Web"):
        ServedWorld(settings(objects=[{**POD, "metadata": {"name": "Web", "namespace": "default"}}]))
