"""Open loop: requests are sent at a rate, whatever comes back."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush
from typing import TYPE_CHECKING, Any, Literal

from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Calibration, Exponential
from rayrig_sim.serve.service_times import ServiceTimes
from rayrig_sim.traffic.connections import Pods
from rayrig_sim.traffic.requests import FreshConnections, GatewayTarget, KeepAlive, RequestClass, Target
from rayrig_sim.traffic.source import Source

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel


class _Arrival:
    """The event of the next arrival. One object serves all arrivals between two changes of the rate."""

    __slots__ = ("_defused", "_ok", "_value", "callbacks")

    def __init__(self) -> None:
        self._ok = True
        self._value = None
        self.callbacks: Any = None


class OpenLoop(Source):
    """Sends `rate_per_s` requests a second: `poisson` with exponential gaps, `even` at equal distances, the first at
    once.

    With `limit`, it stops by itself after that many requests.
    """

    def __init__(
        self,
        kernel: Kernel,
        pods: Pods,
        target: Target | GatewayTarget,
        rate_per_s: float,
        *,
        arrival: Literal["even", "poisson"] = "even",
        limit: int | None = None,
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
        if rate_per_s < 0:
            raise ValueError("a rate cannot be negative")
        self.rate_per_s = rate_per_s
        self._arrival = arrival
        self._limit = limit
        self._gaps: ServiceTimes | None = None
        self._gap_rng = kernel.streams.stream(f"{self.actor}/arrivals")
        self._on_arrival = (self._arrive,)
        self._next: _Arrival | None = None
        self._began_ns = 0
        self._since_began = 0

    def describe(self) -> str:
        return f"{self.rate_per_s:g} requests/s, {self._arrival}"

    def set_rate(self, rate_per_s: float) -> None:
        """From now on send at another rate; 0 pauses."""
        if rate_per_s < 0:
            raise ValueError("a rate cannot be negative")
        self.rate_per_s = rate_per_s
        if self.is_running:
            self._cause = self._emit("rate", self.describe())
            self._begin()

    def _begin(self) -> None:
        self._next = None
        if not self.rate_per_s:
            return
        self._began_ns = self._env._now
        self._since_began = 0
        self._next = _Arrival()
        first_ns = 0
        if self._arrival == "poisson":
            self._gaps = ServiceTimes(self._gap_rng, Exponential(1 / self.rate_per_s))
            first_ns = self._gaps.draw_ns()
        self._schedule(self._next, self._began_ns + first_ns)

    def _end(self) -> None:
        self._next = None

    def _schedule(self, arrival: _Arrival, at_ns: int) -> None:
        env = self._env
        arrival.callbacks = self._on_arrival
        heappush(env._queue, (at_ns, 1, next(env._eid), arrival))

    def _arrive(self, arrival: _Arrival) -> None:
        if arrival is not self._next:
            return
        env = self._env
        if self._gaps is not None:
            stock = self._gaps.stock
            if not stock:
                self._gaps.refill()
            at_ns = env._now + stock.pop()
        else:
            self._since_began += 1
            at_ns = self._began_ns + round(self._since_began * NS / self.rate_per_s)
        arrival.callbacks = self._on_arrival
        heappush(env._queue, (at_ns, 1, next(env._eid), arrival))
        self._send()
        if self.sent == self._limit:
            self.stop()
