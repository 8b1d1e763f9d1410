"""The `Runtime` port on asyncio and wall time: the same actors as in simulation, driven by a real event loop.

What actors await here are asyncio futures. All calls come from the thread of the loop; an actor's cause and name travel with its
task. An exception that leaves an actor is handed to `on_failure`, once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, Generic, TypeVar

from rayrig_core.idle import Recurrence, Turn
from rayrig_core.ports import Cancelled, Signal
from rayrig_core.trace import Kind, Record, Scalar, Trace, TraceEvent

T = TypeVar("T")

_current: ContextVar[AsyncioTask[Any] | None] = ContextVar("rayrig_actor", default=None)


class RecentTrace(Trace):
    """A trace that keeps the last `keep` events, for servers that run for days. Sequence numbers go on growing."""

    __slots__ = ("_forgotten", "_keep")

    def __init__(
        self,
        keep: int,
        context: Callable[[], tuple[int, str, int | None]] = lambda: (0, "", None),
    ) -> None:
        super().__init__(context)
        self._keep = keep
        self._forgotten = 0

    def emit(self, kind: Kind, subject: str, *data: Scalar, cause: int | None = None) -> int:
        seq = super().emit(kind, subject, *data, cause=cause) + self._forgotten
        if len(self._records) >= 2 * self._keep:
            # In halves, so that forgetting costs little per event.
            drop = len(self._records) - self._keep
            del self._records[:drop]
            self._forgotten += drop
        return seq

    @property
    def first(self) -> int:
        """Sequence number of the oldest event that is kept."""
        return self._forgotten

    def records(self, start: int = 0) -> Sequence[Record]:
        return super().records(max(0, start - self._forgotten))

    def __len__(self) -> int:
        """Events so far, forgotten ones included."""
        return self._forgotten + super().__len__()

    def __getitem__(self, seq: int) -> TraceEvent:
        """Raises `IndexError` for an event that is forgotten."""
        if not self._forgotten <= seq < len(self):
            raise IndexError(f"event {seq} is not kept; the oldest is {self._forgotten}")
        event = super().__getitem__(seq - self._forgotten)
        return TraceEvent(seq, event.t_ns, event.actor, event.kind, event.subject, event.data, event.cause)

    def __iter__(self) -> Iterator[TraceEvent]:
        for seq in range(self._forgotten, len(self)):
            yield self[seq]

    def select(self, *kinds: Kind, subject: str | None = None) -> Iterator[TraceEvent]:
        for event in self:
            if (not kinds or event.kind in kinds) and (subject is None or event.subject == subject):
                yield event

    def causes_of(self, seq: int) -> list[TraceEvent]:
        chain: list[TraceEvent] = []
        cause = self[seq].cause
        while cause is not None and cause >= self._forgotten and len(chain) < 1000:
            chain.append(self[cause])
            cause = chain[-1].cause
        return chain


class AsyncioSignal(Generic[T]):
    """One-shot event with a value (port `Signal`). Each waiter has a future of its own: cancelling one leaves the others."""

    __slots__ = ("_loop", "_value", "_waiters", "is_set")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._value: Any = None
        self.is_set = False

    def set(self, value: T) -> None:
        if self.is_set:
            return
        self.is_set = True
        self._value = value
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.is_set:
            waiter = self.waiter()
            try:
                yield from waiter
            finally:
                self.forget(waiter)
        value: T = self._value
        return value

    def waiter(self) -> asyncio.Future[None]:
        """A future that is done when the signal is set; to be given back to `forget`."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        if self.is_set:
            waiter.set_result(None)
        return waiter

    def forget(self, waiter: asyncio.Future[None]) -> None:
        self._waiters.remove(waiter)


class _WithCancelled:
    """Drives an actor's coroutine inside a task and turns asyncio's cancellation into the port's `Cancelled`."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731
        while True:
            try:
                target = step()
            except StopIteration as end:
                return end.value
            try:
                value = yield target
            except asyncio.CancelledError:
                step = lambda: coroutine.throw(Cancelled())  # noqa: E731
            except BaseException as error:
                step = lambda error=error: coroutine.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                step = lambda value=value: coroutine.send(value)  # type: ignore[misc]  # noqa: E731


class AsyncioTask(Generic[T]):
    """An actor (port `Task`)."""

    __slots__ = ("_runtime", "_task", "cause", "name", "was_cancelled")

    def __init__(
        self, runtime: AsyncioRuntime, name: str, coroutine: Coroutine[Any, Any, T], cause: int | None
    ) -> None:
        self.name = name
        self.cause = cause
        self.was_cancelled = False
        self._runtime = runtime
        self._task: asyncio.Task[T | None] = runtime.loop.create_task(self._run(coroutine), name=name)

        def ended(task: asyncio.Task[T | None]) -> None:
            # Also for a task that was cancelled before its first step, whose coroutine never ran.
            coroutine.close()
            runtime.forget(self)
            if not task.cancelled():
                task.exception()

        self._task.add_done_callback(ended)

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T | None:
        _current.set(self)
        try:
            result: T = await _WithCancelled(coroutine)
        except Cancelled:
            self.was_cancelled = True
            return None
        except Exception as error:
            self._runtime.fail(self.name, error)
            raise
        else:
            return result

    @property
    def is_done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        if self._task.done() or self.was_cancelled:
            return
        self.was_cancelled = True
        if _current.get() is self:
            raise Cancelled
        self._task.cancel()

    def __await__(self) -> Generator[Any, Any, T | None]:
        yield from asyncio.wait((self._task,)).__await__()
        if self._task.cancelled():
            return None
        return self._task.result()


class AsyncioRuntime:
    """Clock, actors and trace of one event loop (port `Runtime`). To be made inside the running loop."""

    def __init__(
        self,
        *,
        trace_keep: int | None = None,
        on_failure: Callable[[str, Exception], None] | None = None,
    ) -> None:
        """`trace_keep`: how many events are kept, all when None. `on_failure` gets name and exception of the first actor that
        fails."""
        self.loop = asyncio.get_running_loop()
        self._begin_ns = time.monotonic_ns()
        self._tasks: dict[AsyncioTask[Any], None] = {}
        self._on_failure = on_failure
        #: Name and exception of the first actor that failed.
        self.failure: tuple[str, Exception] | None = None
        if trace_keep is None:
            self.trace = Trace(self._context)
        else:
            self.trace = RecentTrace(trace_keep, self._context)

    def _context(self) -> tuple[int, str, int | None]:
        current = _current.get()
        actor, cause = (current.name, current.cause) if current is not None else ("", None)
        return self.monotonic_ns(), actor, cause

    # Clock

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() - self._begin_ns

    def unix_ns(self) -> int:
        return time.time_ns()

    def sleep(self, duration_s: float) -> Awaitable[None]:
        return asyncio.sleep(duration_s)

    # Actors

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> AsyncioTask[T]:
        task = AsyncioTask(self, name, coroutine, self.cause)
        self._tasks[task] = None
        return task

    def forget(self, task: AsyncioTask[Any]) -> None:
        """A task has ended."""
        self._tasks.pop(task, None)

    def fail(self, name: str, error: Exception) -> None:
        """An exception left an actor."""
        if self.failure is None:
            self.failure = (name, error)
            if self._on_failure is not None:
                self._on_failure(name, error)

    def when(self, happened: Awaitable[T], name: str, react: Callable[[T], None]) -> None:
        async def wait() -> None:
            react(await happened)

        self.spawn(name, wait())

    def bell(self, react: Callable[[], None]) -> Callable[[], None]:
        actor, context = _current.get(), copy_context()

        def rung() -> None:
            if actor is not None and actor.is_done:
                return
            try:
                react()
            except Exception as error:
                self.fail(actor.name if actor is not None else "", error)
                raise

        def ring() -> None:
            self.loop.call_soon(rung, context=context)

        return ring

    def signal(self) -> AsyncioSignal[Any]:
        return AsyncioSignal(self.loop)

    async def wait(self, signal: Signal[Any], timeout_s: float) -> bool:
        if signal.is_set:
            return True
        assert isinstance(signal, AsyncioSignal), "a signal of another runtime"
        waiter = signal.waiter()
        timer = self.loop.call_later(timeout_s, _set_unless_done, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            signal.forget(waiter)
        return signal.is_set

    async def do_between(self, before_s: float, action: Callable[[], T], after_s: float) -> T:
        await self.sleep(before_s)
        try:
            return action()
        finally:
            await self.sleep(after_s)

    def rest(self, duration_s: float, recurrence: Recurrence, wake: Signal[Any] | None = None) -> Awaitable[object]:
        """Real time passes over nothing."""
        return self.sleep(duration_s) if wake is None else self.wait(wake, duration_s)

    @property
    def turn(self) -> Turn | None:
        return None

    @turn.setter
    def turn(self, turn: Turn | None) -> None:
        pass

    @property
    def cause(self) -> int | None:
        current = _current.get()
        return current.cause if current is not None else None

    @cause.setter
    def cause(self, seq: int | None) -> None:
        current = _current.get()
        if current is not None:
            current.cause = seq

    async def stop(self) -> None:
        """Cancel every actor and wait until all have ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            for task in tasks:
                try:
                    await task
                except Exception:  # It was told to `on_failure` when it happened.
                    continue


def _set_unless_done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
