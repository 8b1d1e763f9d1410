"""Stories of definitions made in the run, and of their objects."""

from __future__ import annotations

import copy
from typing import Any

from rayrig_backends.differential.grammar.draw import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Draw,
    create,
    delete,
    get,
    listed,
    patch,
    put,
    watch,
)
from rayrig_backends.differential.grammar.kinds import Kind
from rayrig_backends.differential.grammar.objects import odd_metadata, odd_value
from rayrig_backends.differential.steps import Step
from rayrig_core.objects import Json, JsonObject

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
THING = Kind("${u}.example.com/v1", "things", "Thing", lambda _: {}, "spec")

#: Schemas of single fields, with values that fit and values that do not.
_FIELDS: tuple[tuple[str, JsonObject, tuple[Json, ...], tuple[Json, ...]], ...] = (
    ("text", {"type": "string", "minLength": 2, "maxLength": 4}, ("ab", "abcd"), ("a", "abcde", 1, True, [], {})),
    ("word", {"type": "string", "pattern": "^[a-z]+$"}, ("a",), ("A", "", 1)),
    ("colour", {"type": "string", "enum": ["red", "green"], "default": "red"}, ("green",), ("blue", "", 1, None)),
    ("count", {"type": "integer", "minimum": 1, "maximum": 5}, (1, 5, 2.0), (0, 6, "1", 1.5, True)),
    ("small", {"type": "integer", "format": "int32"}, (1, -1), (2**31, "1", 1.5)),
    (
        "long",
        {"type": "integer", "format": "int64", "exclusiveMinimum": True, "minimum": 0},
        (1, 2**40),
        (0, -1, 2**63),
    ),
    ("share", {"type": "number", "multipleOf": 0.5}, (0.5, 1, 1.5), (0.3, "1")),
    ("flag", {"type": "boolean", "default": False}, (True, False), ("true", 1)),
    ("maybe", {"type": "string", "nullable": True}, (None, "x"), (1,)),
    ("maybeDefault", {"type": "string", "nullable": True, "default": "d"}, (None, "x"), (1,)),
    ("either", {"x-kubernetes-int-or-string": True}, (1, "1"), (1.5, True, [])),
    ("free", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, ({"a": {"b": [1]}}, {}), ([], "x")),
    ("map", {"type": "object", "additionalProperties": {"type": "integer"}}, ({"a": 1},), ({"a": "x"}, [])),
    (
        "few",
        {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1, "minProperties": 1},
        ({"a": "x"},),
        ({}, {"a": "x", "b": "y"}),
    ),
    (
        "tags",
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        (["a", "b"], []),
        (["a", "a"], [1], "a"),
    ),
    (
        "atoms",
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic", "maxItems": 2},
        (["a"], ["a", "b"]),
        (["a", "b", "c"],),
    ),
    (
        "ports",
        {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "required": ["port"],
                "properties": {
                    "port": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "note": {"type": "string"},
                },
            },
        },
        (
            [{"port": 1}, {"port": 2, "note": "x"}],
            [{"port": 1}, {"port": 1, "protocol": "UDP"}],
            [{"port": 1, "note": "y"}],
        ),
        ([{"port": 1}, {"port": 1}], [{"protocol": "TCP"}], [{"port": "x"}]),
    ),
    (
        "nested",
        {
            "type": "object",
            "default": {},
            "properties": {"level": {"type": "integer", "default": 3}, "name": {"type": "string"}},
        },
        ({}, {"level": 1}, {"name": "x", "odd": 1}),
        ({"level": "x"}, None, []),
    ),
    (
        "strict",
        {"type": "object", "required": ["must"], "properties": {"must": {"type": "string"}}},
        ({"must": "x"},),
        ({}, {"other": 1}, {"must": None}),
    ),
    ("when", {"type": "string", "format": "date-time"}, ("2026-01-02T03:04:05Z",), ("yesterday", "2026-01-02")),
    ("day", {"type": "string", "format": "date"}, ("2026-01-02",), ("x",)),
    ("ip", {"type": "string", "format": "ipv4"}, ("10.0.0.1",), ("x", "::1")),
    ("id", {"type": "string", "format": "uuid"}, ("11111111-1111-4111-8111-111111111111",), ("x",)),
    ("bytes", {"type": "string", "format": "byte"}, ("eA==",), ("%",)),
    (
        "one",
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        ({"a": "x"},),
        ({}, {"a": "x", "b": "y"}),
    ),
    ("any", {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, (0, 7), (3,)),
    ("no", {"type": "string", "not": {"enum": ["bad"]}}, ("ok",), ("bad",)),
    (
        "even",
        {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 0", "message": "must be even"}]},
        (2,),
        (1,),
    ),
    ("fixed", {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}, ("x", "y"), ()),
    (
        "sum",
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.a) || !has(self.b) || self.a <= self.b",
                    "messageExpression": "'a is ' + (self.a > 1 ? 'large' : 'small')",
                    "fieldPath": ".a",
                    "reason": "FieldValueForbidden",
                }
            ],
        },
        ({"a": 1, "b": 2}, {}),
        ({"a": 3, "b": 2},),
    ),
    (
        "names",
        {
            "type": "array",
            "maxItems": 5,
            "items": {"type": "string", "maxLength": 10},
            "x-kubernetes-validations": [{"rule": "self.all(x, x.startsWith('n'))"}],
        },
        (["n1"], []),
        (["x"],),
    ),
    (
        "pod",
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}},),
        ({}, {"kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "X!"}}),
    ),
)

#: What may be wrong with a schema.
_BAD_SCHEMAS: tuple[JsonObject, ...] = (
    {"type": "string", "default": 1},
    {"type": "array"},
    {"properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
    {"type": "string", "x-kubernetes-list-type": "set"},
    {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"},
    {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"},
    {"type": "odd"},
    {"type": "string", "pattern": "("},
    {"type": "string", "x-kubernetes-int-or-string": True},
    {"type": "string", "x-kubernetes-validations": [{"rule": "self +"}]},
    {"type": "string", "x-kubernetes-validations": [{"rule": "self == 1"}]},
    {"type": "string", "x-kubernetes-validations": [{"rule": ""}]},
    {"type": "string", "nullable": True, "default": None},
    {"type": "object", "required": ["a"], "default": {}, "properties": {"a": {"type": "string"}}},
    {"type": "integer", "minimum": "x"},
    {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
    {"type": "object", "properties": {"a": {"$ref": "#/x"}}},
    {"type": "string", "enum": []},
    {"type": "string", "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "object", "patternProperties": {"a": {"type": "string"}}},
    {"type": "string", "format": "odd"},
    {"allOf": [{"type": "string"}]},
    {"type": "object", "oneOf": [{"properties": {"z": {"type": "string"}}}]},
)


def definition(draw: Draw, fields: list[str]) -> JsonObject:
    """A CRD whose spec has these fields."""
    properties: JsonObject = {name: copy.deepcopy(schema) for name, schema, _, _ in _FIELDS if name in fields}
    spec: JsonObject = {"type": "object", "properties": properties}
    version: JsonObject = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": _STATUS}}},
    }
    if draw.chance(0.5):
        version["subresources"] = {"status": {}}
        if draw.chance(0.5):
            version["subresources"]["scale"] = {
                "specReplicasPath": ".spec.count",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            }
    if draw.chance(0.3):
        version["additionalPrinterColumns"] = [
            {"name": "Count", "type": "integer", "jsonPath": ".spec.count"},
            {
                "name": "Colour",
                "type": "string",
                "jsonPath": ".spec.colour",
                "priority": 1,
                "description": "what it looks like",
            },
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]
    if draw.chance(0.2) and "colour" in fields:
        version["selectableFields"] = [{"jsonPath": ".spec.colour"}]
    versions = [version]
    if draw.chance(0.25):
        versions.append(
            {
                **copy.deepcopy(version),
                "name": "v2",
                "storage": False,
                **({"deprecated": True} if draw.chance(0.5) else {}),
            }
        )
    names: JsonObject = {"plural": "things", "singular": "thing", "kind": "Thing"}
    if draw.chance(0.3):
        names |= {"shortNames": ["th"], "listKind": "ThingList", "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.${u}.example.com"},
        "spec": {"group": "${u}.example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }


_STATUS: JsonObject = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}},
}


def definitions(draw: Draw) -> list[Step]:
    """Definitions with something wrong, changed, and taken away."""
    steps: list[Step] = []
    for _ in range(draw.rng.randint(2, 4)):
        body = definition(draw, draw.some([field[0] for field in _FIELDS], 3))
        if draw.chance(0.5):
            version = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            version["bad"] = copy.deepcopy(draw.one(_BAD_SCHEMAS))
        elif draw.chance(0.7):
            spec = odd_value(draw, body["spec"])
            body["spec"] = spec
        choice = draw.rng.random()
        if choice < 0.8 or not steps:
            steps.append(Step("POST", _DEFINITIONS, tuple(draw.maybe(0.6, ("dryRun", "All"))), body=body))
        else:
            body["metadata"]["resourceVersion"] = "${rv:customresourcedefinitions/things.${u}.example.com}"
            steps.append(Step("PUT", f"{_DEFINITIONS}/things.${{u}}.example.com", (), body=body))
    return steps


def custom(draw: Draw) -> list[Step]:
    """Objects of a definition: defaulted, pruned, refused, changed in every way."""
    fields = [field[0] for field in _FIELDS if draw.chance(0.25)] or ["count"]
    steps = [
        Step("POST", _DEFINITIONS, body=definition(draw, fields), until_served=THING.collection),
        create(THING, _thing(draw, fields, wrong=0.0)),
    ]
    for _ in range(draw.rng.randint(5, 11)):
        steps.append(_act(draw, fields))
    return steps


def _thing(draw: Draw, fields: list[str], wrong: float = 0.15, name: str = "a", **more: Any) -> JsonObject:
    spec: JsonObject = {}
    for field, _, good_values, bad_values in _FIELDS:
        if field in fields and draw.chance(0.6):
            spec[field] = copy.deepcopy(draw.one(bad_values if bad_values and draw.chance(wrong) else good_values))
    if draw.chance(0.1):
        spec["unheardOf"] = {"a": 1}
    return {**THING.named(name), "spec": spec, **more}


def _act(draw: Draw, fields: list[str]) -> Step:
    name = draw.one(("a", "a", "b"))
    body = _thing(draw, fields, name=name)
    query = draw.maybe(0.1, ("dryRun", "All")) + draw.maybe(
        0.15, ("fieldValidation", draw.one(("Strict", "Ignore", "Warn")))
    )
    choice = draw.rng.randint(0, 17)
    kind = THING if draw.chance(0.9) else Kind("${u}.example.com/v2", "things", "Thing", lambda _: {}, "spec")
    if choice <= 2:
        return create(kind, {**body, "apiVersion": kind.api_version}, query)
    if choice <= 5:
        if draw.chance(0.9):
            body["metadata"]["resourceVersion"] = f"${{rv:things/{name}}}"
        return put(kind, name, {**body, "apiVersion": kind.api_version}, query)
    if choice <= 7:
        return patch(
            kind,
            name,
            MERGE_PATCH,
            {"spec": {**body["spec"], **({draw.one(fields): None} if draw.chance(0.4) else {})}},
            query,
        )
    if choice == 8:
        pointer = f"/spec/{draw.one(fields)}"
        operation: JsonObject = {
            "op": draw.one(("add", "replace", "remove", "test")),
            "path": pointer,
            "value": draw.one((1, "x", None, [], {})),
        }
        return patch(kind, name, JSON_PATCH, [operation], query)
    if choice <= 10:
        manager = [("fieldManager", draw.one(("m1", "m2"))), *draw.maybe(0.3, ("force", "true"))]
        return patch(kind, name, APPLY_PATCH, {**body, "apiVersion": kind.api_version}, [*manager, *query])
    if choice == 11:
        return patch(kind, name, STRATEGIC_PATCH, {"spec": body["spec"]})
    if choice == 12:
        status: Json = draw.one(
            ({"replicas": 1, "selector": "app=x"}, {"phase": "x", "odd": 1}, {"replicas": "x"}, None)
        )
        if draw.chance(0.5):
            return patch(kind, name, MERGE_PATCH, {"status": status, "spec": {"count": 4}}, sub="status")
        full = {**body, "apiVersion": kind.api_version, "status": status}
        full["metadata"]["resourceVersion"] = f"${{rv:things/{name}}}"
        return put(kind, name, full, sub="status")
    if choice == 13:
        if draw.chance(0.5):
            return get(kind, name, sub="scale")
        return patch(kind, name, MERGE_PATCH, {"spec": {"replicas": draw.one((1, 2, -1, "x", None))}}, sub="scale")
    if choice == 14:
        query = draw.maybe(
            0.4, ("fieldSelector", draw.one(("spec.colour=red", "spec.colour!=red", "metadata.name=a", "spec.count=1")))
        )
        return listed(kind, query, headers=(("Accept", _TABLE),) if draw.chance(0.4) else ())
    if choice == 15:
        return delete(kind, name)
    if choice == 16:
        odd = odd_metadata(draw, kind, body) if draw.chance(0.5) else odd_value(draw, body)
        return create(kind, odd, query)
    return watch(kind, [("resourceVersion", draw.one(("0", "")))]) if draw.chance(0.4) else get(kind, name)
