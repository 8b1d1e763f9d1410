"""What watchers must have seen: a record of every write, kept beside the server, and watchers that note what they are told.

A watch is right when what it was told is, event for event, what the record says: nothing lost, nothing twice, nothing out of order.
"""

from __future__ import annotations

import json
import socket
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.storage.watch import WatchCursor

KINDS = ("ADDED", "MODIFIED", "DELETED")
_CODES = {kind: code for code, kind in enumerate(KINDS)}
_GONE = 410


def code_of(revision: int, kind: str) -> int:
    """An event as a number: revisions are given out once."""
    return revision * 4 + _CODES[kind]


def shown(code: int) -> str:
    return f"{KINDS[code % 4]} {code // 4}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a watcher selects: a namespace or all, one value of one label or all, one name or all."""

    namespace: str = ""
    label: tuple[str, str] | None = None
    #: The label must not have this value.
    other: tuple[str, str] | None = None
    name: str = ""

    def matches(self, labels: dict[str, str], name: str) -> bool:
        if self.name and name != self.name:
            return False
        if self.label is not None and labels.get(self.label[0]) != self.label[1]:
            return False
        return self.other is None or labels.get(self.other[0]) != self.other[1]

    @property
    def label_selector(self) -> str:
        terms = []
        if self.label is not None:
            terms.append("=".join(self.label))
        if self.other is not None:
            terms.append("!=".join(self.other))
        return ",".join(terms)

    @property
    def field_selector(self) -> str:
        return f"metadata.name={self.name}" if self.name else ""

    def query(self) -> dict[str, str]:
        query = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: value for name, value in query.items() if value}


@dataclass(frozen=True, slots=True)
class _Write:
    revision: int
    kind: str
    name: str
    labels: dict[str, str]
    before: dict[str, str] | None


@dataclass
class Mark:
    """A moment: all objects, by namespace and then name, with labels and revision."""

    revision: int
    objects: dict[str, dict[str, tuple[dict[str, str], int]]]


@dataclass
class Record:
    """All writes to one resource, as their answers tell of them."""

    revision: int = 0
    _writes: dict[str, list[_Write]] = field(default_factory=dict)
    _objects: dict[str, dict[str, tuple[dict[str, str], int]]] = field(default_factory=dict)
    _events: dict[Wanted, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(writes) for writes in self._writes.values())

    def wrote(self, kind: str, obj: JsonObject) -> None:
        """`obj` is the answer to a write; for a deletion only its name counts, and its version is the deletion's."""
        meta = obj["metadata"]
        namespace, name, revision = meta["namespace"], meta["name"], int(meta["resourceVersion"])
        objects = self._objects.setdefault(namespace, {})
        before = objects.get(name)
        labels = before[0] if kind == "DELETED" and before else meta.get("labels") or {}
        write = _Write(revision, kind, name, labels, before[0] if before else None)
        self._writes.setdefault(namespace, []).append(write)
        if kind == "DELETED":
            del objects[name]
        else:
            objects[name] = (labels, revision)
        self.revision = revision

    def mark(self) -> Mark:
        return Mark(self.revision, {namespace: dict(objects) for namespace, objects in self._objects.items()})

    def events(self, wanted: Wanted) -> list[int]:
        """All events of a selection."""
        found = self._events.get(wanted)
        if found is None:
            found = self._events[wanted] = sorted(self._all(wanted))
        return found

    def _all(self, wanted: Wanted) -> Iterator[int]:
        for namespace in [wanted.namespace] if wanted.namespace else list(self._writes):
            for write in self._writes.get(namespace, ()):
                was = write.before is not None and wanted.matches(write.before, write.name)
                now = write.kind != "DELETED" and wanted.matches(write.labels, write.name)
                if was or now:
                    kind = ("MODIFIED" if was else "ADDED") if now else "DELETED"
                    yield code_of(write.revision, kind)

    def expected(self, wanted: Wanted, mark: Mark | None, after: int) -> list[int]:
        """What a watch is told that began with the objects of `mark`, or after a revision."""
        initial: list[int] = []
        if mark is not None:
            after = mark.revision
            for namespace in [wanted.namespace] if wanted.namespace else sorted(mark.objects):
                for name, (labels, revision) in sorted(mark.objects.get(namespace, {}).items()):
                    if wanted.matches(labels, name):
                        initial.append(code_of(revision, "ADDED"))
        return initial + [code for code in self.events(wanted) if code // 4 > after]


class Watcher:
    """Notes what it is told. `is_slow` ones read seldom; only they may be told that they fell behind."""

    def __init__(self, wanted: Wanted, mark: Mark | None, after: int, *, is_slow: bool = False) -> None:
        self.wanted, self.mark, self.after, self.is_slow = wanted, mark, after, is_slow
        self.told = array("q")
        self.bookmarks = 0
        self._reached = 0
        self.is_gone = False
        self.is_ended = False
        self.wrong = ""

    def note(self, kind: str, obj: JsonObject) -> None:
        if kind == "BOOKMARK":
            self.bookmarks += 1
            self._reached = int(obj["metadata"]["resourceVersion"])
            if self.told and self.told[-1] // 4 > self._reached:
                self.wrong = self.wrong or f"a bookmark at {self._reached} after {shown(self.told[-1])}"
            return
        if kind == "ERROR":
            self.is_gone = True
            if obj["code"] != _GONE:
                self.wrong = self.wrong or f"an error {obj}"
            return
        revision = int(obj["metadata"]["resourceVersion"])
        if revision <= self._reached:
            self.wrong = self.wrong or f"{kind} {revision} after a bookmark at {self._reached}"
        self.told.append(code_of(revision, kind))

    def read(self) -> None:
        """Take what is there."""
        raise NotImplementedError

    def mistake(self, record: Record) -> str:
        """What is wrong with what it was told; empty when nothing is."""
        if self.wrong:
            return self.wrong
        expected = record.expected(self.wanted, self.mark, self.after)
        told = list(self.told)
        if self.is_gone:
            if not self.is_slow:
                return "told that it fell behind, and is not slow"
            expected = expected[: len(told)]
        if told == expected:
            return ""
        for place, (one, other) in enumerate(zip(told, expected, strict=False)):
            if one != other:
                return f"event {place} is {shown(one)} and should be {shown(other)}"
        return (
            f"{len(told)} events, and should be {len(expected)}{', and its stream has ended' if self.is_ended else ''}"
        )


class CursorWatcher(Watcher):
    """In the server's process."""

    def __init__(
        self, cursor: WatchCursor, wanted: Wanted, mark: Mark | None, after: int, *, is_slow: bool = False
    ) -> None:
        super().__init__(wanted, mark, after, is_slow=is_slow)
        self.cursor = cursor

    def read(self) -> None:
        if self.is_gone:
            return
        try:
            changes = self.cursor.take_all()
        except ApiError as error:
            self.note("ERROR", error.status)
            return
        told = self.told
        for change in changes:
            told.append(change.revision * 4 + _CODES[change.type])
            if change.object["metadata"]["resourceVersion"] != str(change.revision):
                self.wrong = self.wrong or f"{change.type} {change.revision} shows another version"


class SocketWatcher(Watcher):
    """Over HTTP, with as little of a client as can be. Its socket is small, so that a slow one holds little."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        wanted: Wanted,
        mark: Mark | None,
        after: int,
        *,
        is_slow: bool = False,
    ) -> None:
        super().__init__(wanted, mark, after, is_slow=is_slow)
        query = {"watch": "1", "allowWatchBookmarks": "true", **wanted.query()}
        if mark is None:
            query["resourceVersion"] = str(after)
        self.socket = socket.socket()
        if is_slow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(address)
        self.socket.sendall(f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._raw = b""
        self._lines = b""
        while b"\r\n\r\n" not in self._raw:
            self._raw += self.socket.recv(65536)
        head, _, self._raw = self._raw.partition(b"\r\n\r\n")
        if b" 200 " not in head[:20]:
            self.wrong = f"not answered: {head[:200]!r}"
        self._unpack()
        self.socket.setblocking(False)

    def read(self) -> None:
        while not self.is_ended:
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                return
            if not data:
                self.is_ended = True
            self._raw += data
            self._unpack()

    def _unpack(self) -> None:
        raw, place, parts = self._raw, 0, [self._lines]
        while (end := raw.find(b"\r\n", place)) >= 0:
            size = int(raw[place:end], 16)
            if len(raw) < end + 2 + size + 2:
                break
            if size == 0:
                self.is_ended = True
            parts.append(raw[end + 2 : end + 2 + size])
            place = end + 2 + size + 2
        self._raw = raw[place:]
        *lines, self._lines = b"".join(parts).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.note(event["type"], event["object"])

    def close(self) -> None:
        self.socket.close()
