"""The JSON of the latest watch events, made once for all watchers of a server."""

from __future__ import annotations

import json

from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import WatchType

_LIMIT_BYTES = 8 * 1024 * 1024


def event_line(kind: WatchType | str, obj: Json) -> bytes:
    """One event of a watch: a JSON object and a line feed."""
    return json.dumps({"type": str(kind), "object": obj}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class EventLines:
    """Lines by the identity of the event's object, which stays as it is and is held here as long as its line."""

    __slots__ = ("_lines", "_size")

    def __init__(self) -> None:
        self._lines: dict[tuple[int, WatchType], tuple[JsonObject, bytes]] = {}
        self._size = 0

    def line(self, kind: WatchType, obj: JsonObject) -> bytes:
        key = (id(obj), kind)
        found = self._lines.get(key)
        if found is not None:
            return found[1]
        line = event_line(kind, obj)
        if self._size + len(line) > _LIMIT_BYTES:
            self._lines.clear()
            self._size = 0
        self._lines[key] = (obj, line)
        self._size += len(line)
        return line
