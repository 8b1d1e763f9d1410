"""The trace of a run: an append-only list of typed events, what caused each, and a digest.

Two runs are the same when their digests are the same. An event is (time, actor, kind, subject, data, cause); `data` holds only
integers, strings, booleans and None, in the order the kind declares, so that neither float formatting nor dictionary order can
reach the digest. `cause` is the sequence number of the event that led to this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from sys import intern
from typing import TypeAlias

from rayrig_core.packed_records import PART, PackedRecords

Scalar: TypeAlias = int | str | bool | None

#: So many events are kept as they are; of more, the oldest are packed. Few runs have as many.
_UNPACKED = 1 << 16


class Kind(Enum):
    """What happened. The value is (name, names of the data fields)."""

    API_WRITE = ("api.write", ("verb", "resource", "resource_version", "detail"))
    API_REFUSED = ("api.refused", ("verb", "resource", "code", "reason"))
    RECONCILE = ("reconcile", ("controller", "outcome", "requeue_ms"))
    EVENT = ("event", ("type", "reason", "message", "count"))
    SCHEDULED = ("scheduler.bind", ("node",))
    UNSCHEDULABLE = ("scheduler.unschedulable", ("message",))
    IMAGE = ("kubelet.image", ("image", "state"))
    CONTAINER = ("kubelet.container", ("container", "state", "reason", "exit_code"))
    PROBE = ("kubelet.probe", ("container", "probe", "result", "message"))
    NODE = ("node", ("state", "reason"))
    ENDPOINTS = ("endpoints", ("ready", "detail"))
    ROUTES = ("gateway.routes", ("state", "detail"))
    RAY = ("ray", ("component", "state", "detail"))
    APPLICATION = ("serve.application", ("status", "message"))
    DEPLOYMENT = ("serve.deployment", ("status", "trigger", "message"))
    REPLICA = ("serve.replica", ("state", "node", "detail"))
    PROXY = ("serve.proxy", ("state", "detail"))
    AUTOSCALE = ("serve.autoscale", ("from", "to", "detail"))
    REQUEST = ("request", ("number", "fate", "latency_ns", "status", "app", "pod", "detail"))
    TRAFFIC = ("traffic", ("state", "detail"))
    FAULT = ("fault", ("kind", "detail"))
    STEP = ("step", ("index", "state", "detail"))
    EXPECTATION = ("expectation", ("verdict", "detail"))
    NOTE = ("note", ("detail",))

    def __init__(self, label: str, fields: tuple[str, ...]) -> None:
        self.label = label
        self.fields = fields


#: (time in ns, actor, label of the kind, subject, data, cause).
Record: TypeAlias = tuple[int, str, str, str, tuple[Scalar, ...], int | None]
_BY_LABEL = {kind.label: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event. `t_ns` is nanoseconds since the run began; `seq` its place in the trace."""

    seq: int
    t_ns: int
    actor: str
    kind: Kind
    subject: str
    data: tuple[Scalar, ...]
    cause: int | None

    def __getitem__(self, field: str) -> Scalar:
        """Data field by its declared name. Raises `KeyError`."""
        try:
            return self.data[self.kind.fields.index(field)]
        except ValueError:
            raise KeyError(field) from None

    @property
    def t_s(self) -> float:
        return self.t_ns / 1_000_000_000

    def line(self) -> str:
        """One line for people, without the sequence number."""
        data = " ".join(f"{n}={v}" for n, v in zip(self.kind.fields, self.data, strict=True) if v not in (None, ""))
        return f"{self.t_s:10.3f}s {self.actor}: {self.kind.label} {self.subject} {data}".rstrip()


class Trace:
    """Collects events. `context` (time in ns, actor, cause) is bound by whoever owns the clock and the actors."""

    __slots__ = ("_begin", "_context", "_older", "_records")

    def __init__(self, context: Callable[[], tuple[int, str, int | None]] = lambda: (0, "", None)) -> None:
        self._context = context
        self._older: PackedRecords[Record] = PackedRecords()
        #: Those since then, and the sequence number of the first.
        self._records: list[Record] = []
        self._begin = 0

    def emit(self, kind: Kind, subject: str, *data: Scalar, cause: int | None = None) -> int:
        """Append an event and return its sequence number. Without `cause`, the current actor's cause is taken.

        Raises `ValueError` when the number of data fields is not what the kind declares.
        """
        if len(data) != len(kind.fields):
            raise ValueError(f"{kind.label} takes {kind.fields}, got {data!r}")
        t_ns, actor, ambient = self._context()
        records = self._records
        # The same few are told of again and again.
        subject = intern(subject)
        records.append((t_ns, actor, kind.label, subject, data, ambient if cause is None else cause))
        if len(records) >= _UNPACKED:
            self._older.add(records[:PART])
            del records[:PART]
            self._begin += PART
        return self._begin + len(records) - 1

    @property
    def append_record(self) -> Callable[[Record], None]:
        """For hot paths that emit one kind by the hundred thousand: appends a record as it is.

        The record is (time in ns, actor, label of the kind, subject, data, cause); it must be what `emit` would have made.
        """
        return self._records.append

    def records(self, start: int = 0) -> Sequence[Record]:
        """Records from sequence number `start` on, in the form of `append_record`: for folds over many events."""
        if start >= self._begin:
            return self._records[start - self._begin :]
        found = [record for part in self._older.parts(start) for record in part]
        return found + self._records

    def __len__(self) -> int:
        return self._begin + len(self._records)

    def __getitem__(self, seq: int) -> TraceEvent:
        t_ns, actor, label, subject, data, cause = self._record(seq)
        return TraceEvent(seq, t_ns, actor, _BY_LABEL[label], subject, data, cause)

    def _record(self, seq: int) -> Record:
        if seq < 0:
            seq += len(self)
        return self._records[seq - self._begin] if seq >= self._begin else self._older[seq]

    def _all(self) -> Iterator[Record]:
        for part in self._older.parts():
            yield from part
        yield from self._records

    def __iter__(self) -> Iterator[TraceEvent]:
        for seq in range(len(self)):
            yield self[seq]

    def select(self, *kinds: Kind, subject: str | None = None) -> Iterator[TraceEvent]:
        """Events of these kinds (all when none is given), optionally of one subject."""
        labels = {kind.label for kind in kinds}
        for seq, record in enumerate(self._all()):
            if (not labels or record[2] in labels) and (subject is None or record[3] == subject):
                yield self[seq]

    def causes_of(self, seq: int) -> list[TraceEvent]:
        """The chain of causes, nearest first."""
        chain: list[TraceEvent] = []
        cause = self._record(seq)[5]
        while cause is not None and len(chain) < 1000:
            chain.append(self[cause])
            cause = self._record(cause)[5]
        return chain

    def record_reprs(self, start: int = 0) -> Iterator[str]:
        """Canonical text of each event, what the digest is made of."""
        for record in self.records(start):
            yield repr(record)

    def digest(self) -> str:
        """32 hexadecimal digits over all events."""
        digest = blake2b(digest_size=16)
        for records in (*self._older.parts(), self._records):
            for start in range(0, len(records), 512):
                digest.update(repr(records[start : start + 512]).encode())
        return digest.hexdigest()
