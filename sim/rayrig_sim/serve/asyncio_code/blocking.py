"""Functions that may block, each in a greenlet of its own: `pause` lets virtual time pass where a thread would sleep."""

from __future__ import annotations

from asyncio import events
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from rayrig_sim.serve.user_code import ReplicaContext, running

if TYPE_CHECKING:
    from rayrig_sim.serve.calls import Call

#: Registers what is to be called when the wait is over.
Wait = Callable[[Callable[[], None]], None]


class Blocking(greenlet):
    """One function on its way. `finished` gets (True, result) or (False, exception), once, unless it is killed before."""

    def __init__(
        self,
        context: ReplicaContext,
        function: Callable[[], Any],
        finished: Callable[[bool, Any], None],
        *,
        call: Call | None = None,
        loop: Any = None,
    ) -> None:
        """`call` is what the code is working on; `loop` the event loop that runs in it, None where none does."""
        super().__init__(self._main)
        self.gr_context = copy_context()
        self.context = context
        self.call = call
        self.loop = loop
        self._function = function
        self._finished = finished
        self._is_killed = False

    def _main(self) -> tuple[bool, Any]:
        try:
            return True, self._function()
        except BaseException as error:
            return False, error

    def go(self) -> None:
        """Begin, or go on after a wait. Returns when it waits or has ended."""
        if self.dead or self._is_killed:
            return
        before = running.context, running.call, running.loop, running.thread
        loop_before = events._get_running_loop()
        running.context, running.call, running.loop = self.context, self.call, self.loop
        running.thread = self if self.loop is None else None
        events._set_running_loop(self.loop)
        # Whoever lets it go on waits for it.
        self.parent = getcurrent()
        try:
            found = self.switch()
        finally:
            running.context, running.call, running.loop, running.thread = before
            events._set_running_loop(loop_before)
        if self.dead:
            if not self._is_killed:
                self._finished(*found)
        else:
            wait: Wait = found
            wait(self.go)

    def block(self, register: Wait) -> None:
        """Stop until what `register` was given is called. Only from its own code."""
        wait_for(register)

    def kill(self) -> None:
        """Its process has ended: nothing more of it runs but what cleans up."""
        if self.dead or self._is_killed:
            return
        self._is_killed = True
        if self:
            self.parent = getcurrent()
            self.throw(GreenletExit)


def current() -> Blocking | None:
    """The one that is running."""
    found = getcurrent()
    return found if isinstance(found, Blocking) else None


def wait_for(wait: Wait) -> None:
    """Let others run until the wait is over. To be called inside a `Blocking` only."""
    found = getcurrent()
    assert found.parent is not None
    found.parent.switch(wait)


def pause(duration_ns: int) -> None:
    """Virtual time passes. To be called inside a `Blocking` only."""
    found = getcurrent()
    assert isinstance(found, Blocking)
    kernel = found.context.kernel
    wait_for(lambda go_on: _ignored(kernel.call_later(duration_ns, lambda _: go_on())))


def _ignored(_: object) -> None:
    """`call_later` gives an event that nobody needs."""
