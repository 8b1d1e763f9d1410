"""Schemas, definitions and rules: the answers of a real API server (1.36.2), word for word. The order of what it says is free."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

GROUP = "things.example.com"
THING = ResourceType(GROUP, "v1", "things", "Thing")


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(__file__).parent / "answers" / name).read_text("utf-8"))["rows"]
    return found


def definition(root: dict[str, Any]) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def new_server() -> ApiServer:
    from random import Random

    return ApiServer(lambda: 1_700_000_000_000_000_000, Random(1))


def create(server: ApiServer, kind: ResourceType, body: dict[str, Any]) -> Answer:
    namespace = "default" if kind.namespaced else ""
    return server.call(ApiCall("create", kind, namespace, body=body, dry_run=True, field_validation="Warn"))


@lru_cache(maxsize=8)
def server_with(spec: str) -> ApiServer:
    server = new_server()
    root = {"type": "object", "properties": {"spec": json.loads(spec)}}
    if "required" in root["properties"]["spec"]:
        root["required"] = ["spec"]
    server.call(ApiCall("create", CUSTOM_RESOURCE_DEFINITION, "", body=definition(root)))
    return server


def said(refused: Invalid) -> list[list[str]]:
    return sorted([cause["field"], cause["message"]] for cause in refused.status["details"]["causes"])


def with_their_schemas(found: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    spec, pairs = "", []
    for row in found:
        if "spec" in row:
            spec = json.dumps(row["spec"])
        else:
            pairs.append((spec, row))
    return pairs


@pytest.mark.accepts("K8-037", "K8-038", "K8-039")
@pytest.mark.parametrize(("spec", "row"), with_their_schemas(rows("values.json")))
def test_a_spec_under_a_schema(spec: str, row: dict[str, Any]) -> None:
    body = {"metadata": {"name": "a"}, "spec": row["sent"]}
    if "said" not in row:
        assert create(server_with(spec), THING, body).body.get("spec") == row["becomes"]
        return
    with pytest.raises(Invalid) as refused:
        create(server_with(spec), THING, body)
    assert said(refused.value) == row["said"]


@pytest.mark.accepts("K8-038")
@pytest.mark.parametrize("row", rows("formats.json")[1:], ids=lambda row: row["format"])
def test_texts_of_a_format(row: dict[str, Any]) -> None:
    server = server_with(
        json.dumps({"type": "object", "properties": {"v": {"type": "string", "format": row["format"]}}})
    )
    good, refused = [], []
    for text in rows("formats.json")[0]["texts"]:
        try:
            create(server, THING, {"metadata": {"name": "a"}, "spec": {"v": text}})
            good.append(text)
        except Invalid as problem:
            refused.append((text, said(problem)))
    assert good == row["good"]
    for text, causes in refused:
        shown = json.dumps(text)
        message = f"Invalid value: {shown}: spec.v in body must be of type {row['format']}: {shown}"
        assert causes == [["spec.v", message]]


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize("row", rows("schemas.json") + rows("compilation.json"))
def test_a_schema_of_a_definition(row: dict[str, Any]) -> None:
    place = "spec.validation.openAPIV3Schema"
    if not row["said"]:
        warned = create(new_server(), CUSTOM_RESOURCE_DEFINITION, definition(row["schema"])).warnings
        texts = [
            warning.removeprefix('299 - "').removesuffix('"').replace('\\"', '"') for warning in row.get("warned", ())
        ]
        assert sorted(warned) == sorted(texts)
        return
    with pytest.raises(Invalid) as refused:
        create(new_server(), CUSTOM_RESOURCE_DEFINITION, definition(row["schema"]))
    assert [[field.removeprefix(place), text.replace(place, "")] for field, text in said(refused.value)] == [
        [field, text.replace(place, "")] for field, text in row["said"]
    ]


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize("row", rows("definitions.json"))
def test_a_definition(row: dict[str, Any]) -> None:
    found = json.loads(json.dumps(row).replace("{g}", GROUP))
    if not found["said"]:
        create(new_server(), CUSTOM_RESOURCE_DEFINITION, found["definition"])
        return
    with pytest.raises(Invalid) as refused:
        create(new_server(), CUSTOM_RESOURCE_DEFINITION, found["definition"])
    assert said(refused.value) == found["said"]


@pytest.mark.accepts("K8-039")
@pytest.mark.parametrize("row", rows("rules.json"))
def test_specs_under_rules(row: dict[str, Any]) -> None:
    server = server_with(json.dumps(row["schema"]))
    for spec in row["specs"]:
        with pytest.raises(Invalid) as refused:
            create(server, THING, {"metadata": {"name": "a"}, "spec": spec["sent"]})
        assert said(refused.value) == spec["said"]
