"""Informers against the fake API server."""

from typing import Any

import pytest

from rayrig_controllers.cached_client import CachedClient, InformerCache
from rayrig_controllers.informer import Informer
from rayrig_core.errors import ApiError, NotFound
from rayrig_core.faultpoints import CutWatch, DropWatchEvent, ErrorBefore, ExpireWatch
from rayrig_core.objects import JsonObject
from rayrig_core.ports import ObjectList, WatchType
from rayrig_core.resource_types import CONFIG_MAP, NODE, ResourceType
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind


def config_map(name: str, **labels: str) -> JsonObject:
    return {"metadata": {"name": name, "labels": labels}}


def in_default(obj: JsonObject) -> JsonObject:
    return {"metadata": {**obj["metadata"], "namespace": "default"}}


def names(objects: list[JsonObject]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def start(plane: Any, **settings: Any) -> tuple[Informer, list[str]]:
    client = plane.client("operator", watch_lag_s=settings.pop("watch_lag_s", 0.0))
    informer = Informer(plane.kernel, client, CONFIG_MAP, **settings)
    seen: list[str] = []

    def note(kind: WatchType, before: JsonObject | None, now: JsonObject | None) -> None:
        obj = now or before
        assert obj is not None
        seen.append(f"{kind} {obj['metadata']['name']} cause={plane.kernel.cause}")

    informer.add_handler(note)
    plane.kernel.spawn("informer", informer.run())
    return informer, seen


def test_it_lists_then_follows_and_tells_what_caused_each_change(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("old"))
    informer, seen = start(plane)
    assert not informer.has_synced
    plane.kernel.run(until_s=1)
    assert informer.has_synced
    plane.create(CONFIG_MAP, config_map("new"))
    plane.delete(CONFIG_MAP, "old")
    plane.kernel.run(until_s=2)
    created, deleted = [event.seq for event in plane.kernel.trace.select(Kind.API_WRITE)][1:]
    assert seen == ["ADDED old cause=None", f"ADDED new cause={created}", f"DELETED old cause={deleted}"]
    assert names(informer.select()) == ["new"]


def test_select_by_label_and_namespace_with_and_without_an_index(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("a", color="red", size="big"))
    plane.create(CONFIG_MAP, config_map("b", color="blue"))
    plane.create(CONFIG_MAP, config_map("c", color="red"), "kube-system")
    indexed, _ = start(plane, indexed_labels=("color",))
    plain, _ = start(plane)
    plane.kernel.run(until_s=1)
    for informer in (indexed, plain):
        assert names(informer.select("", {"color": "red"})) == ["a", "c"]
        assert names(informer.select("default", {"color": "red"})) == ["a"]
        assert names(informer.select("default", {"color": "red", "size": "big"})) == ["a"]
        assert names(informer.select("default", {"color": "red", "size": "small"})) == []
    plane.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"color": "blue"}}})
    plane.kernel.run(until_s=2)
    assert names(indexed.select("", {"color": "blue"})) == ["b", "a"]
    assert names(indexed.select("", {"color": "red"})) == ["c"]


def test_objects_are_found_by_the_uid_of_their_controller(plane: Any) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1", "controller": True}
    plane.create(CONFIG_MAP, {"metadata": {"name": "child", "ownerReferences": [owner]}})
    plane.create(CONFIG_MAP, config_map("stranger"))
    informer, _ = start(plane)
    plane.kernel.run(until_s=1)
    assert names(informer.owned_by("u-1")) == ["child"]
    plane.delete(CONFIG_MAP, "child")
    plane.kernel.run(until_s=2)
    assert informer.owned_by("u-1") == []


def test_the_cache_lags_as_long_as_the_watch_does(plane: Any) -> None:
    informer, _ = start(plane, watch_lag_s=3.0)
    plane.kernel.run(until_s=1)
    plane.create(CONFIG_MAP, config_map("late"))
    plane.kernel.run(until_s=3.9)
    assert informer.select("default") == []
    plane.kernel.run(until_s=4.1)
    assert names(informer.select("default")) == ["late"]


def test_an_expired_watch_is_mended_by_a_new_list_which_also_shows_what_was_missed(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("gone"))
    plane.create(CONFIG_MAP, config_map("same"))
    informer, seen = start(plane)
    plane.kernel.run(until_s=1)
    plane.faults.plan = [
        ("deliver", "configmaps/default/gone", 1, DropWatchEvent()),
        ("deliver", "configmaps/default/new", 1, ExpireWatch()),
    ]
    plane.delete(CONFIG_MAP, "gone")
    plane.kernel.run(until_s=2)
    assert names(informer.select("default")) == ["gone", "same"]
    plane.create(CONFIG_MAP, config_map("new"))
    plane.kernel.run(until_s=3)
    assert names(informer.select("default")) == ["same", "new"]
    assert [text.split(" cause")[0] for text in seen[2:]] == ["DELETED gone", "ADDED new"]


def test_a_refused_list_is_tried_again_with_growing_pauses(plane: Any) -> None:
    plane.faults.plan = [("list", "configmaps", nth, ErrorBefore(503, "ServiceUnavailable")) for nth in (1, 2)]
    informer, _ = start(plane)
    plane.kernel.run(until_s=2.3)
    assert not informer.has_synced
    plane.kernel.run(until_s=2.5)
    assert informer.has_synced


def test_the_first_read_of_a_resource_starts_its_informer_and_waits_for_it(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("a", color="red"))
    plane.create(CONFIG_MAP, config_map("elsewhere", color="red"), "kube-system")
    client = CachedClient(InformerCache(plane.kernel, plane.client("operator")), plane.client("operator"))
    found: list[Any] = []

    async def read() -> None:
        found.append(await client.find(CONFIG_MAP, "a", "default"))
        found.append(await client.find(CONFIG_MAP, "b", "default"))
        found.append(names(await client.select(CONFIG_MAP, "default", {"color": "red"})))
        await client.create(CONFIG_MAP, in_default(config_map("b")))
        found.append(client.writes)

    plane.kernel.spawn("reader", read())
    plane.kernel.run(until_s=1)
    assert found[0]["metadata"]["name"] == "a"
    assert found[1:] == [None, ["a"], 1]


def test_a_resource_that_the_server_does_not_have_is_reported_to_the_reader_each_time(plane: Any) -> None:
    client = CachedClient(InformerCache(plane.kernel, plane.client("operator")), plane.client("operator"))
    unknown = ResourceType("example.org", "v1", "widgets", "Widget")
    refused: list[NotFound] = []

    async def read() -> None:
        for _ in range(2):
            with pytest.raises(NotFound) as caught:
                await client.find(unknown, "a", "default")
            refused.append(caught.value)

    plane.kernel.spawn("reader", read())
    plane.kernel.run(until_s=1)
    assert len(refused) == 2


def test_a_handler_that_comes_late_is_told_of_what_is_there(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("a"))
    informer, _ = start(plane)
    plane.kernel.run(until_s=1)
    seen: list[tuple[WatchType, Any, str]] = []
    informer.add_handler(lambda kind, before, now: seen.append((kind, before, (now or {})["metadata"]["name"])))
    assert seen == [(WatchType.ADDED, None, "a")]
    assert len(informer) == 1
    plane.patch(CONFIG_MAP, "a", {"data": {"k": "v"}})
    plane.kernel.run(until_s=2)
    kind, before, name = seen[1]
    assert (kind, name, "data" in before) == (WatchType.MODIFIED, "a", False)


def test_the_version_grows_with_what_is_read_here(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("a"))
    informer, _ = start(plane)
    plane.kernel.run(until_s=1)
    assert informer.version == 1
    plane.patch(CONFIG_MAP, "a", {"data": {"k": "v"}})
    plane.delete(CONFIG_MAP, "a")
    plane.kernel.run(until_s=2)
    assert informer.version == 3


def test_reads_are_by_name_and_namespace(plane: Any) -> None:
    plane.create(CONFIG_MAP, config_map("a"), "kube-system")
    informer, _ = start(plane)
    plane.kernel.run(until_s=1)
    assert informer.get("a", "kube-system") is not None
    assert informer.get("a", "default") is None
    assert informer.get("a") is None
    assert names(informer.select("kube-system")) == ["a"]
    assert informer.select("default") == []


def test_only_the_namespace_and_labels_asked_for_are_kept_also_by_the_watch(plane: Any) -> None:
    for name, color, namespace in (("a", "red", "default"), ("b", "blue", "default"), ("c", "red", "kube-system")):
        plane.create(CONFIG_MAP, config_map(name, color=color), namespace)
    informer, _ = start(plane, namespace="default", label_selector="color=red")
    plane.kernel.run(until_s=1)
    assert names(informer.select()) == ["a"]
    plane.create(CONFIG_MAP, config_map("d", color="blue"))
    plane.create(CONFIG_MAP, config_map("e", color="red"), "kube-system")
    plane.create(CONFIG_MAP, config_map("f", color="red"))
    plane.kernel.run(until_s=2)
    assert names(informer.select()) == ["a", "f"]


def test_an_index_forgets_labels_and_owners_that_are_gone(plane: Any) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1", "controller": True}
    plane.create(CONFIG_MAP, {"metadata": {"name": "a", "labels": {"color": "red"}, "ownerReferences": [owner]}})
    plane.create(CONFIG_MAP, config_map("b", color="red"))
    informer, _ = start(plane, indexed_labels=("color", "size"))
    plane.kernel.run(until_s=1)
    plane.patch(CONFIG_MAP, "a", {"data": {"k": "v"}})
    plane.kernel.run(until_s=1.5)
    assert names(informer.select("", {"color": "red"})) == ["a", "b"], "it keeps its place"
    assert informer.owned_by("u-1")[0]["data"] == {"k": "v"}
    assert informer.select("", {"color": "red", "size": "big"}) == []
    plane.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"color": None, "size": "big"}, "ownerReferences": []}})
    plane.kernel.run(until_s=2)
    assert names(informer.select("", {"color": "red"})) == ["b"]
    assert names(informer.select("", {"size": "big"})) == ["a"]
    assert informer.owned_by("u-1") == []
    assert informer.select("", {"color": "green"}) == []
    plane.delete(CONFIG_MAP, "b")
    plane.kernel.run(until_s=3)
    assert informer.select("", {"color": "red"}) == []


def test_pauses_grow_to_half_a_minute_and_begin_anew_after_a_success(plane: Any) -> None:
    tries: list[float] = []

    class Refusing:
        async def list(self, *arguments: Any, **options: Any) -> Any:
            tries.append(round(plane.kernel.monotonic_ns() / NS, 2))
            raise ServerError

    class ServerError(ApiError):
        def __init__(self) -> None:
            super().__init__({"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "down"})

    informer = Informer(plane.kernel, Refusing(), CONFIG_MAP)  # type: ignore[arg-type]
    plane.kernel.spawn("informer", informer.run())
    plane.kernel.run(until_s=150)
    assert tries == [0.0, 0.8, 2.4, 5.6, 12.0, 24.8, 50.4, 80.4, 110.4, 140.4]


def test_a_watch_that_is_refused_is_opened_again_where_it_was(plane: Any) -> None:
    informer, _ = start(plane)
    plane.kernel.run(until_s=1)
    plane.faults.plan = [("deliver", "configmaps/default/a", 1, CutWatch())]
    plane.create(CONFIG_MAP, config_map("a"))
    plane.kernel.run(until_s=5)
    assert names(informer.select()) == ["a"]
    plane.create(CONFIG_MAP, config_map("b"))
    plane.kernel.run(until_s=6)
    assert names(informer.select()) == ["a", "b"]


def test_that_a_watch_expired_is_told_in_the_trace(plane: Any) -> None:
    plane.faults.plan = [("deliver", "configmaps/default/new", 1, ExpireWatch())]
    start(plane)
    plane.kernel.run(until_s=1)
    plane.create(CONFIG_MAP, config_map("new"))
    plane.kernel.run(until_s=2)
    notes = [(event.subject, event["detail"]) for event in plane.kernel.trace.select(Kind.NOTE)]
    assert ("informers/configmaps", "watch expired, listing again") in notes


def test_one_informer_for_all_readers_of_a_resource(plane: Any) -> None:
    cache = InformerCache(plane.kernel, plane.client("operator"), actor="me", selectors={CONFIG_MAP: "color=red"})
    assert cache.ready(CONFIG_MAP) is None
    informer = cache.informer(CONFIG_MAP)
    assert cache.informer(CONFIG_MAP) is informer
    assert cache.ready(CONFIG_MAP) is None
    plane.create(CONFIG_MAP, config_map("a", color="red"))
    plane.create(CONFIG_MAP, config_map("b", color="blue"))
    version = cache.version
    plane.kernel.run(until_s=1)
    assert cache.ready(CONFIG_MAP) is informer
    assert names(informer.select()) == ["a"]
    assert cache.version == version + 1
    assert [task.name for task in cache.tasks()] == ["me/informer/configmaps"]


def test_a_get_of_what_is_not_there_is_told_as_the_server_would(plane: Any) -> None:
    client = CachedClient(InformerCache(plane.kernel, plane.client("operator")), plane.client("operator"))
    caught: list[NotFound] = []

    async def read() -> None:
        with pytest.raises(NotFound) as error:
            await client.get(CONFIG_MAP, "a", "default")
        caught.append(error.value)
        await client.create(CONFIG_MAP, in_default(config_map("a")))
        await plane.kernel.sleep(0.1)
        assert (await client.get(CONFIG_MAP, "a", "default"))["metadata"]["name"] == "a"
        assert [o["metadata"]["name"] for o in await client.owned_by(CONFIG_MAP, "nobody")] == []

    plane.kernel.spawn("reader", read())
    plane.kernel.run(until_s=1)
    (error,) = caught
    assert (error.code, error.reason, error.message) == (404, "NotFound", 'ConfigMap "a" not found')


def test_each_write_counts_also_one_that_fails(plane: Any) -> None:
    client = CachedClient(InformerCache(plane.kernel, plane.client("operator")), plane.client("operator"))
    counted: list[int] = []

    async def write() -> None:
        made = await client.create(CONFIG_MAP, in_default(config_map("a", color="red")))
        counted.append(client.writes)
        await client.update(CONFIG_MAP, {**made, "data": {"k": "v"}})
        counted.append(client.writes)
        await client.delete(CONFIG_MAP, "a", "default")
        counted.append(client.writes)
        with pytest.raises(NotFound):
            await client.delete(CONFIG_MAP, "a", "default")
        counted.append(client.writes)
        await client.create(CONFIG_MAP, in_default(config_map("b", color="red")))
        await client.create(CONFIG_MAP, in_default(config_map("c", color="blue")))
        await client.delete_collection(CONFIG_MAP, "default", label_selector="color=red")
        counted.append(client.writes)

    plane.kernel.spawn("writer", write())
    plane.kernel.run(until_s=1)
    assert counted == [1, 2, 3, 4, 7]
    assert names(plane.list(CONFIG_MAP)) == ["c"]
    assert client.calls == 7


def test_what_has_no_namespace_is_read_by_its_name(plane: Any) -> None:
    informer = Informer(plane.kernel, plane.client("operator"), NODE)
    plane.kernel.spawn("informer", informer.run())
    plane.create(NODE, {"metadata": {"name": "node-1"}}, "")
    plane.kernel.run(until_s=1)
    found = informer.get("node-1")
    assert found is not None
    assert names(informer.select()) == ["node-1"]


class Unavailable(ApiError):
    def __init__(self) -> None:
        super().__init__({"kind": "Status", "code": 503, "reason": "ServiceUnavailable", "message": "down"})


@pytest.mark.parametrize("how", ["refused", "closed at once"])
def test_watches_that_lead_nowhere_are_opened_with_growing_pauses(plane: Any, how: str) -> None:
    opened: list[tuple[float, str]] = []

    class Closed:
        async def next(self) -> Any:
            raise StopAsyncIteration

        def close(self) -> None: ...

    class Stub:
        """Port `KubernetesClient`: an empty list, and no watch."""

        async def list(self, *arguments: Any, **options: Any) -> Any:
            return ObjectList([], "7")

        async def watch(self, *arguments: Any, resource_version: str, **options: Any) -> Any:
            opened.append((round(plane.kernel.monotonic_ns() / NS, 2), resource_version))
            if how == "refused":
                raise Unavailable
            return Closed()

    stub: Any = Stub()
    informer = Informer(plane.kernel, stub, CONFIG_MAP)
    plane.kernel.spawn("informer", informer.run())
    plane.kernel.run(until_s=120)
    assert opened == [(at, "7") for at in (0.0, 0.8, 2.4, 5.6, 12.0, 24.8, 50.4, 80.4, 110.4)]
