"""What makes a schema structural, and defaults that fit it (`kubernetes-api.md` section 4; K8-040)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from rayrig_core.objects import Json, JsonObject, copy_json
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.cel_errors import RuleError
from rayrig_fakes.kubernetes.schema.nodes import SchemaNode
from rayrig_fakes.kubernetes.schema.rules import program, rules_of
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

Level: TypeAlias = Literal["root", "field", "item"]
_EMPTY_TYPE = {
    "root": "must not be empty at the root",
    "field": "must not be empty for specified object fields",
    "item": "must not be empty for specified array items",
}
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
#: Not to be said again inside `anyOf` and the like.
_STRUCTURE_ONLY = (
    "type",
    "default",
    "title",
    "description",
    "nullable",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)


def check_types(schema: Json) -> None:
    """Raises `Undecodable` when a schema is not made of the types a schema is made of."""
    decode(schema, "apiextensions.v1.JSONSchemaProps", [])
    _check_shapes(schema)


def _check_shapes(schema: Json) -> None:
    """The parts that the catalogue leaves open."""
    if not isinstance(schema, dict):
        raise Undecodable("json: cannot unmarshal into Go value of type v1.JSONSchemaProps")
    for field in ("items", "additionalProperties"):
        part = schema.get(field)
        if isinstance(part, dict):
            check_types(part)
        elif part is not None and (field == "items" or not isinstance(part, bool)):
            raise Undecodable(
                f"json: cannot unmarshal into Go struct field JSONSchemaProps.{field} of type v1.JSONSchemaProps"
            )
    for part in (schema.get("properties") or {}).values():
        _check_shapes(part)
    for field in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(field) or ():
            _check_shapes(part)


def structure_problems(schema: JsonObject, field: str) -> list[Cause]:
    """Causes against a schema of a version; `field` is its place in the definition."""
    causes: list[Cause] = []
    _check(schema, field, "root", causes)
    if not causes:
        _check_defaults(schema, field, causes)
        _check_rules(schema, field, causes)
    return causes


def _check(schema: JsonObject, field: str, level: Level, causes: list[Cause]) -> None:
    kind = schema.get("type") or ""
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind and (level == "root" or not free):
        causes.append(status.required(f"{field}.type", _EMPTY_TYPE[level]))
    elif level == "root" and kind != "object":
        causes.append(status.invalid_value(f"{field}.type", kind, "must be object at the root"))
    elif kind and kind not in _TYPES:
        causes.append(status.not_supported(f"{field}.type", kind, _TYPES))
    if schema.get("$ref"):
        causes.append(status.forbidden_field(f"{field}.$ref", "$ref is not supported"))
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(status.forbidden_field(f"{field}.uniqueItems", text))
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    if additional is False:
        causes.append(
            status.forbidden_field(f"{field}.additionalProperties", "additionalProperties cannot be set to false")
        )
    elif additional is not None and properties:
        text = "additionalProperties and properties are mutual exclusive"
        causes.append(status.forbidden_field(f"{field}.additionalProperties", text))
    if schema.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            text = "must be object if x-kubernetes-embedded-resource is true"
            causes.append(status.invalid_value(f"{field}.type", kind, text))
        if not properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
            text = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
            causes.append(status.required(f"{field}.properties", text))
    if schema.get("x-kubernetes-int-or-string") and kind:
        text = "type must be empty if x-kubernetes-int-or-string is specified"
        causes.append(status.forbidden_field(f"{field}.type", text))
    _check_list(schema, kind, field, causes)
    for name, part in properties.items():
        _check(part, f"{field}.properties[{name}]", "field", causes)
    if isinstance(additional, dict):
        _check(additional, f"{field}.additionalProperties", "field", causes)
    if isinstance(schema.get("items"), dict):
        _check(schema["items"], f"{field}.items", "item", causes)
    _check_alternatives(schema, field, causes)


def _check_list(schema: JsonObject, kind: str, field: str, causes: list[Cause]) -> None:
    items = schema.get("items")
    if kind == "array" and not isinstance(items, dict):
        causes.append(status.required(f"{field}.items", "must be specified"))
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is None:
        return
    at = f"{field}.x-kubernetes-list-type"
    if list_type not in ("atomic", "set", "map"):
        causes.append(status.not_supported(at, list_type, ["atomic", "map", "set"]))
    if kind != "array":
        text = "must be array if x-kubernetes-list-type is specified"
        causes.append(status.invalid_value(f"{field}.type", kind, text))
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if list_type == "map":
        at_keys = f"{field}.x-kubernetes-list-map-keys"
        if not keys:
            causes.append(status.required(at_keys, "must not be empty if x-kubernetes-list-type is map"))
        for index, key in enumerate(keys):
            part = ((items or {}).get("properties") or {}).get(key)
            if part is None:
                text = "entries must all be names of item properties"
                causes.append(status.invalid_value(f"{at_keys}[{index}]", key, text))
            elif key not in ((items or {}).get("required") or ()) and part.get("default") is None:
                text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
                causes.append(status.required(f"{field}.items.properties[{key}].default", text))


def _check_alternatives(schema: JsonObject, field: str, causes: list[Cause]) -> None:
    for keyword in ("allOf", "anyOf", "oneOf", "not"):
        parts: Any = schema.get(keyword)
        if parts is None:
            continue
        for at, part in (
            [(f"{field}.{keyword}", parts)]
            if isinstance(parts, dict)
            else [(f"{field}.{keyword}[{index}]", part) for index, part in enumerate(parts)]
        ):
            if keyword == "anyOf" and schema.get("x-kubernetes-int-or-string") and set(part) == {"type"}:
                continue
            _check_value_validation(part, at, causes)


def _check_value_validation(part: JsonObject, field: str, causes: list[Cause]) -> None:
    for name in _STRUCTURE_ONLY:
        if part.get(name):
            causes.append(status.forbidden_field(f"{field}.{name}", "must be empty to be structural"))
    for name, below in (part.get("properties") or {}).items():
        _check_value_validation(below, f"{field}.properties[{name}]", causes)
    if isinstance(part.get("items"), dict):
        _check_value_validation(part["items"], f"{field}.items", causes)


def _check_defaults(schema: JsonObject, field: str, causes: list[Cause]) -> None:
    if schema.get("default") is not None:
        found: list[Cause] = []
        SchemaNode({**schema, "default": None}).admit(copy_json({"": schema["default"]})[""], None, found)
        for cause in found:
            at = f"{field}.default.{cause.field}" if cause.field else f"{field}.default"
            causes.append(Cause(at, cause.reason, cause.message))
    for name, part in (schema.get("properties") or {}).items():
        _check_defaults(part, f"{field}.properties[{name}]", causes)
    for name in ("additionalProperties", "items"):
        if isinstance(schema.get(name), dict):
            _check_defaults(schema[name], f"{field}.{name}", causes)


def _check_rules(schema: JsonObject, field: str, causes: list[Cause]) -> None:
    for place, rule in rules_of(schema):
        text, at = str(rule.get("rule") or ""), f"{field}{place}"
        if not text.strip():
            causes.append(status.required(f"{at}.rule", "rule is not specified"))
            continue
        for part in ("rule", "messageExpression"):
            if rule.get(part):
                try:
                    program(str(rule[part]), bool(rule.get("optionalOldSelf")))
                except RuleError as problem:
                    causes.append(status.invalid_value(f"{at}.{part}", rule, str(problem)))
