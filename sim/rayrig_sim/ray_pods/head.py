"""`ray start --head`: GCS, dashboard, agent and raylet in one container. What dies with them, and who learns of it when.

Source: ray-serve.md 2.4, 5.10, 11; kuberay-operator.md 3.12, 3.17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.ports import Signal
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.network.listeners import Forecast, Foreseeable, Listener
from rayrig_sim.ray.cluster import RayCluster
from rayrig_sim.ray.external_storage import StorageKey
from rayrig_sim.ray_pods.container import RayContainer, lose_processes
from rayrig_sim.ray_pods.health import BareDashboard, OpenPort
from rayrig_sim.ray_pods.redis import CONNECT_TRIES, CONNECT_WAIT_S, knock
from rayrig_sim.ray_pods.start_command import (
    CLIENT_PORT,
    DASHBOARD_PORT,
    GCS_PORT,
    METRICS_PORT,
    node_labels,
    node_resources,
    ray_version,
)

#: The release after which only the dashboard answers about Serve (ray-serve.md 12).
_LAST_AGENT_WITH_SERVE = (2, 9)


class HeadContainer(RayContainer):
    """`ray start --head`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        address = self.env.get("RAY_REDIS_ADDRESS", "")
        namespace = self.env.get("RAY_external_storage_namespace", "")
        self._is_in_redis = bool(address)
        if not address and self.env.get("RAY_gcs_storage") == "rocksdb":
            address, namespace = f"rocksdb:{self.namespace}", namespace or self.cluster_name
        self.storage_key = StorageKey(address, namespace or "default") if address else None
        self._storage_back: Signal[None] = self.kernel.signal()
        #: What listens on the dashboard's port, once it runs.
        self.dashboard: Listener | None = None
        self._delayed_dashboard: _Delayed | None = None
        platform = self.platform
        if self.storage_key is not None:
            platform.storage.on_change.append(self._storage_changed)
        self.spawn("head", self._run())

    async def _run(self) -> None:
        platform, calibration, kernel = self.platform, self.platform.calibration, self.kernel
        key = self.storage_key
        is_recovering = key is not None and platform.storage.has(key)
        start = calibration.gcs_recovery if is_recovering else calibration.gcs_start
        await kernel.sleep_ns(start.draw_ns(self._rng))
        if key is not None and not await self._reach_storage(key):
            return
        cluster, is_known = platform.begin_cluster(self.namespace, self.cluster_name, key)
        self.cluster = cluster
        old_head = cluster.head
        cluster.is_gcs_up = True
        cluster.is_storage_up = self._is_storage_up
        cause = cluster.emit("gcs", "recovered" if is_known else "running", self.name)
        kernel.cause = cause
        self.listen(self.command.port("port", GCS_PORT), GcsServer(cluster, self.gcs_health))
        if old_head is not None:
            cluster.remove_node(old_head, "the head was restarted", cause=cause)
        for container in list(platform.containers.values()):
            if container.cluster is cluster:
                container.gcs_is_back()
        self.spawn("dashboard", self._start_dashboard(cluster))
        await kernel.sleep_ns(calibration.raylet_start.draw_ns(self._rng))
        self.node = cluster.add_node(
            self.name,
            self.ip,
            node_resources(self.command, self.spec, host_cpus=self.host_cpus),
            labels=node_labels(self.command),
            is_head=True,
            instance_id=self.env.get("RAY_CLOUD_INSTANCE_ID", ""),
            cause=cause,
        )
        if is_known:
            self.serve.restart_controller(cause)
        self.listen(CLIENT_PORT, OpenPort())
        self.listen(self.command.port("metrics-export-port", METRICS_PORT), OpenPort())
        await kernel.sleep_ns(calibration.dashboard_agent_start.draw_ns(self._rng))
        self._start_agent(is_head=True)

    async def _reach_storage(self, key: StorageKey) -> bool:
        """Wait for the store of the GCS's tables. False when the GCS has given up, and the container with it."""
        if not self._is_in_redis:
            return True
        for _ in range(CONNECT_TRIES):
            access = knock(self.platform, self.ip, self.namespace, self.env)
            if not access.refusal:
                if access.server is not None:
                    access.server.keys[key] = None
                return True
            if access.is_final:
                break
            self._storage_back = self.kernel.signal()
            await self.kernel.wait(self._storage_back, CONNECT_WAIT_S)
        self.end(1, access.refusal, message=access.refusal)
        return False

    def _is_storage_up(self) -> bool:
        return not self._is_in_redis or not knock(self.platform, self.ip, self.namespace, self.env).refusal

    async def _start_dashboard(self, cluster: RayCluster) -> None:
        platform = self.platform
        await self.kernel.sleep_ns(platform.calibration.dashboard_start.draw_ns(self._rng))
        factory = platform.dashboard_factory
        self.dashboard = BareDashboard(self.gcs_health) if factory is None else factory(self.serve)
        delayed = _Delayed(self.kernel, platform.calibration, f"{self.namespace}/{self.name}", self.dashboard)
        self._delayed_dashboard = delayed
        self.listen(self.command.port("dashboard-port", DASHBOARD_PORT), delayed)
        cluster.emit("dashboard", "running", self.name)

    def serve_of_agent(self) -> Listener | None:
        version = ray_version(self.spec.get("image", ""))
        is_old = version is not None and version <= _LAST_AGENT_WITH_SERVE
        return self._delayed_dashboard if is_old else None

    @property
    def serve(self) -> Any:
        return self.platform.serves[(self.namespace, self.cluster_name)]

    def gcs_health(self) -> str:
        return self.cluster.gcs_health() if self.cluster is not None else "Health check failed: the GCS is starting"

    # The GCS's process alone

    def stop_gcs(self, reason: str) -> bool:
        """The GCS's process ends in order (SIGTERM) and nothing else. False when there is none.

        `ray start --block` takes that end for a wanted one; the container ends when its raylet has waited for the GCS as long as
        it may, 60 s unless told otherwise (ray-serve.md 11).
        """
        cluster = self.cluster
        if self.ended or cluster is None or not cluster.is_gcs_up:
            return False
        cause = cluster.emit("gcs", "gone", f"{self.name}: {reason}")
        self.kernel.cause = cause
        cluster.is_gcs_up = False
        self.close(self.command.port("port", GCS_PORT))
        for container in list(self.platform.containers.values()):
            if container.cluster is cluster:
                container.gcs_is_lost(cause)
        self.spawn("reconnect", self._give_up_later(cause))
        return True

    async def _give_up_later(self, cause: int | None) -> None:
        self.kernel.cause = cause
        await self.kernel.sleep(self.reconnect_timeout_s)
        self.end(1, "the GCS did not come back in time", message="Failed to reconnect to GCS.")

    def _storage_changed(self) -> None:
        if self._is_storage_up():
            self._storage_back.set(None)

    def go_dark(self) -> None:
        is_new = not self.ended and not self.is_dark
        super().go_dark()
        if is_new:
            for task in self._tasks:
                task.cancel()
            self._lose_cluster("its machine went silent")

    def _leave(self, reason: str, is_ordered: bool) -> None:
        callbacks = self.platform.storage.on_change
        if self._storage_changed in callbacks:
            callbacks.remove(self._storage_changed)
        if not self.is_dark:
            self._lose_cluster(reason)
        if self.node is not None:
            lose_processes(self.node, reason, self.kernel.cause)

    def _lose_cluster(self, reason: str) -> None:
        """GCS and Serve's controller are gone with the head."""
        cluster = self.cluster
        if cluster is None:
            return
        cause = cluster.emit("head", "gone", f"{self.name}: {reason}")
        self.kernel.cause = cause
        cluster.is_gcs_up = False
        self.serve.crash_controller(is_restarting=False, cause=cause)
        for container in list(self.platform.containers.values()):
            if container.cluster is cluster:
                container.gcs_is_lost(cause)


class GcsServer:
    """Listens on the GCS's port: tells raylets which cluster this is."""

    __slots__ = ("_cluster", "_health")

    def __init__(self, cluster: RayCluster, health: Callable[[], str]) -> None:
        self._cluster = cluster
        self._health = health

    async def handle(self, request: HttpRequest) -> HttpResponse:
        reason = self._health()
        return HttpResponse.text(503, reason) if reason else HttpResponse.text(200, self._cluster.session_name)


class _Delayed(Foreseeable):
    """A listener whose answers about Serve take the dashboard's time."""

    __slots__ = ("_answer_version", "_calibration", "_get_at_once", "_inner", "_kernel", "_rng")

    def __init__(self, kernel: Kernel, calibration: Calibration, name: str, inner: Listener) -> None:
        self._kernel = kernel
        self._calibration = calibration
        self._inner = inner
        self._rng = kernel.streams.stream(f"dashboard/{name}")
        #: What a dashboard may tell of its answers: that of the health path, and whether another would be the same.
        self._get_at_once: Callable[[str], HttpResponse | None] | None = getattr(inner, "get_at_once", None)
        self._answer_version: Callable[[HttpRequest], object] | None = getattr(inner, "answer_version", None)

    def get_at_once(self, path: str) -> HttpResponse | None:
        return self._get_at_once(path) if self._get_at_once is not None else None

    def foresee(self, request: HttpRequest) -> Forecast | None:
        version = self._answer_version(request) if self._answer_version is not None else None
        if version is None:
            return None
        return Forecast(version, ((self._calibration.dashboard_latency, self._rng),))

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/api/serve/"):
            await self._kernel.sleep_ns(self._calibration.dashboard_latency.draw_ns(self._rng))
        return await self._inner.handle(request)
