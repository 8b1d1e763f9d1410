"""Objects as the API server holds them inside: how some of its messages show values, and what has changed in a spec.

`inside.txt` has the fields of each such type in order, under the names they have there.
"""

from __future__ import annotations

import difflib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.metadata_fields import METADATA_FIELDS

#: Who manages which fields is not shown.
_META_FIELDS = tuple(field for field in METADATA_FIELDS if field != "managedFields")
_SELECTOR_FIELDS = ("matchLabels", "matchExpressions")
#: Fields of a pod spec that are kept in its security context inside.
_IN_SECURITY_CONTEXT = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_ZEROS: dict[str, Json] = {"s": "", "b": False, "i": 0, "q": "0", "t": None}


class _Field(NamedTuple):
    name: str
    #: In the API.
    source: str
    #: `s`tring, `b`ool, `i`nteger, `q`uantity, `t`ime, `v`alue as it is, `m`etadata or a type; after `*`, `[]`, `{}`.
    form: str


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = Path(__file__).with_name("inside.txt").read_text(encoding="utf-8")
    return {name: fields for name, _, fields in (line.partition("|") for line in text.splitlines())}


@lru_cache(maxsize=256)
def _fields(type_name: str) -> tuple[_Field, ...]:
    return tuple(_field(part) for part in _lines()[type_name].split(";") if part)


def _field(text: str) -> _Field:
    name, _, form = text.rpartition(":")
    name, given, source = name.partition("=")
    if not given:
        upper = next((index for index, letter in enumerate(name) if not letter.isupper()), len(name))
        # The last capital of several begins the next word.
        first = len(name) if upper == len(name) else max(1, upper - 1)
        source = name[:first].lower() + name[first:]
    return _Field(name, source, form)


def inside(value: JsonObject, type_name: str) -> JsonObject:
    """An object of the API as the server holds it, in the order it does."""
    shown: JsonObject = {}
    if type_name == "PodSpec":
        context = dict(value.get("securityContext") or {})
        context |= {field: value[field] for field in _IN_SECURITY_CONTEXT if field in value}
        value = {**value, "securityContext": context}
    for field in _fields(type_name):
        if field.form == "m":
            # What is embedded shows as if it belonged to what it is embedded in.
            meta = value.get(field.source) or {}
            shown |= {name: _in_order(meta[name]) for name in _META_FIELDS if meta.get(name)}
        else:
            shown[field.name] = _inside(value.get(field.source), field.form)
    return shown


def _inside(value: Json, form: str) -> Json:
    if form.startswith("*"):
        return None if value is None else _inside(value, form[1:])
    if form.startswith("[]"):
        return [_inside(item, form[2:]) for item in value] if value else None
    if form.startswith("{}"):
        return {key: _inside(value[key], form[2:]) for key in sorted(value)} if value else None
    if form == "v":
        return _plain(value)
    if form in _ZEROS:
        return _ZEROS[form] if value is None else value
    return inside(value or {}, form)


def _plain(value: Json) -> Json:
    """A label selector, or whatever else is the same on both sides."""
    if isinstance(value, dict) and any(field in value for field in _SELECTOR_FIELDS):
        return {field: _in_order(value[field]) for field in _SELECTOR_FIELDS if value.get(field)}
    return value


def _in_order(value: Json) -> Json:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def changes(old: Any, new: Any) -> str:
    """A unified diff of two values as they are written out, one field a line."""
    before, after = _lines_of(old), _lines_of(new)
    return "".join(difflib.unified_diff(before, after, n=3)).partition("+++ \n")[2]


def _lines_of(value: Any) -> list[str]:
    return f"{_pretty(value)}\n".splitlines(keepends=True)


def spec_changes(old: JsonObject, new: JsonObject, type_name: str) -> str:
    """What changed from one spec to another, as `changes` tells it."""
    return changes(inside(old, type_name), inside(new, type_name))


def _pretty(value: Any) -> str:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
