"""Children as recorded, made by the operator as a process, with real sockets between it and the API server.

What is static is enough here: the recordings' lives are played in virtual time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.operator_process import OperatorProcess, OperatorSettings
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import EVENT, NAMESPACE, STORAGE_CLASS, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from tests.conformance.operator.comparer import Difference, object_differences
from tests.conformance.operator.judge import RECORDINGS, load
from tests.conformance.operator.observer import Observer
from tests.conformance.operator.placeholders import Placeholders
from tests.conformance.operator.world import SNAPSHOT_TYPES, TYPES

#: Cases of the area `pods`, each with children of several kinds.
_CASES = ("auth-token", "autoscaler-options", "gcs-ft-options", "tpu")
_LIMIT_S = 30.0
_LOOK_S = 0.02


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesThread]:
    definitions = custom_resource_definitions()
    with KubernetesThread(KubernetesOptions(definitions=definitions, scheduler=False, node_lifecycle=False)) as thread:
        yield thread


def _typed(obj: JsonObject) -> ResourceType:
    known = TYPES[obj["kind"]]
    group, _, version = obj["apiVersion"].rpartition("/")
    return ResourceType(group, version, known.plural, known.kind)


class Story:
    """One case in a namespace of its own."""

    def __init__(self, client: HttpKubernetesClient, name: str) -> None:
        self._client = client
        self._case = load(RECORDINGS / "pods" / f"{name}.json")
        self._namespace = f"n{name}"
        runtime = AsyncioRuntime()
        self._observer = Observer(runtime, self._namespace)
        self._placeholders = Placeholders(self._namespace, self._observer)
        self._observer.start(client, (*SNAPSHOT_TYPES, EVENT))

    async def differences(self) -> list[Difference]:
        """Of what there is before any pod runs."""
        recorded = self._case["recorded"]["snapshots"]["created"]["objects"]
        await self._client.create(NAMESPACE, {"metadata": {"name": self._namespace}})
        created = [*(self._case.get("prerequisites") or ()), self._case["steps"][0]["object"]]
        for obj in created:
            mine = copy_json(obj)
            mine["metadata"]["namespace"] = self._namespace
            await self._client.create(_typed(mine), mine, self._namespace)
        wanted = Counter(obj["kind"] for obj in recorded if obj["kind"] != "EndpointSlice")
        while Counter(obj["kind"] for obj in self._shown()) != wanted:
            await asyncio.sleep(_LOOK_S)
        want = [_lasting(obj) for obj in recorded if obj["kind"] in wanted]
        return object_differences(want, [_lasting(obj) for obj in self._shown()])

    def _shown(self) -> list[JsonObject]:
        self._placeholders.refresh()
        found: list[JsonObject] = []
        for resource in SNAPSHOT_TYPES:
            if resource.kind != "EndpointSlice":
                for obj in self._observer.list(resource.kind):
                    value: JsonObject = {"kind": resource.kind, **self._placeholders.value(obj)}
                    value["metadata"].pop("creationTimestamp", None)
                    found.append(value)
        return found


def _lasting(obj: JsonObject) -> JsonObject:
    """Without what changes as time goes on: the status."""
    return {key: value for key, value in obj.items() if key != "status"}


async def _play(url: str, name: str) -> list[Difference]:
    operator = OperatorProcess(OperatorSettings(connect_to(url)), Random(name))
    client = HttpKubernetesClient(connect_to(url), Random(1), user_agent="test")
    ready = asyncio.Event()
    run: asyncio.Task[Any] = asyncio.create_task(operator.run(ready.set))
    try:
        async with asyncio.timeout(_LIMIT_S):
            await ready.wait()
            return await Story(client, name).differences()
    finally:
        operator.stop()
        await run
        await client.aclose()


@pytest.mark.parametrize("name", _CASES)
def test_children_made_over_http_are_those_recorded(server: KubernetesThread, name: str) -> None:
    assert list(map(str, asyncio.run(_play(server.url, name)))) == []


def test_a_server_without_scheduler_has_no_storage_class_that_claims_would_get(server: KubernetesThread) -> None:
    assert server.ask(lambda api: api.objects(STORAGE_CLASS)) == []
