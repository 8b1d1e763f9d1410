"""Closed loop: a number of clients, each of which sends its next request when the last is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rayrig_core.timestamps import to_ns
from rayrig_sim.calibration import Calibration, Constant, Distribution
from rayrig_sim.serve.service_times import ServiceTimes
from rayrig_sim.traffic.connections import Connection, Pods
from rayrig_sim.traffic.requests import FreshConnections, GatewayTarget, KeepAlive, RequestClass, Target
from rayrig_sim.traffic.source import Exchange, Source

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel

#: A client that was refused, or answered in no time, does not try again in the same instant. A choice of this model.
PAUSE_AFTER_FAILURE_NS = to_ns(0.1)


class _Client:
    __slots__ = ("connection", "round")

    def __init__(self, round_: int) -> None:
        self.connection: Connection | None = None
        self.round = round_


class ClosedLoop(Source):
    """`clients` of them; between an answer and the next request a client thinks for `think` (seconds or a
    distribution).
    """

    def __init__(
        self,
        kernel: Kernel,
        pods: Pods,
        target: Target | GatewayTarget,
        clients: int,
        *,
        think: float | Distribution = 0.0,
        name: str = "traffic",
        mix: Sequence[RequestClass] = (RequestClass(),),
        connections: FreshConnections | KeepAlive | None = None,
        timeout_s: float = 30.0,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(
            kernel,
            pods,
            target,
            name=name,
            mix=mix,
            connections=connections,
            timeout_s=timeout_s,
            calibration=calibration,
        )
        if clients < 1:
            raise ValueError("a closed loop needs at least one client")
        self.clients = clients
        self._pool = None
        self._round = 0
        thinking = Constant(think) if isinstance(think, (int, float)) else think
        self._think = ServiceTimes(kernel.streams.stream(f"{self.actor}/think"), thinking)

    def describe(self) -> str:
        return f"{self.clients} clients"

    def set_clients(self, clients: int) -> None:
        """From now on that many clients send."""
        if clients < 1:
            raise ValueError("a closed loop needs at least one client")
        self.clients = clients
        if self.is_running:
            self._cause = self._emit("clients", self.describe())
            self._begin()

    def _begin(self) -> None:
        self._round += 1
        for _ in range(self.clients):
            self._send_later(_Client(self._round), 0)

    def _end(self) -> None:
        self._round += 1

    def _send_later(self, client: _Client, delay_ns: int) -> None:
        def send(_: Any) -> None:
            if client.round == self._round:
                kept, client.connection = client.connection, None
                self._send(client, kept)

        self.kernel.call_later(delay_ns, send)

    def _client_free(self, exchange: Exchange, connection: Connection | None) -> None:
        client: _Client = exchange.client
        client.connection = connection
        if client.round != self._round:
            return
        pause_ns = exchange.wire_ns + self._think.draw_ns()
        if exchange.sent_ns == self._env._now and (not pause_ns or exchange.proxy is None or connection is None):
            # Nothing has taken any time: without a pause the next request would be no later.
            pause_ns = max(pause_ns, PAUSE_AFTER_FAILURE_NS)
        self._send_later(client, max(pause_ns, 1))
