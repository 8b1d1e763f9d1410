"""Actors that rest between turns of which nobody would notice anything, and how time passes over those turns.

A resting actor's alarm is kept here instead of among the kernel's events. Before an event happens, the turns due before it are
passed over (`rayrig_core.idle.Recurrence`); a turn that may be noticed, or is due at the very instant of an event, is taken: its
alarm becomes an event like any other. Alarms carry the sequence numbers they would have had, so that ties are broken as they would
have been.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from simpy.events import Event

from rayrig_core.idle import Recurrence
from rayrig_core.timestamps import NS

#: As long as nothing else is due for this long, turns are passed over actor by actor and not in the order of their times.
_LEAP_NS = 5 * NS
#: How far to go at once where nothing else is ever due.
_STRIDE_NS = 3600 * NS


class Rest:
    """One actor's rest. It is over when `alarm` happens; an alarm that nobody waits for is ignored."""

    __slots__ = ("alarm", "recurrence")

    def __init__(self, alarm: Event, recurrence: Recurrence) -> None:
        self.alarm = alarm
        self.recurrence = recurrence


class RestingActors:
    """All rests of one kernel. `next_number` gives its sequence numbers; `alarms` is a heap of (due time, number, rest)."""

    def __init__(self, next_number: Callable[[], int]) -> None:
        self.alarms: list[tuple[int, int, Rest]] = []
        self._next_number = next_number

    def add(self, due_ns: int, rest: Rest) -> None:
        heappush(self.alarms, (due_ns, self._next_number(), rest))

    def events(self) -> list[Event]:
        """The alarms that somebody waits for, in order; none is left."""
        alarms = sorted(self.alarms, key=lambda alarm: alarm[:2])
        self.alarms.clear()
        return [rest.alarm for _, _, rest in alarms]

    def advance(self, horizon_ns: int | None) -> tuple[int, int, Event] | None:
        """Pass over what can be before `horizon_ns`, when the next event happens (None: there is none), or some of it. The first
        alarm, which must not be later, is answered (due time, number, event) when its turn is to be taken.
        """
        alarms = self.alarms
        due_ns, number, rest = alarms[0]
        if not rest.alarm.callbacks:
            heappop(alarms)
            return None
        if horizon_ns is None:
            horizon_ns = due_ns + _STRIDE_NS
        if due_ns >= horizon_ns:
            heappop(alarms)
            return due_ns, number, rest.alarm
        if horizon_ns - due_ns >= _LEAP_NS and self._leap(horizon_ns):
            return None
        heappop(alarms)
        recurrence = rest.recurrence
        if recurrence.holds():
            before_ns = min(horizon_ns, alarms[0][0]) if alarms else horizon_ns
            if before_ns <= due_ns and recurrence.is_instant:
                before_ns = due_ns + 1
            next_ns, _ = recurrence.skip(due_ns, before_ns)
            if next_ns > due_ns:
                self.add(next_ns, rest)
                return None
        return due_ns, number, rest.alarm

    def _leap(self, horizon_ns: int) -> bool:
        """Pass over everything before the horizon, or before the first turn that is to be taken; False when that is due first."""
        alarms = self.alarms
        if not alarms[0][2].recurrence.holds():
            return False
        waited_for = [alarm for alarm in alarms if alarm[2].alarm.callbacks]
        taking_time: list[tuple[int, int, Rest]] = []
        instant: list[tuple[int, int, Rest]] = []
        later: list[tuple[int, int, Rest]] = []
        for alarm in waited_for:
            due_ns, _, rest = alarm
            if due_ns >= horizon_ns:
                later.append(alarm)
            elif not rest.recurrence.holds():
                horizon_ns = due_ns
                later.append(alarm)
            elif rest.recurrence.is_instant:
                instant.append(alarm)
            else:
                taking_time.append(alarm)
        moved: list[tuple[int, int, int, Rest]] = []
        # Turns that take time may share what they draw from: they are passed over in the order of time, none while another lasts.
        heapify(taking_time)
        since: dict[int, int] = {}
        while taking_time:
            due_ns, number, rest = heappop(taking_time)
            if due_ns < horizon_ns:
                before_ns = min(horizon_ns, taking_time[0][0]) if taking_time else horizon_ns
                next_ns, since_ns = rest.recurrence.skip(due_ns, before_ns)
                if next_ns > due_ns:
                    since[number] = since_ns
                    heappush(taking_time, (next_ns, number, rest))
                    continue
                horizon_ns = due_ns
            if number in since:
                moved.append((since[number], number, due_ns, rest))
            else:
                later.append((due_ns, number, rest))
        for due_ns, number, rest in instant:
            if due_ns < horizon_ns:
                next_ns, since_ns = rest.recurrence.skip(due_ns, horizon_ns)
                if next_ns > due_ns:
                    moved.append((since_ns, number, next_ns, rest))
                    continue
            later.append((due_ns, number, rest))
        alarms[:] = later
        heapify(alarms)
        moved.sort(key=lambda one: one[:2])
        for _, _, due_ns, rest in moved:
            self.add(due_ns, rest)
        return bool(moved)
