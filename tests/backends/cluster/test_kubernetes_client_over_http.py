"""The `KubernetesClient` port over HTTP does what the one in the process does, held against a served fake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from random import Random
from typing import Any

import pytest

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.connection import connect_to
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.watch_stream import status_of
from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import AlreadyExists, ApiError, Conflict, Gone, Invalid, NotFound
from rayrig_core.http import Failure, HttpFailure
from rayrig_core.ports import Preconditions, WatchType
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, POD
from rayrig_fakes.kubernetes.http.serving import listening_socket
from rayrig_fakes.kubernetes.identity import ADMIN

Story = Callable[[HttpKubernetesClient], Awaitable[None]]

_names = count()


@pytest.fixture(scope="module")
def server() -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(controllers=False)) as thread:
        yield thread


@pytest.fixture
def namespace(server: KubernetesThread) -> str:
    return f"port-{next(_names)}"


def tell(url: str, story: Story, *, token: str = "") -> None:
    async def whole() -> None:
        client = HttpKubernetesClient(connect_to(url, token=token), Random(1), user_agent="test")
        try:
            await story(client)
        finally:
            await client.aclose()

    asyncio.run(whole())


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": data}


async def with_namespace(client: HttpKubernetesClient, name: str) -> None:
    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def test_objects_are_made_read_changed_and_deleted(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        tried = await client.create(CONFIG_MAP, config_map("a", x="0"), namespace, dry_run=True)
        assert tried["metadata"]["uid"]
        made = await client.create(CONFIG_MAP, config_map("a", x="1"), namespace)
        assert made == await client.get(CONFIG_MAP, "a", namespace)
        updated = await client.update(CONFIG_MAP, {**made, "data": {"x": "2"}})
        assert updated["data"] == {"x": "2"}
        merged = await client.patch(CONFIG_MAP, "a", {"data": {"y": "3"}}, namespace)
        assert merged["data"] == {"x": "2", "y": "3"}
        operations = [{"op": "remove", "path": "/data/x"}]
        assert (await client.patch(CONFIG_MAP, "a", operations, namespace, patch_type="json"))["data"] == {"y": "3"}
        applied = await client.patch(
            CONFIG_MAP,
            "a",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"y": "4"}},
            namespace,
            patch_type="apply",
            field_manager="us",
            force=True,
        )
        assert applied["data"] == {"y": "4"}
        assert [each["manager"] for each in applied["metadata"]["managedFields"] if each["operation"] == "Apply"] == [
            "us"
        ]
        wrong = Preconditions(uid="another")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, "a", namespace, preconditions=wrong)
        await client.delete(CONFIG_MAP, "a", namespace, preconditions=Preconditions(uid=made["metadata"]["uid"]))
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAP, "a", namespace)

    tell(server.url, story)


def test_a_list_carries_kinds_pages_and_selectors(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        for name in ("a", "b", "c"):
            await client.create(CONFIG_MAP, config_map(name), namespace)
        first = await client.list(CONFIG_MAP, namespace, limit=2)
        assert [each["metadata"]["name"] for each in first.items] == ["a", "b"]
        assert {(each["apiVersion"], each["kind"]) for each in first.items} == {("v1", "ConfigMap")}
        rest = await client.list(CONFIG_MAP, namespace, limit=2, continue_token=first.continue_token)
        assert [each["metadata"]["name"] for each in rest.items] == ["c"]
        assert rest.resource_version == first.resource_version
        chosen = await client.list(CONFIG_MAP, namespace, label_selector="app in (b)", field_selector="metadata.name=b")
        assert [each["metadata"]["name"] for each in chosen.items] == ["b"]
        await client.delete_collection(CONFIG_MAP, namespace, label_selector="app!=b")
        assert [each["metadata"]["name"] for each in (await client.list(CONFIG_MAP, namespace)).items] == ["b"]

    tell(server.url, story)


def test_refusals_are_the_ports_errors(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        made = await client.create(CONFIG_MAP, config_map("a"), namespace)
        with pytest.raises(AlreadyExists):
            await client.create(CONFIG_MAP, config_map("a"), namespace)
        await client.update(CONFIG_MAP, {**made, "data": {"x": "1"}})
        with pytest.raises(Conflict):
            await client.update(CONFIG_MAP, {**made, "data": {"x": "2"}})
        with pytest.raises(Invalid, match=r"metadata\.name"):
            await client.create(CONFIG_MAP, config_map("A_b"), namespace)

    tell(server.url, story)


def test_a_subresource_is_posted_to(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await client.create(
            POD, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, namespace
        )
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "p"},
            "target": {"kind": "Node", "name": "n-1"},
        }
        await client.create_subresource(POD, "p", "binding", binding, namespace)
        assert (await client.get(POD, "p", namespace))["spec"]["nodeName"] == "n-1"

    tell(server.url, story)


def test_a_watch_tells_changes_in_order_and_survives_odd_characters(server: KubernetesThread, namespace: str) -> None:
    odd = "one\u2028two\u0085three"

    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        begin = (await client.list(CONFIG_MAP, namespace)).resource_version
        stream = await client.watch(CONFIG_MAP, namespace, resource_version=begin)
        made = await client.create(CONFIG_MAP, config_map("a", x=odd), namespace)
        await client.update(CONFIG_MAP, {**made, "data": {"x": "2"}})
        await client.delete(CONFIG_MAP, "a", namespace)
        events = [await stream.next() for _ in range(3)]
        stream.close()
        assert [each.type for each in events] == [WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED]
        assert events[0].object["data"] == {"x": odd}

    tell(server.url, story)


def test_a_watch_from_forgotten_history_is_gone(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        begin = (await client.list(CONFIG_MAP, namespace)).resource_version
        await client.create(CONFIG_MAP, config_map("a"), namespace)
        server.ask(lambda api: api.compact())

        async def first_event() -> None:
            stream = await client.watch(CONFIG_MAP, namespace, resource_version=begin)
            await stream.next()

        with pytest.raises(Gone):
            await first_event()

    tell(server.url, story)


def test_a_cancelled_actor_leaves_its_request_and_its_watch(server: KubernetesThread, namespace: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        runtime = AsyncioRuntime()
        begun = runtime.signal()
        ends: list[str] = []

        async def actor() -> None:
            stream = await client.watch(CONFIG_MAP, namespace)
            begun.set(None)
            try:
                while (await stream.next()).type is WatchType.BOOKMARK:
                    continue
            finally:
                stream.close()
                ends.append("closed")

        task = runtime.spawn("watcher", actor())
        await begun
        task.cancel()
        await task
        assert ends == ["closed"]
        assert task.was_cancelled
        assert await client.get(NAMESPACE, namespace)

    tell(server.url, story)


def test_a_token_is_sent_and_refused_ones_are_told() -> None:
    with KubernetesThread(KubernetesOptions(users={"good": ADMIN}, controllers=False)) as thread:

        async def as_somebody(client: HttpKubernetesClient) -> None:
            assert (await client.list(NAMESPACE)).items

        async def as_nobody(client: HttpKubernetesClient) -> None:
            with pytest.raises(ApiError) as refused:
                await client.list(NAMESPACE)
            assert refused.value.code == 401

        tell(thread.url, as_somebody, token="good")
        tell(thread.url, as_nobody, token="bad")


def test_where_nobody_listens_the_connection_is_refused() -> None:
    listener = listening_socket()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()

    async def story(client: HttpKubernetesClient) -> None:
        with pytest.raises(HttpFailure) as failed:
            await client.list(NAMESPACE)
        assert failed.value.failure is Failure.REFUSED

    tell(url, story)


def test_a_page_instead_of_a_status_becomes_one() -> None:
    status = status_of(502, b"<html>bad gateway</html>")
    assert status["code"] == 502
    assert status["reason"] == "InternalError"
    assert "<html>bad gateway</html>" in status["message"]


@pytest.mark.parametrize("strange", ["a?limit=1", "a#b", "a b", "ä", "a%62"])
def test_a_strange_name_is_a_name_and_nothing_else(server: KubernetesThread, namespace: str, strange: str) -> None:
    async def story(client: HttpKubernetesClient) -> None:
        await with_namespace(client, namespace)
        for name in ("a", "ab"):
            await client.create(CONFIG_MAP, config_map(name), namespace)
        with pytest.raises(ApiError, match=r"not found|may not contain"):
            await client.get(CONFIG_MAP, strange, namespace)
        with pytest.raises(ApiError, match=r"not found|may not contain"):
            await client.delete(CONFIG_MAP, strange, namespace)
        assert len((await client.list(CONFIG_MAP, namespace)).items) == 2

    tell(server.url, story)
