"""What one handle records of its calls and reports to the controller while its deployment is autoscaled.

It notes at intervals how many calls wait and how many each replica has of it, and reports the notes of the look-back period.
Source: ray-serve.md 8.1; golden/ray-serve S51: a request that wakes a deployment is heard of with the report after the next
note, because a report made for its sake tells the notes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.autoscaling import Series

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel

#: Part of the look-back period between two notes (AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR).
_NOTE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """How often a handle reports, and about how much of the past; seconds."""

    interval_s: float
    look_back_s: float

    @property
    def note_interval_s(self) -> float:
        return min(_NOTE_SHARE * self.look_back_s, self.interval_s)


class Counting(Protocol):
    """The handle's router."""

    @property
    def queued(self) -> int:
        """Calls that wait for a replica."""

    @property
    def has_replicas(self) -> bool: ...

    def ongoing_by_replica(self) -> Mapping[str, int]:
        """Calls under way, by id, of the replicas that it has ever sent any."""


@dataclass(frozen=True, slots=True, eq=False)
class HandleReport:
    """Notes of one handle as (Unix time in s, number); `running` by id of the replica."""

    handle: Counting
    queued: Series
    running: Mapping[str, Series]


class HandleMetrics:
    """The notes of one handle; `report` hears each report."""

    __slots__ = ("_handle", "_kernel", "_options", "_queued", "_report", "_running", "_turn")

    def __init__(self, kernel: Kernel, handle: Counting, report: Callable[[HandleReport], None]) -> None:
        self._kernel = kernel
        self._handle = handle
        self._report = report
        self._options: MetricsOptions | None = None
        self._queued: list[tuple[float, float]] = []
        self._running: dict[str, list[tuple[float, float]]] = {}
        #: Counts beginnings: what an earlier one scheduled does nothing.
        self._turn = 0

    def follow(self, options: MetricsOptions | None) -> None:
        """New options of the deployment; None when it is not autoscaled. What is scheduled already keeps its time."""
        before, self._options = self._options, options
        if options is None:
            self._turn += 1
            return
        self.starved()
        if before is None:
            self._turn += 1
            self._note_on(self._turn)
            self._report_on(self._turn)

    def starved(self) -> None:
        """A call has begun to wait: without a replica, a report is made at once."""
        if self._options is not None and self._handle.queued and not self._handle.has_replicas:
            self._push()

    def _note_on(self, turn: int) -> None:
        if turn == self._turn and self._options is not None:
            self._note()
            self._kernel.call_later(to_ns(self._options.note_interval_s), lambda _: self._note_on(turn))

    def _report_on(self, turn: int) -> None:
        if turn == self._turn and self._options is not None:
            self._push()
            self._kernel.call_later(to_ns(self._options.interval_s), lambda _: self._report_on(turn))

    def _note(self) -> None:
        now_s = self._now_s()
        self._queued.append((now_s, float(self._handle.queued)))
        for replica, ongoing in self._handle.ongoing_by_replica().items():
            self._running.setdefault(replica, []).append((now_s, float(ongoing)))
        self._forget(now_s)

    def _push(self) -> None:
        now_s = self._now_s()
        self._forget(now_s)
        running = {
            replica: tuple(self._running.get(replica, ())) or ((now_s, float(ongoing)),)
            for replica, ongoing in self._handle.ongoing_by_replica().items()
        }
        queued = tuple(self._queued) or ((now_s, float(self._handle.queued)),)
        self._report(HandleReport(self._handle, queued, running))

    def _forget(self, now_s: float) -> None:
        """Notes from before the look-back period."""
        assert self._options is not None
        begin_s = now_s - self._options.look_back_s
        self._queued = [note for note in self._queued if note[0] > begin_s]
        kept = {replica: [note for note in notes if note[0] > begin_s] for replica, notes in self._running.items()}
        self._running = {replica: notes for replica, notes in kept.items() if notes}

    def _now_s(self) -> float:
        return self._kernel.unix_ns() / NS
