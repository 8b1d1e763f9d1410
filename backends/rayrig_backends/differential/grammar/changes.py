"""Stories of the four kinds of patch."""

from __future__ import annotations

from rayrig_backends.differential.grammar.draw import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Draw,
    create,
    get,
    patch,
    put,
)
from rayrig_backends.differential.grammar.kinds import CONFIG_MAP, NAMESPACED, POD, SERVICE, Kind
from rayrig_backends.differential.grammar.objects import good, labels, metadata, odd_metadata, odd_value
from rayrig_backends.differential.steps import Step
from rayrig_core.objects import Json, JsonObject

_POINTERS = (
    "/metadata/labels",
    "/metadata/labels/app",
    "/metadata/labels/example.com~1part",
    "/metadata/annotations/note",
    "/metadata/name",
    "/metadata/uid",
    "/metadata/finalizers/-",
    "/data/a",
    "/data/c.txt",
    "/data",
    "/data/nope/deeper",
    "/spec/containers/0/image",
    "/spec/containers/-",
    "/spec/containers/7",
    "/spec/containers/01",
    "/spec/ports/0/port",
    "/spec",
    "/kind",
    "/status",
    "",
    "/",
    "data/a",
    "/metadata/labels/",
    "/a~2b",
)
_VALUES: tuple[Json, ...] = ("x", "y", None, 1, True, {}, [], {"a": "b"}, ["x"], {"name": "main", "image": "other"})


def json_patch(draw: Draw) -> list[Step]:
    """Operations that fit, and ones that do not."""
    kind = draw.one((CONFIG_MAP, CONFIG_MAP, *NAMESPACED))
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 7)):
        operations: list[Json] = [_operation(draw) for _ in range(draw.rng.randint(1, 3))]
        body: Json = operations
        if draw.chance(0.08):
            body = draw.one(({}, None, "x", 1, [], [1], [None], [{}], {"op": "add"}))
        steps.append(patch(kind, draw.one(("a", "a", "a", "nope")), JSON_PATCH, body, _options(draw)))
    return [*steps, get(kind, "a")]


def _operation(draw: Draw) -> Json:
    action = draw.one(("add", "add", "replace", "replace", "remove", "test", "move", "copy", "odd"))
    operation: JsonObject = {"op": action, "path": draw.one(_POINTERS)}
    if action in ("add", "replace", "test") or draw.chance(0.05):
        operation["value"] = draw.one(_VALUES)
    if action in ("move", "copy"):
        operation["from"] = draw.one(_POINTERS)
    if draw.chance(0.05):
        operation.pop(draw.one(list(operation)))
    return operation


def merge_patch(draw: Draw) -> list[Step]:
    """Parts of objects, nulls, odd values, versions."""
    kind = draw.one(NAMESPACED)
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 7)):
        steps.append(patch(kind, "a", MERGE_PATCH, _part(draw, kind), _options(draw)))
    return [*steps, get(kind, "a")]


def _part(draw: Draw, kind: Kind) -> Json:
    """Something a merge or strategic patch could be."""
    choice = draw.rng.randint(0, 9)
    body: JsonObject = {**kind.fields(draw.rng), "metadata": metadata(draw)}
    if choice <= 1:
        return {"metadata": {"labels": {key: draw.one((None, "x")) for key in draw.some(("app", "tier"), 2)}}}
    if choice == 2:
        body["metadata"]["resourceVersion"] = draw.one(
            (f"${{rv:{kind.key('a')}}}", f"${{first:{kind.key('a')}}}", "0", "", "x", None)
        )
        return body
    if choice == 3:
        return odd_value(draw, body) if draw.chance(0.7) else odd_metadata(draw, kind, body)
    if choice == 4:
        return draw.one((None, [], "x", 1, {}, [{}], True))
    if choice == 5:
        return {"kind": draw.one((kind.kind, "Other")), "apiVersion": draw.one((kind.api_version, "v9"))}
    if choice == 6:
        return {draw.one(("data", "spec", "metadata", "template", "rules", "type")): draw.one((None, {}, [], "x"))}
    return body


def strategic_patch(draw: Draw) -> list[Step]:
    """Lists that merge by key, and the directives."""
    kind = draw.one((POD, POD, SERVICE, CONFIG_MAP, *NAMESPACED))
    steps = [create(kind, good(draw, kind, "a"))]
    for _ in range(draw.rng.randint(3, 7)):
        body = _strategic(draw, kind) if draw.chance(0.7) else _part(draw, kind)
        steps.append(patch(kind, "a", STRATEGIC_PATCH, body, _options(draw)))
    return [*steps, get(kind, "a")]


def _strategic(draw: Draw, kind: Kind) -> Json:
    if kind is POD:
        container: JsonObject = draw.one(
            (
                {"name": "main", "image": "new"},
                {"name": "main", "env": [{"name": "A", "value": "2"}]},
                {"name": "main", "env": [{"name": "A", "$patch": "delete"}]},
                {"name": "other", "image": "x"},
                {"name": "side", "$patch": "delete"},
                {"image": "nameless"},
                {"name": "main", "ports": [{"containerPort": 80, "$patch": "delete"}]},
                {"$patch": "replace"},
                {"$patch": "odd", "name": "main"},
            )
        )
        spec: JsonObject = {"containers": [container]}
        if draw.chance(0.3):
            spec["$setElementOrder/containers"] = draw.one(
                ([{"name": "side"}, {"name": "main"}], [{"name": "main"}], [])
            )
        if draw.chance(0.2):
            spec["tolerations"] = [{"key": "k2", "operator": "Exists"}]
        if draw.chance(0.2):
            spec["activeDeadlineSeconds"] = draw.one((10, 0, None))
        if draw.chance(0.1):
            spec["$retainKeys"] = ["containers"]
        return {"spec": spec}
    if kind is SERVICE:
        port: JsonObject = draw.one(
            (
                {"port": 80, "name": "n"},
                {"port": 8080, "$patch": "delete"},
                {"port": 81, "protocol": "TCP", "name": "eightyone"},
                {"name": "no-port"},
            )
        )
        return {"spec": {"ports": [port]}}
    directive = draw.one(
        (
            {"metadata": {"labels": {"$patch": "replace", "tier": "z"}}},
            {"metadata": {"labels": {"$patch": "delete"}}},
            {"metadata": {"finalizers": ["example.com/one"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/one"]}},
            {
                "metadata": {
                    "$setElementOrder/finalizers": ["example.com/two", "example.com/one"],
                    "finalizers": ["example.com/two"],
                }
            },
            {"$patch": "replace", "metadata": {"name": "a"}},
            {"$patch": "delete"},
            {"$patch": "odd"},
            {"data": {"$patch": "replace", "only": "x"}},
            {"data": {"$retainKeys": ["a"], "a": "x"}},
            {"metadata": {"ownerReferences": [{"uid": "u", "$patch": "delete"}]}},
        )
    )
    return directive if isinstance(directive, dict) else {}


def _options(draw: Draw) -> list[tuple[str, str]]:
    query = draw.maybe(0.1, ("dryRun", "All"))
    query += draw.maybe(0.15, ("fieldManager", draw.one(("m1", "m2", "x" * 129, "ü"))))
    query += draw.maybe(0.1, ("fieldValidation", draw.one(("Strict", "Ignore", "Warn"))))
    query += draw.maybe(0.05, ("force", draw.one(("true", "false", "x"))))
    return query


def apply(draw: Draw) -> list[Step]:
    """Managers that share an object, conflicts, force, fields left out, mixed with other writes."""
    kind = draw.one((CONFIG_MAP, CONFIG_MAP, POD, SERVICE, *NAMESPACED))
    steps: list[Step] = []
    for _ in range(draw.rng.randint(3, 9)):
        choice = draw.rng.random()
        if choice < 0.7:
            steps.append(_apply(draw, kind))
        elif choice < 0.8:
            steps.append(
                patch(
                    kind, "a", MERGE_PATCH, _part(draw, kind), draw.maybe(0.6, ("fieldManager", draw.one(("m1", "m3"))))
                )
            )
        elif choice < 0.9:
            steps.append(
                put(kind, "a", good(draw, kind, "a"), draw.maybe(0.6, ("fieldManager", draw.one(("m1", "m3")))))
            )
        else:
            steps.append(get(kind, "a"))
    return steps


def _apply(draw: Draw, kind: Kind) -> Step:
    body: JsonObject = {**kind.named("a"), **kind.fields(draw.rng)}
    if draw.chance(0.6):
        body["metadata"]["labels"] = labels(draw)
    if draw.chance(0.15):
        body["metadata"]["finalizers"] = draw.some(("example.com/one", "example.com/two"), 2)
    if draw.chance(0.1):
        body["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "z", "uid": draw.one(("u-1", "u-2"))}
        ]
    if draw.chance(0.1):
        body = odd_metadata(draw, kind, body)
    elif draw.chance(0.08):
        body = odd_value(draw, body)
    if draw.chance(0.3):
        for part in draw.some([key for key in body if key not in ("apiVersion", "kind", "metadata")], 2):
            del body[part]
    query = [("fieldManager", draw.one(("m1", "m2", "m1", "m2", "m3")))]
    if draw.chance(0.04):
        query = draw.one(([], [("fieldManager", "")], [("fieldManager", "x" * 129)], [("fieldManager", "a\nb")]))
    query += draw.maybe(0.3, ("force", draw.one(("true", "true", "false", "1", "x"))))
    query += draw.maybe(0.1, ("dryRun", "All"))
    query += draw.maybe(0.1, ("fieldValidation", draw.one(("Strict", "Ignore", "Warn"))))
    return patch(kind, "a", APPLY_PATCH, body, query)
