"""Random calls against the server and against a dict: same objects, same events, nothing that was handed out ever changes."""

from __future__ import annotations

import marshal
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rayrig_core.errors import ApiError
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import CONFIG_MAP, POD
from rayrig_fakes.kubernetes.calls import ApiCall
from tests.fakes.kubernetes.conftest import Api

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"]), max_size=2)
CALLS = st.one_of(
    st.tuples(st.just("create"), NAMES, VALUES),
    st.tuples(st.just("update"), NAMES, VALUES),
    st.tuples(st.just("patch"), NAMES, VALUES),
    st.tuples(st.just("hold"), NAMES, st.just({})),
    st.tuples(st.just("release"), NAMES, st.just({})),
    st.tuples(st.just("delete"), NAMES, st.just({})),
)


def perform(api: Api, verb: str, name: str, data: dict[str, str]) -> None:
    body = {"metadata": {"name": name}, "data": data}
    if verb == "create":
        api.create(CONFIG_MAP, body)
    elif verb == "update":
        api.update(CONFIG_MAP, body)
    elif verb == "patch":
        api.patch(CONFIG_MAP, name, {"data": data})
    elif verb == "hold":
        api.patch(CONFIG_MAP, name, {"metadata": {"finalizers": ["ex.com/f"]}})
    elif verb == "release":
        api.patch(CONFIG_MAP, name, {"metadata": {"finalizers": None}})
    else:
        api.delete(CONFIG_MAP, name)


def expect(model: dict[str, dict[str, Any]], verb: str, name: str, data: dict[str, str]) -> None:
    """The same in a dict; refused calls change nothing."""
    there = model.get(name)
    if verb == "create":
        if there is None:
            model[name] = {"data": dict(data), "held": False, "deleting": False}
        return
    if there is None:
        return
    if verb == "update":
        there["data"], there["held"] = dict(data), False
    elif verb == "patch":
        there["data"] = {**there["data"], **data}
    elif verb == "hold":
        if not there["deleting"]:
            there["held"] = True
    elif verb == "release":
        there["held"] = False
    elif there["held"]:
        there["deleting"] = True
    else:
        del model[name]
    if there["deleting"] and not there["held"]:
        model.pop(name, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(CALLS, max_size=30))
def test_objects_and_events_agree_with_a_dict(calls: list[tuple[str, str, dict[str, str]]]) -> None:
    api = Api()
    watch = api.watch(CONFIG_MAP)
    model: dict[str, dict[str, Any]] = {}
    seen: list[tuple[Any, bytes]] = []
    replayed: dict[str, Any] = {}
    versions = [0]
    for verb, name, data in calls:
        with suppress(ApiError):
            perform(api, verb, name, data)
        expect(model, verb, name, data)
        for stored in api.server.list(ApiCall("list", CONFIG_MAP, "default")).items:
            seen.append((stored.obj, marshal.dumps(stored.obj, 2)))
        while (told := watch.take()) is not None:
            meta = told.object["metadata"]
            versions.append(int(meta["resourceVersion"]))
            if told.type is WatchType.DELETED:
                del replayed[meta["name"]]
            else:
                assert (told.type is WatchType.ADDED) == (meta["name"] not in replayed)
                replayed[meta["name"]] = told.object
            seen.append((told.object, marshal.dumps(told.object, 2)))
    current = {obj["metadata"]["name"]: obj for obj in api.server.objects(CONFIG_MAP, "default")}
    assert {name: obj.get("data", {}) for name, obj in current.items()} == {n: m["data"] for n, m in model.items()}
    assert replayed == current
    assert versions == sorted(set(versions))
    for obj, then in seen:
        assert marshal.dumps(obj, 2) == then, "what was handed out has changed"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["label", "status", "bind", "image", "delete"]), max_size=8))
def test_no_write_to_a_pod_changes_an_earlier_revision(writes: list[str]) -> None:
    api = Api()
    api.pod("p", bound=False)
    api.pod("q", bound=False)
    kept: list[tuple[Any, bytes]] = []
    for number, write in enumerate(writes):
        for obj in api.server.objects(POD):
            kept.append((obj, marshal.dumps(obj, 2)))
        with suppress(ApiError):
            if write == "label":
                api.patch(POD, "p", {"metadata": {"labels": {"n": str(number)}}})
            elif write == "status":
                api.patch(POD, "p", {"status": {"podIP": f"10.0.0.{number}"}}, subresource="status")
            elif write == "bind":
                binding = {"metadata": {"name": "p"}, "target": {"name": "n1"}}
                api.call("create", POD, "p", subresource="binding", body=binding)
            elif write == "image":
                containers = [{"name": "c", "image": f"i:{number}"}]
                api.patch(POD, "p", {"spec": {"containers": containers}}, patch_type="strategic")
            else:
                api.delete(POD, "p")
    for obj, then in kept:
        assert marshal.dumps(obj, 2) == then
