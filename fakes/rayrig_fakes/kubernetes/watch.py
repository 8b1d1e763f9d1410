"""Cursors over the revision log of a collection: what a watch is before anything waits or blocks.

There is no buffer per watcher: the log is the buffer, and a cursor that falls behind its beginning is `Gone`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.revisions import ADDED, DELETED, MODIFIED, Change
from rayrig_fakes.kubernetes.selectors import ObjectPredicate
from rayrig_fakes.kubernetes.store import Collection


class Delivery:
    """One event for one watcher. `object` is shared; `unix_ns` the time of the write, `cause` its trace event."""

    __slots__ = ("cause", "object", "type", "unix_ns")

    def __init__(self, kind: WatchType, obj: JsonObject, unix_ns: int, cause: int | None) -> None:
        self.type = kind
        self.object = obj
        self.unix_ns = unix_ns
        self.cause = cause


class WatchCursor:
    """A place in a log with a filter. `take` what is there; `call_when_ready` tells once when there is more."""

    __slots__ = ("_collection", "_initial", "_lost", "_matches", "_place", "_prefix", "_present", "_ready", "closed")

    def __init__(
        self,
        collection: Collection,
        place: int,
        *,
        namespace: str = "",
        matches: ObjectPredicate | None = None,
        present: Callable[[JsonObject], JsonObject] | None = None,
        initial: Iterable[Delivery] = (),
        lost: ApiError | None = None,
    ) -> None:
        """`present` turns a stored object into the version the watcher asked for; `lost` is raised instead of any event."""
        self._collection = collection
        self._place = place
        self._prefix = f"{namespace}/" if namespace else ""
        self._matches = matches
        self._present = present
        self._initial = deque(initial)
        self._lost = lost
        self._ready: Callable[[], None] | None = None
        #: No more events come once what is there was taken.
        self.closed = False

    def take(self) -> Delivery | None:
        """The next event, or None when there is none yet. Raises `Gone` when the log no longer reaches back far enough."""
        if self._lost is not None:
            raise self._lost
        if self._initial:
            return self._initial.popleft()
        log = self._collection.log
        if self._place < log.first:
            self._lost = status.expired("too old resource version: the watcher fell behind what is kept")
            raise self._lost
        while self._place < log.end:
            change = log.at(self._place)
            self._place += 1
            delivery = self._delivery(change)
            if delivery is not None:
                return delivery
        return None

    @property
    def has_initial(self) -> bool:
        """Objects that were there at the beginning are still to be taken."""
        return bool(self._initial)

    def call_when_ready(self, ready: Callable[[], None]) -> None:
        """Call `ready` once, when an event for this watcher is written or the cursor is closed.

        To be used after `take` returned None. A later call replaces an earlier one.
        """
        waiting = self._ready is not None
        self._ready = ready
        if not waiting:
            self._collection.wait(self._told)

    def fail(self, error: ApiError) -> None:
        """From now on `take` raises `error`: the history is declared lost (K8-058)."""
        self._lost = error
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()

    def _told(self, change: Change | None) -> bool:
        if self._ready is None:
            return False
        if change is not None and not self._concerns(change):
            self._place += 1
            return True
        ready, self._ready = self._ready, None
        ready()
        return False

    def _concerns(self, change: Change) -> bool:
        """Whether the change is an event for this watcher."""
        if self._prefix and not change.key.startswith(self._prefix):
            return False
        return self._matches is None or self._delivery(change) is not None

    def _delivery(self, change: Change) -> Delivery | None:
        if self._prefix and not change.key.startswith(self._prefix):
            return None
        kind, obj, matches = change.type, change.obj, self._matches
        if matches is not None:
            # An object that begins to match is added for this watcher, one that ceases to match is deleted (K8-053).
            was = change.previous is not None and matches(change.previous)
            if kind is DELETED:
                if not was:
                    return None
            elif matches(obj):
                kind = MODIFIED if was else ADDED
            elif was and change.previous is not None:
                # Shown as it last matched, with the version of the change.
                kind = DELETED
                meta = {**change.previous["metadata"], "resourceVersion": obj["metadata"]["resourceVersion"]}
                obj = {**change.previous, "metadata": meta}
            else:
                return None
        if self._present is not None:
            obj = self._present(obj)
        return Delivery(kind, obj, change.unix_ns, change.cause)
