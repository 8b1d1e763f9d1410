"""The kernel: a simpy environment whose clock counts whole nanoseconds and that drives `async def` actors as processes.

What an actor awaits yields a simpy event; the kernel resumes the actor when that event is processed. There is no event loop and no
thread. An exception that leaves an actor and that
nobody awaits ends the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar, cast

from simpy.events import NORMAL, PENDING, Event

from rayrig_core.idle import Recurrence, Turn
from rayrig_core.ports import Cancelled, Signal
from rayrig_core.timestamps import NS
from rayrig_core.trace import Trace
from rayrig_sim.agenda import Agenda, Alarm, Either, KernelSignal, Sleep, Timer, Waitable
from rayrig_sim.randomness import Streams
from rayrig_sim.resting import Rest, RestingActors

T = TypeVar("T")

#: Virtual runs begin here: 2026-01-01T00:00:00Z. Arbitrary, fixed, a whole minute.
START_UNIX_NS = 1_767_225_600 * NS
#: Later than anything that is due.
_NEVER = 1 << 100
#: So many withdrawn timers may stay where they are.
_FEW = 1_000


class ActorFailed(Exception):
    """An exception left an actor. `error` is that exception."""

    def __init__(self, actor: str, t_ns: int, error: BaseException) -> None:
        self.actor, self.t_ns, self.error = actor, t_ns, error
        super().__init__(actor, t_ns, error)

    def __str__(self) -> str:
        return f"actor {self.actor} failed at {self.t_ns / NS:.6f} s: {type(self.error).__name__}: {self.error}"


class _Start(Event):
    """An actor begins, or is to see that it was cancelled."""

    _value = None
    _ok = True


class Actor(Waitable):
    """A coroutine driven by the kernel (port `Task`); as an event it happens when the coroutine ends."""

    def __init__(self, kernel: Kernel, name: str, coroutine: Coroutine[Any, Any, Any], cause: int | None) -> None:
        self.env = kernel.env
        self.callbacks = []
        self.name = name
        self.cause = cause
        self.turn: Turn | None = None
        self.was_cancelled = False
        self._kernel = kernel
        self._coroutine = coroutine
        self._on_event = self._resume
        self._target: Event = self._wake()

    def _wake(self) -> Event:
        start = _Start(self.env)
        start.callbacks.append(self._on_event)
        self.env.urgent.append(start)
        return start

    def _end(self, value: Any) -> None:
        """The coroutine is over. Nothing of it is to wait for the collector of cycles."""
        self._ok = True
        self._value = value
        env = self.env
        env.soon.append((next(env._eid), self))
        del self._on_event, self._target

    @property
    def is_done(self) -> bool:
        return self.triggered

    def abandon(self) -> None:
        """Close the coroutine, begun or not: it does not go on, whatever happens in the run."""
        self._coroutine.close()

    def cancel(self) -> None:
        if self.triggered or self.was_cancelled:
            return
        self.was_cancelled = True
        is_acting = self._kernel.current is self
        waiting = self._target.callbacks
        if waiting is not None or not is_acting:
            if waiting is not None and self._on_event in waiting:
                waiting.remove(self._on_event)
            self._target = self._wake()
        if is_acting:
            raise Cancelled

    def _resume(self, event: Event) -> None:
        kernel, coroutine = self._kernel, self._coroutine
        kernel.current = self
        try:
            while True:
                if self.was_cancelled:
                    target = coroutine.throw(Cancelled())
                elif event._ok:
                    target = coroutine.send(event._value)
                else:
                    event._defused = True
                    target = coroutine.throw(cast(BaseException, event._value))
                if target.callbacks is not None:
                    target.callbacks.append(self._on_event)
                    self._target = target
                    return
                event = target
        except StopIteration as end:
            self._end(end.value)
        except Cancelled:
            self.was_cancelled = True
            self._end(None)
        except Exception as error:
            self.fail(ActorFailed(self.name, kernel.monotonic_ns(), error))
        finally:
            kernel.current = None


class _Reaction:
    """A callback in the place of an actor (port `Runtime.when`), with what the trace asks of one."""

    __slots__ = ("_kernel", "_react", "cause", "name", "turn")

    def __init__(self, kernel: Kernel, name: str, react: Callable[[Any], None]) -> None:
        self._kernel = kernel
        self._react = react
        self.name = name
        self.cause = kernel.cause
        self.turn: Turn | None = None

    def __call__(self, event: Event) -> None:
        kernel = self._kernel
        kernel.current = self
        try:
            self._react(event._value)
        except Exception as error:
            raise ActorFailed(self.name, kernel.monotonic_ns(), error) from error
        finally:
            kernel.current = None


class _Bell(Event):
    """Lets an actor react, while it waits for something else (port `Runtime.bell`)."""

    _value = None
    _ok = True

    def __init__(self, kernel: Kernel, react: Callable[[], None]) -> None:
        self.env: Agenda = kernel.env
        self._kernel = kernel
        self._actor = kernel.current
        self._react = react

    def ring(self) -> None:
        env = self.env
        self.callbacks = [self._rung]
        env.soon.append((next(env._eid), self))

    def _rung(self, _: Event) -> None:
        kernel, actor = self._kernel, self._actor
        if isinstance(actor, Actor) and (actor.was_cancelled or actor._value is not PENDING):
            return
        kernel.current = actor
        try:
            self._react()
        except Cancelled:
            pass  # It has cancelled itself, and is told so where it waits.
        except Exception as error:
            raise ActorFailed(actor.name if actor is not None else "", kernel.monotonic_ns(), error) from error
        finally:
            kernel.current = None


class _Deed(Waitable):
    """What an actor does in the midst of a wait, without going on in between. Happens at the end of the wait."""

    #: Whoever waits is told of an error; nobody is, when the actor was cancelled meanwhile.
    _defused = True

    def __init__(self, kernel: Kernel, before_ns: int, action: Callable[[], Any], after_ns: int) -> None:
        self.env = kernel.env
        self.callbacks = []
        self._kernel = kernel
        self._actor = kernel.current
        self._action = action
        self._after_ns = after_ns
        Sleep(kernel.env, before_ns).callbacks.append(self._do)

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield self)
        finally:
            # An error knows the frame it left, which knows this.
            self._value = None

    def _do(self, _: Event) -> None:
        if not self.callbacks:
            return  # cancelled
        kernel, env = self._kernel, self.env
        kernel.current = self._actor
        try:
            self._value = self._action()
            self._ok = True
        except (Exception, Cancelled) as error:
            self._value = error
            self._ok = False
        finally:
            kernel.current = None
        heappush(env._queue, (env._now + self._after_ns, NORMAL, next(env._eid), self))

    def abandon(self) -> None:
        """Close the actor."""
        if self.callbacks and isinstance(self._actor, Actor):
            self._actor.abandon()


class _Wait:
    """True when an event happens, has happened perhaps, within a time; False when that passes first."""

    __slots__ = ("_event", "_kernel", "_limit_ns")

    def __init__(self, kernel: Kernel, event: Event, limit_ns: int) -> None:
        self._kernel = kernel
        self._event = event
        self._limit_ns = limit_ns

    def __await__(self) -> Generator[Any, Any, bool]:
        kernel, event = self._kernel, self._event
        if event.callbacks is None:
            return True
        timer = Timer(kernel.env, self._limit_ns)
        try:
            return (yield from Either(kernel.env, event, timer).__await__())
        finally:
            kernel.withdraw(timer)


class Kernel:
    """Clock, actors, randomness and trace of one run (port `Runtime`).

    With `elide_idle`, turns of resting actors are passed over that nobody would notice; nothing else differs.
    """

    def __init__(self, seed: int = 0, *, start_unix_ns: int = START_UNIX_NS, elide_idle: bool = True) -> None:
        self.env = Agenda()
        self.streams = Streams(seed)
        self.current: Actor | _Reaction | None = None
        self.start_unix_ns = start_unix_ns
        self.elide_idle = elide_idle
        self._resting = RestingActors(self.env._eid.__next__)
        #: Timers withdrawn since the last time they were taken out of the queue, and when the last of them would have been over.
        self._withdrawn = 0
        self._withdrawn_ns = 0
        self.trace = Trace(self._context)

    def _context(self) -> tuple[int, str, int | None]:
        actor = self.current
        return (self.env._now, actor.name, actor.cause) if actor is not None else (self.env._now, "", None)

    def close(self) -> None:
        """End the run for good: nothing that was to happen does. Actors that have not begun never do, and those that wait for time
        to pass are closed; one that waits for a signal goes with the signal. A second time changes nothing."""
        env = self.env
        queue, urgent, soon = env._queue, env.urgent, env.soon
        while queue or urgent or soon or self._resting.alarms:
            # What an actor does when it is closed may schedule more.
            now = [(env._now, NORMAL, number, event) for number, event in soon]
            events = [*urgent, *(event for _, _, _, event in sorted((*queue, *now)))]
            for agenda in (queue, urgent, soon):
                agenda.clear()
            for event in (*events, *self._resting.events()):
                for callback in event.callbacks or ():
                    waiting = getattr(callback, "__self__", None)
                    if isinstance(waiting, Actor | _Deed):
                        waiting.abandon()

    # Clock

    def monotonic_ns(self) -> int:
        return self.env._now

    def unix_ns(self) -> int:
        return self.start_unix_ns + self.env._now

    def sleep(self, duration_s: float) -> Awaitable[None]:
        return Sleep(self.env, round(duration_s * NS))

    def sleep_ns(self, duration_ns: int) -> Awaitable[None]:
        return Sleep(self.env, duration_ns)

    # Actors

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Actor:
        return Actor(self, name, coroutine, self.cause)

    def when(self, happened: Awaitable[T], name: str, react: Callable[[T], None]) -> None:
        event = cast(Event, happened)
        if event.callbacks is None:
            again = self.signal()
            again.set(event._value)
            event = again
        event.callbacks.append(_Reaction(self, name, react))

    def bell(self, react: Callable[[], None]) -> Callable[[], None]:
        return _Bell(self, react).ring

    def signal(self) -> KernelSignal[Any]:
        return KernelSignal(self.env)

    def call_later(self, delay_ns: int, callback: Callable[[Event], None]) -> Event:
        """Call back after a delay, without an actor: what hot paths use."""
        event = Sleep(self.env, delay_ns)
        event.callbacks.append(callback)
        return event

    def call_at_rest(self, delay_ns: int, callback: Callable[[Event], None], recurrence: Recurrence) -> None:
        """Call back after a delay, unless that turn is passed over (`rest`): then when the next one is due."""
        if not self.elide_idle:
            self.call_later(delay_ns, callback)
            return
        alarm = Alarm(self.env)
        alarm.callbacks.append(callback)
        self._resting.add(self.env._now + delay_ns, Rest(alarm, recurrence))

    def wait(self, signal: Signal[Any], timeout_s: float) -> Awaitable[bool]:
        return _Wait(self, cast(Event, signal), round(timeout_s * NS))

    def withdraw(self, timer: Timer) -> None:
        """The timer is in the queue for nothing. When half of the queue is, they are taken out."""
        timer.is_withdrawn = True
        self._withdrawn += 1
        queue = self.env._queue
        if self._withdrawn < _FEW or 2 * self._withdrawn < len(queue):
            return
        left = []
        for entry in queue:
            event = entry[3]
            if type(event) is Timer and event.is_withdrawn:
                self._withdrawn_ns = max(self._withdrawn_ns, cast(int, entry[0]))
            else:
                left.append(entry)
        queue[:] = left
        heapify(queue)
        self._withdrawn = 0

    def do_between(self, before_s: float, action: Callable[[], T], after_s: float) -> Awaitable[T]:
        return _Deed(self, round(before_s * NS), action, round(after_s * NS))

    def rest(self, duration_s: float, recurrence: Recurrence, wake: Signal[Any] | None = None) -> Awaitable[object]:
        if not self.elide_idle:
            return self.sleep(duration_s) if wake is None else self.wait(wake, duration_s)
        alarm = Alarm(self.env)
        if wake is not None:
            if cast(Event, wake).callbacks is None:
                return cast("Awaitable[object]", wake)
            self._resting.add(self.monotonic_ns() + round(duration_s * NS), Rest(alarm, recurrence))
            return Either(self.env, cast(Event, wake), alarm)
        self._resting.add(self.monotonic_ns() + round(duration_s * NS), Rest(alarm, recurrence))
        return alarm

    @property
    def turn(self) -> Turn | None:
        return self.current.turn if self.current is not None else None

    @turn.setter
    def turn(self, turn: Turn | None) -> None:
        if self.current is not None:
            self.current.turn = turn if self.elide_idle else None

    @property
    def cause(self) -> int | None:
        return self.current.cause if self.current is not None else None

    @cause.setter
    def cause(self, seq: int | None) -> None:
        if self.current is not None:
            self.current.cause = seq

    # Running

    def run(self, until: Event | None = None, *, until_s: float | None = None) -> None:
        """Process events until `until` happens, `until_s` virtual seconds are reached, or nothing is left.

        Raises `ActorFailed`, with the error as its cause, when an exception leaves an actor.
        """
        limit_ns = None
        if until_s is not None:
            limit_ns = round(until_s * NS)
            if limit_ns <= self.env._now:
                raise ValueError(f"the time is {self.env._now / NS} s already")
        try:
            self._run(until, limit_ns)
        except ActorFailed as failed:
            raise failed from failed.error

    def next_event_ns(self) -> int | None:
        """When something happens next, at the earliest; None when nothing is left to happen."""
        env, alarms = self.env, self._resting.alarms
        if env.urgent or env.soon:
            return env._now
        times = [cast(int, each[0][0]) for each in (env._queue, alarms) if each]
        return min(times, default=None)

    def _run(self, until: Event | None, limit_ns: int | None) -> None:
        env, queue, alarms = self.env, cast("list[tuple[int, int, int, Event]]", self.env._queue), self._resting.alarms
        urgent, soon = env.urgent, env.soon
        pop, none = heappop, cast(Any, None)
        end_ns = _NEVER if limit_ns is None else limit_ns
        while until is None or until.callbacks is not None:
            if soon or urgent:
                due_ns = env._now
            else:
                due_ns = queue[0][0] if queue else _NEVER
            if alarms and alarms[0][0] <= due_ns and alarms[0][0] < end_ns:
                self._let_rest(limit_ns)
                continue
            if urgent:
                event = urgent.popleft()
            elif soon and not (queue and queue[0][0] == due_ns and queue[0][2] < soon[0][0]):
                event = soon.popleft()[1]
            else:
                if due_ns >= end_ns:
                    if limit_ns is not None:
                        env._now = limit_ns
                        return
                    env._now = max(env._now, self._withdrawn_ns)
                    if until is not None:
                        raise RuntimeError("nothing is left to happen, and what was waited for has not happened")
                    return
                event = pop(queue)[3]
                env._now = due_ns
            callbacks = event.callbacks
            event.callbacks = none
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):
                raise cast(BaseException, event._value)
        if not until._ok:
            until._defused = True
            raise cast(BaseException, until._value)

    def _let_rest(self, limit_ns: int | None) -> None:
        """Let the first resting actor, or all of them, pass over turns before the next event; or let the first take its turn."""
        env, queue = self.env, self.env._queue
        while queue and type(queue[0][3]) is Timer and queue[0][3].is_withdrawn:
            self._withdrawn_ns = max(self._withdrawn_ns, cast(int, heappop(queue)[0]))
        horizon_ns = cast(int, queue[0][0]) if queue else None
        if env.soon or env.urgent:
            horizon_ns = env._now
        if limit_ns is not None and (horizon_ns is None or limit_ns < horizon_ns):
            horizon_ns = limit_ns
        taken = self._resting.advance(horizon_ns)
        if taken is not None:
            due_ns, number, alarm = taken
            heappush(queue, (due_ns, NORMAL, number, alarm))
