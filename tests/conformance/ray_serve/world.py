"""A Ray cluster as the recordings had it: a head, and workers that come, vanish and stop. Addresses by the names that cases use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_fakes.dashboard import DashboardAgent
from rayrig_sim.applications.registry import default_registry
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network import Network
from rayrig_sim.ray_api.registry import AppDirRegistry
from rayrig_sim.ray_pods.container import RayContainer
from rayrig_sim.ray_pods.head import HeadContainer
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.start_command import (
    AGENT_PORT,
    DASHBOARD_PORT,
    GCS_PORT,
    StartCommand,
    command_text,
    start_command,
)
from rayrig_sim.ray_pods.worker import WorkerContainer
from rayrig_sim.serve.instance import SimulatedServe

#: The user code of the recordings. The fruit stand and the calculator come with the model.
APPS = Path(__file__).parent / "apps"
_PROXY_PORT = 8000
_CLUSTER = "golden"


class RecordingWorld:
    """The head runs `head_cpus`; a worker `workerN` has 2 CPUs and one of the resource `wN`, and runs no Ray at first."""

    def __init__(self, head_cpus: int, workers: Sequence[str] = (), *, seed: int = 0) -> None:
        self.kernel = kernel = Kernel(seed)
        calibration = Calibration()
        self.network = Network(kernel, ServiceTable(), kernel.streams, calibration)
        self.platform = RayPlatform(
            kernel,
            self.network,
            calibration,
            registry=AppDirRegistry(APPS, default_registry()),
            dashboard_factory=self._dashboard,
        )
        self._containers: dict[str, RayContainer] = {}
        self._addresses = {name: self.network.allocate_pod_ip(name) for name in ("head", *workers)}
        head = self._start("head", f"ray start --head --num-cpus={head_cpus}", HeadContainer)
        self._head_ip = head.ip
        self.client: HttpClient = self.network.client("user")

    def _dashboard(self, serve: SimulatedServe) -> DashboardAgent:
        return DashboardAgent(
            serve, cluster=serve.cluster, clock=self.kernel, rng=self.kernel.streams.stream("dashboard")
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

    # Addresses

    def url(self, target: str) -> str:
        """Where a case's target listens."""
        if target in ("dashboard", "proxy", "agent"):
            port = {"dashboard": DASHBOARD_PORT, "proxy": _PROXY_PORT, "agent": AGENT_PORT}[target]
            return f"http://{self._head_ip}:{port}"
        name = target.removesuffix("-agent")
        port = AGENT_PORT if target.endswith("-agent") else _PROXY_PORT
        return f"http://{self._addresses[name]}:{port}"

    # Machines (the hooks of cases)

    async def start_node(self, name: str) -> None:
        """A worker joins, if it is not there; over when it answers health checks."""
        container = self._containers.get(name)
        if container is None or container.ended or container.is_dark:
            resources = f'{{"w{name.removeprefix("worker")}": 1}}'
            address = f"{self._head_ip}:{GCS_PORT}"
            text = f"ray start --address={address} --num-cpus=2 --resources='{resources}'"
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
