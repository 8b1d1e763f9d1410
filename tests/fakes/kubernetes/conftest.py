"""A server with a clock that stands until a test moves it, and short ways to call it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import CONFIG_MAP, POD, ResourceType
from rayrig_core.timestamps import NS
from rayrig_core.trace import Trace
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.watch import WatchCursor

START_NS = 1_767_225_600 * NS  # 2026-01-01T00:00:00Z

WIDGET = ResourceType("example.com", "v1", "widgets", "Widget")


def widget_definition(**version: Any) -> JsonObject:
    """A CRD with one version of everything the tests ask for."""
    spec = {
        "type": "object",
        "required": ["owner"],
        "properties": {
            "owner": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
            "size": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 100, "default": 1},
            "colour": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "ports": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {
                    "type": "object",
                    "required": ["port"],
                    "properties": {
                        "port": {"type": "integer"},
                        "protocol": {"type": "string", "default": "TCP"},
                    },
                },
            },
            "nested": {
                "type": "object",
                "default": {},
                "properties": {"level": {"type": "integer", "default": 3}},
            },
            "amount": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "maybe": {"type": "string", "nullable": True},
            "replicas": {"type": "integer"},
        },
    }
    status = {
        "type": "object",
        "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}, "selector": {"type": "string"}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["toys"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    **({} if "schema" in version else {"selectableFields": [{"jsonPath": ".spec.colour"}]}),
                    **version,
                }
            ],
        },
    }


class Api:
    """Typed calls in the namespace `default`; bodies come back as the caller's own."""

    def __init__(self, seed: int = 1) -> None:
        self.now_ns = START_NS
        self.trace = Trace(lambda: (self.now_ns - START_NS, "", None))
        self.server = ApiServer(lambda: self.now_ns, Random(seed), trace=self.trace)

    def pass_time(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)

    def call(self, verb: Any, kind: ResourceType, name: str = "", **options: Any) -> JsonObject:
        namespace = options.pop("namespace", "default") if kind.namespaced else ""
        subresource = options.pop("subresource", "")
        return self.server.call(ApiCall(verb, kind, namespace, name, subresource, **options)).own()

    def create(self, kind: ResourceType, body: JsonObject, **options: Any) -> JsonObject:
        return self.call("create", kind, body=body, **options)

    def get(self, kind: ResourceType, name: str, **options: Any) -> JsonObject:
        return self.call("get", kind, name, **options)

    def update(self, kind: ResourceType, body: JsonObject, **options: Any) -> JsonObject:
        return self.call("update", kind, body["metadata"]["name"], body=body, **options)

    def patch(self, kind: ResourceType, name: str, patch: Any, **options: Any) -> JsonObject:
        return self.call("patch", kind, name, body=patch, **options)

    def delete(self, kind: ResourceType, name: str, **options: Any) -> JsonObject:
        return self.call("delete", kind, name, **options)

    def names(self, kind: ResourceType, **options: Any) -> list[str]:
        namespace = options.pop("namespace", "default" if kind.namespaced else "")
        page = self.server.list(ApiCall("list", kind, namespace, **options))
        return [stored.obj["metadata"]["name"] for stored in page.items]

    def watch(self, kind: ResourceType, **options: Any) -> WatchCursor:
        return self.server.watch(ApiCall("watch", kind, options.pop("namespace", "default"), **options))

    def config_map(self, name: str, **fields: Any) -> JsonObject:
        meta = {"name": name, **fields.pop("metadata", {})}
        return self.create(CONFIG_MAP, {"metadata": meta, **fields})

    def pod(self, name: str, *, bound: bool = True, **spec: Any) -> JsonObject:
        body: JsonObject = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}
        if bound:
            body["spec"]["nodeName"] = "n1"
        return self.create(POD, body)

    def widget(self, name: str, **spec: Any) -> JsonObject:
        return self.create(WIDGET, {"metadata": {"name": name}, "spec": {"owner": "ann", **spec}})


def events(cursor: WatchCursor) -> list[tuple[WatchType, str]]:
    """What a watch has to tell now: (type, name)."""
    told = []
    while (delivery := cursor.take()) is not None:
        told.append((delivery.type, delivery.object["metadata"]["name"]))
    return told


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def custom(api: Api) -> Api:
    """With the Widget CRD."""
    api.server.add_definitions([widget_definition()])
    return api
