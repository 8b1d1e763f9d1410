"""Objects that were written long ago take little room; they read as ever."""

from __future__ import annotations

from random import Random

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CONFIG_MAP
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.store import Store
from rayrig_fakes.kubernetes.storage.stored import PackedStored

_HISTORY = 8
_COUNT = 30


def filled(history_limit: int, *, watched: bool = False) -> ApiServer:
    server = ApiServer(lambda: 1_767_225_600 * 1_000_000_000, Random(1), history_limit=history_limit)
    if watched:
        server.watch(ApiCall("watch", CONFIG_MAP, "default")).call_when_ready(lambda: None)
    for number in range(_COUNT):
        body = {"metadata": {"name": f"m-{number:02}"}, "data": {"number": str(number), "text": "ü"}}
        server.call(ApiCall("create", CONFIG_MAP, "default", body=body))
    return server


def packed(server: ApiServer) -> int:
    collection = server.state.store.collection(CONFIG_MAP.plural)
    return sum(isinstance(stored, PackedStored) for stored in collection.scan())


def all_of(server: ApiServer) -> list[JsonObject]:
    return [stored.obj for stored in server.list(ApiCall("list", CONFIG_MAP, "default")).items]


def test_objects_of_forgotten_changes_are_packed_and_read_the_same() -> None:
    server, plain = filled(_HISTORY), filled(10 * _COUNT)
    assert packed(server) > _COUNT // 2
    assert packed(plain) == 0
    assert all_of(server) == all_of(plain)
    call = ApiCall("get", CONFIG_MAP, "default", "m-00")
    assert server.call(call).own() == plain.call(call).own()
    bytes_of = [
        [one.json() for one in each.list(ApiCall("list", CONFIG_MAP, "default")).items] for each in (server, plain)
    ]
    assert bytes_of[0] == bytes_of[1]


def test_a_packed_object_is_changed_like_any_other() -> None:
    server, plain = filled(_HISTORY), filled(10 * _COUNT)
    for each in (server, plain):
        each.call(ApiCall("patch", CONFIG_MAP, "default", "m-01", body={"data": {"number": "new"}}))
        each.call(ApiCall("delete", CONFIG_MAP, "default", "m-02"))
    assert all_of(server) == all_of(plain)


def test_a_packed_object_is_handed_out_as_the_callers_own() -> None:
    server = filled(_HISTORY)
    collection = server.state.store.collection(CONFIG_MAP.plural)
    stored = collection.get("default/m-00")
    assert isinstance(stored, PackedStored)
    own = stored.copy()
    own["data"]["number"] = "mine"
    assert stored.obj["data"]["number"] == "0"
    assert stored.revision == int(stored.obj["metadata"]["resourceVersion"])


def test_objects_with_numbers_that_are_too_large_to_pack_stay_as_they_are() -> None:
    store = Store(history_limit=_HISTORY)
    collection = store.collection("numbers")
    for number in range(_COUNT):
        collection.put(f"n-{number:02}", {"metadata": {"name": f"n-{number:02}"}, "data": {"number": 1 << 70}}, 0)
    assert not any(isinstance(stored, PackedStored) for stored in collection.scan())
    assert all(stored.obj["data"]["number"] == 1 << 70 for stored in collection.scan())


def test_what_somebody_watches_stays_as_it_is() -> None:
    assert packed(filled(_HISTORY, watched=True)) == 0
