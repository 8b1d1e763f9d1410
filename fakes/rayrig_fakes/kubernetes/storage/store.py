"""Multi-version storage: objects by key in collections, one revision counter over all, a log of changes per collection.

What is stored is never changed: a write puts a new object in the old one's place. Readers who want an object of their own unpack
one from bytes that are made once per revision and only when asked for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_fakes.kubernetes.storage.event_lines import EventChunks
from rayrig_fakes.kubernetes.storage.feeds import Feed
from rayrig_fakes.kubernetes.storage.revisions import ADDED, DELETED, MODIFIED, Change, RevisionLog
from rayrig_fakes.kubernetes.storage.stored import PackedStored, Stored

__all__ = ["Collection", "Store", "Stored", "wake_at_once"]

#: Told of each change of a collection, and with None that its history is lost.
Listener = Callable[[Change | None], None]

#: So many keys are put in or taken from their places one by one.
_FEW = 8
#: So many objects are packed together: more take less room, and longer to read one of.
_PACKED_TOGETHER = 16
#: So many revisions keep their encodings after they were replaced.
_SUPERSEDED_ENCODED = 1_000


class Collection:
    """The objects of one resource, whatever version they are asked for in. Keys are `namespace/name` or `name`."""

    __slots__ = ("_gone", "_items", "_keys", "_late", "_listeners", "_store", "feed", "get", "log", "resource")

    def __init__(self, store: Store, resource: str, history_limit: int) -> None:
        self.resource = resource
        self.log = RevisionLog(history_limit)
        self.feed = Feed(self.log)
        self._store = store
        self._items: dict[str, Stored] = {}
        #: The object of a key, or None.
        self.get: Callable[[str], Stored | None] = self._items.get
        self._keys: list[str] = []
        #: Keys that came and are not in their place yet: many may come before somebody reads in order.
        self._late: list[str] = []
        #: Keys of objects that went, which are among the others still.
        self._gone: list[str] = []
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def revision(self) -> int:
        """The store's, not that of the last change here."""
        return self._store.revision

    def scan(self, namespace: str = "", *, after: str = "") -> Iterator[Stored]:
        """Objects in key order, of one namespace or all, with keys greater than `after`."""
        items = self._items
        for key in self.keys(namespace, after=after):
            yield items[key]

    def keys(self, namespace: str = "", *, after: str = "") -> list[str]:
        keys = self._ordered()
        low, high = 0, len(keys)
        if namespace:
            low, high = bisect_left(keys, namespace + "/"), bisect_left(keys, namespace + "0")
        if after:
            low = max(low, bisect_left(keys, after + "\0"))
        return keys[low:high]

    def _ordered(self) -> list[str]:
        """All keys in order."""
        keys = self._keys
        gone = self._gone
        if gone:
            items = self._items
            if len(gone) < _FEW:
                for key in gone:
                    index = bisect_left(keys, key)
                    if key not in items and index < len(keys) and keys[index] == key:
                        del keys[index]
            else:
                keys = self._keys = [key for key in keys if key in items]
            self._late = [key for key in self._late if key in items]
            self._gone = []
        late = self._late
        if late:
            if len(late) < _FEW:
                for key in late:
                    insort(keys, key)
            else:
                # Two runs in order are merged in one pass.
                late.sort()
                keys += late
                keys.sort()
            if len(keys) != len(self._items):
                # One went and came again.
                keys = self._keys = list(dict.fromkeys(keys))
            self._late = []
        return keys

    def snapshot(self, revision: int) -> dict[str, JsonObject]:
        """All objects as they were at `revision`, by key in order. The caller has checked that it is not compacted."""
        then = {key: stored.obj for key, stored in self._items.items()}
        for change in self.log.since(revision):
            if change.previous is None:
                then.pop(change.key, None)
            else:
                then[change.key] = change.previous.obj
        return dict(sorted(then.items()))

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each change from now on, as it is written."""
        self._listeners.append(listener)

    def replace(self, objects: Iterable[tuple[str, JsonObject]]) -> None:
        """Hold these objects, by key, with the versions they have, in place of all that is there. Open watches lose their
        place."""
        present = {key: Stored(obj, int(obj["metadata"]["resourceVersion"])) for key, obj in objects}
        self._items.clear()
        self._items.update(present)
        self._keys, self._late, self._gone = sorted(self._items), [], []
        self.log.lose()
        self.feed.lose()
        for listener in self._listeners:
            listener(None)
        self._store.on_change(self.feed)

    # Writing. The object's metadata.resourceVersion is set here; it must not be changed by anybody afterwards.

    def put(self, key: str, obj: JsonObject, unix_ns: int, cause: int | None = None) -> Stored:
        """Add or replace."""
        previous = self._items.get(key)
        stored = self._stamped(obj)
        self._items[key] = stored
        if previous is None:
            keys = self._keys
            if not self._late and (not keys or key > keys[-1]):
                keys.append(key)
            else:
                self._late.append(key)
            self._log(ADDED, stored, key, None, unix_ns, cause)
        else:
            self._store.supersede(previous)
            self._log(MODIFIED, stored, key, previous, unix_ns, cause)
        return stored

    def remove(self, key: str, last: JsonObject, unix_ns: int, cause: int | None = None) -> Stored:
        """Remove; `last` is the state the DELETED event carries."""
        previous = self._items.pop(key)
        self._gone.append(key)
        stored = self._stamped(last)
        self._store.supersede(previous)
        self._store.supersede(stored)
        self._log(DELETED, stored, key, previous, unix_ns, cause)
        return stored

    def _stamped(self, obj: JsonObject) -> Stored:
        store = self._store
        store.revision = revision = store.revision + 1
        if store.awaited:
            store.tell_reached()
        obj["metadata"]["resourceVersion"] = str(revision)
        return Stored(obj, revision)

    def _log(
        self, kind: WatchType, stored: Stored, key: str, previous: Stored | None, unix_ns: int, cause: int | None
    ) -> None:
        change = Change(stored.revision, kind, key, stored.obj, stored, previous, unix_ns, cause)
        log, feed = self.log, self.feed
        if len(log.entries) >= log.limit:
            feed.before_forgetting()
            forgotten = log.forget_half()
            feed.forget()
            if not feed.is_watched:
                self._pack(forgotten)
        log.entries.append(change)
        for listener in self._listeners:
            listener(change)
        if feed.is_watched:
            self._store.on_change(feed)

    def _pack(self, changes: list[Change]) -> None:
        """Keep what was written long ago, and is read by nobody who watches, in little room."""
        items = self._items
        present = [change for change in changes if items.get(change.key) is change.stored]
        for start in range(0, len(present), _PACKED_TOGETHER):
            together = present[start : start + _PACKED_TOGETHER]
            packed = PackedStored.of([change.stored for change in together])
            items.update(zip([change.key for change in together], packed, strict=True))


def wake_at_once(feed: Feed) -> None:
    """Whom a change concerns is told of it in the midst of the write."""
    for cursor in feed.publish():
        cursor.wake()


class _Collections(dict[str, Collection]):
    """By resource; one that is missing is made."""

    def __init__(self, store: Store, history_limit: int) -> None:
        self._store = store
        self._history_limit = history_limit

    def __missing__(self, resource: str) -> Collection:
        found = self[resource] = Collection(self._store, resource, self._history_limit)
        found.log.compact(self._store.compacted)
        return found


class Store:
    """All collections and the revision counter."""

    __slots__ = (
        "_collections",
        "_superseded",
        "awaited",
        "collection",
        "compacted",
        "event_chunks",
        "on_change",
        "revision",
    )

    def __init__(self, history_limit: int = 100_000) -> None:
        self.revision = 1
        self.compacted = 0
        self._collections = _Collections(self, history_limit)
        #: The collection of a group-qualified plural, made when first asked for.
        self.collection: Callable[[str], Collection] = self._collections.__getitem__
        self.event_chunks = EventChunks()
        #: Called after each write to a collection that is watched. It, or somebody it tells, is to `publish` and wake.
        self.on_change: Callable[[Feed], None] = wake_at_once
        self._superseded: deque[Stored] = deque()
        #: Revisions that somebody waits for, and whom to call.
        self.awaited: list[tuple[int, Callable[[], None]]] = []

    def supersede(self, stored: Stored) -> None:
        """No longer an object's present revision: watchers may ask for its encodings for a while yet."""
        superseded = self._superseded
        superseded.append(stored)
        if len(superseded) > _SUPERSEDED_ENCODED:
            superseded.popleft().forget_encodings()

    @property
    def collections(self) -> list[Collection]:
        """In the order of their names."""
        return [found for _, found in sorted(self._collections.items())]

    def call_when_reached(self, revision: int, reached: Callable[[], None]) -> None:
        """Call `reached` once, when the revision is given out."""
        self.awaited.append((revision, reached))

    def forget_call(self, reached: Callable[[], None]) -> None:
        """Nobody waits there any more."""
        self.awaited = [each for each in self.awaited if each[1] != reached]

    def tell_reached(self) -> None:
        """Call those whose revision is reached."""
        now = self.revision
        told = [reached for revision, reached in self.awaited if revision <= now]
        if told:
            self.awaited = [each for each in self.awaited if each[0] > now]
            for reached in told:
                reached()

    def compact(self, revision: int) -> None:
        """Forget history up to `revision`: watches and reads from before it answer 410 (K8-058)."""
        self.compacted = max(self.compacted, revision)
        for collection in self._collections.values():
            collection.feed.before_forgetting()
            collection.log.compact(revision)
            collection.feed.forget()
