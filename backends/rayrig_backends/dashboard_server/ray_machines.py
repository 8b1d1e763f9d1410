"""Ray on machines of its own: a head, and workers that come, vanish and stop, each as `ray start` makes it."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.dashboard import DashboardAgent
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray_pods.container import RayContainer
from rayrig_sim.ray_pods.head import HeadContainer
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.start_command import (
    AGENT_PORT,
    GCS_PORT,
    StartCommand,
    command_text,
    start_command,
)
from rayrig_sim.ray_pods.worker import WorkerContainer
from rayrig_sim.serve.application_code import Registry
from rayrig_sim.serve.instance import SimulatedServe

#: Where Serve's proxies listen, unless the document that starts Serve says otherwise.
PROXY_PORT = 8000
HEAD = "head"
_CLUSTER = "local"


class RayMachines:
    """The head runs from the start; a worker `workerN` has one of the resource `wN`, and runs no Ray until it is started."""

    def __init__(
        self,
        registry: Registry,
        *,
        head_cpus: float = 4,
        workers: Sequence[str] = (),
        worker_cpus: float = 2,
        head_address: str = "",
        token: str = "",
        seed: int = 0,
        calibration: Calibration | None = None,
    ) -> None:
        """`head_address`: the head's own; one of the pods' network when empty. `token` is what the dashboard wants to be shown."""
        self.kernel = kernel = Kernel(seed)
        calibration = calibration or Calibration()
        self.workers = tuple(workers)
        self.network = Network(kernel, ServiceTable(), kernel.streams, calibration)
        self.client = NetworkClient(self.network, "user")
        self._token = token
        self._worker_cpus = worker_cpus
        self.platform = RayPlatform(
            kernel, self.network, calibration, registry=registry, dashboard_factory=self._dashboard
        )
        self._containers: dict[str, RayContainer] = {}
        self._addresses = {name: self.network.allocate_pod_ip(name) for name in (HEAD, *workers)}
        if head_address:
            self.network.add_address(head_address, HEAD)
            self._addresses[HEAD] = head_address
        self._start(HEAD, f"ray start --head --num-cpus={head_cpus:g}", HeadContainer)

    def _dashboard(self, serve: SimulatedServe) -> DashboardAgent:
        return DashboardAgent(
            serve,
            cluster=serve.cluster,
            clock=self.kernel,
            rng=self.kernel.streams.stream("dashboard"),
            token=self._token,
        )

    def _start(self, name: str, text: str, kind: type[RayContainer]) -> RayContainer:
        pod: JsonObject = {"metadata": {"name": name, "namespace": "default", "labels": {"ray.io/cluster": _CLUSTER}}}
        spec: JsonObject = {"name": "ray", "args": [text]}
        command = start_command(command_text(spec), {})
        assert isinstance(command, StartCommand), text
        if name in self._containers:
            self._addresses[name] = self.network.allocate_pod_ip(name)
        ip = self._addresses[name]
        container = self._containers[name] = kind(self.platform, pod, spec, ip, command, {}, host_cpus=4)
        return container

    def address(self, name: str) -> str:
        """Of a machine; another one after it was started again."""
        return self._addresses[name]

    # Workers

    async def start_node(self, name: str) -> None:
        """A worker joins, if it is not there; over when it answers health checks."""
        container = self._containers.get(name)
        if container is None or container.ended or container.is_dark:
            resources = f'{{"w{name.removeprefix("worker")}": 1}}'
            address = f"{self._addresses[HEAD]}:{GCS_PORT}"
            text = f"ray start --address={address} --num-cpus={self._worker_cpus:g} --resources='{resources}'"
            container = self._start(name, text, WorkerContainer)
        while self.network.listener(container.ip, AGENT_PORT) is None:
            await self.kernel.sleep(0.5)

    async def kill_node(self, name: str) -> None:
        """The machine vanishes."""
        container = self._containers[name]
        self.network.silence(container.ip)
        container.go_dark()

    async def stop_node(self, name: str) -> None:
        """`ray stop`. Nothing where no Ray runs."""
        container = self._containers.get(name)
        if container is not None and not container.ended:
            await container.exec(["ray", "stop"], 60.0)
