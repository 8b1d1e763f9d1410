"""The older records of a long trace, in little room: parts of a fixed length, each as bytes until somebody reads it."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

#: Records of one part.
PART = 8_192

R = TypeVar("R")


class PackedRecords(Generic[R]):
    """An append-only list of tuples of plain values."""

    __slots__ = ("_parts", "_read", "_read_part")

    def __init__(self) -> None:
        self._parts: list[bytes | list[R]] = []
        #: The part that was read last, which is likely to be read again.
        self._read = -1
        self._read_part: list[R] = []

    def add(self, records: list[R]) -> None:
        """`PART` more of them."""
        try:
            self._parts.append(zlib.compress(marshal.dumps(records), 1))
        except ValueError:
            # A value that is no plain one.
            self._parts.append(records)

    def __getitem__(self, index: int) -> R:
        part, place = divmod(index, PART)
        return self._part(part)[place]

    def parts(self, start: int = 0) -> Iterator[list[R]]:
        """Records from `start` on, part by part."""
        first, place = divmod(start, PART)
        for part in range(first, len(self._parts)):
            yield self._part(part)[place if part == first else 0 :]

    def _part(self, part: int) -> list[R]:
        if part != self._read:
            packed = self._parts[part]
            self._read_part = (
                cast("list[R]", marshal.loads(zlib.decompress(packed))) if isinstance(packed, bytes) else packed
            )
            self._read = part
        return self._read_part
