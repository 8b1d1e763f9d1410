"""The revision log of one collection: every change in order, until compacted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType

ADDED, MODIFIED, DELETED = WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED


class Change(NamedTuple):
    """One write. `obj` is the state after it (for DELETED the last state, with the version of the deletion);
    `previous` the state before it. Both are shared and never changed. `unix_ns` is the server's time of the write."""

    revision: int
    type: WatchType
    key: str
    obj: JsonObject
    previous: JsonObject | None
    unix_ns: int
    cause: int | None


class RevisionLog:
    """Changes with growing revisions. Places in it are counted from the beginning of time, so they survive compaction."""

    __slots__ = ("_changes", "_first", "compacted", "limit")

    def __init__(self, limit: int) -> None:
        self._changes: list[Change] = []
        self._first = 0
        #: Changes up to this revision are forgotten.
        self.compacted = 0
        #: At most this many changes are kept (the older half goes when it is passed).
        self.limit = limit

    @property
    def end(self) -> int:
        """Place after the last change."""
        return self._first + len(self._changes)

    @property
    def first(self) -> int:
        """Place of the oldest change that is kept."""
        return self._first

    def append(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > self.limit:
            self._forget(len(self._changes) // 2)

    def at(self, place: int) -> Change:
        return self._changes[place - self._first]

    def after(self, revision: int) -> int:
        """Place of the first change with a greater revision."""
        return self._first + bisect_right(self._changes, revision, key=_revision)

    def since(self, revision: int) -> Iterator[Change]:
        """Changes with a greater revision, newest first."""
        stop = self.after(revision) - self._first
        for index in range(len(self._changes) - 1, stop - 1, -1):
            yield self._changes[index]

    def compact(self, revision: int) -> None:
        """Forget changes up to `revision`."""
        self._forget(bisect_right(self._changes, revision, key=_revision))
        self.compacted = max(self.compacted, revision)

    def lose(self) -> None:
        """Forget everything, so that no place handed out before is in the log any more."""
        self._first = self.end + 1
        self._changes.clear()

    def _forget(self, count: int) -> None:
        if count:
            self.compacted = max(self.compacted, self._changes[count - 1].revision)
            del self._changes[:count]
            self._first += count


def _revision(change: Change) -> int:
    return change.revision
