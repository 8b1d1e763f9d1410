"""JSON patch (RFC 6902), as the API server takes it, which is laxer in places.

A field that an object lacks counts as null, so `replace` adds it; an operation without a value has null; indices may be negative,
counted from the end; whatever stands before the first `/` of a pointer is not looked at.
"""

from __future__ import annotations

import marshal
import re
from typing import Any

from rayrig_core.objects import Json

_INDEX = re.compile(r"[+-]?[0-9]+", re.ASCII)


class PatchFailed(Exception):
    """An operation could not be carried out, or a test did not hold."""


def apply_json_patch(document: Json, operations: list[Json]) -> Json:
    """The document after all operations, in order; it is changed in place where it can be. Raises `PatchFailed`."""
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchFailed("operation without path")
        document = _apply(document, operation)
    return document


def _apply(document: Json, operation: dict[str, Any]) -> Json:
    verb, path = operation.get("op"), operation["path"]
    if verb == "replace" and path == "":
        return _copy(operation.get("value"))
    if verb == "test":
        found = document if path == "" else _get(*_holder(document, path))
        if not _same(found, operation.get("value")):
            raise PatchFailed("test failed")
        return document
    if verb == "add":
        _add(*_holder(document, path), _copy(operation.get("value")))
    elif verb == "remove":
        _remove(*_holder(document, path))
    elif verb == "replace":
        _put(*_holder(document, path), _copy(operation.get("value")))
    elif verb == "move":
        source = _from(operation)
        if path.startswith(f"{source}/"):
            raise PatchFailed("cannot move a value into itself")
        moved = _remove(*_holder(document, source))
        _add(*_holder(document, path), moved)
    elif verb == "copy":
        copied = _copy(_get(*_holder(document, _from(operation))))
        _add(*_holder(document, path), copied)
    else:
        raise PatchFailed(f"unknown operation {verb!r}")
    return document


def _from(operation: dict[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        raise PatchFailed("operation without from")
    return source


def _copy(value: Json) -> Json:
    return marshal.loads(marshal.dumps(value, 2))


def _same(left: Json, right: Json) -> bool:
    """JSON equality: `True` is not 1, 1.0 is 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def _holder(document: Json, pointer: str) -> tuple[Json, str]:
    """The object or list that a pointer ends in, and the last part of the pointer."""
    _, *parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/"))
    if not parts:
        raise PatchFailed("a pointer to nothing in particular")
    for part in parts[:-1]:
        _check_holder(document, part)
        document = _get(document, part)
    _check_holder(document, parts[-1])
    return document, parts[-1]


def _check_holder(document: Json, part: str) -> None:
    if not isinstance(document, (dict, list)):
        raise PatchFailed(f"no {part!r}")


def _index(part: str, size: int) -> int:
    """A place below `size`."""
    if _INDEX.fullmatch(part) is None:
        raise PatchFailed(f"{part!r} is no index")
    index = int(part)
    if not -size <= index < size:
        raise PatchFailed("index out of range")
    return index % size


def _get(holder: Json, part: str) -> Json:
    if isinstance(holder, dict):
        return holder.get(part)
    assert isinstance(holder, list)
    return holder[_index(part, len(holder))]


def _put(holder: Json, part: str, value: Json) -> None:
    if isinstance(holder, dict):
        holder[part] = value
    else:
        assert isinstance(holder, list)
        holder[_index(part, len(holder))] = value


def _add(holder: Json, part: str, value: Json) -> None:
    if isinstance(holder, dict):
        holder[part] = value
    else:
        assert isinstance(holder, list)
        holder.insert(len(holder) if part == "-" else _index(part, len(holder) + 1), value)


def _remove(holder: Json, part: str) -> Json:
    if isinstance(holder, dict):
        if part not in holder:
            raise PatchFailed(f"no {part!r}")
        return holder.pop(part)
    assert isinstance(holder, list)
    return holder.pop(_index(part, len(holder)))
