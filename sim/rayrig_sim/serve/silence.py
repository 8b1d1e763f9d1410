"""The time at which some handle may have been silent for too long, so that the controller looks.

Handles report at intervals for as long as they live, so that time is put off again and again; as long as all of them go on, nobody
needs to be woken for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rayrig_sim.serve.context import NEVER_NS, STEP_NS

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel


class SilenceWatch:
    """`silent_ns` says when that time is, as far as is known now; `all_are_heard` whether those who have reported go on; `step_at`
    which step is the first that is not before a time; `wake` asks for a step.
    """

    def __init__(
        self,
        kernel: Kernel,
        silent_ns: Callable[[], int],
        all_are_heard: Callable[[], bool],
        *,
        step_at: Callable[[int], int],
        wake: Callable[[], None],
    ) -> None:
        self.all_are_heard = all_are_heard
        self._kernel = kernel
        self._silent_ns = silent_ns
        self._step_at = step_at
        self._wake = wake
        self.waits: _Wait | None = None

    def listen_on(self) -> None:
        """Wait, if there is anybody to hear."""
        now_ns, due_ns = self._kernel.monotonic_ns(), self._silent_ns()
        if due_ns == NEVER_NS or (self.waits is not None and self.waits.due_ns <= due_ns):
            return
        wait = self.waits = _Wait(self, self._step_at(max(due_ns, now_ns + 1)))
        self._kernel.call_at_rest(wait.due_ns - now_ns, lambda _: self._has_waited(wait), wait)

    def end(self) -> None:
        self.waits = None

    def _has_waited(self, wait: _Wait) -> None:
        if self.waits is not wait:
            return
        self.waits = None
        if self._silent_ns() <= self._kernel.monotonic_ns():
            self._wake()
        else:
            self.listen_on()


class _Wait:
    """Until one such time (port `Recurrence`)."""

    __slots__ = ("_watch", "due_ns")
    is_instant = True

    def __init__(self, watch: SilenceWatch, due_ns: int) -> None:
        self._watch = watch
        self.due_ns = due_ns

    def holds(self) -> bool:
        return self._watch.waits is self and self._watch.all_are_heard()

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        # Whoever reports is not silent for long after it was heard last.
        self.due_ns = max(before_ns, due_ns + 1) + STEP_NS
        return self.due_ns, due_ns
