"""What makes a schema structural (`kubernetes-api.md` section 4; K8-040).

First the schema must be one that the API server knows to handle at all (`_basics`); only then it is asked for its structure,
its defaults and its rules.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from rayrig_core.objects import JsonObject, copy_json
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema import go_regexp
from rayrig_fakes.kubernetes.schema.nodes import SchemaNode
from rayrig_fakes.kubernetes.schema.rule_checks import rule_problems
from rayrig_fakes.kubernetes.status import Cause

Level: TypeAlias = Literal["root", "field", "item"]
_EMPTY_TYPE = {
    "root": "must not be empty at the root",
    "field": "must not be empty for specified object fields",
    "item": "must not be empty for specified array items",
}
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("$ref", "patternProperties", "dependencies", "definitions", "additionalItems", "id")
#: Not to be said again inside `anyOf` and the like, and how that is put.
_STRUCTURE_ONLY: dict[str, str] = {
    "type": "empty",
    "default": "undefined",
    "title": "empty",
    "description": "empty",
    "nullable": "false",
    "additionalProperties": "undefined",
    "x-kubernetes-preserve-unknown-fields": "false",
    "x-kubernetes-embedded-resource": "false",
    "x-kubernetes-int-or-string": "false",
    "x-kubernetes-list-type": "undefined",
    "x-kubernetes-list-map-keys": "empty",
    "x-kubernetes-map-type": "undefined",
    "x-kubernetes-validations": "empty",
}
_ONLY_NAMES = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def structure_problems(schema: JsonObject, field: str) -> list[Cause]:
    """Causes against a schema of a version; `field` is its place in the definition."""
    causes: list[Cause] = []
    later: list[Cause] = []
    _basics(schema, field, causes, later)
    if causes:
        return causes
    causes += later
    if schema.get("nullable"):
        causes.append(status.forbidden_field(f"{field}.nullable", "nullable cannot be true at the root"))
    _check(schema, field, "root", causes)
    _check_complete(schema, schema, field, causes)
    if not causes:
        _check_defaults(schema, field, "root", causes)
        causes += rule_problems(schema, field)
    return causes


def _parts(schema: JsonObject, field: str) -> list[tuple[JsonObject, str]]:
    """Schemas right below, with their places."""
    found: list[tuple[JsonObject, str]] = []
    for name, part in (schema.get("properties") or {}).items():
        found.append((part, f"{field}.properties[{name}]"))
    for name in ("additionalProperties", "items"):
        if isinstance(schema.get(name), dict):
            found.append((schema[name], f"{field}.{name}"))
    return found + _alternatives(schema, field)


def _alternatives(schema: JsonObject, field: str) -> list[tuple[JsonObject, str]]:
    found: list[tuple[JsonObject, str]] = []
    for keyword in ("allOf", "anyOf", "oneOf"):
        found += [(part, f"{field}.{keyword}[{index}]") for index, part in enumerate(schema.get(keyword) or ())]
    if isinstance(schema.get("not"), dict):
        found.append((schema["not"], f"{field}.not"))
    return found


# What schemas may hold at all


def _basics(schema: JsonObject, field: str, causes: list[Cause], later: list[Cause]) -> None:
    """`later`: what is said with the structure, of lists and maps."""
    for name in _UNSUPPORTED:
        if schema.get(name):
            causes.append(status.forbidden_field(f"{field}.{name}", f"{name} is not supported"))
    if isinstance(schema.get("items"), list):
        text = "items must be a schema object and not an array"
        causes.append(status.forbidden_field(f"{field}.items", text))
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(status.forbidden_field(f"{field}.uniqueItems", text))
    if schema.get("additionalProperties") is not None and schema.get("properties"):
        text = "additionalProperties and properties are mutual exclusive"
        causes.append(status.forbidden_field(f"{field}.additionalProperties", text))
    kind = schema.get("type") or ""
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        causes.append(status.forbidden_field(f"{field}.type", text))
    if kind and kind not in _TYPES:
        causes.append(status.not_supported(f"{field}.type", kind, _TYPES))
    pattern = schema.get("pattern")
    if pattern and (why := go_regexp.problem(pattern)):
        text = f"must be a valid regular expression, but isn't: error parsing regexp: {why}"
        causes.append(status.invalid_value(f"{field}.pattern", pattern, text))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        at = f"{field}.x-kubernetes-preserve-unknown-fields"
        causes.append(status.invalid_value(at, False, "must be true or undefined"))
    if schema.get("x-kubernetes-list-type") or schema.get("x-kubernetes-list-map-keys"):
        _check_list(schema, kind, field, later)
    if schema.get("x-kubernetes-map-type"):
        _check_map(schema, kind, field, later)
    for part, at in _parts(schema, field):
        _basics(part, at, causes, later)


def _check_map(schema: JsonObject, kind: str, field: str, causes: list[Cause]) -> None:
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is None:
        return
    if kind != "object":
        text = "must be object if x-kubernetes-map-type is specified"
        at = f"{field}.type"
        causes.append(status.invalid_value(at, kind, text) if kind else status.required(at, text))
    if map_type not in ("atomic", "granular"):
        causes.append(status.not_supported(f"{field}.x-kubernetes-map-type", map_type, ["atomic", "granular"]))


def _check_list(schema: JsonObject, kind: str, field: str, causes: list[Cause]) -> None:
    items, list_type = schema.get("items"), schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or []
    at, at_keys = f"{field}.x-kubernetes-list-type", f"{field}.x-kubernetes-list-map-keys"
    if list_type is not None and kind != "array":
        text = "must be array if x-kubernetes-list-type is specified"
        at_type = f"{field}.type"
        causes.append(status.invalid_value(at_type, kind, text) if kind else status.required(at_type, text))
    if list_type not in (None, "atomic", "set", "map"):
        causes.append(status.not_supported(at, list_type, ["atomic", "set", "map"]))
    if keys and list_type is None:
        causes.append(status.required(at, "must be map if x-kubernetes-list-map-keys is non-empty"))
    elif keys and list_type != "map":
        causes.append(status.invalid_value(at, list_type, "must be map if x-kubernetes-list-map-keys is non-empty"))
    if list_type == "map":
        if not keys:
            causes.append(status.required(at_keys, "must not be empty if x-kubernetes-list-type is map"))
        if not isinstance(items, dict):
            causes.append(status.required(f"{field}.items", "must have a schema if x-kubernetes-list-type is map"))
            return
        _check_keys(items, keys, field, causes)
    elif list_type == "set" and isinstance(items, dict):
        _check_set_items(items, f"{field}.items", causes)


def _check_keys(items: JsonObject, keys: list[str], field: str, causes: list[Cause]) -> None:
    at_keys = f"{field}.x-kubernetes-list-map-keys"
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        causes.append(status.invalid_value(f"{field}.items.type", items.get("type") or "", text))
    seen: list[str] = []
    properties = items.get("properties") or {}
    for key in keys:
        if key in seen:
            causes.append(status.invalid_value(at_keys, keys, "must not contain duplicate entries"))
            continue
        seen.append(key)
        part = properties.get(key)
        if part is None:
            if items.get("type") == "object":
                causes.append(status.invalid_value(at_keys, keys, "entries must all be names of item properties"))
            continue
        at = f"{field}.items.properties[{key}]"
        if part.get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            causes.append(status.invalid_value(f"{at}.type", part["type"], text))
        if part.get("nullable"):
            text = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            causes.append(status.forbidden_field(f"{at}.nullable", text))
        if key not in (items.get("required") or ()) and part.get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            causes.append(status.required(f"{at}.default", text))


def _check_set_items(items: JsonObject, at: str, causes: list[Cause]) -> None:
    if items.get("nullable"):
        text = "cannot be nullable when x-kubernetes-list-type is set"
        causes.append(status.forbidden_field(f"{at}.nullable", text))
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        found = items.get("x-kubernetes-map-type")
        causes.append(status.invalid_value(f"{at}.x-kubernetes-map-type", found, text))
    if items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        found = items["x-kubernetes-list-type"]
        causes.append(status.invalid_value(f"{at}.x-kubernetes-list-type", found, text))


# Structure


def _check(schema: JsonObject, field: str, level: Level, causes: list[Cause]) -> None:
    kind = schema.get("type") or ""
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind and (level == "root" or not free):
        causes.append(status.required(f"{field}.type", _EMPTY_TYPE[level]))
    elif level == "root" and kind != "object":
        causes.append(status.invalid_value(f"{field}.type", kind, "must be object at the root"))
    if kind == "array" and not isinstance(schema.get("items"), dict):
        causes.append(status.required(f"{field}.items", "must be specified"))
    additional = schema.get("additionalProperties")
    if additional is not None and level == "root":
        causes.append(status.forbidden_field(f"{field}.additionalProperties", "must not be used at the root"))
    if embedded:
        if kind != "object":
            text = "must be object if x-kubernetes-embedded-resource is true"
            causes.append(status.invalid_value(f"{field}.type", kind, text))
        if additional is not None:
            text = "must not be used if x-kubernetes-embedded-resource is set"
            causes.append(status.forbidden_field(f"{field}.additionalProperties", text))
        if not schema.get("properties") and not schema.get("x-kubernetes-preserve-unknown-fields"):
            text = (
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields"
            )
            causes.append(status.required(f"{field}.properties", text))
    properties = schema.get("properties") or {}
    if level == "root" or embedded:
        _check_envelope(properties, field, causes)
    for name, part in properties.items():
        _check(part, f"{field}.properties[{name}]", "field", causes)
    if isinstance(additional, dict):
        _check(additional, f"{field}.additionalProperties", "field", causes)
    if isinstance(schema.get("items"), dict):
        _check(schema["items"], f"{field}.items", "item", causes)
    typed = schema if schema.get("x-kubernetes-int-or-string") else {}
    for part, at in _alternatives(schema, field):
        if typed.get("anyOf") == _INT_OR_STRING and at.startswith(f"{field}.anyOf"):
            continue
        first = at == f"{field}.allOf[0]" and bool(typed) and part.get("anyOf") == _INT_OR_STRING
        _check_value_validation(part, at, causes, may_name_types=first)


def _check_envelope(properties: JsonObject, field: str, causes: list[Cause]) -> None:
    """What a whole object has in any case."""
    for name in ("apiVersion", "kind"):
        part = properties.get(name)
        if part is not None and part.get("type") not in (None, "", "string"):
            causes.append(status.invalid_value(f"{field}.properties[{name}].type", part["type"], "must be string"))
    meta = properties.get("metadata")
    if meta is None:
        return
    at = f"{field}.properties[metadata]"
    if meta.get("type") not in (None, "", "object"):
        causes.append(status.invalid_value(f"{at}.type", meta["type"], "must be object"))
    allowed = ("name", "generateName")
    if any(part not in allowed for part in meta.get("properties") or ()) or any(
        part not in ("type", "properties", "default") for part in meta
    ):
        causes.append(status.forbidden_field(at, _ONLY_NAMES))


def _check_value_validation(part: JsonObject, field: str, causes: list[Cause], *, may_name_types: bool = False) -> None:
    for name, word in _STRUCTURE_ONLY.items():
        if part.get(name) or (part.get(name) is not None and word == "undefined"):
            causes.append(status.forbidden_field(f"{field}.{name}", f"must be {word} to be structural"))
    for name, below in (part.get("properties") or {}).items():
        at = f"{field}.properties[{name}]"
        if name == "metadata":
            causes.append(status.forbidden_field(at, "must not be specified in a nested context"))
        _check_value_validation(below, at, causes)
    if isinstance(part.get("items"), dict):
        _check_value_validation(part["items"], f"{field}.items", causes)
    for below, at in _alternatives(part, field):
        if not (may_name_types and at.startswith(f"{field}.anyOf")):
            _check_value_validation(below, at, causes)


def _check_complete(part: JsonObject, schema: JsonObject | None, field: str, causes: list[Cause]) -> None:
    """What the alternatives at the root speak of must be there outside of them too."""
    root = field
    for below, at in _alternatives(part, field):
        _check_defined(below, schema, at, root, causes)


def _check_defined(part: JsonObject, schema: JsonObject | None, at: str, place: str, causes: list[Cause]) -> None:
    if schema is None:
        causes.append(status.required(place, f"because it is defined in {at}"))
        return
    for name, below in (part.get("properties") or {}).items():
        found = (schema.get("properties") or {}).get(name)
        _check_defined(below, found, f"{at}.properties[{name}]", f"{place}.properties[{name}]", causes)
    if isinstance(part.get("items"), dict):
        items = schema.get("items")
        known = items if isinstance(items, dict) else None
        _check_defined(part["items"], known, f"{at}.items", f"{place}.items", causes)
    for below, below_at in _alternatives(part, at):
        _check_defined(below, schema, below_at, place, causes)


# Defaults


def _check_defaults(schema: JsonObject, field: str, level: Level, causes: list[Cause]) -> None:
    default = schema.get("default")
    if default is not None:
        _check_default(schema, default, field, level, causes)
    for name, part in (schema.get("properties") or {}).items():
        at = f"{field}.properties[{name}]"
        if level == "root" and name == "metadata":
            if part.get("default") is not None:
                text = "must not be set in top-level metadata"
                causes.append(status.forbidden_field(f"{at}.default", text))
            continue
        _check_defaults(part, at, "field", causes)
    for name in ("additionalProperties", "items"):
        if isinstance(schema.get(name), dict):
            _check_defaults(schema[name], f"{field}.{name}", "field", causes)


def _check_default(schema: JsonObject, default: Any, field: str, level: Level, causes: list[Cause]) -> None:
    if schema.get("x-kubernetes-int-or-string"):
        return
    form = {**schema, "default": None}
    if level == "root":
        form["x-kubernetes-embedded-resource"] = True
    node = SchemaNode(form)
    unknown = node.unknown_fields(default)
    if unknown:
        causes.append(status.invalid_value(f"{field}.default", default, "must not have unknown fields"))
        return
    found: list[Cause] = []
    node.admit(copy_json({"": default})[""], None, found)
    for cause in found:
        if cause.reason == "FieldValueDuplicate":
            continue
        at = f"{field}.default.{cause.field}" if cause.field not in ("", "<nil>") else f"{field}.default"
        causes.append(Cause(at, cause.reason, cause.message))
