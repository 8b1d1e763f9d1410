"""The server as a process: on a socket of the loopback interface, on wall time, in front of any Kubernetes API server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from rayrig.apiserver.server import ApiServerSettings, KubeRayApiServer
from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.cluster_http import ClusterHttp
from rayrig_backends.cluster.connection import Connection, is_in_cluster
from rayrig_backends.cluster.first_answer import requires_answers
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.service_names import ServiceNames
from rayrig_backends.dashboard_server.ports import ListenerFace
from rayrig_core.errors import NotFound
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient, KubernetesClient
from rayrig_core.resource_types import CONFIG_MAP, ResourceType
from rayrig_fakes.kubernetes.http.serving import HttpServer, listening_socket

_TRACE_KEEP = 1_000


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """`port` 0 is any free one. `use_kubernetes_proxy`: dashboards are reached through the API server."""

    connection: Connection
    port: int = 8888
    use_kubernetes_proxy: bool = False
    server: ApiServerSettings = field(default_factory=ApiServerSettings)


class ApiServerProcess:
    """Made outside the event loop (the socket listens at once), run inside it."""

    def __init__(self, settings: ProcessSettings, rng: Random) -> None:
        """`rng` spreads the lengths of watches. Raises `InputError`: the port is taken, or uvicorn is not installed."""
        self.settings = settings
        self._rng = rng
        self._api: KubeRayApiServer | None = None
        self._listener = listening_socket(settings.port)
        try:
            self._server = HttpServer(ListenerFace(self._answer), self._listener, on_ready=lambda: self._on_ready())
        except BaseException:
            self._listener.close()
            raise
        self._on_ready: Callable[[], None] = lambda: None
        self.url = self._server.url

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        assert self._api is not None
        return await self._api.handle(request)

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`. `on_ready` is called when requests are answered.

        Raises `InputError` when the Kubernetes API server cannot be reached, or refuses.
        """
        self._on_ready = on_ready
        settings = self.settings
        runtime = AsyncioRuntime(trace_keep=_TRACE_KEEP)
        kubernetes = HttpKubernetesClient(settings.connection, self._rng, user_agent="rayrig-apiserver")
        http = ClusterHttp(kubernetes)
        if not is_in_cluster():
            http.names = ServiceNames(LiveObjects(kubernetes))
        try:
            with requires_answers(settings.connection.server):
                await kubernetes.list(CONFIG_MAP, limit=1)
            reach = ThroughKubernetes(http) if settings.use_kubernetes_proxy else http
            self._api = KubeRayApiServer(runtime, kubernetes, reach, settings.server)
            await self._server.serve()
        finally:
            self._listener.close()
            await runtime.stop()
            await http.aclose()
            await kubernetes.aclose()

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        self._server.stop()


@dataclass(frozen=True, slots=True)
class LiveObjects:
    """Objects asked for each time."""

    kubernetes: KubernetesClient

    async def find(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject | None:
        try:
            return await self.kubernetes.get(resource, name, namespace)
        except NotFound:
            return None

    async def select(
        self, resource: ResourceType, namespace: str = "", labels: dict[str, str] | None = None
    ) -> list[JsonObject]:
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return (await self.kubernetes.list(resource, namespace, label_selector=selector)).items


@dataclass(frozen=True, slots=True)
class ThroughKubernetes:
    """Services by the API server's proxy (port `HttpClient`)."""

    http: HttpClient

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        parts = urlsplit(url)
        name, *rest = (parts.hostname or "").split(".")
        if parts.scheme == "http" and rest[1:2] == ["svc"]:
            url = f"kubernetes:/api/v1/namespaces/{rest[0]}/services/{name}:{parts.port or 80}/proxy{parts.path}"
            url += f"?{parts.query}" if parts.query else ""
        return await self.http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)
