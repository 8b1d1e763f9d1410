"""What one handle records of its calls and reports to the controller while its deployment is autoscaled.

It notes at intervals how many calls wait and how many each replica has of it, and reports the notes of the look-back period.
Source: ray-serve.md 8.1; golden/ray-serve S51: a request that wakes a deployment is heard of with the report after the next
note, because a report made for its sake tells the notes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

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
    def note_ns(self) -> int:
        """Between two notes."""
        return to_ns(min(_NOTE_SHARE * self.look_back_s, self.interval_s))

    @property
    def interval_ns(self) -> int:
        """Between two reports."""
        return to_ns(self.interval_s)


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
    """Notes of one handle as (Unix time in s, number); `running` by id of the replica. `at_ns` is since the run began."""

    at_ns: int
    handle: Counting
    queued: Series
    running: Mapping[str, Series]


class HandleMetrics:
    """The notes of one handle; `report` hears each report, `tells_nothing` says whether one without calls makes no difference."""

    __slots__ = ("_going", "_handle", "_kernel", "_options", "_queued", "_report", "_running", "_tells_nothing")

    def __init__(
        self,
        kernel: Kernel,
        handle: Counting,
        report: Callable[[HandleReport], None],
        tells_nothing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._kernel = kernel
        self._handle = handle
        self._report = report
        self._tells_nothing = tells_nothing
        self._options: MetricsOptions | None = None
        self._queued: list[tuple[float, float]] = []
        self._running: dict[str, list[tuple[float, float]]] = {}
        self._going: _Going | None = None

    @property
    def is_going(self) -> bool:
        """Whether it reports."""
        return self._going is not None

    def follow(self, options: MetricsOptions | None) -> None:
        """New options of the deployment; None when it is not autoscaled. What is scheduled already keeps its time."""
        before, self._options = self._options, options
        if options is None:
            self._going = None
            return
        self.starved()
        if before is None:
            now_ns = self._kernel.monotonic_ns()
            self._note(now_ns)
            self._push(now_ns)
            note, report = _Turn(now_ns + options.note_ns, now_ns), _Turn(now_ns + options.interval_ns, now_ns)
            self._going = _Going(self, note, report)
            self._wait(self._going)

    def starved(self) -> None:
        """A call has begun to wait: without a replica, a report is made at once."""
        if self._options is not None and self._handle.queued and not self._handle.has_replicas:
            self._push(self._kernel.monotonic_ns())

    def _wait(self, going: _Going) -> None:
        due_ns = going.next_ns
        self._kernel.call_at_rest(due_ns - self._kernel.monotonic_ns(), lambda _: self._go_on(going), going)

    def _go_on(self, going: _Going) -> None:
        options, now_ns = self._options, self._kernel.monotonic_ns()
        if going is not self._going or options is None:
            return
        while going.next_ns == now_ns:
            if going.is_note_next:
                self._note(now_ns)
                going.note = _Turn(now_ns + options.note_ns, now_ns)
            else:
                self._push(now_ns)
                going.report = _Turn(now_ns + options.interval_ns, now_ns)
        self._wait(going)

    def is_quiet(self, going: _Going) -> bool:
        """There are no calls, there were none, and another report would make no difference."""
        return (
            going is self._going
            and self._options is not None
            and not self._handle.queued
            and not any(self._handle.ongoing_by_replica().values())
            and not any(number for notes in (self._queued, *self._running.values()) for _, number in notes)
            and self._tells_nothing()
        )

    def pass_over(self, going: _Going, before_ns: int) -> None:
        """As if the notes and reports due until then had been made while it was quiet. Of reports the last one tells all."""
        options = self._options
        assert options is not None
        interval_ns = options.interval_ns
        count = -(-(before_ns - going.report.due_ns) // interval_ns)
        if count > 0:
            at_ns = going.report.due_ns + (count - 1) * interval_ns
            # At one instant the one goes first that was planned first.
            self._note_until(going, at_ns + (options.note_ns >= interval_ns))
            self._push(at_ns)
            going.report = _Turn(at_ns + interval_ns, at_ns)
        self._note_until(going, before_ns)

    def _note_until(self, going: _Going, before_ns: int) -> None:
        options = self._options
        assert options is not None
        every_ns, due_ns = options.note_ns, going.note.due_ns
        count = -(-(before_ns - due_ns) // every_ns)
        if count > 0:
            # Earlier ones would be forgotten again.
            kept = min(count, to_ns(options.look_back_s) // every_ns + 2)
            for number in range(count - kept, count):
                self._note(due_ns + number * every_ns)
            last_ns = due_ns + (count - 1) * every_ns
            going.note = _Turn(last_ns + every_ns, last_ns)

    def _note(self, now_ns: int) -> None:
        now_s = self._unix_s(now_ns)
        self._queued.append((now_s, float(self._handle.queued)))
        for replica, ongoing in self._handle.ongoing_by_replica().items():
            self._running.setdefault(replica, []).append((now_s, float(ongoing)))
        self._forget(now_s)

    def _push(self, now_ns: int) -> None:
        now_s = self._unix_s(now_ns)
        self._forget(now_s)
        running = {
            replica: tuple(self._running.get(replica, ())) or ((now_s, float(ongoing)),)
            for replica, ongoing in self._handle.ongoing_by_replica().items()
        }
        queued = tuple(self._queued) or ((now_s, float(self._handle.queued)),)
        self._report(HandleReport(now_ns, self._handle, queued, running))

    def _forget(self, now_s: float) -> None:
        """Notes from before the look-back period."""
        assert self._options is not None
        begin_s = now_s - self._options.look_back_s
        self._queued = [note for note in self._queued if note[0] > begin_s]
        kept = {replica: [note for note in notes if note[0] > begin_s] for replica, notes in self._running.items()}
        self._running = {replica: notes for replica, notes in kept.items() if notes}

    def _unix_s(self, at_ns: int) -> float:
        return (self._kernel.start_unix_ns + at_ns) / NS


class _Turn(NamedTuple):
    """When something is due, and since when it is planned."""

    due_ns: int
    planned_ns: int


class _Going:
    """The turns of one beginning (port `Recurrence`)."""

    __slots__ = ("_metrics", "note", "report")
    is_instant = True

    def __init__(self, metrics: HandleMetrics, note: _Turn, report: _Turn) -> None:
        self._metrics = metrics
        self.note = note
        self.report = report

    @property
    def next_ns(self) -> int:
        return min(self.note.due_ns, self.report.due_ns)

    @property
    def is_note_next(self) -> bool:
        return self.note <= self.report

    def holds(self) -> bool:
        return self._metrics.is_quiet(self)

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        self._metrics.pass_over(self, before_ns)
        return self.next_ns, max(self.note.planned_ns, self.report.planned_ns)
