"""The events of watches as bytes, made once for all watchers that are at the same place and want the same form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rayrig_core.objects import Json
from rayrig_core.ports import WatchType
from rayrig_fakes.kubernetes.storage.json_bytes import to_json
from rayrig_fakes.kubernetes.storage.revisions import Change, Changes

#: Makes the line of a change: the event as JSON and a line feed. Watchers with the same one share its lines.
EventForm: TypeAlias = Callable[[Change], bytes]

#: A chunk ends with the line that passes this size.
CHUNK_BYTES = 64 * 1024
_LIMIT_BYTES = 8 * 1024 * 1024
_LIMIT_CHUNKS = 1024


def event_line(kind: WatchType | str, obj: Json) -> bytes:
    """One event of a watch: a JSON object and a line feed."""
    return to_json({"type": str(kind), "object": obj}) + b"\n"


def whole_object(change: Change) -> bytes:
    """The form of those who ask for none."""
    return change.stored.event(change.type)


def framed(line: bytes) -> bytes:
    """As a chunk of HTTP/1.1's chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(line), line)


class EventChunks:
    """The latest chunks of one server."""

    __slots__ = ("_chunks", "_size")

    def __init__(self) -> None:
        self._chunks: dict[tuple[Changes, int, int, EventForm, bool], tuple[bytes, int]] = {}
        self._size = 0

    def chunk(self, changes: Changes, place: int, form: EventForm, is_framed: bool) -> tuple[bytes, int]:
        """What is there from `place` on, and the place after it."""
        key = (changes, place, changes.end, form, is_framed)
        found = self._chunks.get(key)
        if found is None:
            found = self._made(changes, place, form, is_framed)
            if found[0]:
                self._keep(key, found)
        return found

    def _made(self, changes: Changes, place: int, form: EventForm, is_framed: bool) -> tuple[bytes, int]:
        lines: list[bytes] = []
        size, start = 0, place - changes.begin
        for index in range(start, len(changes.entries)):
            line = form(changes.entries[index])
            lines.append(framed(line) if is_framed else line)
            size += len(line)
            if size >= CHUNK_BYTES:
                break
        return b"".join(lines), place + len(lines)

    def _keep(self, key: tuple[Changes, int, int, EventForm, bool], made: tuple[bytes, int]) -> None:
        chunks = self._chunks
        chunks[key] = made
        self._size += len(made[0])
        while self._size > _LIMIT_BYTES or len(chunks) > _LIMIT_CHUNKS:
            oldest = next(iter(chunks))
            self._size -= len(chunks.pop(oldest)[0])
