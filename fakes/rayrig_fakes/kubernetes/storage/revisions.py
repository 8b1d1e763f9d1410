"""The revision log of one collection: every change in order, until compacted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_fakes.kubernetes.storage.stored import Stored

ADDED, MODIFIED, DELETED = WatchType.ADDED, WatchType.MODIFIED, WatchType.DELETED


class Change(NamedTuple):
    """One write, as it is kept and as watchers are told of it.

    `object` is the state after it (for DELETED the last state, with the version of the deletion), `stored` the same with its
    encodings, `previous` the state before it. All are shared and never changed. `unix_ns` is the server's time of the write,
    `cause` its trace event.
    """

    revision: int
    type: WatchType
    key: str
    object: JsonObject
    stored: Stored
    previous: Stored | None
    unix_ns: int
    cause: int | None


class Changes:
    """Changes with growing revisions that cursors read. Places are counted from the beginning of time, so they survive that the
    oldest are forgotten."""

    __slots__ = ("begin", "entries")

    def __init__(self) -> None:
        self.entries: list[Change] = []
        #: Place of the oldest change that is kept.
        self.begin = 0

    @property
    def end(self) -> int:
        """Place after the last change."""
        return self.begin + len(self.entries)

    def after(self, revision: int) -> int:
        """Place of the first change with a greater revision."""
        return self.begin + bisect_right(self.entries, revision, key=_revision)

    def drop(self, count: int) -> None:
        """Forget the oldest `count` changes."""
        del self.entries[:count]
        self.begin += count

    def lose(self) -> None:
        """Forget everything, so that no place handed out before is kept any more."""
        self.begin = self.end + 1
        self.entries.clear()


class RevisionLog(Changes):
    """All changes of a collection."""

    __slots__ = ("compacted", "limit")

    def __init__(self, limit: int) -> None:
        super().__init__()
        #: Changes up to this revision are forgotten.
        self.compacted = 0
        #: At most this many changes are kept (the older half goes when it is passed).
        self.limit = limit

    def forget_half(self) -> list[Change]:
        """Forget the older half, which is returned."""
        count = len(self.entries) // 2 or 1
        forgotten = self.entries[:count]
        self._forget(count)
        return forgotten

    def since(self, revision: int) -> Iterator[Change]:
        """Changes with a greater revision, newest first."""
        entries = self.entries
        for index in range(len(entries) - 1, self.after(revision) - self.begin - 1, -1):
            yield entries[index]

    def compact(self, revision: int) -> None:
        """Forget changes up to `revision`."""
        self._forget(bisect_right(self.entries, revision, key=_revision))
        self.compacted = max(self.compacted, revision)

    def _forget(self, count: int) -> None:
        if count:
            self.compacted = max(self.compacted, self.entries[count - 1].revision)
            self.drop(count)


def _revision(change: Change) -> int:
    return change.revision
