"""Fields of an object as paths, for merging what is applied.

A path is a tuple of steps: `f:NAME` into an object, `k:{…}` to a list item by its keys, `v:…` to one by its value. A path that has
others below it stands for the place itself (`.` in FieldsV1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.apply.topology import UNOWNED_AT_ROOT, UNOWNED_IN_METADATA, Place, text

Path: TypeAlias = tuple[str, ...]
#: Paths in the order they were found; the values do not count.
FieldSet: TypeAlias = dict[Path, None]

#: Nobody owns these, nor what is below them.
_UNOWNED = (
    frozenset(("f:metadata", f"f:{name}") for name in UNOWNED_IN_METADATA)
    | frozenset((f"f:{name}",) for name in UNOWNED_AT_ROOT)
    | {("f:metadata",)}
)
_INNER = object()


def leaves(obj: JsonObject, root: Place) -> dict[Path, object]:
    """Value by path, of what ends a path and of list items."""
    found: dict[Path, object] = {}
    _collect(obj, root, (), found)
    for path in list(found):
        if path in _UNOWNED or path == () or (path[:2] in _UNOWNED and len(path) > 2):
            del found[path]
    return found


def _collect(value: Json, place: Place, path: Path, found: dict[Path, object]) -> None:
    if isinstance(value, dict) and value and not place.is_atomic:
        for name, below in value.items():
            at = (*path, f"f:{name}")
            _collect(below, place.field(name), at, found)
            if at not in found and path and not place.declares(name) and below != []:
                found[at] = _INNER
    elif isinstance(value, list) and place.list_kind != "atomic":
        inner = place.item
        for item in value:
            at = (*path, place.step(item))
            if place.list_kind == "map" and isinstance(item, dict):
                found[at] = value if inner.is_atomic else _INNER
                if not inner.is_atomic:
                    for name, below in item.items():
                        _collect(below, inner.field(name), (*at, f"f:{name}"), found)
            else:
                found[at] = item
    else:
        found[path] = value


def to_fields_v1(paths: Iterable[Path]) -> JsonObject:
    """Nested, sorted, with `.` where a place itself is owned beside what is below it."""
    tree: JsonObject = {}
    ordered = sorted(paths)
    inner = {path[:depth] for path in ordered for depth in range(1, len(path))}
    for path in ordered:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        if path in inner:
            node["."] = {}
    return tree


def from_fields_v1(tree: JsonObject, path: Path = ()) -> FieldSet:
    found: FieldSet = {}
    for step, below in tree.items():
        if step == ".":
            found[path] = None
        elif not below:
            found[(*path, step)] = None
        else:
            found.update(from_fields_v1(below, (*path, step)))
    return found


def path_text(path: Path) -> str:
    """As it shows in conflicts: `.spec.containers[name="c"].image`."""
    shown = ""
    for step in path:
        kind, rest = step[:2], step[2:]
        if kind == "f:":
            shown += f".{rest}"
        elif kind == "k:":
            shown += "[" + ",".join(f"{name}={text(value)}" for name, value in json.loads(rest).items()) + "]"
        else:
            shown += f"[={rest}]"
    return shown
