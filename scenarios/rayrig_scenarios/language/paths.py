"""Paths into objects, such as `status.conditions[Ready].status` and `spec.serveConfigV2.applications[fruit].route_prefix`.

A part in brackets is an index, or the value of an entry's `name`, `groupName` or `type`. A part in quotes may hold dots
(`metadata.labels."ray.io/cluster"`). A path leads on into a text field that holds YAML, as `serveConfigV2` does; setting such a
field writes the whole text anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import yaml

from rayrig_core.objects import Json, JsonObject

_PART = re.compile(r'\.?(?:"([^"]+)"|([^.\[\]"]+))|\[([^\]]+)\]')
_NAMING = ("name", "groupName", "type")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list, by index or name."""

    of: str

    def __str__(self) -> str:
        return f"[{self.of}]"


Path: TypeAlias = tuple[str | Entry, ...]

_MISSING = object()


def parse_path(text: str) -> Path:
    """Raises `ValueError` with what is wrong."""
    parts: list[str | Entry] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or (match[0].startswith(".") and position == 0):
            raise ValueError(f'"{text}" is no path: cannot read it from "{text[position:]}"')
        parts.append(Entry(match[3]) if match[3] is not None else match[1] or match[2])
        position = match.end()
    if not parts:
        raise ValueError("the path is empty")
    return tuple(parts)


def lookup(obj: Json, path: Path, default: Any = None) -> Any:
    """The value at the path, or `default` when there is none."""
    value = obj
    for part in path:
        value = _step(value, part)
        if value is _MISSING:
            return default
    return value


def _step(value: Any, part: str | Entry) -> Any:
    if isinstance(value, str):
        value = _embedded(value)
    if isinstance(part, Entry):
        if isinstance(value, list):
            index = _index(value, part)
            return value[index] if index is not None else _MISSING
        return value.get(part.of, _MISSING) if isinstance(value, dict) else _MISSING
    return value.get(part, _MISSING) if isinstance(value, dict) else _MISSING


def _embedded(text: str) -> Any:
    try:
        return yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return _MISSING


def _index(entries: list[Any], entry: Entry) -> int | None:
    if entry.of.isdigit():
        index = int(entry.of)
        return index if index < len(entries) else None
    for index, value in enumerate(entries):
        if isinstance(value, dict) and any(value.get(naming) == entry.of for naming in _NAMING):
            return index
    return None


def assign(obj: JsonObject, path: Path, value: Json) -> JsonObject:
    """A copy of `obj` with the value at the path replaced; mappings on the way are made as needed, list entries must exist.

    Raises `ValueError` when the path leads nowhere.
    """
    return cast(JsonObject, _assign(obj, path, value, ""))


def _assign(holder: Any, path: Path, value: Json, so_far: str) -> Any:
    if not path:
        return value
    part, rest = path[0], path[1:]
    here = f"{so_far}{part}" if isinstance(part, Entry) else f"{so_far}.{part}" if so_far else part
    if isinstance(holder, str):
        document = _embedded(holder)
        if not isinstance(document, (dict, list)):
            raise ValueError(f"{so_far} is a text without fields")
        return yaml.safe_dump(_assign(document, path, value, so_far), sort_keys=False, width=10_000)
    if isinstance(part, Entry):
        if not isinstance(holder, list):
            raise ValueError(f"{so_far} is no list")
        index = _index(holder, part)
        if index is None:
            names = [str(e.get(n)) for e in holder if isinstance(e, dict) for n in _NAMING if n in e]
            known = ", ".join(names) if names else f"{len(holder)} of them"
            raise ValueError(f"{so_far} has no entry {part.of}; it has {known}")
        return [*holder[:index], _assign(holder[index], rest, value, here), *holder[index + 1 :]]
    if holder is None:
        holder = {}
    if not isinstance(holder, dict):
        raise ValueError(f"{so_far} has no fields")
    return {**holder, part: _assign(holder.get(part), rest, value, here)}


def shown(value: Any) -> str:
    """A value in a message: JSON, shortened."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
