"""The queue between watches and workers (kuberay-operator 0.2; controller-runtime's priority queue).

A key is in the queue at most once and is handed to one worker at a time. An entry that waits for its delay and is added again
becomes due at the earlier of the two times, so a watch event runs a key at once and takes the place of its pending requeue
(recorded: after a wake-up the next tick comes 2 s after that one, not at the old time).
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Any

from rayrig_controllers.reconciler import Request
from rayrig_core.idle import Recurrence
from rayrig_core.ports import Runtime, Signal
from rayrig_core.timestamps import NS, to_ns

#: First back-off after an error, and the longest one.
BASE_BACKOFF_S = 0.005
MAX_BACKOFF_S = 1000.0


class _Entry:
    __slots__ = ("cause", "due_ns", "is_parked", "seq")

    def __init__(self, due_ns: int, seq: int, cause: int | None) -> None:
        self.due_ns = due_ns
        self.seq = seq
        self.cause = cause
        self.is_parked = False


class WorkQueue:
    """Keys to reconcile, each with the trace event that put it here. Times come from the runtime's clock."""

    def __init__(
        self, runtime: Runtime, *, base_backoff_s: float = BASE_BACKOFF_S, max_backoff_s: float = MAX_BACKOFF_S
    ) -> None:
        self._runtime = runtime
        self._base_ns = to_ns(base_backoff_s)
        self._max_ns = to_ns(max_backoff_s)
        self._entries: dict[Request, _Entry] = {}
        self._heap: list[tuple[int, int, Request]] = []
        self._processing: dict[Request, None] = {}
        self._failures: dict[Request, int] = {}
        self._wake: Signal[Any] | None = None
        #: A waiting worker looks at the clock; the others wait for their turn to do so.
        self._is_watched = False
        self._others: deque[Signal[Any]] = deque()
        self._seq = 0

    def add(self, request: Request) -> None:
        """Due now. Remembers the current cause; of several, the first."""
        self._put(request, self._runtime.monotonic_ns())

    def add_after(self, request: Request, delay_s: float) -> None:
        """Due in `delay_s` seconds, unless it is due earlier already."""
        self._put(request, self._runtime.monotonic_ns() + to_ns(delay_s))

    def add_rate_limited(self, request: Request) -> float:
        """Due after the key's back-off, which doubles each time until `forget`. Returns the back-off in seconds."""
        failures = self._failures.get(request, 0)
        self._failures[request] = failures + 1
        # Beyond 2**40 the ceiling holds anyway; keeps the number small.
        delay_ns = min(self._base_ns << min(failures, 40), self._max_ns)
        self._put(request, self._runtime.monotonic_ns() + delay_ns)
        return delay_ns / NS

    def forget(self, request: Request) -> None:
        """Start the key's back-off anew."""
        self._failures.pop(request, None)

    async def get(self, idle: Recurrence | None = None) -> Request:
        """The next due key, marked as being processed; the caller's cause becomes the key's. Waits as long as none is due.

        Of several workers that wait, one looks at the clock and hears of new keys; it lets the next one do so when it has a key
        itself. `idle` is what the only worker of the queue would do with the next ones.
        """
        runtime = self._runtime
        watches = False
        try:
            while True:
                request = self._take()
                if request is not None:
                    return request
                if self._is_watched and not watches:
                    await self._turn_to_watch()
                    watches = True
                    continue
                self._is_watched = watches = True
                if self._wake is None:
                    self._wake = runtime.signal()
                heap = self._heap
                pause_s = (heap[0][0] - runtime.monotonic_ns()) / NS if heap else None
                if pause_s is not None and idle is not None:
                    await runtime.rest(pause_s, idle, self._wake)
                elif pause_s is not None:
                    await runtime.wait(self._wake, pause_s)
                else:
                    await self._wake
        finally:
            if watches:
                self._hand_watch_over()

    async def _turn_to_watch(self) -> None:
        """Wait until the worker that watches has a key."""
        turn = self._runtime.signal()
        self._others.append(turn)
        try:
            await turn
        except BaseException:
            if turn in self._others:
                self._others.remove(turn)
            else:
                self._hand_watch_over()
            raise

    def _hand_watch_over(self) -> None:
        self._is_watched = bool(self._others)
        if self._others:
            self._others.popleft().set(None)

    def _take(self) -> Request | None:
        """The next due key that no worker has."""
        runtime, heap = self._runtime, self._heap
        now = runtime.monotonic_ns()
        while heap:
            due_ns, seq, request = heap[0]
            entry = self._entries.get(request)
            if entry is None or entry.seq != seq:
                heappop(heap)
                continue
            if due_ns > now:
                return None
            heappop(heap)
            if request in self._processing:
                entry.is_parked = True
                continue
            del self._entries[request]
            self._processing[request] = None
            runtime.cause = entry.cause
            return request
        return None

    def done(self, request: Request) -> None:
        """The worker has finished with the key; if it was added meanwhile, it may be handed out again."""
        self._processing.pop(request, None)
        entry = self._entries.get(request)
        if entry is not None and entry.is_parked:
            entry.is_parked = False
            heappush(self._heap, (entry.due_ns, entry.seq, request))
            self._notify()

    # For workers at rest

    def first(self) -> tuple[int, Request] | None:
        """What comes next, and when it is due."""
        heap = self._heap
        while heap:
            due_ns, seq, request = heap[0]
            entry = self._entries.get(request)
            if entry is not None and entry.seq == seq:
                return due_ns, request
            heappop(heap)
        return None

    def waiting(self) -> list[tuple[int, Request]]:
        """All that waits, in order."""
        due = ((entry.due_ns, entry.seq, request) for request, entry in self._entries.items())
        return [(due_ns, request) for due_ns, _, request in sorted(due, key=lambda one: one[:2])]

    def postpone(self, request: Request, due_ns: int) -> None:
        """A key that waits was done, in effect, and added again for later, with its cause."""
        self._seq += 1
        self._entries[request] = _Entry(due_ns, self._seq, self._entries[request].cause)
        heappush(self._heap, (due_ns, self._seq, request))

    def is_at_work(self, namespace: str) -> bool:
        """A key of the namespace is being worked on, or due."""
        now = self._runtime.monotonic_ns()
        return any(request.namespace == namespace for request in self._processing) or any(
            request.namespace == namespace and entry.due_ns <= now for request, entry in self._entries.items()
        )

    @property
    def depth(self) -> int:
        """Keys that are due and wait for a worker."""
        now = self._runtime.monotonic_ns()
        return sum(1 for entry in self._entries.values() if entry.due_ns <= now)

    def __len__(self) -> int:
        """Keys in the queue, due or not, without those being processed."""
        return len(self._entries)

    def _put(self, request: Request, due_ns: int) -> None:
        entry = self._entries.get(request)
        if entry is not None and entry.due_ns <= due_ns:
            return
        self._seq += 1
        self._entries[request] = _Entry(due_ns, self._seq, self._runtime.cause)
        heappush(self._heap, (due_ns, self._seq, request))
        self._notify()

    def _notify(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.set(None)
