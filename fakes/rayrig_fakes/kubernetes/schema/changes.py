"""An update is not held to what it leaves alone: objects from before a schema became stricter can still be changed."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.status import Cause


def unchanged_tolerated(causes: Iterable[Cause], new: Json, old: Json, schema: JsonObject) -> list[Cause]:
    """The causes against what is not as it was."""
    return [cause for cause in causes if not _is_unchanged(cause, new, old, schema)]


def _is_unchanged(cause: Cause, new: Json, old: Json, schema: JsonObject) -> bool:
    path = cause.field
    if path == "<nil>":
        # The place is at the end of the text, or in quotes at its beginning.
        path = _place_in(cause.message)
    while True:
        if old is not None and new == old:
            return True
        if not path:
            return False
        step, path = _next(path, new)
        if step is None:
            return False
        new, old, schema = _below(new, old, schema, step)
        if old is None or (new is None and cause.reason == "FieldValueRequired"):
            return False


def _place_in(message: str) -> str:
    _, found, place = message.rpartition(" in ")
    if found:
        return place
    parts = message.split('"')
    return parts[3] if len(parts) > 3 else ""


def _next(path: str, value: Json) -> tuple[str | int | None, str]:
    """The first step of a path, and the rest of it."""
    if path.startswith("["):
        inside, _, rest = path[1:].partition("]")
        return int(inside) if inside.isdecimal() and isinstance(value, list) else inside, rest.removeprefix(".")
    if isinstance(value, dict):
        # Names may have dots in them.
        for name in sorted(value, key=len, reverse=True):
            if path == name or path.startswith((f"{name}.", f"{name}[")):
                return name, path[len(name) :].removeprefix(".")
    name, _, rest = path.partition(".")
    return name, rest


def _below(new: Json, old: Json, schema: JsonObject, step: str | int) -> tuple[Json, Json, JsonObject]:
    if isinstance(step, int):
        items = schema.get("items")
        form: JsonObject = items if isinstance(items, dict) else {}
        item = new[step] if isinstance(new, list) and step < len(new) else None
        keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
        if not keys or not isinstance(item, dict) or not isinstance(old, list):
            return item, None, form
        same = (each for each in old if isinstance(each, dict) and all(each.get(key) == item.get(key) for key in keys))
        return item, next(same, None), form
    part = (schema.get("properties") or {}).get(step)
    if part is None:
        additional = schema.get("additionalProperties")
        part = additional if isinstance(additional, dict) else {}
    return (
        new.get(step) if isinstance(new, dict) else None,
        old.get(step) if isinstance(old, dict) else None,
        part,
    )
