"""One revision of one object, and its encodings."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import orjson

from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.ports import WatchType
from rayrig_fakes.kubernetes.storage.json_bytes import quick_json, to_json

_TYPE_FIELDS = {"kind", "apiVersion"}
#: So many parts stay unpacked: objects that are read one after another are often of the same few.
_UNPACKED = 256


class Stored:
    """One revision of one object, with its encodings: each is made when first asked for and shared by all who want it."""

    __slots__ = ("_json", "_packed", "obj", "revision")

    def __init__(self, obj: JsonObject, revision: int) -> None:
        self.obj = obj
        self.revision = revision
        self._packed: bytes | None = None
        self._json: bytes | None = None

    def copy(self) -> JsonObject:
        """An object that belongs to the caller."""
        packed = self._packed
        if packed is None:
            text = self._json
            if text is None:
                text = self._json = quick_json(self.obj)
            if text is not None:
                return cast(JsonObject, orjson.loads(text))
            packed = self._packed = marshal.dumps(self.obj)
        return cast(JsonObject, marshal.loads(packed))

    def json(self) -> bytes:
        """The object as JSON."""
        text = self._json
        if text is None:
            text = quick_json(self.obj)
            if text is None:
                # Reading it back would not give the same: numbers are too large.
                self._packed = marshal.dumps(self.obj)
                text = to_json(self.obj)
            self._json = text
        return text

    def item(self) -> bytes:
        """The object as JSON without its kind and apiVersion, as the items of built-in lists are."""
        fields = iter(self.obj.items())
        first, second = next(fields, None), next(fields, None)
        if first is None or second is None or {first[0], second[0]} != _TYPE_FIELDS or len(self.obj) == 2:
            rest = {field: value for field, value in self.obj.items() if field not in _TYPE_FIELDS}
            return to_json(rest)
        # {"kind":"Pod","apiVersion":"v1", is 4 quotes, 1 colon and 1 comma for each field, after the brace.
        head = 13 + sum(len(text.encode()) for text in (*first, *second))
        return b"{" + self.json()[head:]

    def event(self, kind: WatchType) -> bytes:
        """A line of a watch: the event as JSON and a line feed."""
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), self.json())

    def forget_encodings(self) -> None:
        """Nobody is likely to ask for them again."""
        self._json = self._packed = None


class PackedStored(Stored):
    """One that takes little room, packed together with others: nobody has asked for it in a long time. Read only."""

    __slots__ = ("_part", "_place")

    def __init__(self, part: bytes, place: int) -> None:
        self._part = part
        self._place = place

    @classmethod
    def of(cls, stored: Sequence[Stored]) -> list[Stored]:
        """The same, packed; as they are when one has numbers too large for that."""
        text = quick_json([each.obj for each in stored])
        if text is None:
            return list(stored)
        part = zlib.compress(text, 1)
        return [cls(part, place) for place in range(len(stored))]

    @property
    def obj(self) -> JsonObject:  # type: ignore[override]
        return _unpacked(self._part)[self._place]

    @property
    def revision(self) -> int:  # type: ignore[override]
        return int(self.obj["metadata"]["resourceVersion"])

    def copy(self) -> JsonObject:
        return copy_json(self.obj)

    def json(self) -> bytes:
        return to_json(self.obj)

    def forget_encodings(self) -> None:
        """There are none."""


@lru_cache(maxsize=_UNPACKED)
def _unpacked(part: bytes) -> list[JsonObject]:
    return cast("list[JsonObject]", orjson.loads(zlib.decompress(part)))
