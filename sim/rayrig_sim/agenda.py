"""What is to happen in a run, in its order, and the events that actors wait for.

Ties are broken by (time, priority, sequence number), as simpy does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from heapq import heappush
from typing import Any, Generic, TypeVar

import simpy
from simpy.events import NORMAL, PENDING, URGENT, Event

T = TypeVar("T")


class Agenda(simpy.Environment):
    """simpy's agenda, whose times are whole nanoseconds. What is to happen at once is kept apart from what is to happen later: it
    is half of all, and would go through the whole heap."""

    _now: int

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        #: What happens now, before all else and after what was due now already: (sequence number, event).
        self.urgent: deque[Event] = deque()
        self.soon: deque[tuple[int, Event]] = deque()

    def schedule(self, event: Event, priority: Any = NORMAL, delay: Any = 0) -> None:
        if delay:
            super().schedule(event, priority, delay)
        elif priority == URGENT:
            self.urgent.append(event)
        else:
            self.soon.append((next(self._eid), event))


class Waitable(Event):
    """A simpy event that actors can await."""

    env: Agenda

    def __await__(self) -> Generator[Any, Any, Any]:
        if self.callbacks is None and self._ok:
            return self._value
        return (yield self)


class Sleep(Waitable):
    """Processed after a delay. Built by hand: `simpy.Timeout` validates and names what is known here."""

    # Of every one of them, and of the millions of a run.
    _value = None
    _ok = True

    def __init__(self, env: Agenda, delay_ns: int) -> None:
        self.env = env
        self.callbacks = []
        heappush(env._queue, (env._now + delay_ns, NORMAL, next(env._eid), self))

    def __await__(self) -> Generator[Any, Any, Any]:
        # There is no value to wait for: a generator of ours has nothing to add.
        return iter((self,))  # type: ignore[return-value]


class Timer(Sleep):
    """The limit of a wait. Nothing happens at one that was withdrawn."""

    is_withdrawn = False


class Alarm(Waitable):
    """End of a rest; not scheduled before its turn is to be taken."""

    _value = None
    _ok = True


class KernelSignal(Waitable, Generic[T]):
    """One-shot event with a value (port `Signal`)."""

    def set(self, value: T) -> None:
        if self._value is PENDING:
            self._ok = True
            self._value = value
            env = self.env
            env.soon.append((next(env._eid), self))

    @property
    def is_set(self) -> bool:
        return self._value is not PENDING


class Either(Waitable):
    """Happens when the first of two events does; its value is whether that is the first of the two. Neither has happened."""

    def __init__(self, env: Agenda, event: Event, alarm: Event) -> None:
        self.env = env
        self.callbacks = []
        self._event = event
        self._alarm = alarm

    def _happened(self, event: Event) -> None:
        if self._value is PENDING:
            self._ok = True
            self._value = event is self._event
            env = self.env
            env.soon.append((next(env._eid), self))

    def __await__(self) -> Generator[Any, Any, bool]:
        event, alarm, happened = self._event, self._alarm, self._happened
        event.callbacks.append(happened)
        alarm.callbacks.append(happened)
        try:
            came_first: bool = yield self
            return came_first
        finally:
            if event.callbacks is not None and happened in event.callbacks:
                event.callbacks.remove(happened)
            if alarm.callbacks is not None:
                alarm.callbacks.clear()
