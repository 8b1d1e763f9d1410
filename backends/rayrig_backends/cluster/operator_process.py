"""The KubeRay operator as a process: the controllers on wall time, driven by asyncio, against any API server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from rayrig_backends.asyncio_runtime import AsyncioRuntime
from rayrig_backends.cluster.cluster_http import ClusterHttp
from rayrig_backends.cluster.connection import Connection, is_in_cluster
from rayrig_backends.cluster.first_answer import requires_answers
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_backends.cluster.operator_client import OperatorClient
from rayrig_backends.cluster.operator_endpoints import OperatorEndpoints
from rayrig_backends.cluster.service_names import ServiceNames
from rayrig_controllers.cached_client import CachedClient
from rayrig_controllers.manager import Manager
from rayrig_controllers.metrics import operator_metrics, render
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core.errors import ApiError, InputError
from rayrig_core.http import HttpFailure
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, RAY_CLUSTER, RAY_SERVICE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions, ray_job_definition
from rayrig_fakes.kubernetes.http.serving import HttpServer, listening_socket

_TRACE_KEEP = 20_000
_ESTABLISHED_S = 10.0


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """`port` is where health and metrics are answered, on the loopback interface; 0 is any free one."""

    connection: Connection
    options: OperatorOptions = field(default_factory=OperatorOptions)
    port: int = 0
    install_definitions: bool = False


class OperatorProcess:
    """Made outside the event loop (the socket listens at once), run inside it."""

    def __init__(self, settings: OperatorSettings, rng: Random) -> None:
        """`rng`: of generated names and jitter. Raises `InputError`: the port is taken, or uvicorn is not installed."""
        self.settings = settings
        self._rng = rng
        self.manager: Manager | None = None
        self._lost_lease = False
        self._failure: tuple[str, Exception] | None = None
        self._on_ready: Callable[[], None] = lambda: None
        self._listener: socket.socket = listening_socket(settings.port)
        try:
            self._server = HttpServer(
                OperatorEndpoints(self._metrics, self._is_ready), self._listener, on_ready=lambda: self._on_ready()
            )
        except BaseException:
            self._listener.close()
            raise
        self.url = self._server.url

    def _metrics(self) -> str:
        return render(operator_metrics(self.manager)) if self.manager is not None else ""

    def _is_ready(self) -> bool:
        manager = self.manager
        return manager is not None and all(manager.cache.ready(each) for each in (RAY_CLUSTER, RAY_SERVICE))

    def _is_at_work(self, resource: ResourceType, namespace: str) -> bool:
        return self.manager is not None and self.manager.is_at_work(resource, namespace)

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`. `on_ready` is called when health and metrics are answered and the API server has been reached.

        Raises `InputError` when the API server cannot be reached, refuses, or knows no RayServices; what left an actor as
        `RuntimeError`; and `LostLease`.
        """
        self._on_ready = on_ready
        runtime = AsyncioRuntime(trace_keep=_TRACE_KEEP, on_failure=self._failed)
        settings = self.settings
        client = OperatorClient(settings.connection, self._rng, is_at_work=self._is_at_work)
        http = ClusterHttp(client)
        try:
            if settings.install_definitions:
                await _install_definitions(client, settings.options.release.version)
            await _require_definitions(client, settings.connection.server)
            self.manager = manager = operator(runtime, client, http=http, rng=self._rng, options=settings.options)
            if not is_in_cluster():
                http.names = ServiceNames(CachedClient(manager.cache, client))
            manager.start()
            runtime.spawn("operator/lease", self._end_with(manager))
            await self._server.serve()
        finally:
            self._listener.close()
            await runtime.stop()
            await http.aclose()
            await client.aclose()
        if self._failure is not None:
            raise RuntimeError(f"actor {self._failure[0]} failed") from self._failure[1]
        if self._lost_lease:
            raise LostLease

    async def _end_with(self, manager: Manager) -> None:
        """KubeRay's process ends when it loses its Lease, and is started anew by its Deployment."""
        await manager.ended
        self._lost_lease = True
        self.stop()

    def _failed(self, name: str, error: Exception) -> None:
        self._failure = (name, error)
        self.stop()

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        self._server.stop()


class LostLease(Exception):
    """Another process may be the leader now: this one must not go on."""


async def _install_definitions(client: HttpKubernetesClient, kuberay: str) -> None:
    """The custom resources as that release has them (RayJob as v1.7 has it), where they are not there yet."""
    for definition in (*custom_resource_definitions(kuberay), ray_job_definition()):
        try:
            await client.create(CUSTOM_RESOURCE_DEFINITION, definition)
        except ApiError as refused:
            if refused.reason != "AlreadyExists":
                raise InputError(f"cannot install CustomResourceDefinitions: {refused.message}") from None
        except HttpFailure:
            # Told by the requests that follow.
            return
    for _ in range(round(_ESTABLISHED_S / 0.1)):
        try:
            for resource in (RAY_CLUSTER, RAY_SERVICE):
                await client.list(resource, limit=1)
        except ApiError:
            await asyncio.sleep(0.1)
        else:
            return


async def _require_definitions(client: HttpKubernetesClient, server: str) -> None:
    with requires_answers(server):
        for resource in (RAY_CLUSTER, RAY_SERVICE):
            try:
                await client.list(resource, limit=1)
            except ApiError as refused:
                if refused.code != 404:
                    raise
                raise InputError(
                    f"the API server knows no {resource.group_resource}",
                    where=server,
                    remedy="install KubeRay's CustomResourceDefinitions, or give --install-crds",
                ) from None
