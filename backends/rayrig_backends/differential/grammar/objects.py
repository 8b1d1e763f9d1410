"""Bodies: good ones, and ones with something wrong in them."""

from __future__ import annotations

import copy
from typing import Any

from rayrig_backends.differential.grammar.draw import Draw
from rayrig_backends.differential.grammar.kinds import Kind
from rayrig_core.objects import JsonObject

NAMES = ("a", "b", "c")
LABEL_KEYS = ("app", "tier", "example.com/part")
LABEL_VALUES = ("x", "y", "", "z-1")
BAD_NAMES = (
    "A",
    "a_b",
    "-a",
    "a-",
    "a..b",
    ".",
    "..",
    "a/b",
    "a b",
    "x" * 64,
    "x" * 254,
    "a%b",
    "ü",
    "a.b",
    "1",
    "0a",
    "",
)
BAD_LABEL_KEYS = (
    "-a",
    "a b",
    "/a",
    "a/",
    "a/b/c",
    "x" * 64,
    "EXAMPLE.com/a",
    "ex_ample.com/a",
    "",
    "é",
    "kubernetes.io/x",
)
BAD_LABEL_VALUES = ("-", "a b", "x" * 64, "a/b", "é", "_x", "x.")
#: Those of the garbage collector are left out: when it takes them off is its own affair.
FINALIZERS = ("example.com/hold", "example.com/wait", "kubernetes")
BAD_FINALIZERS = ("hold", "a b", "", "EXAMPLE/x", "x" * 64, "example.com/")
_ODD_VALUES: tuple[Any, ...] = (
    None,
    0,
    1,
    -1,
    1.5,
    "",
    "x",
    True,
    [],
    {},
    [None],
    [1],
    ["x"],
    {"a": 1},
    {"a": None},
    "1",
    10**20,
)


def labels(draw: Draw) -> JsonObject:
    return {key: draw.one(LABEL_VALUES) for key in draw.some(LABEL_KEYS, 2)}


def metadata(draw: Draw) -> JsonObject:
    """What a good object may have beside its name."""
    meta: JsonObject = {}
    if draw.chance(0.6):
        meta["labels"] = labels(draw)
    if draw.chance(0.25):
        meta["annotations"] = {"note": draw.one(LABEL_VALUES), "example.com/long note".replace(" ", "-"): "a b\nc"}
    if draw.chance(0.08):
        meta["finalizers"] = draw.some(FINALIZERS[:2], 2)
    return meta


def good(draw: Draw, kind: Kind, name: str) -> JsonObject:
    return kind.body(draw.rng, name, **metadata(draw))


def owner(kind: Kind, name: str, **more: Any) -> JsonObject:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name,
        "uid": f"${{uid:{kind.key(name)}}}",
        **more,
    }


def odd_metadata(draw: Draw, kind: Kind, body: JsonObject) -> JsonObject:
    """The object with one thing in its metadata that is wrong or unusual."""
    body = copy.deepcopy(body)
    meta = body["metadata"]
    changes: list[tuple[str, Any]] = [
        ("name", draw.one(BAD_NAMES)),
        ("labels", {draw.one(BAD_LABEL_KEYS): "x"}),
        ("labels", {"app": draw.one(BAD_LABEL_VALUES)}),
        ("labels", {draw.one(BAD_LABEL_KEYS): draw.one(BAD_LABEL_VALUES)}),
        ("annotations", {draw.one(BAD_LABEL_KEYS): "x"}),
        ("finalizers", [draw.one(BAD_FINALIZERS)]),
        ("finalizers", ["orphan", "foregroundDeletion"]),
        ("finalizers", ["example.com/hold", "example.com/hold"]),
        ("ownerReferences", [draw.one(_BAD_OWNERS)]),
        ("ownerReferences", [{**_OWNER, "controller": True}, {**_OWNER, "controller": True, "name": "other"}]),
        ("ownerReferences", [_OWNER, _OWNER]),
        ("namespace", draw.one(("other", "", "Ü"))),
        ("resourceVersion", draw.one(("1", "0", "", "abc"))),
        ("uid", "11111111-1111-4111-8111-111111111111"),
        ("generation", 7),
        ("creationTimestamp", draw.one(("2020-01-01T00:00:00Z", "yesterday", None))),
        ("deletionTimestamp", "2020-01-01T00:00:00Z"),
        ("deletionGracePeriodSeconds", 5),
        ("selfLink", "/x"),
        ("generateName", "g-"),
        ("managedFields", draw.one(([], [{}], [{"manager": "m", "operation": "Update", "apiVersion": "v1"}]))),
        ("unknown", "x"),
    ]
    field, value = draw.one(changes)
    meta[field] = value
    return body


_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": "22222222-2222-4222-8222-222222222222"}
_BAD_OWNERS: tuple[JsonObject, ...] = (
    {},
    {"apiVersion": "v1"},
    {**_OWNER, "uid": ""},
    {**_OWNER, "name": ""},
    {**_OWNER, "kind": ""},
    {**_OWNER, "apiVersion": ""},
    {**_OWNER, "apiVersion": "a/b/c"},
    {**_OWNER, "kind": "Event"},
    {**_OWNER, "blockOwnerDeletion": True, "controller": True},
    {**_OWNER, "surplus": 1},
)


def odd_value(draw: Draw, body: JsonObject) -> JsonObject:
    """The object with one value somewhere replaced by one of another type, taken away, or something added."""
    body = copy.deepcopy(body)
    places = [place for place in _places(body) if place[1] not in ("apiVersion", "kind") or draw.chance(0.3)]
    holder, key = draw.one(places)
    action = draw.rng.random()
    if action < 0.7:
        holder[key] = copy.deepcopy(draw.one(_ODD_VALUES))
    elif action < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder["unheardOf"] = copy.deepcopy(draw.one(_ODD_VALUES))
    else:
        holder.append(copy.deepcopy(holder[key]))
    return body


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found.append((value, key))
        found += _places(item)
    return found
