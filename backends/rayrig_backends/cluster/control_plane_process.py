"""Scheduler and controller manager of the simulation at any API server, on wall time, over HTTP.

For an API server that runs alone, as test environments of controllers have it: pods get nodes, Deployments get pods, Services get
endpoints, silent nodes lose their pods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.actors_process import ActorsProcess
from rayrig_backends.cluster.connection import Connection
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.served_types import served_types
from rayrig_core.errors import ApiError
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.control_plane import ControlPlane
from rayrig_sim.kubernetes.controller_names import ControllerName
from rayrig_sim.kubernetes.nodes.heartbeats import LeaseHeartbeats
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.randomness import Streams

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """`leave_out`: controllers that somebody else runs. `seed` decides delays and jitter."""

    connection: Connection
    scheduler: bool = True
    leave_out: tuple[ControllerName, ...] = ()
    seed: int = 0


class ControlPlaneProcess:
    """To be made anywhere, run inside an event loop."""

    def __init__(self, settings: ControlPlaneSettings) -> None:
        self.settings = settings
        self._process = ActorsProcess(settings.connection, seed=settings.seed, user_agent="rayrig-control-plane")

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`. `on_ready` is called when the API server has told what it serves.

        Raises as `ActorsProcess.run` does.
        """
        await self._process.run(self._start, on_ready)

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        self._process.stop()

    async def _start(self, runtime: AsyncioRuntime, client: HttpKubernetesClient) -> None:
        settings = self.settings
        plane = ControlPlane(
            runtime,
            Streams(settings.seed),
            lambda component: client,
            Calibration(),
            liveness=LeaseHeartbeats(runtime, ObjectCaches(runtime, client, component="node-leases")),
            ownable=await served_types(client),
            workloads=True,
            service_accounts=True,
            volumes=True,
            leave_out=settings.leave_out,
        )
        plane.start(scheduler=settings.scheduler)
        if ControllerName.VOLUMES not in settings.leave_out:
            plane.start_volumes()
        runtime.spawn("discovery", _follow_definitions(runtime, client, plane))


async def _follow_definitions(runtime: AsyncioRuntime, client: HttpKubernetesClient, plane: ControlPlane) -> None:
    """Custom resources come and go."""
    changed = runtime.signal()
    definitions = ObjectCaches(runtime, client, component="custom-resources").of(CUSTOM_RESOURCE_DEFINITION)
    definitions.on_change(lambda *_: changed.set(None))
    while True:
        await changed
        changed = runtime.signal()
        try:
            plane.follow(await served_types(client))
        except ApiError:
            await runtime.sleep(_RETRY_S)
            changed.set(None)
