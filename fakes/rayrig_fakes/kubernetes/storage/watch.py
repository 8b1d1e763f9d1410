"""Cursors over the changes of a collection: what a watch is before anything waits or blocks.

There is no buffer per watcher: the log and its views are the buffer, and a cursor that falls behind their beginning is `Gone`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rayrig_core.errors import ApiError
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.storage.feeds import EVERYTHING, Cursor, Selection, View
from rayrig_fakes.kubernetes.storage.revisions import ADDED, Change, Changes
from rayrig_fakes.kubernetes.storage.stored import Stored

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.storage.store import Collection


class WatchCursor(Cursor):
    """A place in a log. `take` what is there; `call_when_ready` tells once when there is more.

    What it gives is shared: read only.
    """

    __slots__ = (
        "_after",
        "_changes",
        "_feed",
        "_initial",
        "_is_early",
        "_lost",
        "_old",
        "_reads_view",
        "_ready",
        "_told",
        "closed",
        "waits_for",
    )

    def __init__(
        self,
        collection: Collection,
        selection: Selection = EVERYTHING,
        *,
        after: int | None = None,
        initial: list[Stored] | None = None,
        lost: ApiError | None = None,
        waits_for: int = 0,
    ) -> None:
        """Changes with a revision greater than `after` (None: those from now on), or first the `initial` objects as added;
        `lost` is raised instead of any event. `waits_for`: asked again when this revision is reached, it would not be."""
        self._feed = feed = collection.feed
        source = feed.source(selection)
        super().__init__(source, source.changes.end)
        self._changes = source.changes
        self._reads_view = isinstance(source, View)
        self._lost = lost
        self._initial = initial or None
        self._told = 0
        self._ready: Callable[[], None] | None = None
        #: Changes from before the view began: places in the log.
        self._old: tuple[int, int] | None = None
        if after is not None:
            place = collection.log.after(after)
            if isinstance(source, View):
                self._old = (place, collection.log.end) if place < collection.log.end else None
            else:
                self.place = place
        if isinstance(source, View):
            source.cursors.add(self)
        #: Changes up to this revision, which may lie in the future, are passed over.
        self._after = after if after is not None and after > collection.revision else 0
        self.waits_for = waits_for
        #: Something comes before the changes of the source.
        self._is_early = bool(lost or self._initial or self._old or self._after)
        #: No more events come once what is there was taken.
        self.closed = False

    def take(self) -> Change | None:
        """The next event, or None when there is none yet. Raises `Gone` when the log no longer reaches back far enough."""
        if self._is_early:
            early = self._early()
            if early is not None:
                return early
        changes = self._changes
        index = self.place - changes.begin
        entries = changes.entries
        if index >= len(entries):
            if not self._reads_view:
                return None
            self._feed.route()
            if index >= len(entries):
                return None
        if index < 0:
            raise self._behind()
        self.place += 1
        return entries[index]

    def take_all(self) -> list[Change]:
        """All events there are. Raises `Gone`."""
        if not self._is_early:
            changes = self._changes
            index = self.place - changes.begin
            if index >= 0 and (found := changes.entries[index:]):
                self.place += len(found)
                return found
        taken: list[Change] = []
        while (change := self.take()) is not None:
            taken.append(change)
        return taken

    @property
    def changes(self) -> Changes | None:
        """Where the cursor reads, at `place`, in step with others; None while it has events of its own to give, or an error.

        Who reads there itself moves `place`.
        """
        changes = self.source.changes
        if self._is_early or self.place < changes.begin:
            return None
        if isinstance(self.source, View) and self.place == changes.end:
            self._feed.route()
        return changes

    def _early(self) -> Change | None:
        if self._lost is not None:
            raise self._lost
        if self._initial is not None:
            stored = self._initial[self._told]
            self._told += 1
            if self._told == len(self._initial):
                self._initial = None
                self._is_early = self._old is not None
            return Change(stored.revision, ADDED, "", stored.obj, stored, None, 0, None)
        if self._old is not None:
            place, end = self._old
            log, view = self._feed.log, self.source
            assert isinstance(view, View)
            if place < log.begin:
                raise self._behind()
            begin, entries = log.begin, log.entries
            while place < end:
                change = view.of(entries[place - begin])
                place += 1
                if change is not None:
                    self._old = (place, end)
                    return change
            self._old = None
        if self._after:
            changes = self.source.changes
            if isinstance(self.source, View):
                self._feed.route()
            self.place = max(self.place, min(changes.after(self._after), changes.end))
            if self.place == changes.end:
                return None
            self._after = 0
        self._is_early = False
        return None

    def _behind(self) -> ApiError:
        self._lost = status.expired("too old resource version: the watcher fell behind what is kept")
        self._is_early = True
        return self._lost

    @property
    def has_initial(self) -> bool:
        """Objects that were there at the beginning are still to be taken."""
        return self._initial is not None

    def call_when_ready(self, ready: Callable[[], None]) -> None:
        """Call `ready` once, when an event for this watcher is written or the cursor is closed.

        To be used after `take` returned None. A later call replaces an earlier one.
        """
        if self._ready is None:
            self._feed.wait(self)
        self._ready = ready

    def fail(self, error: ApiError) -> None:
        """From now on `take` raises `error`: the history is declared lost (K8-058)."""
        self._lost = error
        self._is_early = True
        self.wake()

    def close(self) -> None:
        self.closed = True
        self._feed.leave(self)
        self.wake()

    def wake(self) -> None:
        """Call who waits."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()
