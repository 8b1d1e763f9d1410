"""The processes in a Ray container: `ray start --head` and `ray start --address=…`, as a kubelet sees them (protocol `Container`).

A head runs GCS, dashboard, agent and raylet, a worker agent and raylet; what dies with what, and who learns of it when, is told
here.
Source: ray-serve.md 2.4, 5.10, 11; kuberay-operator.md 3.12, 3.16, 3.17.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import Signal
from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.kubernetes import health_commands
from rayrig_sim.kubernetes.containers import ContainerExit, ExecResult, ExecTimeout
from rayrig_sim.network import Listener, Reach
from rayrig_sim.ray.cluster import RayCluster, RayNode
from rayrig_sim.ray.external_storage import StorageKey
from rayrig_sim.ray.health import BareDashboard, NodeAgent, OpenPort
from rayrig_sim.ray.platform import Delayed, RayPlatform
from rayrig_sim.ray.start_command import (
    AGENT_PORT,
    CLIENT_PORT,
    DASHBOARD_PORT,
    GCS_PORT,
    METRICS_PORT,
    StartCommand,
    cluster_of,
    node_labels,
    node_resources,
)
from rayrig_sim.serve.proxy_server import HEALTHZ, ROUTES, ProxyServer

if TYPE_CHECKING:
    from rayrig_core.ports import Task

#: A raylet whose process was killed is noticed by its broken connection (ray-serve.md 11; unverified there).
_BROKEN_CONNECTION_NS = to_ns(1)
#: A silent machine: five health checks of the GCS (recorded 58 to 64 s).
_SILENCE_NS = to_ns(60)
#: How long a raylet waits for its GCS to come back, unless told otherwise.
_RECONNECT_S = 60.0
_CONNECT_RETRY_S = 1.0


class GcsServer:
    """Listens on the GCS's port: tells raylets which cluster this is."""

    __slots__ = ("_cluster", "_health")

    def __init__(self, cluster: RayCluster, health: Callable[[], str]) -> None:
        self._cluster = cluster
        self._health = health

    async def handle(self, request: HttpRequest) -> HttpResponse:
        reason = self._health()
        return HttpResponse.text(503, reason) if reason else HttpResponse.text(200, self._cluster.session_name)


class RayContainer:
    """What head and worker have in common: ports, probes, ending."""

    def __init__(
        self,
        platform: RayPlatform,
        pod: JsonObject,
        spec: JsonObject,
        pod_ip: str,
        command: StartCommand,
        env: Mapping[str, str],
        *,
        host_cpus: float,
    ) -> None:
        self.platform = platform
        self.kernel = platform.kernel
        self.name = name_of(pod)
        self.ip = pod_ip
        self.namespace, self.cluster_name = cluster_of(pod)
        self.command = command
        self.env = env
        self.spec = spec
        self.host_cpus = host_cpus
        self.cluster: RayCluster | None = None
        self.node: RayNode | None = None
        self.ended = False
        self.is_raylet_hanging = False
        self._exited: Signal[ContainerExit] = self.kernel.signal()
        self._ports: dict[int, object] = {}
        self._tasks: list[Task[None]] = []
        self._rng = self.kernel.streams.stream(f"ray/{self.namespace}/{self.name}")
        platform.containers[pod_ip] = self

    @property
    def exited(self) -> Signal[ContainerExit]:
        return self._exited

    # Ports

    def listen(self, port: int, listener: object) -> None:
        self._ports[port] = listener
        self.platform.network.listen(self.ip, port, listener)

    def close(self, port: int) -> None:
        if self._ports.pop(port, None) is not None:
            self.platform.network.close(self.ip, port)

    # Health

    def raylet_health(self) -> str:
        if self.is_raylet_hanging:
            return "Local raylet did not answer in time."
        return "" if self.node is not None else "Local raylet is not registered yet."

    def gcs_health(self) -> str:
        return ""

    def _start_agent(self, *, is_head: bool) -> None:
        port = self.command.port("dashboard-agent-listen-port", AGENT_PORT)
        self.listen(port, NodeAgent(self.raylet_health, self.gcs_health, is_head=is_head))

    # Ending

    def terminate(self) -> None:
        if not self.ended:
            self.spawn("stop", self._stop_in_order())

    async def _stop_in_order(self) -> None:
        await self.kernel.sleep_ns(self.platform.calibration.container_stop.draw_ns(self._rng))
        self.end(0, "the pod was stopped")

    def kill(self, reason: str = "") -> None:
        self.end(137, reason or "killed", is_ordered=False, exit_reason=reason)

    def end(self, code: int, reason: str, *, is_ordered: bool = True, exit_reason: str = "", message: str = "") -> None:
        """All processes of the container end now. Not in order: others notice by broken connections."""
        if self.ended:
            return
        self.ended = True
        current = self.kernel.current
        for task in self._tasks:
            if task is not current:
                task.cancel()
        for port in list(self._ports):
            self.close(port)
        if self.platform.containers.get(self.ip) is self:
            del self.platform.containers[self.ip]
        self._leave(reason, is_ordered)
        self._exited.set(ContainerExit(code, exit_reason, message))

    def _leave(self, reason: str, is_ordered: bool) -> None:
        raise NotImplementedError

    def spawn(self, what: str, coroutine: Any) -> Task[None]:
        task: Task[None] = self.kernel.spawn(f"ray {self.name} {what}", coroutine)
        self._tasks.append(task)
        return task

    # Probes

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        listener = None if self.ended else self.platform.network.listener(self.ip, port)
        if listener is None:
            raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")
        if isinstance(listener, NodeAgent):
            if self.is_raylet_hanging:
                return await self._time_out(timeout_s, port)
            return listener.answer("GET", path)
        if isinstance(listener, ProxyServer) and path in (HEALTHZ, ROUTES):
            if listener.is_hanging:
                return await self._time_out(timeout_s, port)
            return listener.healthz() if path == HEALTHZ else listener.routes()
        handler = self.kernel.spawn(
            f"{self.ip}:{port}", _handled(cast(Listener, listener), HttpRequest.of("GET", path, headers=headers))
        )
        if not await self.kernel.wait(cast("Signal[Any]", handler), timeout_s):
            handler.cancel()
            raise HttpFailure(Failure.TIMEOUT, f"{self.ip}:{port}")
        answer = await handler
        if isinstance(answer, HttpResponse):
            return answer
        raise answer if isinstance(answer, HttpFailure) else HttpFailure(Failure.RESET, f"{self.ip}:{port}")

    async def _time_out(self, timeout_s: float, port: int) -> HttpResponse:
        await self.kernel.sleep(timeout_s)
        raise HttpFailure(Failure.TIMEOUT, f"{self.ip}:{port}")

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        if self.ended or self.platform.network.listener(self.ip, port) is None:
            raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        line = " ".join(command)
        if "ray stop" in line:
            await self.kernel.sleep_ns(self.platform.calibration.container_stop.draw_ns(self._rng))
            self.end(0, "ray stop")
            return ExecResult(0, "Stopped all Ray processes.\n")
        ends_ns = self.kernel.monotonic_ns() + round(timeout_s * NS)

        async def get(port: int, path: str, headers: Mapping[str, str], allowed_s: float) -> HttpResponse:
            left_s = (ends_ns - self.kernel.monotonic_ns()) / NS
            try:
                return await self.http_get(port, path, headers, min(allowed_s, left_s))
            except HttpFailure as failure:
                if failure.failure is Failure.TIMEOUT and left_s <= allowed_s:
                    raise ExecTimeout(line) from None
                raise

        try:
            return await health_commands.run(command, get)
        except health_commands.NotUnderstood:
            return ExecResult(127, f"sh: {command[0] if command else ''}: not found\n")


async def _handled(listener: Listener, request: HttpRequest) -> HttpResponse | HttpFailure:
    try:
        return await listener.handle(request)
    except HttpFailure as failure:
        return failure


class HeadContainer(RayContainer):
    """`ray start --head`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        address = self.env.get("RAY_REDIS_ADDRESS", "")
        namespace = self.env.get("RAY_external_storage_namespace", "")
        if not address and self.env.get("RAY_gcs_storage") == "rocksdb":
            address, namespace = f"rocksdb:{self.namespace}", namespace or self.cluster_name
        self.storage_key = StorageKey(address, namespace or "default") if address else None
        self._storage_back: Signal[None] = self.kernel.signal()
        #: What listens on the dashboard's port, once it runs.
        self.dashboard: Listener | None = None
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
        while key is not None and not platform.storage.is_reachable(key):
            self._storage_back = kernel.signal()
            await self._storage_back
        cluster, is_known = platform.begin_cluster(self.namespace, self.cluster_name, key)
        self.cluster = cluster
        old_head = cluster.head
        cluster.is_gcs_up = True
        cluster.is_storage_up = lambda: key is None or platform.storage.is_reachable(key)
        cause = cluster.emit("gcs", "recovered" if is_known else "running", self.name)
        kernel.cause = cause
        self.listen(self.command.port("port", GCS_PORT), GcsServer(cluster, self.gcs_health))
        if old_head is not None:
            cluster.remove_node(old_head, "the head was restarted", cause=cause)
        for container in list(platform.containers.values()):
            if isinstance(container, WorkerContainer) and container.cluster is cluster:
                container.gcs_is_back()
        self.spawn("dashboard", self._start_dashboard(cluster))
        await kernel.sleep_ns(calibration.raylet_start.draw_ns(self._rng))
        self.node = cluster.add_node(
            self.name,
            self.ip,
            node_resources(self.command, self.spec, host_cpus=self.host_cpus),
            labels=node_labels(self.command),
            is_head=True,
            cause=cause,
        )
        if is_known:
            self.serve.restart_controller(cause)
        self.listen(CLIENT_PORT, OpenPort())
        self.listen(self.command.port("metrics-export-port", METRICS_PORT), OpenPort())
        await kernel.sleep_ns(calibration.dashboard_agent_start.draw_ns(self._rng))
        self._start_agent(is_head=True)

    async def _start_dashboard(self, cluster: RayCluster) -> None:
        platform = self.platform
        await self.kernel.sleep_ns(platform.calibration.dashboard_start.draw_ns(self._rng))
        factory = platform.dashboard_factory
        self.dashboard = BareDashboard(self.gcs_health) if factory is None else factory(self.serve)
        delayed = Delayed(self.kernel, platform.calibration, f"{self.namespace}/{self.name}", self.dashboard)
        self.listen(self.command.port("dashboard-port", DASHBOARD_PORT), delayed)
        cluster.emit("dashboard", "running", self.name)

    @property
    def serve(self) -> Any:
        return self.platform.serves[(self.namespace, self.cluster_name)]

    def gcs_health(self) -> str:
        return self.cluster.gcs_health() if self.cluster is not None else "Health check failed: the GCS is starting"

    def _storage_changed(self) -> None:
        key = self.storage_key
        if key is not None and self.platform.storage.is_reachable(key):
            self._storage_back.set(None)

    def _leave(self, reason: str, is_ordered: bool) -> None:
        callbacks = self.platform.storage.on_change
        if self._storage_changed in callbacks:
            callbacks.remove(self._storage_changed)
        cluster, node = self.cluster, self.node
        if cluster is None:
            return
        cause = cluster.emit("head", "gone", f"{self.name}: {reason}")
        self.kernel.cause = cause
        cluster.is_gcs_up = False
        self.serve.crash_controller(is_restarting=False, cause=cause)
        if node is not None:
            lose_processes(node, reason, cause)
        for container in list(self.platform.containers.values()):
            if isinstance(container, WorkerContainer) and container.cluster is cluster:
                container.gcs_is_lost(cause)


class WorkerContainer(RayContainer):
    """`ray start --address=…`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waits_since_ns: int | None = None
        self.spawn("worker", self._run())

    @property
    def reconnect_timeout_s(self) -> float:
        """How long the raylet waits for a lost GCS; KubeRay sets 600 s with GCS fault tolerance."""
        text = self.env.get("RAY_gcs_rpc_server_reconnect_timeout_s", "")
        return float(text) if text else _RECONNECT_S

    async def _run(self) -> None:
        platform, kernel, calibration = self.platform, self.kernel, self.platform.calibration
        give_up_ns = kernel.monotonic_ns() + to_ns(self.reconnect_timeout_s)
        while True:
            cluster = await self._find_cluster()
            if cluster is not None:
                await kernel.sleep_ns(calibration.raylet_start.draw_ns(self._rng))
                if cluster.is_gcs_up:
                    break
            if kernel.monotonic_ns() >= give_up_ns:
                self.end(1, "could not connect to the GCS", message="Failed to connect to GCS.")
                return
            await kernel.sleep(_CONNECT_RETRY_S)
        self.cluster = cluster
        self.node = cluster.add_node(
            self.name,
            self.ip,
            node_resources(self.command, self.spec, host_cpus=self.host_cpus),
            labels=node_labels(self.command),
        )
        platform.network.on_gone(self.ip, self._unreachable)
        self.listen(self.command.port("metrics-export-port", METRICS_PORT), OpenPort())
        await kernel.sleep_ns(calibration.dashboard_agent_start.draw_ns(self._rng))
        self._start_agent(is_head=False)

    async def _find_cluster(self) -> RayCluster | None:
        client = self.platform.network.client(self.ip, namespace=self.namespace)
        try:
            answer = await client.request("GET", f"http://{self.command.address}/join", timeout_s=5.0)
        except HttpFailure:
            return None
        return self.platform.by_session(answer.body.decode()) if answer.status == 200 else None

    # The GCS goes and comes

    def gcs_is_lost(self, cause: int | None) -> None:
        if self._waits_since_ns is None:
            self._waits_since_ns = self.kernel.monotonic_ns()
            self.spawn("reconnect", self._give_up_later(self._waits_since_ns, cause))

    async def _give_up_later(self, since_ns: int, cause: int | None) -> None:
        self.kernel.cause = cause
        await self.kernel.sleep(self.reconnect_timeout_s)
        if self._waits_since_ns == since_ns:
            self.end(1, "the GCS did not come back in time", message="Failed to reconnect to GCS.")

    def gcs_is_back(self) -> None:
        """A restarted GCS serves the same cluster: the raylet registers again."""
        if self._waits_since_ns is not None:
            self.spawn("register again", self._register_again(self._waits_since_ns))

    async def _register_again(self, since_ns: int) -> None:
        await self.kernel.sleep_ns(self.platform.calibration.raylet_reconnect.draw_ns(self._rng))
        if self._waits_since_ns == since_ns and self.cluster is not None and self.cluster.is_gcs_up:
            self._waits_since_ns = None
            self.cluster.emit("node", "reconnected", self.name)

    # Leaving

    def _leave(self, reason: str, is_ordered: bool) -> None:
        cluster, node = self.cluster, self.node
        if cluster is None or node is None:
            return
        if is_ordered:
            cluster.remove_node(node, reason)
            return
        lose_processes(node, reason, self.kernel.cause)
        cause = self.kernel.cause

        def noticed(_: Any) -> None:
            cluster.remove_node(node, reason, cause=cause)

        self.kernel.call_later(_BROKEN_CONNECTION_NS, noticed)

    def _unreachable(self, failure: Failure) -> None:
        if failure is Failure.TIMEOUT and not self.ended:
            self.kernel.call_later(_SILENCE_NS, self._expel)

    def _expel(self, _: Any) -> None:
        """The GCS has given the silent node up."""
        cluster, node = self.cluster, self.node
        if self.ended or cluster is None or node is None or not node.is_alive:
            return
        if self._is_reachable():
            self.platform.network.on_gone(self.ip, self._unreachable)
            return
        cluster.remove_node(node, "it did not answer the GCS's health checks")
        self.kernel.call_later(to_ns(1), self._end_when_back)

    def _end_when_back(self, _: Any) -> None:
        """A raylet that finds itself declared dead ends."""
        if self.ended:
            return
        if self._is_reachable():
            self.end(1, "the raylet was declared dead", message="This node has been marked dead.")
        else:
            self.kernel.call_later(to_ns(1), self._end_when_back)

    def _is_reachable(self) -> bool:
        head = self.cluster.head if self.cluster is not None else None
        return self.platform.network.reach(head.ip if head is not None else "", self.ip) is Reach.OK


def lose_processes(node: RayNode, reason: str, cause: int | None) -> None:
    """Processes of a node end before the GCS knows of it."""
    node.has_processes = False
    for actor in list(node.actors.values()):
        lost = getattr(actor.payload, "lost", None)
        if lost is not None:
            lost(reason, cause)


class GcsWait:
    """KubeRay's init container: `ray health-check` every 5 s until the GCS answers (protocol `Container`)."""

    def __init__(self, platform: RayPlatform, pod: JsonObject, pod_ip: str, address: str) -> None:
        self.platform = platform
        self.kernel = platform.kernel
        self.ip = pod_ip
        self.address = address
        self.namespace, _ = cluster_of(pod)
        self._exited: Signal[ContainerExit] = self.kernel.signal()
        self._rng = self.kernel.streams.stream(f"ray/{self.namespace}/{name_of(pod)}/wait")
        self._task = self.kernel.spawn(f"ray {name_of(pod)} wait-gcs-ready", self._run())

    @property
    def exited(self) -> Signal[ContainerExit]:
        return self._exited

    async def _run(self) -> None:
        client = self.platform.network.client(self.ip, namespace=self.namespace)
        while True:
            await self.kernel.sleep_ns(self.platform.calibration.gcs_lookup.draw_ns(self._rng))
            try:
                answer = await client.request("GET", f"http://{self.address}/health", timeout_s=5.0)
            except HttpFailure:
                pass
            else:
                if answer.status == 200:
                    self._exited.set(ContainerExit(0))
                    return
            await self.kernel.sleep(5)

    def terminate(self) -> None:
        self._end(143)

    def kill(self, reason: str = "") -> None:
        self._end(137, reason)

    def _end(self, code: int, reason: str = "") -> None:
        self._task.cancel()
        self._exited.set(ContainerExit(code, reason))

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        return ExecResult(127, "not found\n")
