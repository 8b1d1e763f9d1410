"""Objects of a definition with several versions: written in one, kept in the stored one, shown in any (conversion None)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

OLD = ResourceType("example.com", "v1alpha1", "vers", "Ver")
NEW = ResourceType("example.com", "v1", "vers", "Ver")


def _version(name: str, *, storage: bool, **properties: Any) -> JsonObject:
    spec = {"type": "object", "properties": properties}
    schema = {"type": "object", "properties": {"spec": spec}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}


@pytest.fixture
def server() -> ApiServer:
    made = ApiServer(lambda: 0, Random(0))
    text = {"type": "string"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "vers.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "vers", "singular": "ver", "kind": "Ver", "listKind": "VerList"},
            "versions": [
                _version("v1", storage=True, a=text, b={"type": "integer", "default": 5}),
                _version("v1alpha1", storage=False, a=text, c={"type": "integer", "default": 7}),
            ],
        },
    }
    made.add_definitions([definition])
    return made


def create(server: ApiServer, kind: ResourceType, spec: JsonObject) -> JsonObject:
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}, "spec": spec}
    return server.call(ApiCall("create", kind, "default", body=body, field_manager="us")).own()


def get(server: ApiServer, kind: ResourceType) -> JsonObject:
    return server.call(ApiCall("get", kind, "default", "x")).own()


def test_what_is_written_in_an_old_version_gets_the_stored_ones_defaults_and_loses_what_that_does_not_know(
    server: ApiServer,
) -> None:
    made = create(server, OLD, {"a": "q"})
    assert (made["apiVersion"], made["spec"]) == ("example.com/v1alpha1", {"a": "q"})
    assert get(server, OLD)["spec"] == {"a": "q"}
    shown = get(server, NEW)
    assert (shown["apiVersion"], shown["spec"]) == ("example.com/v1", {"a": "q", "b": 5})


def test_a_version_shows_nothing_that_its_schema_does_not_know(server: ApiServer) -> None:
    assert create(server, NEW, {"a": "q"})["spec"] == {"a": "q", "b": 5}
    assert get(server, OLD)["spec"] == {"a": "q"}
    server.call(ApiCall("patch", OLD, "default", "x", body={"spec": {"a": "r"}}, patch_type="merge"))
    assert get(server, NEW)["spec"] == {"a": "r", "b": 5}


def test_managed_fields_speak_of_what_was_written(server: ApiServer) -> None:
    made = create(server, OLD, {"a": "q"})
    (entry,) = made["metadata"]["managedFields"]
    assert entry["apiVersion"] == "example.com/v1alpha1"
    assert entry["fieldsV1"] == {"f:spec": {".": {}, "f:a": {}, "f:c": {}}}
