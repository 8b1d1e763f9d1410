"""A schema as JSON: what it is made of, before it is asked whether it makes sense (K8-040)."""

from __future__ import annotations

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

_TYPE = "apiextensions.v1.JSONSchemaProps"
_BY_NAME = ("properties", "patternProperties", "definitions")
_LISTED = ("allOf", "anyOf", "oneOf")


def typed_schema(schema: Json, at: str, unknown: list[str]) -> JsonObject:
    """A copy of a schema as its type writes it: without what says nothing. Paths of fields that schemas do not have go to
    `unknown`, `at` before them. Raises `Undecodable`."""
    found: list[str] = []
    made = decode(schema, _TYPE, found)
    unknown += [f"{at}.{path}" for path in found]
    _complete(made, at, unknown)
    return made


def _complete(schema: JsonObject, at: str, unknown: list[str]) -> None:
    """Read the parts that may be a schema or something else, wherever they occur."""
    items = schema.get("items")
    if isinstance(items, dict):
        schema["items"] = typed_schema(items, f"{at}.items", unknown)
    elif items is not None and not isinstance(items, list):
        raise _misfit("items")
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        schema["additionalProperties"] = typed_schema(additional, f"{at}.additionalProperties", unknown)
    elif additional is not None and not isinstance(additional, bool):
        raise _misfit("additionalProperties")
    for field in _BY_NAME:
        for name, part in (schema.get(field) or {}).items():
            _complete(part, f"{at}.{field}.{name}", unknown)
    for field in _LISTED:
        for index, part in enumerate(schema.get(field) or ()):
            _complete(part, f"{at}.{field}[{index}]", unknown)
    if isinstance(schema.get("not"), dict):
        _complete(schema["not"], f"{at}.not", unknown)


def _misfit(field: str) -> Undecodable:
    return Undecodable(
        f"json: cannot unmarshal into Go struct field JSONSchemaProps.{field} of type v1.JSONSchemaProps"
    )
