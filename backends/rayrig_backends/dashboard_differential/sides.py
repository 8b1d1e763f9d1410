"""One dashboard and its data plane: a real one or any other over HTTP, or the modelled one on virtual time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from rayrig_backends import plain_http
from rayrig_backends.dashboard_differential.stories import Ask
from rayrig_backends.dashboard_server.ray_machines import HEAD, PROXY_PORT, RayMachines
from rayrig_core.http import HttpFailure, HttpResponse
from rayrig_core.timestamps import NS
from rayrig_sim.ray_pods.start_command import DASHBOARD_PORT

#: A DELETE is answered when all is gone, and a PUT that starts Serve when the controller runs.
_TIMEOUT_S = 120.0


class Side(Protocol):
    """Someone who answers."""

    def ask(self, ask: Ask) -> HttpResponse | None:
        """None when no answer came."""
        ...

    def sleep(self, seconds: float) -> None: ...

    def now_s(self) -> float: ...


class Closed(Exception):
    """The run is over: nothing is waited for any more."""


@dataclass(frozen=True, slots=True)
class HttpSide:
    """`dashboard` and `proxy` are base URLs by http."""

    dashboard: str
    proxy: str
    _closed: Event = field(default_factory=Event)

    def ask(self, ask: Ask) -> HttpResponse | None:
        base = self.dashboard if ask.to == "dashboard" else self.proxy
        try:
            return plain_http.ask(base, ask.request, timeout_s=_TIMEOUT_S)
        except HttpFailure:
            return None

    def sleep(self, seconds: float) -> None:
        """Raises `Closed`."""
        if self._closed.wait(seconds):
            raise Closed

    def now_s(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        """Whoever sleeps wakes up."""
        self._closed.set()


class ModelledSide:
    """A modelled cluster. Time passes only in here. Where it runs a folder's code, to be used within `ray_modules()`."""

    def __init__(self, machines: RayMachines) -> None:
        self._machines = machines
        self._kernel = machines.kernel
        self._kernel.run(until=self._kernel.spawn("start", self._until_up()))

    async def _until_up(self) -> None:
        while self._machines.network.listener(self._machines.address(HEAD), DASHBOARD_PORT) is None:
            await self._kernel.sleep(0.1)

    def ask(self, ask: Ask) -> HttpResponse | None:
        asking = self._kernel.spawn("user", self._answer(ask))
        self._kernel.run(until=asking)
        return asking.value

    async def _answer(self, ask: Ask) -> HttpResponse | None:
        port = DASHBOARD_PORT if ask.to == "dashboard" else PROXY_PORT
        url = f"http://{self._machines.address(HEAD)}:{port}{ask.path}"
        request = ask.request
        try:
            return await self._machines.client.request(
                ask.method, url, body=request.body, headers=request.headers, timeout_s=_TIMEOUT_S
            )
        except HttpFailure:
            return None

    def sleep(self, seconds: float) -> None:
        self._kernel.run(until_s=self.now_s() + seconds)

    def now_s(self) -> float:
        return self._kernel.monotonic_ns() / NS
