"""Reconciles that need not be done: a worker at rest knows which of its keys would find what they found, and change nothing.

A key is known to be idle after a reconcile that its reconciler called settled (`Result.is_settled`), that wrote and recorded
nothing, and all of whose time went into exchanges that can be repeated without being made. It stays so while the caches and the
answers stay as they were. The times of its next reconciles then follow from the random draws of those exchanges, which are made.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from heapq import heapreplace
from typing import Any

from rayrig_controllers.cached_client import CachedClient
from rayrig_controllers.reconciler import Request, Result
from rayrig_controllers.workqueue import WorkQueue
from rayrig_core.http import HttpResponse
from rayrig_core.idle import Repetition, Turn
from rayrig_core.ports import HttpClient, Runtime
from rayrig_core.timestamps import to_ns


class CountedHttp:
    """Port `HttpClient` that counts requests."""

    __slots__ = ("_http", "requests")

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.requests = 0

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> Coroutine[Any, Any, HttpResponse]:
        self.requests += 1
        return self._http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class _Begun:
    """How things stood when a reconcile began."""

    request: Request
    t_ns: int
    caches: int
    calls: int
    events: int
    requests: int
    cause: int | None


@dataclass(frozen=True, slots=True)
class _Idle:
    """What the next reconciles of a key would be like."""

    #: Version of the caches it was found with.
    caches: int
    repetitions: tuple[Repetition, ...]
    draws: tuple[Callable[[], int], ...]
    #: The longest it may take.
    most_ns: int
    requeue_ns: int

    def holds(self) -> bool:
        return all(repetition.holds() for repetition in self.repetitions)


class IdleTurns:
    """Of the only worker of a queue (port `Recurrence`). `events_recorded` counts the events its reconciler has recorded; `passed`
    is told how many reconciles were passed over."""

    is_instant = False

    def __init__(
        self,
        runtime: Runtime,
        queue: WorkQueue,
        client: CachedClient,
        http: CountedHttp,
        *,
        events_recorded: Callable[[], int],
        passed: Callable[[int], None],
    ) -> None:
        self._runtime = runtime
        self._queue = queue
        self._client = client
        self._http = http
        self._events_recorded = events_recorded
        self._passed = passed
        self._idle: dict[Request, _Idle] = {}
        self._begun: _Begun | None = None

    # Learning

    def begin(self, request: Request) -> None:
        """A reconcile begins."""
        self._idle.pop(request, None)
        runtime, client = self._runtime, self._client
        runtime.turn = Turn()
        if runtime.turn is not None:
            self._begun = _Begun(
                request,
                runtime.monotonic_ns(),
                client.cache.version,
                client.calls,
                self._events_recorded(),
                self._http.requests,
                runtime.cause,
            )

    def end(self, result: Result | None, *, was_noted: bool) -> None:
        """It has ended, with a result or without. `was_noted`: it left an event in the trace."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        runtime, client = self._runtime, self._client
        turn, runtime.turn = runtime.turn, None
        if result is None or turn is None or was_noted or not result.is_settled or not result.requeue_after_s:
            return
        now = (client.cache.version, client.calls, self._events_recorded(), runtime.cause)
        if now != (begun.caches, begun.calls, begun.events, begun.cause):
            return
        if self._http.requests - begun.requests != len(turn.parts):
            # One was answered by somebody who does not foresee, perhaps in no time.
            return
        repetitions = turn.repetitions(begun.t_ns, runtime.monotonic_ns())
        if repetitions is None:
            return
        self._idle[begun.request] = _Idle(
            begun.caches,
            repetitions,
            tuple(draw for repetition in repetitions for draw in repetition.draws),
            sum(repetition.most_ns for repetition in repetitions),
            to_ns(result.requeue_after_s),
        )

    # What it would do next

    def _known(self, request: Request) -> _Idle | None:
        idle = self._idle.get(request)
        return idle if idle is not None and idle.caches == self._client.cache.version else None

    def holds(self) -> bool:
        first = self._queue.first()
        if first is None:
            return False
        idle = self._known(first[1])
        return idle is not None and idle.holds()

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        waiting = self._queue.waiting()
        if not waiting or waiting[0][0] != due_ns:
            return due_ns, due_ns
        turns: list[tuple[int, int, Request, _Idle]] = []
        for number, (its_due_ns, request) in enumerate(waiting):
            idle = self._known(request)
            if idle is None or not idle.holds():
                # Whatever is due after that one may find another world.
                before_ns = min(before_ns, its_due_ns)
                break
            turns.append((its_due_ns, number, request, idle))
        if not turns:
            return due_ns, due_ns
        # Keys that come due while another is worked on follow at once. As long as all can be done in time, they are.
        longest_ns = sum(idle.most_ns for _, _, _, idle in turns)
        if longest_ns >= min(idle.requeue_ns for _, _, _, idle in turns):
            return due_ns, due_ns
        spare_ns = before_ns - longest_ns
        free_ns, count = due_ns, 0
        ended: dict[Request, tuple[int, int]] = {}
        if len(turns) == 1:
            its_due_ns, _, request, idle = turns[0]
            draws, requeue_ns = idle.draws, idle.requeue_ns
            while its_due_ns < spare_ns:
                free_ns = its_due_ns
                for draw in draws:
                    free_ns += draw()
                its_due_ns = free_ns + requeue_ns
                count += 1
            ended[request] = (count, its_due_ns)
        else:
            while turns[0][0] < spare_ns or (count and turns[0][0] <= free_ns):
                its_due_ns, _, request, idle = turns[0]
                free_ns = max(free_ns, its_due_ns)
                for draw in idle.draws:
                    free_ns += draw()
                count += 1
                ended[request] = (count, free_ns + idle.requeue_ns)
                heapreplace(turns, (free_ns + idle.requeue_ns, len(waiting) + count, request, idle))
        if not count:
            return due_ns, due_ns
        self._passed(count)
        for request, (_, its_due_ns) in sorted(ended.items(), key=lambda one: one[1][0]):
            self._queue.postpone(request, its_due_ns)
        first = self._queue.first()
        assert first is not None
        return first[0], free_ns
