"""Which pod is tried next, and when one that fits nowhere is tried again (kubelet.md 14.2).

Three places: active (tried now, by priority and age), backing off (woken by a change that may help, or after an error) and
unschedulable (nothing relevant has happened). There is no periodic retry but one after five minutes. A pod that backs off
because it fitted nowhere is taken early when nothing is active; one that backs off after an error is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.scheduling.filters import Filter
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds

FIRST_BACK_OFF_NS = 1 * NS
MAX_BACK_OFF_NS = 10 * NS
#: Backed-off errors are looked at each second, forgotten pods each 30 s.
ERROR_LOOK_NS = 1 * NS
UNSCHEDULABLE_LOOK_NS = 30 * NS
UNSCHEDULABLE_FOR_NS = 300 * NS


class Place(Enum):
    ACTIVE = "active"
    BACKING_OFF = "backing off"
    AFTER_ERROR = "backing off after an error"
    UNSCHEDULABLE = "unschedulable"
    IN_FLIGHT = "being scheduled"
    GATED = "gated"


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A pod without a node. `pod` is the object last seen."""

    pod: JsonObject
    needs: PodNeeds
    order: int
    place: Place = Place.IN_FLIGHT
    attempts: int = 0
    tried_ns: int = 0
    #: Who refused at the last attempt, and the resources that were short.
    refused_by: dict[Filter, None] = field(default_factory=dict)
    nominated: str = ""
    cause: int | None = None
    #: Changes that came while it was being tried, each with its cause: the attempt didn't see them.
    missed: list[tuple[Callable[[QueuedPod], bool], int | None]] = field(default_factory=list)

    @property
    def back_off_ends_ns(self) -> int:
        if self.attempts == 0:
            return 0
        return self.tried_ns + min(FIRST_BACK_OFF_NS << min(self.attempts - 1, 10), MAX_BACK_OFF_NS)


class SchedulingQueue:
    """All pods that wait for a node. `phase_ns` is where the ticks of the periodic looks lie."""

    def __init__(self, phase_ns: int = 0) -> None:
        self._phase_ns = phase_ns
        self._entries: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, int, QueuedPod]] = []
        self._early: list[tuple[int, int, QueuedPod]] = []
        self._unschedulable: dict[str, QueuedPod] = {}
        self._next_order = 0
        self._in_flight: QueuedPod | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, uid: str) -> QueuedPod | None:
        return self._entries.get(uid)

    def entries(self) -> list[QueuedPod]:
        return list(self._entries.values())

    def add(self, pod: JsonObject, needs: PodNeeds, *, gated: bool = False) -> QueuedPod:
        """A pod seen for the first time."""
        self._next_order += 1
        entry = self._entries[needs.uid] = QueuedPod(pod, needs, self._next_order)
        if gated:
            entry.place = Place.GATED
        else:
            self.activate(entry)
        return entry

    def remove(self, uid: str) -> QueuedPod | None:
        """Bound, deleted or finished."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._unschedulable.pop(uid, None)
            if self._in_flight is entry:
                self._in_flight = None
            entry.place = Place.IN_FLIGHT  # entries left in the heaps are skipped by their place
        return entry

    def activate(self, entry: QueuedPod) -> None:
        """Try it as soon as its turn comes."""
        self._unschedulable.pop(entry.needs.uid, None)
        if entry.place is Place.ACTIVE:
            return
        entry.place = Place.ACTIVE
        heappush(self._active, (-entry.needs.priority, entry.order, entry))

    def pop(self, now_ns: int) -> QueuedPod | None:
        """The pod to try now."""
        self._flush(now_ns)
        for heap, place in ((self._active, Place.ACTIVE), (self._early, Place.BACKING_OFF)):
            while heap:
                entry = heappop(heap)[2]
                if entry.place is place and self._entries.get(entry.needs.uid) is entry:
                    entry.place = Place.IN_FLIGHT
                    entry.attempts += 1
                    entry.missed.clear()
                    self._in_flight = entry
                    entry.tried_ns = now_ns
                    return entry
        return None

    def restore(self, entry: QueuedPod) -> None:
        """Undo `remove`, for a pod whose binding failed."""
        self._entries[entry.needs.uid] = entry

    def note(self, entry: QueuedPod, helps: Callable[[QueuedPod], bool], cause: int | None) -> None:
        """Something changed while this pod was being tried; whether it helps is known once it is known who refused."""
        entry.missed.append((helps, cause))

    def put_back(
        self, entry: QueuedPod, refused_by: dict[Filter, None], now_ns: int, *, after_error: bool = False
    ) -> None:
        """It fitted nowhere, or its binding failed. Nothing when it is no longer waiting.

        A change that came meanwhile and may help lets it try again.
        """
        if self._entries.get(entry.needs.uid) is not entry:
            return
        entry.refused_by = refused_by
        entry.place = Place.AFTER_ERROR if after_error else Place.UNSCHEDULABLE
        self._unschedulable[entry.needs.uid] = entry
        if self._in_flight is entry:
            self._in_flight = None
        if not after_error:
            for helps, cause in entry.missed:
                if helps(entry):
                    entry.cause = cause
                    self.retry(entry, now_ns)
                    break
        entry.missed.clear()

    def wake(self, helps: Callable[[QueuedPod], bool], now_ns: int, cause: int | None = None) -> bool:
        """Something changed: pods it may help leave the unschedulable ones. Whether there were any."""
        woken = False
        if self._in_flight is not None:
            self.note(self._in_flight, helps, cause)
        for entry in list(self._unschedulable.values()):
            if entry.place is Place.UNSCHEDULABLE and helps(entry):
                entry.cause = cause
                self.retry(entry, now_ns)
                woken = True
        return woken

    def retry(self, entry: QueuedPod, now_ns: int) -> None:
        """Active when its back-off is over, else backing off."""
        if entry.back_off_ends_ns <= now_ns:
            self.activate(entry)
            return
        self._unschedulable.pop(entry.needs.uid, None)
        entry.place = Place.BACKING_OFF
        heappush(self._early, (entry.back_off_ends_ns, entry.order, entry))

    def next_look_ns(self) -> int | None:
        """When time alone will make a pod active; None when nothing waits for time."""
        due: int | None = None
        for entry in self._unschedulable.values():
            at = self._due_ns(entry)
            if due is None or at < due:
                due = at
        return due

    def _due_ns(self, entry: QueuedPod) -> int:
        if entry.place is Place.AFTER_ERROR:
            # One whose wait is over with the look itself is found by the next.
            return self._tick_at_or_after(entry.back_off_ends_ns + 1, ERROR_LOOK_NS)
        return self._tick_at_or_after(entry.tried_ns + UNSCHEDULABLE_FOR_NS + 1, UNSCHEDULABLE_LOOK_NS)

    def _tick_at_or_after(self, at_ns: int, period_ns: int) -> int:
        phase = self._phase_ns % period_ns
        return at_ns + (phase - at_ns) % period_ns

    def _flush(self, now_ns: int) -> None:
        if self._unschedulable:
            for entry in list(self._unschedulable.values()):
                if self._due_ns(entry) <= now_ns:
                    self.activate(entry)
