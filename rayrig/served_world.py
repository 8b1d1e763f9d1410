"""The world in memory for clients that know no virtual time: kubectl, curl and whoever else speaks HTTP.

It is the world of simulations; only its kernel keeps up with the clock. Everything happens in one event loop: the kernel takes its
steps there, and a request is answered between two of them, at the virtual time it comes at.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rayrig.apiserver.simulated import api_server
from rayrig_backends.collector import seldom_collecting
from rayrig_backends.dashboard_server.pacing import PacedKernel
from rayrig_backends.dashboard_server.ports import ListenerFace
from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_fakes.kubernetes.bootstrap import add_own_objects
from rayrig_fakes.kubernetes.http.app import KubernetesApp
from rayrig_fakes.kubernetes.http.serving import Application, HttpServer, listening_socket
from rayrig_scenarios.actions import Actions, StepFailed


@dataclass(frozen=True, slots=True)
class ServedWorldSettings:
    """`port` is the Kubernetes API server's, `apiserver_port` that of KubeRay's API server; 0 is any free one. `speed` is virtual
    seconds a second. `objects` are there from the start."""

    world: WorldSpec
    port: int = 8001
    apiserver_port: int = 8888
    speed: float = 1.0
    objects: Sequence[JsonObject] = ()


class ServedWorld:
    """Made outside the event loop (its sockets listen at once), run inside it. `url` is Kubernetes',
    `apiserver_url` that of KubeRay's API server."""

    def __init__(self, settings: ServedWorldSettings) -> None:
        """Raises `InputError`: a port is taken, a package is missing, an object is refused."""
        self._awaited = 2
        self._on_ready: Callable[[], None] = lambda: None
        with ExitStack() as undone:
            sockets = []
            for port, option in ((settings.port, "--port"), (settings.apiserver_port, "--apiserver-port")):
                sockets.append(_listening(port, option))
                undone.callback(sockets[-1].close)
            self.world = world = MemoryWorld(settings.world)
            undone.callback(world.kernel.close)
            self.paced = PacedKernel(world.kernel, settings.speed)
            faces = (self._kubernetes(), self._kuberay())
            self._servers = [
                HttpServer(face, listener, on_ready=self._server_ready)
                for face, listener in zip(faces, sockets, strict=True)
            ]
            self.url, self.apiserver_url = (server.url for server in self._servers)
            add_own_objects(world.api, self._servers[0].port)
            world.start()
            self._apply(settings.objects)
            undone.pop_all()

    def _kubernetes(self) -> Application:
        world, paced = self.world, self.paced
        http = _PacedHttp(paced, world.http("kube-apiserver"))
        rng = world.kernel.streams.stream("watch-timeouts")
        return _InTime(paced, KubernetesApp(world.api, rng, http=http))

    def _kuberay(self) -> Application:
        paced, server = self.paced, api_server(self.world)

        async def ask(request: HttpRequest) -> HttpResponse:
            return await paced.do(server.handle, request)

        return ListenerFace(ask)

    def _apply(self, objects: Sequence[JsonObject]) -> None:
        world = self.world
        actions = Actions(world)
        refused: list[StepFailed] = []

        async def apply() -> None:
            try:
                for obj in objects:
                    await actions.apply(obj)
            except StepFailed as failure:
                refused.append(failure)

        world.run_until(world.spawn("scenario", apply()))
        if refused:
            raise InputError(str(refused[0]))

    def _server_ready(self) -> None:
        self._awaited -= 1
        if not self._awaited:
            self._on_ready()

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`. `on_ready` is called when requests are answered. Raises `ActorFailed` for what left an actor."""
        self._on_ready = on_ready
        pacing = asyncio.create_task(self.paced.run())
        serving = [asyncio.create_task(server.serve()) for server in self._servers]
        with seldom_collecting():
            try:
                await asyncio.wait((pacing, *serving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Time goes on until the requests that are under way have their answers.
                self.stop()
                await asyncio.gather(*serving)
                self.paced.stop()
                self.world.kernel.close()
            await pacing

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        for server in self._servers:
            server.stop()


def _listening(port: int, option: str) -> socket.socket:
    try:
        return listening_socket(port)
    except InputError as error:
        raise InputError(error.what, remedy=f"give another {option}, or 0 for any free one") from None


class _InTime:
    """An application whose requests read and change the world of now."""

    def __init__(self, paced: PacedKernel, application: Application) -> None:
        self._paced = paced
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._paced.catch_up()
        try:
            await self._application(scope, receive, send)
        finally:
            self._paced.wake()

    def close(self) -> None:
        self._application.close()


@dataclass(frozen=True, slots=True)
class _PacedHttp:
    """HTTP into the world, for who waits in the event loop (port `HttpClient`)."""

    paced: PacedKernel
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
        async def ask() -> HttpResponse:
            return await self.http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)

        return await self.paced.do(ask)
