"""An asyncio event loop on the kernel's clock: tasks, futures, timers and what is built of them, without sockets or threads.

What is ready at an instant runs in the order in which it became ready. Code that blocks inside the loop blocks all of it, as in
life.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.asyncio_code.blocking import Blocking
from rayrig_sim.serve.user_code import ReplicaContext, running

if TYPE_CHECKING:
    from rayrig_sim.serve.calls import Call

#: The call on which a task works.
CALL: ContextVar[Call | None] = ContextVar("call", default=None)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Of one replica. `on_error` gets exceptions that nobody awaits."""

    def __init__(self, context: ReplicaContext, on_error: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._replica = context
        self._kernel = context.kernel
        self._on_error = on_error
        self._ready: deque[asyncio.Handle] = deque()
        self._runner: Blocking | None = None
        self._is_due = False
        self._is_ended = False
        self._tasks: dict[asyncio.Task[Any], Coroutine[Any, Any, Any]] = {}
        self._threads: dict[Blocking, None] = {}

    # Time

    def time(self) -> float:
        return self._kernel.monotonic_ns() / NS

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._wake()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        # Of a delay, however short, some passes: a loop that sleeps for what is left of a time must come to its end.
        delay_ns = max(int(delay > 0), to_ns(delay))
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self._kernel.call_later(delay_ns, lambda _: self._due(handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its event stays in the kernel's queue and does nothing."""

    def _due(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            self._ready.append(handle)
            self._wake()

    # Running

    def _wake(self) -> None:
        if not self._is_due and self._runner is None and not self._is_ended:
            self._is_due = True
            self._kernel.call_later(0, lambda _: self._run())

    def _run(self) -> None:
        self._is_due = False
        if self._is_ended:
            return
        self._runner = Blocking(self._replica, self._drain, self._drained, loop=self)
        self._runner.go()

    def _drain(self) -> None:
        ready = self._ready
        while ready and not self._is_ended:
            handle = ready.popleft()
            if not handle.cancelled():
                context: Context = handle._context  # type: ignore[attr-defined]
                running.call = context.get(CALL)
                handle._run()

    def _drained(self, ok: bool, value: Any) -> None:
        self._runner = None
        if not ok:
            raise value
        if self._ready:
            self._wake()

    def end(self) -> None:
        """The process is gone: tasks do not go on."""
        if self._is_ended:
            return
        self._is_ended = True
        self._ready.clear()
        runner, self._runner = self._runner, None
        if runner is not None and not runner.dead:
            runner.kill()
        for thread in list(self._threads):
            thread.kill()
        for task, coroutine in list(self._tasks.items()):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            try:
                coroutine.close()
            except (RuntimeError, Exception):
                # It is being run right now, or its clean-up went wrong: nobody is there to hear of it.
                continue
        self._tasks.clear()

    # What asyncio asks of a loop

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = coro
        task.add_done_callback(self._tasks.pop)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """In a thread's place: `func` may block without blocking the loop."""
        future = self.create_future()

        def finished(ok: bool, value: Any) -> None:
            self._threads.pop(thread, None)
            if future.cancelled():
                return
            if ok:
                future.set_result(value)
            else:
                future.set_exception(value)

        thread = Blocking(self._replica, partial(func, *args), finished, call=running.call)
        self._threads[thread] = None
        self._kernel.call_later(0, lambda _: thread.go())
        return future

    def is_running(self) -> bool:
        return not self._is_ended

    def is_closed(self) -> bool:
        return self._is_ended

    def get_task_factory(self) -> None:
        """Tasks are asyncio's own."""

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._on_error is not None:
            self._on_error(context)

    async def shutdown_asyncgens(self) -> None:
        """Generators end with their tasks."""
