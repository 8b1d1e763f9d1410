"""An application on a fixed set of pods behind a Service, without Kubernetes and without a Serve controller.

For tests of application code, of the data plane and of traffic, and for benchmarks: nothing here starts, scales, checks or
replaces anything by itself. A whole cluster is put together by the world, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Calibration, instant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network.fabric import Network
from rayrig_sim.serve.application_code import ApplicationCode
from rayrig_sim.serve.execution import ReplicaExecution
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.proxy_server import ProxyServer, Route
from rayrig_sim.serve.router import RouterConfig
from rayrig_sim.serve.routers import Routers

PORT = 8000


class LocalServe:
    """One application, running from the start.

    Replicas of each deployment are spread over the pods in turn; `replicas` is a number for all deployments or one for each
    by name (1 when not named). Pod `i` is called `pod-<i>`, its node `node-<i>`, its proxy is `proxies[i]`. The Service is
    `service` in the namespace `default`. With `is_initialized` the constructor lets the time pass that constructors take.
    """

    def __init__(
        self,
        app: ApplicationCode,
        *,
        kernel: Kernel | None = None,
        pods: int = 1,
        replicas: int | Mapping[str, int] = 1,
        max_ongoing_requests: int | None = None,
        router: RouterConfig | None = None,
        route_prefix: str = "/",
        app_name: str = "app",
        service: str = "serve",
        request_timeout_s: float | None = None,
        calibration: Calibration | None = None,
        is_initialized: bool = True,
    ) -> None:
        self.kernel = kernel or Kernel()
        self.app = app
        self.app_name = app_name
        self.service = service
        self.table = ServiceTable()
        self.network = Network(self.kernel, self.table, self.kernel.streams, calibration or instant())
        self.routers = Routers(self.kernel)
        self.ips = [self.network.allocate_pod_ip(f"node-{i}") for i in range(pods)]
        #: Replicas by deployment, in order of start.
        self.replicas: dict[str, list[ReplicaExecution]] = {}
        for name, code in app.deployments.items():
            count = replicas if isinstance(replicas, int) else replicas.get(name, 1)
            limit = max_ongoing_requests or int(code.options.get("max_ongoing_requests", 5))
            self.replicas[name] = [self._replica(name, i, i % pods, limit) for i in range(count)]
            self.routers.configure(self.deployment(name), router or RouterConfig())
        self.proxies: list[ProxyServer] = []
        for i, ip in enumerate(self.ips):
            rng = self.kernel.streams.stream(f"proxy/node-{i}")
            proxy = ProxyServer(
                self.kernel,
                f"node-{i}",
                i == 0,
                rng,
                routers=self.routers,
                pod_ip=ip,
                request_timeout_s=request_timeout_s,
            )
            proxy.set_routes([Route(route_prefix, app_name, self.deployment(app.ingress))])
            self.network.listen(ip, PORT, proxy)
            self.proxies.append(proxy)
        self._ready = [True] * pods
        port: JsonObject = {"name": "serve", "port": PORT}
        self.table.put_service(
            {
                "metadata": {"name": service, "namespace": "default"},
                "spec": {"clusterIP": "10.96.0.10", "ports": [port]},
            }
        )
        self._put_endpoints(None)
        if is_initialized:
            for name, started in self.replicas.items():
                self.routers.update_replicas(self.deployment(name), started)
            self.run(self._initialize())

    def deployment(self, name: str) -> DeploymentId:
        return DeploymentId(name, self.app_name)

    async def start(self, name: str, index: int = 0) -> None:
        """Initialise one replica and give it to the routers, when `is_initialized=False` left that undone."""
        execution = self.replicas[name][index]
        await execution.initialize(self.app.deployments[name].options.get("user_config"))
        running = [replica for replica in self.replicas[name] if replica.is_accepting]
        self.routers.update_replicas(self.deployment(name), running)

    def set_ready(self, pod: int, is_ready: bool, cause: int | None = None) -> None:
        """Whether new connections go to the pod."""
        self._ready[pod] = is_ready
        self._put_endpoints(cause)

    def kill_pod(self, pod: int, cause: int | None = None) -> None:
        """All processes of the pod end at once and its network is taken down. It stays an endpoint until `set_ready`."""
        ip = self.ips[pod]
        for replicas in self.replicas.values():
            for replica in replicas:
                if replica.pod_ip == ip:
                    replica.kill("the pod was killed", cause)
                    self.routers.close_owner(replica.replica_id)
        self.proxies[pod].close(reset=True, cause=cause)
        self.network.close(ip, PORT)
        self.network.remove_pod(ip, refuse=True)

    async def request(
        self, method: str, target: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, pod: int = 0
    ) -> HttpResponse:
        """Ask the pod's proxy. Raises `HttpFailure`."""
        return await self.proxies[pod].handle(HttpRequest.of(method, target, headers=headers, body=body))

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine to its end and give its result."""
        task = self.kernel.spawn("local-serve", coroutine)
        self.kernel.run(until=task)
        return task.value

    async def _initialize(self) -> None:
        for name, replicas in self.replicas.items():
            for replica in replicas:
                await replica.initialize(self.app.deployments[name].options.get("user_config"))

    def _replica(self, name: str, index: int, pod: int, limit: int) -> ReplicaExecution:
        replica_id = f"{name.lower()}{index}"
        code = self.app.deployments[name]
        options = code.options.get("ray_actor_options") or {}
        return ReplicaExecution(
            self.kernel,
            replica_id=replica_id,
            deployment=name,
            app=self.app_name,
            node_id=f"node-{pod}",
            pod_ip=self.ips[pod],
            code=code,
            max_ongoing_requests=limit,
            handles=self.routers.handles(self.app_name, replica_id),
            env=(options.get("runtime_env") or {}).get("env_vars"),
        )

    def _put_endpoints(self, cause: int | None) -> None:
        endpoints = [
            {"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"name": f"pod-{i}"}}
            for i, ip in enumerate(self.ips)
            if self._ready[i]
        ]
        slice_: JsonObject = {
            "metadata": {"name": f"{self.service}-1"},
            "ports": [{"name": "serve", "port": PORT}],
            "endpoints": endpoints,
        }
        self.table.put_slice("default", self.service, slice_, cause=cause)
