"""KubeRay's init container, which waits for the head (kuberay-operator.md 3.16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import Signal
from rayrig_sim.kubernetes.kubelet.containers import ContainerExit, ExecResult
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.start_command import cluster_of


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
        client = NetworkClient(self.platform.network, self.ip, namespace=self.namespace)
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
