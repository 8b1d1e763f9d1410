"""Virtual time that follows the clock: a kernel inside an asyncio loop, at so many virtual seconds a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rayrig_core.ports import Cancelled
from rayrig_core.timestamps import NS
from rayrig_sim.kernel import Kernel

T = TypeVar("T")

#: At most so long until somebody looks what is next, in wall time.
_LONGEST_PAUSE_S = 1.0


class PacedKernel:
    """`run` lets the kernel keep up with the clock; what comes from outside is done at the virtual time it comes at.

    `after_events` is called whenever something may have happened.
    """

    def __init__(self, kernel: Kernel, speed: float, after_events: Callable[[], None] = lambda: None) -> None:
        self.kernel = kernel
        self.speed = speed
        self._after_events = after_events
        self._began_s = 0.0
        self._began_ns = 0
        self._woken = asyncio.Event()
        self._is_over = False

    async def run(self) -> None:
        """Until `stop`. Raises `ActorFailed`."""
        loop = asyncio.get_running_loop()
        self._began_s, self._began_ns = loop.time(), self.kernel.monotonic_ns()
        while not self._is_over:
            self._woken.clear()
            self.catch_up()
            next_ns = self.kernel.next_event_ns()
            pause_s = _LONGEST_PAUSE_S
            if next_ns is not None:
                due_s = self._began_s + (next_ns - self._began_ns) / NS / self.speed
                pause_s = min(pause_s, max(0.0, due_s - loop.time()))
            try:
                await asyncio.wait_for(self._woken.wait(), pause_s)
            except TimeoutError:
                continue

    def catch_up(self) -> None:
        """Let everything happen that is due by now."""
        now_s = asyncio.get_running_loop().time()
        target_ns = self._began_ns + round((now_s - self._began_s) * self.speed * NS)
        if target_ns > self.kernel.monotonic_ns():
            self.kernel.run(until_s=target_ns / NS)
        self._after_events()

    async def do(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Let an actor run it, now; its result. Raises what it raises; cancelled, the actor is."""
        self.catch_up()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def act() -> None:
            try:
                value = await function(*args)
            except Cancelled:
                raise
            except Exception as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(value)

        actor = self.kernel.spawn("user", act())
        self._woken.set()
        try:
            return await done
        except asyncio.CancelledError:
            actor.cancel()
            self._woken.set()
            raise

    def wake(self) -> None:
        """Something has come to be due."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` return."""
        self._is_over = True
        self._woken.set()
