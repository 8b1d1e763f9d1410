"""Informers against the fake API server."""

from typing import Any

import pytest

from rayrig_controllers.cached_client import CachedClient, InformerCache
from rayrig_controllers.informer import Informer
from rayrig_core.errors import NotFound
from rayrig_core.faultpoints import DropWatchEvent, ErrorBefore, ExpireWatch
from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import CONFIG_MAP, ResourceType
from rayrig_core.trace import Kind


def config_map(name: str, **labels: str) -> JsonObject:
    return {"metadata": {"name": name, "labels": labels}}


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
    client = CachedClient(InformerCache(plane.kernel, plane.client("operator")), plane.client("operator"))
    found: list[Any] = []

    async def read() -> None:
        found.append(await client.find(CONFIG_MAP, "a", "default"))
        found.append(await client.find(CONFIG_MAP, "b", "default"))
        found.append(names(await client.select(CONFIG_MAP, "default", {"color": "red"})))
        await client.create(CONFIG_MAP, config_map("b"), "default")
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
