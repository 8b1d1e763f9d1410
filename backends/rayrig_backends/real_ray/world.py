"""A world whose Ray is real. Kubernetes, its kubelets and the operator are those of the world in memory, in time with the clock.

Each RayCluster is one Ray of one machine, which begins and ends with the head's container. All pods of the cluster show that
one Ray: its dashboard on the head, Serve's proxy on each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rayrig_backends.dashboard_server.pacing import PacedKernel
from rayrig_backends.memory import MemoryWorld
from rayrig_backends.plain_http import ask
from rayrig_backends.real_ray.local import PROXY_PORT, RealRay, RealRaySettings, check
from rayrig_backends.world import Traffic, TrafficSpec, WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Task
from rayrig_sim.kernel import ActorFailed
from rayrig_sim.network.listeners import Listener
from rayrig_sim.ray_pods.container import RayContainer
from rayrig_sim.ray_pods.head import HeadContainer
from rayrig_sim.serve.instance import SimulatedServe

#: What strikes at modelled processes.
_MODELLED = frozenset(
    ("dashboard-error", "gcs-kill", "gcs-redis-loss", "proxy-hang", "proxy-kill", "replica-kill", "traffic-surge")
)
#: How often it is looked for pods that have come.
_LOOK_S = 0.5
_TIMEOUT_S = 120.0


class RealRayWorld(MemoryWorld):
    """Implements `rayrig_backends.world.World`. A run takes as long as it takes."""

    def __init__(self, spec: WorldSpec, settings: RealRaySettings) -> None:
        """`settings` are those of each cluster. Raises `InputError`: no Ray can be started here."""
        check(settings)
        # On the clock there is nothing to pass over.
        super().__init__(replace(spec, elide_idle=False))
        self._settings = settings
        self._paced: PacedKernel | None = None
        self._rays: dict[RealRay, None] = {}
        self.ray.dashboard_factory = self._head_started

    def run_until(self, task: Task[Any]) -> None:
        """Raises `InputError` when a Ray did not start."""
        try:
            asyncio.run(self._run_paced(task))
        except ActorFailed as failed:
            raise (failed.__cause__ if isinstance(failed.__cause__, InputError) else failed) from None

    async def _run_paced(self, task: Task[Any]) -> None:
        self._paced = paced = PacedKernel(self.kernel, 1.0, lambda: paced.stop() if task.is_done else None)
        try:
            await paced.run()
        finally:
            for ray in list(self._rays):
                ray.close()

    # Clusters

    def _head_started(self, serve: SimulatedServe) -> Listener:
        """What listens on the head's dashboard port, from the time when its container starts a Ray."""
        ray = RealRay(replace(self._settings, port=0, agent_port=0, proxy_port=0))
        self._rays[ray] = None
        kernel = self.kernel
        starting = asyncio.get_running_loop().create_task(asyncio.to_thread(ray.__enter__))
        head = next(
            each
            for each in self.ray.containers.values()
            if isinstance(each, HeadContainer) and each.cluster is serve.cluster
        )
        head.spawn("ray", self._show_proxies(serve, Bridge(self, starting, lambda: ray.proxy_url)))
        kernel.spawn(f"ray {head.name} end", self._end_with(head, ray))
        return Bridge(self, starting, lambda: ray.url)

    async def _show_proxies(self, serve: SimulatedServe, bridge: Bridge) -> None:
        """On each pod of the cluster, as long as its head is there."""
        while True:
            for container in list(self.ray.containers.values()):
                if not isinstance(container, RayContainer) or container.cluster is not serve.cluster:
                    continue
                if self.network.listener(container.ip, PROXY_PORT) is None:
                    container.listen(PROXY_PORT, bridge)
            await self.kernel.sleep(_LOOK_S)

    async def _end_with(self, head: HeadContainer, ray: RealRay) -> None:
        await head.exited
        self._rays.pop(ray, None)
        await self.outside(asyncio.to_thread(ray.close))

    # Between the kernel and the event loop

    async def outside(self, awaitable: Any) -> Any:
        """What comes of something of the event loop, for an actor that waits for it. Raises what it raises."""
        assert self._paced is not None
        paced, done = self._paced, self.kernel.signal()
        future = asyncio.ensure_future(awaitable)

        def ended(_: object) -> None:
            paced.catch_up()
            done.set(None)
            paced.wake()

        future.add_done_callback(ended)
        await done
        return future.result()

    # What cannot be had

    def traffic(self, spec: TrafficSpec) -> Traffic:
        raise InputError("traffic goes to modelled proxies only", remedy="ask with `request` steps")

    async def fault(self, kind: str, **params: Any) -> str:
        if kind in _MODELLED:
            raise InputError(f"{kind} strikes at a modelled Ray", remedy="kill a pod or container, or lose a node")
        return await super().fault(kind, **params)


class Bridge:
    """A listener of the simulated network behind which a real Ray answers."""

    def __init__(self, world: RealRayWorld, starting: asyncio.Task[Any], url: Callable[[], str]) -> None:
        self._world = world
        self._starting = starting
        self._url = url

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Raises `HttpFailure`: Ray is not up yet, or gave no answer. `InputError` when it did not start."""
        if not self._starting.done():
            raise HttpFailure(Failure.REFUSED, "Ray is starting")
        self._starting.result()
        answer: HttpResponse = await self._world.outside(
            asyncio.to_thread(ask, self._url(), request, timeout_s=_TIMEOUT_S)
        )
        return answer
