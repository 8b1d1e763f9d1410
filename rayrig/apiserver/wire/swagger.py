"""Descriptions of the calls as Swagger 2.0 documents, made from routes and descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rayrig.apiserver.wire.messages import EMPTY, EnumType, Field, Message, Scalar
from rayrig.apiserver.wire.routes import Route
from rayrig_core.objects import JsonObject

_SCALARS: dict[Scalar, dict[str, str]] = {
    Scalar.STRING: {"type": "string"},
    Scalar.BOOL: {"type": "boolean"},
    Scalar.INT32: {"type": "integer", "format": "int32"},
    # As texts in JSON, so that no reader loses digits.
    Scalar.INT64: {"type": "string", "format": "int64"},
    Scalar.UINT32: {"type": "integer", "format": "int64"},
    Scalar.UINT64: {"type": "string", "format": "uint64"},
    Scalar.FLOAT: {"type": "number", "format": "float"},
    Scalar.TIMESTAMP: {"type": "string", "format": "date-time"},
}
_ERROR = "googlerpcStatus"
_ERROR_DEFINITIONS: JsonObject = {
    _ERROR: {
        "type": "object",
        "properties": {
            "code": {"type": "integer", "format": "int32"},
            "message": {"type": "string"},
            "details": {"type": "array", "items": {"type": "object", "$ref": "#/definitions/protobufAny"}},
        },
    },
    "protobufAny": {"type": "object", "properties": {"@type": {"type": "string"}}, "additionalProperties": {}},
}
_MEDIA = {"consumes": ["application/json"], "produces": ["application/json"]}


def document(title: str, routes: Iterable[Route] = ()) -> JsonObject:
    """One document about `routes`; without any, about the error alone."""
    definitions = dict(_ERROR_DEFINITIONS)
    paths: JsonObject = {}
    services: list[str] = []
    for route in routes:
        service = route.rpc.partition(".")[0]
        if service not in services:
            services.append(service)
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, definitions)
    return {
        "swagger": "2.0",
        "info": {"title": title, "version": "version not set"},
        **({"tags": [{"name": service} for service in services], "schemes": ["http"]} if services else {}),
        **_MEDIA,
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
    }


def _operation(route: Route, definitions: JsonObject) -> JsonObject:
    empty = {"type": "object", "properties": {}}
    reply = empty if route.reply == EMPTY else _reference(route.reply, definitions)
    return {
        "operationId": route.rpc.replace(".", "_"),
        "responses": {
            "200": {"description": "A successful response.", "schema": reply},
            "default": {
                "description": "An unexpected error response.",
                "schema": {"$ref": f"#/definitions/{_ERROR}"},
            },
        },
        **({"parameters": parameters} if (parameters := list(_parameters(route, definitions))) else {}),
        "tags": [route.rpc.partition(".")[0]],
    }


def _parameters(route: Route, definitions: JsonObject) -> Iterable[JsonObject]:
    fields = {field.name: field for field in route.request.fields}
    in_path = re.findall(r"{(\w+)}", route.template)
    for name in in_path:
        yield {"name": fields[name].json_name, "in": "path", "required": True, **_type(fields[name], definitions)}
    for name, field in fields.items():
        if name == route.body:
            schema = {**_type(field, definitions), "required": [field.json_name]}
            yield {"name": field.json_name, "in": "body", "required": True, "schema": schema}
        elif name not in in_path:
            yield {"name": field.json_name, "in": "query", "required": False, **_type(field, definitions)}


def _reference(kind: Message | EnumType, definitions: JsonObject) -> JsonObject:
    """A reference to the definition of a message or an enum, which is made first where it is missing."""
    # Types are called by the last two words of their full names.
    name = "".join(f"proto.{kind.name}".split(".")[-2:])
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _definition(kind, definitions)
    return {"$ref": f"#/definitions/{name}"}


def _definition(kind: Message | EnumType, definitions: JsonObject) -> JsonObject:
    if isinstance(kind, EnumType):
        return {"type": "string", "enum": list(kind.values), "default": kind.values[0]}
    properties = {}
    for field in kind.fields:
        properties[field.json_name] = _type(field, definitions)
        if field.output_only:
            properties[field.json_name]["readOnly"] = True
    required = [field.json_name for field in kind.fields if field.required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _type(field: Field, definitions: JsonObject) -> Any:
    kind = field.kind
    one = dict(_SCALARS[kind]) if isinstance(kind, Scalar) else _reference(kind, definitions)
    if field.repeated:
        return {"type": "array", "items": {"type": "object", **one} if isinstance(kind, Message) else one}
    return {"type": "object", "additionalProperties": one} if field.mapped else one
