"""The Serve instance of one Ray cluster, as the dashboard and faults see it (port `ServeInstance`).

It lives as long as the Ray cluster; its controller comes with the first document, may die and be restarted, and goes with a delete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rayrig_core.errors import ServeRefused, ServeStartFailed, ServeUnavailable
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Signal
from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.calibration import Calibration
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray.cluster import RayCluster
from rayrig_sim.serve import checkpoint
from rayrig_sim.serve.application_code import Registry
from rayrig_sim.serve.broadcast import Broadcaster
from rayrig_sim.serve.checkpoint import Checkpoint
from rayrig_sim.serve.context import ServeContext
from rayrig_sim.serve.controller import ServeController
from rayrig_sim.serve.details import NO_INSTANCE, instance_details
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.proxies import ProxyProcess
from rayrig_sim.serve.replica import Replica
from rayrig_sim.serve.routers import Routers
from rayrig_sim.serve.status import ProxyStatus

if TYPE_CHECKING:
    from rayrig_core.ports import Task

#: Defaults of a document's `http_options` and `grpc_options` (ray-serve.md 3.2).
_HTTP_OPTIONS: JsonObject = {
    "host": "0.0.0.0",
    "port": 8000,
    "root_path": "",
    "request_timeout_s": None,
    "keep_alive_timeout_s": 90,
    "ssl_keyfile": None,
    "ssl_certfile": None,
    "ssl_keyfile_password": None,
    "ssl_ca_certs": None,
}
_GRPC_OPTIONS: JsonObject = {
    "port": 9000,
    "grpc_servicer_functions": [],
    "request_timeout_s": None,
    "enable_reflection": True,
}
#: The statistics in the GET answer are those of the last multiple of this, so that they don't depend on who asked when.
_STATISTICS_NS = to_ns(30)
_ALL_SOURCES = ("declarative", "imperative")


class SimulatedServe:
    """Implements `rayrig_core.ports.ServeInstance` on the model."""

    def __init__(self, cluster: RayCluster, *, registry: Registry, network: Network | None = None) -> None:
        kernel = cluster.kernel
        name = f"{cluster.namespace}/{cluster.name}"
        self.cluster = cluster
        self.context = ServeContext(
            kernel=kernel,
            cluster=cluster,
            calibration=cluster.calibration,
            registry=registry,
            routers=Routers(kernel, f"serve/{name}"),
            network=network,
            rng=kernel.streams.stream(f"serve/{name}/instance"),
            http_options=dict(_HTTP_OPTIONS),
        )
        self.controller: ServeController | None = None
        self._broadcaster = Broadcaster(self.context)
        #: The actor is gone with its name; what it left is found by the next one, which a document starts.
        self._is_killed_for_good = False
        self._grpc_options = dict(_GRPC_OPTIONS)
        self._proxy_location = "EveryNode"
        #: Happens when the controller's process, which is being started or restarted, is up.
        self._coming: Signal[None] | None = None
        #: Happens when the deploy that starts Serve is over: others wait for it.
        self._first: Signal[None] | None = None
        #: Happens when a shutdown under way is over.
        self._gone: Signal[None] | None = None
        self._loop: Task[None] | None = None
        self._kept: dict[tuple[str, ...], tuple[int, int, JsonObject]] = {}

    @property
    def calibration(self) -> Calibration:
        return self.context.calibration

    # Port `ServeInstance`

    @property
    def is_running(self) -> bool:
        return self.controller is not None or self._saved() is not None

    def details(self, sources: Sequence[str] = _ALL_SOURCES) -> JsonObject:
        """The GET body. Shared between calls while nothing changes: not to be changed."""
        controller = self.controller
        if controller is None:
            if self.is_running:
                raise ServeUnavailable("The actor died because its owner has died or its process was killed.")
            return NO_INSTANCE
        # Whoever asks acts on what changed last.
        self.context.kernel.cause = max(
            (app.seq for app in controller.applications.values() if app.seq is not None), default=None
        )
        as_of_ns = self.context.now_ns // _STATISTICS_NS * _STATISTICS_NS
        wanted = tuple(sources)
        kept = self._kept.get(wanted)
        if kept is None or kept[0] != controller.revision or kept[1] != as_of_ns:
            body = instance_details(controller, self.context.http_options, self._grpc_options, wanted, as_of_ns)
            kept = self._kept[wanted] = (controller.revision, as_of_ns, body)
        return kept[2]

    def version(self) -> object | None:
        """Equal as long as `details` says the same, readings of a clock apart; None when it says nothing."""
        return (self.controller, self.controller.revision) if self.controller is not None else None

    async def answering(self) -> None:
        """A call to a controller whose process is being started or restarted waits for it."""
        if self._coming is not None:
            await self._coming

    async def deploy(self, config: JsonObject) -> None:
        """Hand a validated document to the controller. When there is none, one is started, and its proxies are waited for.

        It is carried out even when the caller has left before. Raises `ServeStartFailed`, `ServeUnavailable`.
        """
        kernel = self.context.kernel
        if self.controller is not None and self._first is None:
            self.controller.deploy(config, kernel.cause)
            return
        done: Signal[ServeUnavailable | None] = kernel.signal()
        kernel.spawn("serve deploy", self._deploy(config, kernel.cause, done))
        error = await done
        if error is not None:
            raise error

    async def shutdown(self) -> None:
        """DELETE: all applications, proxies and the controller go."""
        await self.answering()
        if self.controller is None:
            return
        gone = self._gone = self._gone or self.context.kernel.signal()
        self.controller.shut_down(self.context.kernel.cause)
        await gone

    def scale(self, app: str, deployment: str, num_replicas: int) -> None:
        """The scale API (port `ServeInstance`)."""
        controller = self.controller
        if controller is None:
            raise ServeUnavailable("Serve controller is not available")
        if app not in controller.applications:
            raise KeyError(app)
        state = controller.deployments.get(DeploymentId(deployment, app))
        application = controller.applications[app]
        if state is None:
            raise KeyError(deployment)
        if state.target is not None and state.target.is_deleting:
            raise ServeRefused("Deployment is deleted")
        if not (application.document or {}).get("external_scaler_enabled"):
            raise ServeRefused(
                f"Cannot update replicas for deployment '{deployment}' in application '{app}'. The external scaling API "
                "can only be used when 'external_scaler_enabled' is set to true in the application configuration. "
                "Current value: external_scaler_enabled=false. To use this API, redeploy your application with "
                "'external_scaler_enabled: true' in the config."
            )
        controller.scale(DeploymentId(deployment, app), num_replicas)

    # Life of the controller

    async def _deploy(self, config: JsonObject, cause: int | None, done: Signal[ServeUnavailable | None]) -> None:
        while self._first is not None:
            await self._first
        try:
            if self.controller is None and not self.is_running:
                cause = await self._start(config, cause)
            await self.answering()
            if self.controller is None:
                raise ServeUnavailable("The Serve controller could not be started.")
            self.controller.deploy(config, cause)
        except ServeUnavailable as error:
            done.set(error)
        else:
            done.set(None)

    async def _start(self, config: JsonObject, cause: int | None) -> int:
        """The controller and the proxies of its first step come up. Gives the trace event of the last of them."""
        kernel = self.context.kernel
        first = self._first = kernel.signal()
        coming = self._coming = kernel.signal()
        try:
            self._take_options(config)
            if not self._is_killed_for_good:
                self._broadcaster = Broadcaster(self.context)  # the proxies of an earlier life and its routes are gone
            await kernel.sleep_ns(self.calibration.serve_controller_start.draw_ns(self.context.rng))
            self._coming = None
            if not self.cluster.is_gcs_up or self.cluster.head is None:
                raise ServeStartFailed("The Serve controller could not be started.")
            seq = self.cluster.emit("serve controller", "running", "", cause)
            controller = self._new_controller(seq)
            self._is_killed_for_good = False
            saved = self._saved()
            if saved is not None:
                controller.recover(saved, seq)
            controller.save()
            coming.set(None)
            await controller.proxies_known
            if controller.is_ended:
                raise ServeStartFailed("The actor died unexpectedly before finishing this task.")
            for state in controller.proxies.states.values():
                if state.status is ProxyStatus.UNHEALTHY:
                    raise ServeStartFailed(f"{state.process.actor.name}: {state.trouble}")
                seq = max(seq, state.seq)
            return seq
        finally:
            self._coming = None
            coming.set(None)
            self._first = None
            first.set(None)

    def _new_controller(self, cause: int) -> ServeController:
        controller = self.controller = ServeController(
            self.context, self._broadcaster, self._proxy_location, cause=cause
        )
        controller.on_killed = self._killed
        self._kept.clear()
        self._loop = self.context.kernel.spawn("serve controller", self._run(controller))
        return controller

    async def _run(self, controller: ServeController) -> None:
        await controller.run()
        if self.controller is controller and controller.ended.is_set:
            self.cluster.emit("serve controller", "gone", "shut down")
            self.controller = None
            gone, self._gone = self._gone, None
            if gone is not None:
                gone.set(None)

    def _killed(self, is_final: bool) -> None:
        self._is_killed_for_good = is_final
        self.crash_controller(is_restarting=not is_final)

    def crash_controller(self, *, is_restarting: bool = True, cause: int | None = None) -> None:
        """Its process dies. The GCS starts it again, unless it is down itself."""
        controller, self.controller = self.controller, None
        if controller is None:
            return
        controller.crash(cause=cause)
        if is_restarting:
            self.restart_controller(cause)

    def restart_controller(self, cause: int | None) -> None:
        """The GCS starts the detached actor again, and it recovers from its checkpoint, if it left one."""
        if self._saved() is None or self.controller is not None or self._coming is not None:
            return
        self._coming = self.context.kernel.signal()
        self.context.kernel.spawn("serve controller restart", self._restart(cause, self._coming))

    async def _restart(self, cause: int | None, coming: Signal[None]) -> None:
        kernel = self.context.kernel
        await kernel.sleep_ns(self.calibration.serve_controller_start.draw_ns(self.context.rng))
        self._coming = None
        saved = self._saved()
        if saved is not None and self.cluster.is_gcs_up and self.cluster.head is not None:
            seq = self.cluster.emit("serve controller", "restarted", "", cause)
            self._new_controller(seq).recover(saved, seq)
        coming.set(None)

    def _saved(self) -> Checkpoint | None:
        """What a controller left that the GCS restarts."""
        return None if self._is_killed_for_good else checkpoint.load(self.cluster.kv)

    def _take_options(self, config: JsonObject) -> None:
        """Options that only the document which starts Serve sets (ray-serve.md 2.1)."""
        self.context.http_options = {**_HTTP_OPTIONS, **(config.get("http_options") or {})}
        self._grpc_options = {**_GRPC_OPTIONS, **(config.get("grpc_options") or {})}
        self._proxy_location = config.get("proxy_location") or "EveryNode"

    # For faults and tests

    def replicas(self, app: str, deployment: str) -> list[Replica]:
        """Replicas in order of start; empty when there are none."""
        controller = self.controller
        state = controller.deployments.get(DeploymentId(deployment, app)) if controller is not None else None
        return list(state.replicas) if state is not None else []

    def proxy_processes(self) -> list[ProxyProcess]:
        """Living proxies, head first."""
        controller = self.controller
        return [state.process for state in controller.proxies.states.values()] if controller is not None else []

    @property
    def uptime_s(self) -> float:
        controller = self.controller
        return 0.0 if controller is None else self.context.kernel.unix_ns() / NS - controller.began_unix_s
