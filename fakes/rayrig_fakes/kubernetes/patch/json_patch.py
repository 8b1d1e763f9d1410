"""JSON patch (RFC 6902)."""

from __future__ import annotations

import marshal
from typing import Any

from rayrig_core.objects import Json


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
    verb, path = operation.get("op"), _parse(operation["path"])
    if verb == "add":
        return _add(document, path, _value(operation))
    if verb == "remove":
        _, document = _remove(document, path)
        return document
    if verb == "replace":
        value = _value(operation)
        if not path:
            return value
        parent = _resolve(document, path[:-1])
        _get(parent, path[-1])
        _put(parent, path[-1], value)
        return document
    if verb == "move":
        source = _parse(_from(operation))
        if path[: len(source)] == source and len(path) > len(source):
            raise PatchFailed("cannot move a value into itself")
        moved, document = _remove(document, source)
        return _add(document, path, moved)
    if verb == "copy":
        return _add(document, path, _copy(_resolve(document, _parse(_from(operation)))))
    if verb == "test":
        try:
            found = _resolve(document, path)
        except PatchFailed:
            if operation.get("value") is None:
                return document
            raise
        if not _same(found, operation.get("value")):
            raise PatchFailed("test failed")
        return document
    raise PatchFailed(f"unknown operation {verb!r}")


def _value(operation: dict[str, Any]) -> Json:
    if "value" not in operation:
        raise PatchFailed("operation without value")
    return _copy(operation["value"])


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


def _parse(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise PatchFailed("a pointer begins with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(items: list[Json], part: str, limit: int) -> int:
    if not part.isdecimal() or (len(part) > 1 and part[0] == "0"):
        raise PatchFailed(f"{part!r} is no index")
    index = int(part)
    if index > limit:
        raise PatchFailed("index out of range")
    return index


def _get(parent: Json, part: str) -> Json:
    if isinstance(parent, dict) and part in parent:
        return parent[part]
    if isinstance(parent, list):
        return parent[_index(parent, part, len(parent) - 1)]
    raise PatchFailed(f"no {part!r}")


def _resolve(document: Json, path: list[str]) -> Json:
    for part in path:
        document = _get(document, part)
    return document


def _put(parent: Json, part: str, value: Json) -> None:
    if isinstance(parent, dict):
        parent[part] = value
    else:
        parent[int(part)] = value


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, len(parent)), value)
    else:
        raise PatchFailed("parent is no object or list")
    return document


def _remove(document: Json, path: list[str]) -> tuple[Json, Json]:
    """(what was there, the document without it)."""
    if not path:
        return document, None
    parent, last = _resolve(document, path[:-1]), path[-1]
    removed = _get(parent, last)
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[int(last)]
    return removed, document
