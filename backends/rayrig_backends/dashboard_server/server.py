"""The modelled cluster as a process: dashboard, node agents and proxies on the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rayrig_backends.dashboard_server.pacing import PacedKernel
from rayrig_backends.dashboard_server.ports import ListenedPort
from rayrig_backends.dashboard_server.ray_machines import HEAD, PROXY_PORT, RayMachines
from rayrig_core.errors import InputError
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_fakes.kubernetes.http.serving import listening_socket
from rayrig_sim.applications.registry import default_registry
from rayrig_sim.network.fabric import Reach
from rayrig_sim.network.listeners import Listener
from rayrig_sim.ray_pods.start_command import AGENT_PORT, DASHBOARD_PORT
from rayrig_sim.serve.application_code import Registry

#: Machines are started, killed and stopped through this path of the dashboard's port; no path of Ray begins so.
CONTROL = "/rayrig/nodes/"


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """`port`, `agent_port` and `proxy_port` are the head's; a worker's agent and proxy have the next ones, in order.

    `nodes` counts the head. `app_dir` is where import paths lead. `speed` is virtual seconds a second.
    """

    port: int = DASHBOARD_PORT
    agent_port: int = AGENT_PORT
    proxy_port: int = PROXY_PORT
    app_dir: Path | None = None
    nodes: int = 1
    head_cpus: float | None = None
    worker_cpus: float = 2
    speed: float = 1.0
    token: str = ""
    seed: int = 0

    def all_ports(self) -> list[int]:
        """On which something may listen."""
        each = range(self.nodes)
        return [
            self.port,
            *(self.agent_port + number for number in each),
            *(self.proxy_port + number for number in each),
        ]


class DashboardServer:
    """To be made anywhere, run inside an event loop. `url` is the dashboard's."""

    def __init__(self, settings: DashboardSettings) -> None:
        """Raises `InputError`: a port is taken, a package is missing."""
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.port}"
        workers = [f"worker{number}" for number in range(1, settings.nodes)]
        # With workers, the head works for nobody, as KubeRay and the recordings have it.
        head_cpus = settings.head_cpus if settings.head_cpus is not None else (0 if workers else 4)
        for port in settings.all_ports():
            # Told now, not when the model begins to listen there.
            listening_socket(port).close()
        registry, self._user_time = _applications(settings.app_dir)
        self.machines = RayMachines(
            registry,
            head_cpus=head_cpus,
            workers=workers,
            worker_cpus=settings.worker_cpus,
            # Alone, Ray takes the machine's own address.
            head_address="" if workers else "127.0.0.1",
            token=settings.token,
            seed=settings.seed,
        )
        self._ports = [self._port(settings.port, HEAD, DASHBOARD_PORT)]
        for offset, name in enumerate((HEAD, *workers)):
            self._ports.append(self._port(settings.agent_port + offset, name, AGENT_PORT))
            self._ports.append(self._port(settings.proxy_port + offset, name, PROXY_PORT))
        self._paced: PacedKernel | None = None

    def _port(self, port: int, name: str, behind: int) -> ListenedPort:
        return ListenedPort(port, partial(self._asked, name, behind), lambda: self._listener(name, behind) is not None)

    def _listener(self, name: str, port: int) -> Listener | None:
        network, address = self.machines.network, self.machines.address(name)
        if network.reach("user", address) is not Reach.OK:
            return None
        found = network.listener(address, port)
        return found if isinstance(found, Listener) else None

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Works until `stop`. `on_ready` is called when the dashboard answers.

        Raises `ActorFailed` for what left an actor of the model.
        """
        kernel = self.machines.kernel
        with self._user_time:
            # Nobody is to wait for machines to start.
            kernel.run(until=kernel.spawn("start", self._start()))
            self._paced = paced = PacedKernel(kernel, self.settings.speed, self._follow)
            pacing = asyncio.create_task(paced.run())
            try:
                opened = asyncio.create_task(self._until_opened())
                await asyncio.wait((pacing, opened), return_when=asyncio.FIRST_COMPLETED)
                if not pacing.done():
                    on_ready()
                await pacing
            finally:
                for port in self._ports:
                    await port.close()
                kernel.close()

    def stop(self) -> None:
        """Let `run` return. To be called in the loop's thread."""
        if self._paced is not None:
            self._paced.stop()

    def _follow(self) -> None:
        for port in self._ports:
            port.follow()

    async def _start(self) -> None:
        """All machines, beside each other; the head's is on its way already."""
        kernel = self.machines.kernel
        for name in self.machines.workers:
            kernel.spawn("start", self.machines.start_node(name))
        needed = [(HEAD, DASHBOARD_PORT), *((name, AGENT_PORT) for name in (HEAD, *self.machines.workers))]
        while not all(self._listener(name, port) for name, port in needed):
            await kernel.sleep(0.1)

    async def _until_opened(self) -> None:
        while not self._ports[0].is_open:
            await asyncio.sleep(0.01)

    # Requests

    async def _asked(self, name: str, port: int, request: HttpRequest) -> HttpResponse:
        """Raises `HttpFailure`."""
        assert self._paced is not None
        if name == HEAD and port == DASHBOARD_PORT and request.path.startswith(CONTROL):
            return await self._controlled(request)
        listener = self._listener(name, port)
        if listener is None:
            raise HttpFailure(Failure.REFUSED, f"{name}:{port}")
        answer: HttpResponse = await self._paced.do(listener.handle, request)
        return answer

    async def _controlled(self, request: HttpRequest) -> HttpResponse:
        """`POST /rayrig/nodes/NAME/start`, `kill` or `stop`; answered when it is done."""
        assert self._paced is not None
        name, _, action = request.path.removeprefix(CONTROL).partition("/")
        actions: dict[str, Callable[[str], Any]] = {
            "start": self.machines.start_node,
            "kill": self.machines.kill_node,
            "stop": self.machines.stop_node,
        }
        if name not in self.machines.workers:
            known = ", ".join(self.machines.workers) or "none: give --nodes"
            return HttpResponse.text(404, f"there is no worker {name!r} (there are {known})\n")
        if action not in actions:
            return HttpResponse.text(404, f"a machine cannot {action!r}: {', '.join(actions)}\n")
        if request.method != "POST":
            return HttpResponse.text(405, "POST it\n")
        await self._paced.do(actions[action], name)
        return HttpResponse.text(200, f"{name}: {action}\n")


def _applications(folder: Path | None) -> tuple[Registry, AbstractContextManager[None]]:
    """What import paths lead to, and what makes clocks of user code virtual."""
    known = default_registry()
    if folder is None:
        return known.with_fallback(), nullcontext()
    if not folder.is_dir():
        raise InputError("no such folder", where=str(folder), remedy="give the folder that import paths begin in")
    try:
        from rayrig_sim.ray_api.modules import ray_modules
        from rayrig_sim.ray_api.registry import AppDirRegistry
    except ImportError as error:
        raise InputError(f"{error.name} is not installed", remedy="pip install 'rayrig[user-code]'") from None
    return AppDirRegistry(folder, known), ray_modules()
