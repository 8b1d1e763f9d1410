"""One operator process: its informers, its controllers and their workers, started and crashed as one.

A crash cancels every actor at once and all memory is lost (caches, queues, back-offs, expectations, event series); a restart is a
new `Manager`. Each controller lives in a package of its own that offers `controller(context) -> Controller`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from rayrig_controllers.cached_client import CachedClient, InformerCache
from rayrig_controllers.event_recorder import EventRecorder
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.reconciler import ReconcileError, Reconciler, Request
from rayrig_controllers.watches import Watch
from rayrig_controllers.workqueue import WorkQueue
from rayrig_core.errors import ApiError
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Cancelled, HttpClient, KubernetesClient, Runtime, Task, WatchType
from rayrig_core.resource_types import JOB, POD, ResourceType
from rayrig_core.resources import labels
from rayrig_core.trace import Kind

#: The operator keeps only these objects of a resource in its cache (kuberay-operator 0.3.11).
CACHE_SELECTORS: dict[ResourceType, str] = {
    POD: f"{labels.NODE_TYPE} in ({','.join(labels.NODE_TYPES)})",
    JOB: f"{labels.CREATED_BY}={labels.KUBERAY_OPERATOR}",
}
INDEXED_LABELS = (labels.CLUSTER, labels.ORIGINATED_FROM_CR_NAME)


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """What the manager hands to a controller."""

    runtime: Runtime
    client: CachedClient
    http: HttpClient
    rng: Random
    recorder: EventRecorder
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
            cache.informer(watch.resource).add_handler(self._handler(watch))

    def _handler(self, watch: Watch) -> Any:
        def handle(kind: WatchType, before: JsonObject | None, now: JsonObject | None) -> None:
            for request in watch.requests(kind, before, now):
                self.queue.add(request)

        return handle

    async def work(self) -> None:
        """A worker's actor: reconcile key after key."""
        queue, client, reconcile = self.queue, self.client, self.reconciler.reconcile
        while True:
            request = await queue.get()
            writes_before = client.writes
            self.reconciles += 1
            try:
                result = await reconcile(request)
            except (ReconcileError, ApiError, HttpFailure) as error:
                self._failed(request, f"error: {error}")
            except Exception as error:
                if not self._recover_panics:
                    raise
                self._failed(request, f"panic: {type(error).__name__}: {error}")
            else:
                queue.forget(request)
                requeue_s = result.requeue_after_s
                if requeue_s:
                    queue.add_after(request, requeue_s)
                self._note(request, "ok", round(requeue_s * 1000) if requeue_s else 0, client.writes != writes_before)
            queue.done(request)

    def _failed(self, request: Request, outcome: str) -> None:
        self.errors += 1
        backoff_s = self.queue.add_rate_limited(request)
        self._note(request, outcome, round(backoff_s * 1000), True)

    def _note(self, request: Request, outcome: str, requeue_ms: int, is_noteworthy: bool) -> None:
        """Trace a reconcile that failed, wrote something, or ended otherwise than the key's one before."""
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


class Manager:
    """An operator process. `start` returns at once; workers begin when all watched resources are in the cache."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        *,
        http: HttpClient,
        rng: Random,
        options: OperatorOptions | None = None,
        name: str = "operator",
    ) -> None:
        self.name = name
        self.options = options or OperatorOptions()
        self.controllers: dict[str, Controller] = {}
        self.is_running = False
        self._runtime = runtime
        self._client = client
        self._http = http
        self._rng = rng
        self.cache = InformerCache(
            runtime,
            client,
            namespace=self.options.watch_namespace,
            selectors=CACHE_SELECTORS,
            indexed_labels=INDEXED_LABELS,
            actor=name,
        )
        self._tasks: list[Task[Any]] = []

    def context(self, controller: str) -> ControllerContext:
        """What a controller of that name is built from."""
        return ControllerContext(
            self._runtime,
            CachedClient(self.cache, self._client),
            self._http,
            self._rng,
            EventRecorder(self._runtime, self._client, controller, self.options.host_name),
            self.options,
        )

    def add(self, controller: Controller) -> None:
        """Before `start`."""
        self.controllers[controller.name] = controller

    def start(self) -> None:
        self.is_running = True
        for controller in self.controllers.values():
            self._tasks.append(self._runtime.spawn(f"{self.name}/{controller.name}", self._start(controller)))

    async def _start(self, controller: Controller) -> None:
        controller.connect(self.cache)
        for watch in controller.watches:
            await self.cache.informer(watch.resource).synced
        for number in range(2, controller.concurrency + 1):
            self._tasks.append(self._runtime.spawn(f"{self.name}/{controller.name}/{number}", controller.work()))
        await controller.work()

    def crash(self) -> None:
        """Every actor of the process ends now; what they had in memory is lost."""
        self.is_running = False
        tasks = [*self._tasks, *self.cache.tasks()]
        for controller in self.controllers.values():
            tasks += controller.recorder.tasks()
        own_end: Cancelled | None = None
        for task in tasks:
            try:
                task.cancel()
            except Cancelled as cancelled:
                # One of our own actors is calling: it ends last.
                own_end = cancelled
        if own_end is not None:
            raise own_end

    # Counters, for metrics

    @property
    def reconciles(self) -> int:
        return sum(controller.reconciles for controller in self.controllers.values())

    @property
    def errors(self) -> int:
        return sum(controller.errors for controller in self.controllers.values())

    @property
    def queue_depth(self) -> int:
        return sum(controller.queue.depth for controller in self.controllers.values())


def operator(
    runtime: Runtime,
    client: KubernetesClient,
    *,
    http: HttpClient,
    rng: Random,
    options: OperatorOptions | None = None,
    name: str = "operator",
) -> Manager:
    """A manager with KubeRay's RayService and RayCluster controllers."""
    # Here, not at the top: whoever runs one controller alone need not load the other.
    from rayrig_controllers.raycluster.controller import controller as raycluster_controller
    from rayrig_controllers.rayservice.controller import controller as rayservice_controller

    manager = Manager(runtime, client, http=http, rng=rng, options=options, name=name)
    manager.add(rayservice_controller(manager.context("rayservice-controller")))
    manager.add(raycluster_controller(manager.context("raycluster-controller")))
    return manager
