"""Machines with Ray on them, the network between them, and the time that passes there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

from rayrig_backends.local_ray.user_time import virtual_time
from rayrig_core.http import HttpResponse
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Actor, Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray.cluster import RayCluster, RayNode

T = TypeVar("T")


class Pending(Generic[T]):
    """Something under way."""

    def __init__(self, kernel: Kernel, task: Actor) -> None:
        self._kernel = kernel
        self._task = task

    @property
    def is_done(self) -> bool:
        return self._task.is_done

    def result(self) -> T:
        """Let time pass until it is there. Raises what went wrong."""
        if not self._task.is_done:
            with virtual_time():
                self._kernel.run(until=self._task)
        outcome: Any = self._task.value
        ok, value = outcome
        if not ok:
            raise value
        result: T = value
        return result


class Machines:
    """One head and the nodes that join it. Time passes in calls that wait for something, and in `advance`."""

    def __init__(
        self, *, cpus: float = 8, seed: int = 0, kernel: Kernel | None = None, calibration: Calibration | None = None
    ) -> None:
        """`cpus` are the head's. A later cluster may go on in the `kernel` of an earlier one."""
        self.kernel = kernel or Kernel(seed)
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

    # Time

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        """Let time pass until the coroutine has its result. Raises what it raises."""
        return self.begin(function, *args, **kwargs).result()

    def begin(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> Pending[T]:
        """What `run` does, without waiting for the result."""

        async def caught() -> tuple[bool, Any]:
            try:
                return True, await function(*args, **kwargs)
            except Exception as error:
                return False, error

        return Pending(self.kernel, self.kernel.spawn("driver", caught()))

    def advance(self, seconds: float) -> None:
        """Let that much time pass. Raises `ValueError` unless it is positive."""
        with virtual_time():
            self.kernel.run(until_s=self.now_s + seconds)

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.kernel.monotonic_ns() / 1e9

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
