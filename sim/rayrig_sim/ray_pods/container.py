"""What a head's and a worker's container have in common: ports, probes, ending (protocol `Container`).

Source: ray-serve.md 2.4, 5.10, 11; kuberay-operator.md 3.12, 3.16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import Signal
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet import health_commands
from rayrig_sim.kubernetes.kubelet.containers import AnswersAtOnce, ContainerExit, ExecResult, ExecTimeout
from rayrig_sim.kubernetes.kubelet.mounted_files import mounted_text
from rayrig_sim.network.listeners import Foreseeable, Listener
from rayrig_sim.ray.cluster import RayCluster, RayNode
from rayrig_sim.ray_pods.health import NodeAgent
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.start_command import AGENT_PORT, StartCommand, cluster_of
from rayrig_sim.serve.proxy_server import HEALTHZ, ROUTES, ProxyServer

if TYPE_CHECKING:
    from rayrig_core.ports import Task

#: How long a raylet waits for its GCS to come back, unless told otherwise.
_RECONNECT_S = 60.0


#: Between two looks of a script that waits for Ray.
_HEALTH_CHECK_PAUSE_S = 1.0


def script_path(command: Sequence[str]) -> str | None:
    """The file that a command runs when it does nothing else: `PATH`, `bash PATH`, `sh -c PATH`."""
    words = [word for word in command if word not in ("-c", "--")]
    if words and words[0].rpartition("/")[2] in ("sh", "bash"):
        words = words[1:]
    return words[0] if len(words) == 1 and words[0].startswith("/") and " " not in words[0].strip() else None


class RayContainer(AnswersAtOnce):
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
        self.pod = pod
        self.spec = spec
        self.host_cpus = host_cpus
        self.cluster: RayCluster | None = None
        self.node: RayNode | None = None
        self.ended = False
        #: Its machine has lost power; the processes are gone, but nobody was told.
        self.is_dark = False
        self.is_raylet_hanging = False
        self._exited: Signal[ContainerExit] = self.kernel.signal()
        self._ports: dict[int, object] = {}
        self._foreseen: dict[int, health_commands.Foreseen] = {}
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
        agent = NodeAgent(self.raylet_health, self.gcs_health, is_head=is_head, serve=self.serve_of_agent)
        self.listen(port, agent)

    def serve_of_agent(self) -> Listener | None:
        """What answers about Serve on the agent's port."""
        return None

    # The GCS goes and comes

    @property
    def reconnect_timeout_s(self) -> float:
        """How long the raylet waits for a lost GCS; KubeRay sets 600 s on workers with GCS fault tolerance."""
        text = self.env.get("RAY_gcs_rpc_server_reconnect_timeout_s", "")
        return float(text) if text else _RECONNECT_S

    def gcs_is_lost(self, cause: int | None) -> None:
        """The GCS of the cluster, in another container, is gone."""

    def gcs_is_back(self) -> None:
        """A restarted GCS serves the same cluster."""

    # Ending

    def go_dark(self) -> None:
        """The machine loses power. Its address is silent already; who waits for its processes waits in vain."""
        if self.ended or self.is_dark:
            return
        self.is_dark = True
        if self.node is not None:
            for actor in list(self.node.actors.values()):
                went = getattr(actor.payload, "go_dark", None)
                if went is not None:
                    went()

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

    def get_at_once(self, port: int, path: str) -> HttpResponse | None:
        listener = None if self.ended else self.platform.network.listener(self.ip, port)
        if isinstance(listener, NodeAgent):
            return None if self.is_raylet_hanging or listener.serve(path) else listener.answer("GET", path)
        if isinstance(listener, ProxyServer) and path in (HEALTHZ, ROUTES) and not listener.is_hanging:
            return listener.healthz() if path == HEALTHZ else listener.routes()
        return listener.get_at_once(path) if isinstance(listener, Foreseeable) else None

    async def http_get(self, port: int, path: str, headers: Mapping[str, str], timeout_s: float) -> HttpResponse:
        at_once = self.get_at_once(port, path)
        if at_once is not None:
            return at_once
        listener = None if self.ended else self.platform.network.listener(self.ip, port)
        if listener is None:
            raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")
        is_silent_agent = isinstance(listener, NodeAgent) and self.is_raylet_hanging
        if is_silent_agent or (isinstance(listener, ProxyServer) and path in (HEALTHZ, ROUTES)):
            # The process hangs.
            return await self._time_out(timeout_s, port)
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

    async def _text_of(self, path: str) -> str | None:
        """The text of a script that a ConfigMap or Secret has brought."""
        connect = self.platform.connect
        if not path or connect is None:
            return None
        client = connect(f"kubelet/{self.pod['spec'].get('nodeName', '')}")
        return await mounted_text(client, self.pod, self.spec, path)

    async def _until_ray_runs(self, line: str, ends_ns: int) -> ExecResult:
        """A script that asks `ray health-check` again and again and goes on when it succeeds. What it does then takes no time."""
        while not self.ended and (self.cluster is None or self.cluster.gcs_health()):
            if self.kernel.monotonic_ns() >= ends_ns:
                raise ExecTimeout(line)
            await self.kernel.sleep(_HEALTH_CHECK_PAUSE_S)
        return ExecResult(137 if self.ended else 0)

    async def _time_out(self, timeout_s: float, port: int) -> HttpResponse:
        await self.kernel.sleep(timeout_s)
        raise HttpFailure(Failure.TIMEOUT, f"{self.ip}:{port}")

    async def tcp_connect(self, port: int, timeout_s: float) -> None:
        if self.ended or self.platform.network.listener(self.ip, port) is None:
            raise HttpFailure(Failure.REFUSED, f"{self.ip}:{port}")

    def exec_at_once(self, command: Sequence[str]) -> ExecResult | None:
        # By identity: a probe has the same command all its life.
        known = self._foreseen.get(id(command))
        if known is None:
            known = self._foreseen[id(command)] = health_commands.Foreseen(command)
        return known.success(self.get_at_once)

    async def exec(self, command: Sequence[str], timeout_s: float) -> ExecResult:
        line = " ".join(command)
        if "ray stop" in line:
            await self.kernel.sleep_ns(self.platform.calibration.container_stop.draw_ns(self._rng))
            self.end(0, "ray stop")
            return ExecResult(0, "Stopped all Ray processes.\n")
        ends_ns = self.kernel.monotonic_ns() + round(timeout_s * NS)
        text = await self._text_of(script_path(command) or "")
        if text is not None and "ray health-check" in text:
            return await self._until_ray_runs(line, ends_ns)
        if text is not None:
            return ExecResult(0)

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


def lose_processes(node: RayNode, reason: str, cause: int | None) -> None:
    """Processes of a node end before the GCS knows of it."""
    node.has_processes = False
    for actor in list(node.actors.values()):
        lost = getattr(actor.payload, "lost", None)
        if lost is not None:
            lost(reason, cause)
