"""A controller: a reconciler, the watches that wake it, its queue, its worker; and what it is built from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from rayrig_controllers.cached_client import CachedClient, InformerCache
from rayrig_controllers.idle_turns import CountedHttp, IdleTurns
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.reconciler import ReconcileError, ReconcilePanic, Reconciler, Request
from rayrig_controllers.watches import Watch
from rayrig_controllers.workqueue import WorkQueue
from rayrig_core.errors import ApiError
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.ports import EventRecorder, Runtime, Task, WatchType
from rayrig_core.resource_types import ResourceType
from rayrig_core.trace import Kind


class StoppableRecorder(EventRecorder, Protocol):
    """A recorder whose actors end with the process it belongs to."""

    @property
    def recorded(self) -> int:
        """How often it was told of an event."""
        ...

    def tasks(self) -> list[Task[Any]]:
        """The recorder's actors that are running."""
        ...


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """What the manager hands to a controller."""

    runtime: Runtime
    client: CachedClient
    http: CountedHttp
    rng: Random
    recorder: StoppableRecorder
    options: OperatorOptions


class Controller:
    """A reconciler with the watches that wake it and its queue. Counters are plain attributes."""

    def __init__(
        self,
        name: str,
        context: ControllerContext,
        reconciler: Reconciler,
        watches: Iterable[Watch],
        *,
        resource: ResourceType,
        concurrency: int | None = None,
    ) -> None:
        self.name = name
        self.resource = resource
        self.reconciler = reconciler
        self.watches = tuple(watches)
        self.client = context.client
        self.recorder = context.recorder
        self._http = context.http
        self.queue = WorkQueue(context.runtime)
        self.reconciles = 0
        self.errors = 0
        self.concurrency = context.options.reconcile_concurrency if concurrency is None else concurrency
        self._runtime = context.runtime
        self._recover_panics = context.options.recover_panics
        self._last_outcome: dict[Request, tuple[str, int]] = {}

    def connect(self, cache: InformerCache) -> None:
        """Let the watched resources' changes fill the queue."""
        for watch in self.watches:
            cache.informer(watch.resource, is_optional=watch.is_optional).add_handler(self._handler(watch))

    def _handler(self, watch: Watch) -> Any:
        def handle(kind: WatchType, before: JsonObject | None, now: JsonObject | None) -> None:
            for request in watch.requests(kind, before, now):
                self.queue.add(request)

        return handle

    async def work(self) -> None:
        """A worker's actor: reconcile key after key."""
        queue, client, reconcile = self.queue, self.client, self.reconciler.reconcile
        idle = IdleTurns(
            self._runtime,
            queue,
            client,
            self._http,
            events_recorded=lambda: self.recorder.recorded,
            passed=self._pass_over,
        )
        while True:
            request = await queue.get(idle if self.concurrency == 1 else None)
            result, was_noted = None, True
            idle.begin(request)
            writes_before = client.writes
            self.reconciles += 1
            try:
                result = await reconcile(request)
            except (ReconcileError, ApiError, HttpFailure) as error:
                self._failed(request, f"error: {error}")
            except ReconcilePanic as panic:
                self._failed(request, f"panic: {panic}")
            except Exception as error:
                if not self._recover_panics:
                    raise
                self._failed(request, f"panic: {type(error).__name__}: {error}")
            else:
                queue.forget(request)
                requeue_s = result.requeue_after_s
                if requeue_s:
                    queue.add_after(request, requeue_s)
                was_noted = self._note(
                    request, "ok", round(requeue_s * 1000) if requeue_s else 0, client.writes != writes_before
                )
            idle.end(result, was_noted=was_noted)
            queue.done(request)

    def _pass_over(self, count: int) -> None:
        self.reconciles += count

    def _failed(self, request: Request, outcome: str) -> None:
        self.errors += 1
        backoff_s = self.queue.add_rate_limited(request)
        self._note(request, outcome, round(backoff_s * 1000), True)

    def _note(self, request: Request, outcome: str, requeue_ms: int, is_noteworthy: bool) -> bool:
        """Trace a reconcile that failed, wrote something, or ended otherwise than the key's one before; True if it was such."""
        last = self._last_outcome
        if is_noteworthy or last.get(request) != (outcome, requeue_ms):
            last[request] = (outcome, requeue_ms)
            self._runtime.trace.emit(
                Kind.RECONCILE,
                f"{self.resource.plural}/{request.namespace}/{request.name}",
                self.name,
                outcome,
                requeue_ms,
            )
            return True
        return False
