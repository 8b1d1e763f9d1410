"""One operator process: its informers, its controllers and their workers, started and crashed as one.

A crash cancels every actor at once and all memory is lost (caches, queues, back-offs, expectations, event series); a restart is a
new `Manager`.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rayrig_controllers.cached_client import CachedClient, InformerCache
from rayrig_controllers.controller import Controller, ControllerContext, StoppableRecorder
from rayrig_controllers.event_recorder import EventRecorder
from rayrig_controllers.idle_turns import CountedHttp
from rayrig_controllers.leader_election import LeaderElector
from rayrig_controllers.options import OperatorOptions
from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.ports import Cancelled, HttpClient, KubernetesClient, Runtime, Signal, Task
from rayrig_core.resource_types import JOB, POD, ResourceType
from rayrig_core.resources import labels

#: The operator keeps only these objects of a resource in its cache (kuberay-operator 0.3.11).
CACHE_SELECTORS: dict[ResourceType, str] = {
    POD: f"{labels.NODE_TYPE} in ({','.join(labels.NODE_TYPES)})",
    JOB: f"{labels.CREATED_BY}={labels.KUBERAY_OPERATOR}",
}
INDEXED_LABELS = (labels.CLUSTER, labels.ORIGINATED_FROM_CR_NAME, labels.SERVICE_NAME)


class Manager:
    """An operator process. `start` returns at once; workers begin when all watched resources are in the cache.

    With leader election they begin when the process holds the Lease, and the process ends when it lost it.
    """

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
        self._http = CountedHttp(http)
        self._rng = rng
        self.cache = InformerCache(
            runtime,
            client,
            namespace=self.options.watch_namespace,
            selectors=CACHE_SELECTORS,
            indexed_labels=INDEXED_LABELS,
            actor=name,
        )
        self.elector: LeaderElector | None = None
        #: Happens when the process has crashed, or lost the Lease.
        self.ended: Signal[None] = runtime.signal()
        self._tasks: list[Task[Any]] = []

    def context(self, controller: str) -> ControllerContext:
        """What a controller of that name is built from."""
        return ControllerContext(
            self._runtime,
            CachedClient(self.cache, self._client),
            self._http,
            self._rng,
            self._recorder(controller),
            self.options,
        )

    def _recorder(self, controller: str) -> StoppableRecorder:
        if self.options.release.events_have_series:
            return EventRecorder(self._runtime, self._client, controller, self.options.host_name)
        return CoreEventRecorder(self._runtime, self._client, component=controller)

    def add(self, controller: Controller) -> None:
        """Before `start`."""
        self.controllers[controller.name] = controller

    def start(self) -> None:
        self.is_running = True
        if self.options.leader_election:
            self._tasks.append(self._runtime.spawn(f"{self.name}/leader-election", self._lead()))
        else:
            self._start_controllers()

    async def _lead(self) -> None:
        self.elector = LeaderElector(
            self._runtime,
            self._client,
            identity=f"{self.options.host_name}_{self._rng.getrandbits(64):016x}",
            namespace=self.options.leader_election_namespace,
            rng=self._rng,
        )
        await self.elector.acquire()
        self._start_controllers()
        await self.elector.hold()
        self.crash()

    def _start_controllers(self) -> None:
        for controller in self.controllers.values():
            self._tasks.append(self._runtime.spawn(f"{self.name}/{controller.name}", self._start(controller)))

    async def _start(self, controller: Controller) -> None:
        controller.connect(self.cache)
        for watch in controller.watches:
            await self.cache.informer(watch.resource).synced
        for number in range(2, controller.concurrency + 1):
            self._tasks.append(self._runtime.spawn(f"{self.name}/{controller.name}/{number}", controller.work()))
        await controller.work()

    def is_at_work(self, resource: ResourceType, namespace: str) -> bool:
        """An object of that type in that namespace is being worked on, or due."""
        return any(each.resource == resource and each.queue.is_at_work(namespace) for each in self.controllers.values())

    def crash(self) -> None:
        """Every actor of the process ends now; what they had in memory is lost."""
        self.is_running = False
        self.ended.set(None)
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
