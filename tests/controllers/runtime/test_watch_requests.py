"""Which changes wake a controller, and for which key."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.reconciler import Request
from rayrig_controllers.watches import generation_changed, generation_or_metadata_changed, owns, reconciles
from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD, RAY_CLUSTER, RAY_SERVICE

ADDED, MODIFIED, DELETED = WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED


def obj(name: str = "a", **metadata: Any) -> JsonObject:
    return {"metadata": {"name": name, "namespace": "here", **metadata}}


def owned(name: str, kind: str = "RayCluster", api_version: str = "ray.io/v1", **reference: Any) -> JsonObject:
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": "u", "controller": True, **reference}
    return obj("pod", ownerReferences=[owner])


@pytest.mark.parametrize(
    ("change", "generation", "metadata"),
    [
        ({}, False, False),
        ({"generation": 2}, True, True),
        ({"labels": {"a": "c"}}, False, True),
        ({"annotations": {"a": "c"}}, False, True),
        ({"resourceVersion": "9", "finalizers": ["f"]}, False, False),
    ],
)
def test_what_the_predicates_look_at(change: JsonObject, generation: bool, metadata: bool) -> None:
    before = obj(generation=1, labels={"a": "b"}, annotations={"a": "b"}, resourceVersion="1")
    now = {"metadata": {**before["metadata"], **change}}
    assert generation_changed(before, now) is generation
    assert generation_or_metadata_changed(before, now) is metadata


def test_the_own_resource_wakes_its_own_key() -> None:
    watch = reconciles(RAY_CLUSTER)
    assert watch.requests(ADDED, None, obj()) == [Request("here", "a")]
    assert watch.requests(DELETED, obj(), None) == [Request("here", "a")]
    assert watch.requests(MODIFIED, obj(generation=1), obj(generation=2)) == [Request("here", "a")]
    assert watch.requests(MODIFIED, obj(generation=1), obj(generation=1)) == []
    assert watch.requests(ADDED, None, None) == []
    assert reconciles(RAY_CLUSTER, generation_changed).requests(MODIFIED, obj(), obj(labels={"a": "b"})) == []
    assert watch.requests(MODIFIED, obj(), obj(labels={"a": "b"})) == [Request("here", "a")]


def test_a_child_wakes_its_controller_at_any_change() -> None:
    watch = owns(POD, RAY_CLUSTER)
    same = owned("rc")
    assert watch.requests(MODIFIED, same, same) == [Request("here", "rc")]
    assert watch.requests(ADDED, None, same) == [Request("here", "rc")]
    assert watch.requests(DELETED, same, None) == [Request("here", "rc")]


def test_a_child_that_changes_hands_wakes_both() -> None:
    watch = owns(POD, RAY_CLUSTER)
    assert watch.requests(MODIFIED, owned("one"), owned("two")) == [Request("here", "one"), Request("here", "two")]
    assert watch.requests(MODIFIED, owned("one"), obj("pod")) == [Request("here", "one")]


@pytest.mark.parametrize(
    ("child", "wakes"),
    [
        (owned("rc", api_version="ray.io/v1alpha1"), True),
        (owned("rc", kind="RayService"), False),
        (owned("rc", api_version="example.org/v1"), False),
        (owned("rc", controller=False), False),
        (obj("pod"), False),
    ],
)
def test_only_a_controller_of_kind_and_group_is_woken(child: JsonObject, wakes: bool) -> None:
    assert owns(POD, RAY_CLUSTER).requests(ADDED, None, child) == ([Request("here", "rc")] if wakes else [])


def test_a_key_is_written_with_its_namespace_if_it_has_one() -> None:
    assert (str(Request("ns", "a")), str(Request("", "a"))) == ("ns/a", "a")
    assert owns(POD, RAY_SERVICE).owner is RAY_SERVICE
