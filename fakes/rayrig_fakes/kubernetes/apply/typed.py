"""What in an applied configuration is not of its type (K8-030). Such configurations are not read like other bodies: what they
name and their type does not is an error, whatever the validation of fields."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.typed.catalogue import fields_of

_DEFAULT_KEYS = {"protocol": "TCP"}
_SCALARS = {
    "string": "string",
    "bool": "boolean",
    "int32": "numeric (int or float)",
    "int64": "numeric (int or float)",
    "float64": "numeric (int or float)",
    "bytes": "string",
}
_SCHEMA_SCALARS = {"string": "string", "boolean": "bool", "integer": "int64", "number": "float64"}


def typed_problem(config: JsonObject, type_name: str, schema: JsonObject | None) -> str:
    """By a type of the catalogue, or by a schema; empty when nothing is wrong."""
    found = list(_by_type(config, type_name, "") if schema is None else _by_root(config, schema))
    if len(found) < 2:
        return found[0] if found else ""
    return "errors:" + "".join(f"\n  {each}" for each in found)


def _scalar(value: Json, kind: str, at: str) -> Iterator[str]:
    wanted = _SCALARS[kind]
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
    }.get(wanted, isinstance(value, (int, float)) and not isinstance(value, bool))
    if not fits:
        shown = f"&value.valueUnstructured{{Value:{_go_syntax(value)}}}" if wanted == "string" else _go_type(value)
        yield f"{at}: expected {wanted}, got {shown if wanted != 'boolean' else _in_braces(value)}"


def _go_type(value: Json) -> str:
    kinds = {str: "string", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}
    return kinds.get(type(value), "<nil>")


def _in_braces(value: Json) -> str:
    return f"&{{{status.go_map(value)}}}"


def _go_syntax(value: Json) -> str:
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go_syntax, value)) + "}"
    if isinstance(value, dict):
        return (
            "map[string]interface {}{" + ", ".join(f"{json.dumps(k)}:{_go_syntax(v)}" for k, v in value.items()) + "}"
        )
    return json.dumps(value, ensure_ascii=False) if value is not None else "interface {}(nil)"


def _container(value: Json, kind: str, at: str) -> str:
    return f"{at}: expected {kind}, got {_in_braces(value)}"


def _by_type(value: Json, type_name: str, at: str) -> Iterator[str]:
    if value is None:
        return
    plain = type_name.partition("=")[0]
    if plain in _SCALARS:
        yield from _scalar(value, plain, at)
    elif type_name.startswith("map"):
        if not isinstance(value, dict):
            yield _container(value, "map", at)
            return
        for name, item in value.items():
            yield from _by_type(item, type_name.partition(" ")[2], f"{at}.{name}")
    elif "." in type_name and not type_name.startswith("[]"):
        if not isinstance(value, dict):
            yield _container(value, "map", at)
            return
        known = fields_of(type_name)
        for name, item in value.items():
            field = known.get(name)
            if field is None:
                yield f"{at}.{name}: field not declared in schema"
            elif field.type.startswith("[]"):
                keys = None if field.list_keys is None else {key: _DEFAULT_KEYS.get(key) for key in field.list_keys}
                yield from _list(item, f"{at}.{name}", keys, type_name=field.type[2:])
            else:
                yield from _by_type(item, field.type, f"{at}.{name}")
    elif type_name.startswith("[]"):
        yield from _list(value, at, None, type_name=type_name[2:])


def _list(
    value: Json, at: str, keys: JsonObject | None, *, type_name: str = "", schema: JsonObject | None = None
) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        yield _container(value, "list", at)
        return
    seen: list[str] = []
    for index, item in enumerate(value):
        step = f"[{index}]"
        if keys is not None:
            if odd := _no_element(item, keys):
                yield f"{at}: element {index}: {odd}"
                return
            step = _step(item, keys)
            if step in seen:
                yield f"{at}: duplicate entries for key {step}"
            seen.append(step)
        if schema is None:
            yield from _by_type(item, type_name, f"{at}{step}")
        else:
            yield from _by_schema(item, schema, f"{at}{step}")


def _no_element(item: Json, keys: JsonObject) -> str:
    """Why something cannot be told apart from the other items of its list; `keys` is empty for sets."""
    if not keys:
        return (
            "associative list without keys has an element that's an explicit null"
            if item is None
            else "associative list without keys has an element that's a map type"
            if isinstance(item, dict)
            else "not supported: associative list with lists as elements"
            if isinstance(item, list)
            else ""
        )
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    if all(key not in item and default is None for key, default in keys.items()):
        named = " ".join(json.dumps(key) for key in keys)
        return (
            f"associative list with keys has an element that omits all key fields [{named}] "
            "(and doesn't have default values for any key fields)"
        )
    return ""


def _step(item: Json, keys: JsonObject) -> str:
    if not keys or not isinstance(item, dict):
        return f"[={json.dumps(item, ensure_ascii=False)}]"
    values = {key: item.get(key, default) for key, default in keys.items()}
    named = (
        f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values) if values[key] is not None
    )
    return "[" + ",".join(named) + "]"


def _by_root(config: JsonObject, schema: JsonObject) -> Iterator[str]:
    for name, value in config.items():
        if name == "metadata":
            yield from _by_type(value, "meta.v1.ObjectMeta", ".metadata")
        elif name not in ("apiVersion", "kind"):
            yield from _property(value, name, schema, "")


def _property(value: Json, name: str, schema: JsonObject, at: str) -> Iterator[str]:
    part = (schema.get("properties") or {}).get(name)
    if part is None:
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            part = additional
        elif (
            additional
            or schema.get("x-kubernetes-preserve-unknown-fields")
            or not schema.get("properties")
            or (schema.get("x-kubernetes-embedded-resource") and name in ("apiVersion", "kind", "metadata"))
        ):
            return
        else:
            yield f"{at}.{name}: field not declared in schema"
            return
    yield from _by_schema(value, part, f"{at}.{name}")


def _by_schema(value: Json, schema: JsonObject, at: str) -> Iterator[str]:
    kind = schema.get("type")
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return
    if kind in _SCHEMA_SCALARS:
        yield from _scalar(value, _SCHEMA_SCALARS[kind], at)
    elif kind == "object":
        if not isinstance(value, dict):
            yield _container(value, "map", at)
            return
        for name, item in value.items():
            yield from _property(item, name, schema, at)
    elif kind == "array":
        items = schema.get("items")
        form: JsonObject = items if isinstance(items, dict) else {}
        properties = form.get("properties") or {}
        listed = schema.get("x-kubernetes-list-type")
        keys: JsonObject | None = {} if listed == "set" else None
        if listed == "map":
            keys = {
                key: (properties.get(key) or {}).get("default")
                for key in schema.get("x-kubernetes-list-map-keys") or ()
            }
        yield from _list(value, at, keys, schema=form)
