"""Machines with Ray on them, the network between them, and the time that passes there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from rayrig_backends.local_ray.user_time import virtual_time
from rayrig_core.http import HttpResponse
from rayrig_sim.calibration import Calibration
from rayrig_sim.driver import Driver, Pending
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray.cluster import RayCluster, RayNode


class Machines(Driver):
    """One head and the nodes that join it. Time passes in calls that wait for something, and in `advance`."""

    def __init__(
        self, *, cpus: float = 8, seed: int = 0, kernel: Kernel | None = None, calibration: Calibration | None = None
    ) -> None:
        """`cpus` are the head's. A later cluster may go on in the `kernel` of an earlier one."""
        super().__init__(kernel or Kernel(seed))
        self.calibration = calibration or Calibration()
        self.network = Network(self.kernel, ServiceTable(), self.kernel.streams, self.calibration)
        self.ray = RayCluster(self.kernel, "local", calibration=self.calibration)
        self.ray.is_gcs_up = True
        #: What `ray://` checkpoints are kept in.
        self.internal_kv: dict[str, Any] = {}
        self._http = NetworkClient(self.network, "client")
        self.nodes: dict[str, RayNode] = {}
        self.add_node("head", cpus, is_head=True)

    def add_node(self, name: str, cpus: float, *, is_head: bool = False, **resources: float) -> RayNode:
        """`ray start` on another machine."""
        ip = self.network.allocate_pod_ip(name)
        node = self.ray.add_node(name, ip, {"CPU": cpus, **resources}, is_head=is_head, instance_id=name)
        self.nodes[name] = node
        return node

    def lose(self) -> None:
        """The head is lost, and with it the cluster: nothing that it held in itself is left."""
        self.ray.is_gcs_up = False
        for name, node in self.nodes.items():
            self.ray.remove_node(node, f"{name}: the cluster was lost")
            self.network.remove_pod(node.ip, refuse=True)
        self.nodes.clear()
        self.internal_kv.clear()

    def passing(self) -> AbstractContextManager[None]:
        return virtual_time()

    # Requests

    def request(self, method: str, path: str, **options: Any) -> HttpResponse:
        """Ask a node's proxy; options are those of `send`. Raises `HttpFailure` when no answer comes."""
        return self.send(method, path, **options).result()

    def send(
        self,
        method: str,
        path: str,
        *,
        node: str = "head",
        port: int = 8000,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Pending[HttpResponse]:
        """Begin a request to a node's proxy."""
        url = f"http://{self.nodes[node].ip}:{port}{path}"
        return self.begin(self._http.request, method, url, body=body, headers=headers, timeout_s=timeout_s)

    def get(self, path: str, **options: Any) -> HttpResponse:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def close(self) -> None:
        """Nothing goes on. Only for a cluster whose kernel nobody else uses."""
        self.kernel.close()
