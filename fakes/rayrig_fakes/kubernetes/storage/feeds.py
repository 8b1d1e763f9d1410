"""What the watchers of one collection have in common: a log, views of it for those who want a part, and who waits.

A watcher that wants everything reads the log itself. Watchers that want the same part share a view: a change is matched once for
all of them, and an index by key, field, label and namespace finds the views it can concern, so that a change costs nothing for
watchers of something else. Watchers hold no events: each has a place in the log or in its view.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from itertools import count
from operator import attrgetter
from typing import NamedTuple
from weakref import WeakSet

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.selectors import ObjectPredicate
from rayrig_fakes.kubernetes.storage.revisions import ADDED, DELETED, MODIFIED, Change, Changes, RevisionLog
from rayrig_fakes.kubernetes.storage.stored import Stored

_TRIM_AT = 256
_TICKET = attrgetter("ticket")


class Selection(NamedTuple):
    """What a watcher wants to see of a collection.

    `identity` is equal for watchers that want the same; `present` turns a stored object into the version that is asked for. At
    most one of `key`, `field` (path, reader, value) and `label` (key, value) says what an object must have to be selected; they
    are for the index, `matches` decides.
    """

    identity: Hashable = None
    namespace: str = ""
    matches: ObjectPredicate | None = None
    present: Callable[[JsonObject], JsonObject] | None = None
    key: str = ""
    field: tuple[str, Callable[[JsonObject], str], str] | None = None
    label: tuple[str, str] | None = None
    #: What `identity` names by its address, kept as long as there are watchers.
    owner: object = None
    #: Everything with the value of `field`, and nothing else.
    is_by_field_alone: bool = False

    @property
    def is_everything(self) -> bool:
        return not self.namespace and self.matches is None and self.present is None


EVERYTHING = Selection()


class Cursor:
    """A place in a source, as the source knows it."""

    __slots__ = ("__weakref__", "place", "source", "ticket")

    def __init__(self, source: Source, place: int) -> None:
        self.source = source
        #: The next change to be read.
        self.place = place
        #: Order among those who wait.
        self.ticket = 0

    def wake(self) -> None:
        """There is something to be read."""


class Source:
    """Changes that several cursors read, and the cursors that wait for the next one."""

    __slots__ = ("changes", "selection", "waiting")

    def __init__(self, selection: Selection, changes: Changes) -> None:
        self.selection = selection
        self.changes = changes
        self.waiting: list[Cursor] = []


class View(Source):
    """The changes that concern one selection, as they look to its watchers."""

    __slots__ = ("_prefix", "_trim_at", "cursors", "is_abandoned")

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection, Changes())
        self._prefix = f"{selection.namespace}/" if selection.namespace else ""
        self._trim_at = _TRIM_AT
        #: Who reads here: what all of them have read goes. A cursor that nobody holds any more does not count.
        self.cursors: WeakSet[Cursor] = WeakSet()
        self.is_abandoned = False

    def of(self, change: Change) -> Change | None:
        """The change as watchers of this view see it; None when it does not concern them."""
        if self._prefix and not change.key.startswith(self._prefix):
            return None
        selection = self.selection
        kind, stored, matches = change.type, change.stored, selection.matches
        if matches is not None:
            # An object that begins to match is added for these watchers, one that ceases to match is deleted (K8-053).
            previous = change.previous
            was = previous is not None and matches(previous.obj)
            if kind is DELETED:
                if not was:
                    return None
            elif matches(stored.obj):
                kind = MODIFIED if was else ADDED
            elif was and previous is not None:
                # Shown as it last matched, with the version of the change.
                kind = DELETED
                meta = {**previous.obj["metadata"], "resourceVersion": stored.obj["metadata"]["resourceVersion"]}
                stored = Stored({**previous.obj, "metadata": meta}, stored.revision)
            else:
                return None
        if selection.present is not None:
            stored = Stored(selection.present(stored.obj), stored.revision)
        if kind is change.type and stored is change.stored:
            return change
        return change._replace(type=kind, object=stored.obj, stored=stored)

    def add(self, change: Change) -> None:
        entries = self.changes.entries
        entries.append(change)
        if len(entries) >= self._trim_at:
            self._trim()

    def _trim(self) -> None:
        """Drop what every cursor has read. Doing so when there is twice as much as was left costs little per change."""
        changes = self.changes
        self.is_abandoned = not self.cursors
        slowest = min((cursor.place for cursor in self.cursors), default=changes.end)
        if slowest > changes.begin:
            changes.drop(min(slowest, changes.end) - changes.begin)
        self._trim_at = max(_TRIM_AT, 2 * len(changes.entries))


class Feed:
    """Tells the watchers of one collection of its changes."""

    __slots__ = (
        "_by_field",
        "_by_key",
        "_by_label",
        "_by_namespace",
        "_everyone",
        "_fresh",
        "_initial",
        "_routed",
        "_tickets",
        "_unindexed",
        "_views",
        "log",
    )

    def __init__(self, log: RevisionLog) -> None:
        self.log = log
        self._everyone = Source(EVERYTHING, log)
        self._views: dict[Hashable, View] = {}
        #: Changes before this place have been handed to the views.
        self._routed = 0
        #: Views with changes that nobody was woken for yet.
        self._fresh: dict[View, None] = {}
        self._tickets = count()
        self._initial: dict[Hashable, list[Stored]] = {}
        self._by_key: dict[str, list[View]] = {}
        self._by_namespace: dict[str, list[View]] = {}
        self._by_label: dict[tuple[str, str], list[View]] = {}
        self._by_field: dict[str, tuple[Callable[[JsonObject], str], dict[str, list[View]]]] = {}
        self._unindexed: list[View] = []

    # Sources

    def source(self, selection: Selection) -> Source:
        """Where to read from now on; what was written before is not in it unless it is the log itself."""
        if selection.is_everything:
            return self._everyone
        found = self._views.get(selection.identity)
        if found is None:
            if not self._views:
                self._routed = self.log.end
            self.route()
            found = self._views[selection.identity] = View(selection)
            self._home(selection).append(found)
        else:
            self.route()
        return found

    def leave(self, cursor: Cursor) -> None:
        """The cursor reads no more."""
        source = cursor.source
        if isinstance(source, View):
            source.cursors.discard(cursor)
            if not source.cursors:
                self._drop(source)

    def _drop(self, view: View) -> None:
        selection = view.selection
        if self._views.get(selection.identity) is view:
            del self._views[selection.identity]
            home = self._home(selection)
            home.remove(view)
            if home:
                return
            if selection.key:
                del self._by_key[selection.key]
            elif selection.field is not None:
                path, _, value = selection.field
                del self._by_field[path][1][value]
                if not self._by_field[path][1]:
                    del self._by_field[path]
            elif selection.label is not None:
                del self._by_label[selection.label]
            elif selection.namespace:
                del self._by_namespace[selection.namespace]

    def _home(self, selection: Selection) -> list[View]:
        """Where the index has the view of a selection: one place only, so that no change is handed to it twice."""
        if selection.key:
            return self._by_key.setdefault(selection.key, [])
        if selection.field is not None:
            path, reader, value = selection.field
            return self._by_field.setdefault(path, (reader, {}))[1].setdefault(value, [])
        if selection.label is not None:
            return self._by_label.setdefault(selection.label, [])
        if selection.namespace:
            return self._by_namespace.setdefault(selection.namespace, [])
        return self._unindexed

    def initial(self, selection: Selection, scan: Callable[[], Iterator[Stored]]) -> list[Stored]:
        """The present objects of a selection: one list for all who begin at the same revision."""
        found = self._initial.get(selection.identity)
        if found is None:
            present, matches = selection.present, selection.matches
            shown = scan() if present is None else (Stored(present(each.obj), each.revision) for each in scan())
            found = [each for each in shown if matches is None or matches(each.obj)]
            self._initial[selection.identity] = found
        return found

    # Changes

    def wait(self, cursor: Cursor) -> None:
        """The cursor is to be woken by the next change of its source."""
        cursor.ticket = next(self._tickets)
        cursor.source.waiting.append(cursor)

    @property
    def is_watched(self) -> bool:
        return bool(self._views or self._everyone.waiting or self._initial)

    def publish(self) -> list[Cursor]:
        """Hand changes to the views. Who waited for one of them is returned, in the order they began to wait, and waits no more."""
        self._initial.clear()
        everyone = self._everyone
        woken, everyone.waiting = everyone.waiting, []
        if self._views:
            self.route()
            is_mixed = False
            for view in self._fresh:
                if view.waiting:
                    is_mixed = bool(woken)
                    woken += view.waiting
                    view.waiting = []
            self._fresh.clear()
            if is_mixed:
                woken.sort(key=_TICKET)
        return woken

    def route(self) -> None:
        """Hand what was written to the views; who waits goes on waiting until the next `publish`."""
        log = self.log
        entries, begin = log.entries, log.begin
        for index in range(self._routed - begin, len(entries)):
            change = entries[index]
            for view, is_sure in self._candidates(change):
                seen = change if is_sure else view.of(change)
                if seen is not None:
                    view.add(seen)
                    self._fresh[view] = None
                    if view.is_abandoned:
                        self._drop(view)
        self._routed = begin + len(entries)

    def _candidates(self, change: Change) -> Iterator[tuple[View, bool]]:
        """Views that the change can concern, each once, and whether it is known to be for them as it is."""
        found = self._unindexed[:]
        if self._by_key:
            found += self._by_key.get(change.key, ())
        if self._by_namespace:
            found += self._by_namespace.get(change.key.partition("/")[0], ())
        previous = change.previous.obj if change.previous is not None else None
        if self._by_label:
            labels = change.object["metadata"].get("labels") or {}
            before = (previous["metadata"].get("labels") or {}) if previous is not None else {}
            by_label = self._by_label
            for label in labels.items():
                found += by_label.get(label, ())
            if before != labels:
                for label in before.items():
                    if labels.get(label[0]) != label[1]:
                        found += by_label.get(label, ())
        for view in found:
            yield view, False
        for reader, views in self._by_field.values():
            value = reader(change.object)
            was = reader(previous) if previous is not None else value
            for view in views.get(value, ()):
                yield view, was == value and view.selection.is_by_field_alone
            if was != value:
                for view in views.get(was, ()):
                    yield view, False

    def before_forgetting(self) -> None:
        """The log is about to forget: what the views have not seen yet is handed to them."""
        if self._views:
            self.route()

    def forget(self) -> None:
        """The log has forgotten changes: so do the views."""
        compacted = self.log.compacted
        for view in self._views.values():
            view.changes.drop(bisect_right(view.changes.entries, compacted, key=_revision))

    def lose(self) -> None:
        """All places are lost: who waits is to be woken, by `publish`, and to be told."""
        self._routed = self.log.end
        for view in self._views.values():
            view.changes.lose()
            self._fresh[view] = None


def _revision(change: Change) -> int:
    return change.revision
