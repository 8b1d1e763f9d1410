"""A patched object as messages quote it (K8-029).

The server patches JSON that its types wrote: fields in the order of the types, keys of maps sorted. Objects that the patch goes
into are written anew with sorted keys, and so is all that comes from a merge patch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.typed.catalogue import fields_of

#: Objects below the one at hand that were gone into.
_Entered = dict[str, "_Entered"]


def patched_text(obj: JsonObject, patch: Json, type_name: str) -> str:
    """`obj` after a JSON patch (a list of operations) or a merge patch, on one line."""
    if isinstance(patch, dict):
        shown = _merged(obj, patch, type_name)
    else:
        entered: _Entered = {}
        for parts in _pointers(patch):
            place = entered
            for part in parts[:-1]:
                place = place.setdefault(part, {})
        shown = _entered(obj, entered, type_name)
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _merged(value: JsonObject, patch: JsonObject, type_name: str) -> JsonObject:
    shown: JsonObject = {}
    for name in sorted(value):
        inner, patched = value[name], patch.get(name)
        if name not in patch:
            shown[name] = _as_typed(inner, _type_below(type_name, name))
        elif isinstance(inner, dict) and isinstance(patched, dict):
            shown[name] = _merged(inner, patched, _type_below(type_name, name))
        else:
            shown[name] = _all_sorted(inner)
    return shown


def _all_sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _all_sorted(value[name]) for name in sorted(value)}
    return [_all_sorted(item) for item in value] if isinstance(value, list) else value


def _pointers(patch: Json) -> Iterable[list[str]]:
    for operation in patch if isinstance(patch, list) else ():
        for field in ("path", "from"):
            pointer = operation.get(field) if isinstance(operation, dict) else None
            if isinstance(pointer, str):
                yield [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _entered(value: Json, entered: _Entered, type_name: str) -> Json:
    if isinstance(value, dict):
        return {
            name: (
                _entered(value[name], entered[name], _type_below(type_name, name))
                if name in entered
                else _as_typed(value[name], _type_below(type_name, name))
            )
            for name in sorted(value)
        }
    if isinstance(value, list):
        return [
            (
                _entered(item, entered[str(index)], type_name[2:])
                if str(index) in entered
                else _as_typed(item, type_name[2:])
            )
            for index, item in enumerate(value)
        ]
    return value


def _as_typed(value: Json, type_name: str) -> Json:
    """As the type writes it. What does not fit the type stays as it is."""
    if isinstance(value, list) and type_name.startswith("[]"):
        return [_as_typed(item, type_name[2:]) for item in value]
    if not isinstance(value, dict):
        return value
    if type_name.startswith("map"):
        return {name: _as_typed(value[name], _type_below(type_name, name)) for name in sorted(value)}
    try:
        fields = fields_of(type_name)
    except KeyError:
        return value
    known: JsonObject = {
        name: _as_typed(value[name], field.type)
        for name, field in fields.items()
        if name in value and value[name] is not None
    }
    return known | {name: inner for name, inner in value.items() if name not in fields}


def _type_below(type_name: str, name: str) -> str:
    if type_name.startswith("map"):
        return type_name.partition(" ")[2]
    try:
        field = fields_of(type_name).get(name)
    except KeyError:
        return ""
    return "" if field is None else field.type
