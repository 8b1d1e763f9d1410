"""Kubelets of the simulation at an API server over HTTP, on wall time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.hollow_nodes import HollowNodes, HollowNodesSettings
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject, has_condition
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import LEASE, NODE, POD
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

_LIMIT_S = 30.0


def play(url: str, story: Callable[[HttpKubernetesClient], Awaitable[None]], *names: str) -> None:
    async def whole() -> None:
        client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
        nodes = HollowNodes(
            HollowNodesSettings(connect_to(url), [NodeSpec(name, address="172.18.0.2") for name in names])
        )
        up = asyncio.Event()
        run = asyncio.create_task(nodes.run(up.set))
        try:
            async with asyncio.timeout(_LIMIT_S):
                await asyncio.wait({asyncio.create_task(up.wait()), run}, return_when=asyncio.FIRST_COMPLETED)
                if run.done():
                    run.result()
                await story(client)
        finally:
            nodes.stop()
            await run
            await client.aclose()

    asyncio.run(whole())


async def changes(client: HttpKubernetesClient, until: Callable[[WatchType, JsonObject], bool]) -> None:
    """Follows the pods until that holds of a change."""
    stream = await client.watch(POD, "default")
    try:
        while True:
            event = await stream.next()
            if event.type is not WatchType.BOOKMARK and until(event.type, event.object):
                return
    finally:
        stream.close()


def pod(**container: Any) -> JsonObject:
    script = {"c": {"http": {"80": {"/ready": [[0, "503:no"], [1, "200:ok"]]}}, "log": "listening"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {"script": json.dumps(script)}},
        "spec": {"containers": [{"name": "c", "image": "i", **container}], "terminationGracePeriodSeconds": 1},
    }


def test_a_pod_is_scheduled_run_probed_and_ended() -> None:
    probe = {"httpGet": {"path": "/ready", "port": 80}, "periodSeconds": 1}
    seen: list[bool] = []

    def is_ready(kind: WatchType, obj: JsonObject) -> bool:
        if (obj.get("status") or {}).get("phase") == "Running":
            seen.append(has_condition(obj, "Ready"))
        return bool(seen) and seen[-1]

    async def story(client: HttpKubernetesClient) -> None:
        node = await client.get(NODE, "n-0")
        assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "172.18.0.2"}
        await client.create(POD, pod(readinessProbe=probe), "default")
        await changes(client, is_ready)
        # Written beside the registration: by now it is there.
        assert (await client.get(LEASE, "n-0", "kube-node-lease"))["spec"]["holderIdentity"] == "n-0"
        running = await client.get(POD, "p", "default")
        assert running["spec"]["nodeName"] in ("n-0", "n-1")
        assert running["status"]["podIP"].startswith("10.244.")
        log = await client.proxy("GET", "/api/v1/namespaces/default/pods/p/log", body=b"", headers={}, timeout_s=5)
        assert log.body == b"listening\n"
        await client.delete(POD, "p", "default")
        await changes(client, lambda kind, obj: kind is WatchType.DELETED)

    with KubernetesThread(KubernetesOptions()) as thread:
        play(thread.url, story, "n-0", "n-1")
    assert seen[0] is False, "it was not ready before its probe said so"


def test_where_nobody_answers_it_is_told() -> None:
    async def nothing(client: HttpKubernetesClient) -> None:
        return

    with KubernetesThread(KubernetesOptions(controllers=False)) as thread:
        url = thread.url
    with pytest.raises(InputError, match="no answer: connection refused"):
        play(url, nothing, "n-0")
