"""Fields of an object as paths, and as `FieldsV1`.

A path is a tuple of steps: `f:NAME` into an object, `k:{…}` to a list item by its keys, `v:…` to one by its value. A path that has
others below it stands for the place itself (`.` in FieldsV1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.apply.topology import Topology

Path: TypeAlias = tuple[str, ...]
#: Paths in the order they were found; the values do not count.
FieldSet: TypeAlias = dict[Path, None]

#: Nobody owns these.
_UNOWNED = frozenset((("f:apiVersion",), ("f:kind",), ("f:metadata",))) | frozenset(
    ("f:metadata", f"f:{field}")
    for field in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    )
)
_INNER = object()


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def item_step(item: Json, topology: Topology) -> str:
    """The step to an item of a list of kind `map` or `set`; `topology` is the list's."""
    if topology.list_kind == "set" or not isinstance(item, dict):
        return f"v:{_text(item)}"
    keys = {name: item.get(name, default) for name, default in topology.keys.items()}
    return f"k:{_text({name: value for name, value in keys.items() if value is not None})}"


def leaves(obj: JsonObject, topology: Topology, *, places: bool) -> dict[Path, object]:
    """Value by path. `places`: also the objects and lists on the way, and not only what ends a path."""
    found: dict[Path, object] = {}
    _collect(obj, topology, (), found, places)
    for path in list(found):
        if path in _UNOWNED or path == () or (path[:2] in _UNOWNED and len(path) > 2):
            del found[path]
    return found


def _collect(value: Json, topology: Topology, path: Path, found: dict[Path, object], places: bool) -> None:
    if isinstance(value, dict) and value and not topology.is_atomic:
        if places:
            found[path] = _INNER
        for name, below in value.items():
            _collect(below, topology.field(name), (*path, f"f:{name}"), found, places)
    elif isinstance(value, list) and value and topology.list_kind != "atomic":
        if places:
            found[path] = _INNER
        for item in value:
            at = (*path, item_step(item, topology))
            if topology.list_kind == "map" and isinstance(item, dict):
                below_item = topology.item()
                found[at] = value if below_item.is_atomic else _INNER
                if not below_item.is_atomic:
                    for name, below in item.items():
                        _collect(below, below_item.field(name), (*at, f"f:{name}"), found, places)
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
        if path in inner or path[-1].startswith("k:"):
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
    text = ""
    for step in path:
        kind, rest = step[:2], step[2:]
        if kind == "f:":
            text += f".{rest}"
        elif kind == "k:":
            text += "[" + ",".join(f"{name}={_text(value)}" for name, value in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text
