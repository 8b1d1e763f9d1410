"""A source of requests: sends them, follows each to its one fate, and writes that into the trace.

Per request there is one object, the exchange, and the events of whoever works on it; the source adds one event per
arrival and one timer for all time limits. The way between client and server (`calibration`: handshake, wire, proxy,
router) is added to a request's latency and not simulated step by step. Failures carry as cause the trace event that
explains them; everything else the event of the source's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.timestamps import to_ns
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration, Constant, Distribution
from rayrig_sim.network.fabric import Reach
from rayrig_sim.serve.calls import CallFailed, ReplicaDied
from rayrig_sim.serve.exchange import HttpExchange, status_of
from rayrig_sim.serve.proxy_server import ProxyServer
from rayrig_sim.serve.service_times import ServiceTimes, weighted_choice
from rayrig_sim.traffic.accounting import Accounting, Ledger
from rayrig_sim.traffic.connections import NEVER_NS, Connection, ConnectionPool, Connector, Link, Pods, is_open
from rayrig_sim.traffic.gateway import GatewayConnector
from rayrig_sim.traffic.requests import (
    Fate,
    FreshConnections,
    GatewayTarget,
    KeepAlive,
    RequestClass,
    Target,
    fate_of,
)

if TYPE_CHECKING:
    from rayrig_sim.agenda import KernelSignal
    from rayrig_sim.kernel import Kernel

_REQUEST = Kind.REQUEST.label
_OK = Fate.OK.value
_DETAIL_LENGTH = 120


class _Kind:
    """A request class as the source uses it."""

    __slots__ = ("http", "subject", "times")

    def __init__(self, http: HttpRequest, subject: str, times: ServiceTimes | None) -> None:
        self.http = http
        self.subject = subject
        self.times = times


class Exchange(HttpExchange):
    """One request of a source. `client` is who sent it, for closed loops."""

    __slots__ = ("client", "connection", "is_lost", "kind", "link", "number", "sent_ns", "source", "wire_ns")

    client: Any
    link: Link | None
    connection: Connection | None
    #: Time on the way there and back, added to the latency.
    wire_ns: int

    def __init__(self, source: Source, kind: _Kind, number: int, sent_ns: int) -> None:
        times = kind.times
        # The base classes' initialisers, written out: one call instead of three for every request.
        self._ok = True
        self._value = None
        self.method = "__call__"
        self.service_ns = -1 if times is None else times.draw_ns()
        self.execution = None
        self.router = None
        self.coroutine = None
        self.children = None
        self.is_done = False
        self.http = kind.http
        self.proxy = None
        self.app = ""
        self.source = source
        self.kind = kind
        self.number = number
        self.sent_ns = sent_ns
        self.is_lost = False

    def finished(self, ok: bool, value: Any) -> None:
        # As in the base class, without a call in between.
        self.is_done = True
        self.proxy.in_flight.pop(self, None)  # type: ignore[union-attr]
        self.source.answered(self, ok, value)

    def answered(self, ok: bool, value: Any) -> None:
        self.source.answered(self, ok, value)

    def was_reset(self, cause: int | None) -> None:
        self.is_done = True
        self.source.failed(self, Fate.RESET, "the proxy's process ended", cause)


class Source:
    """Base of the loops. `start` and `stop` may alternate; `accounting` may be asked at any time.

    `calibration` None: the way to the server and back takes no time.
    """

    def __init__(
        self,
        kernel: Kernel,
        pods: Pods,
        target: Target | GatewayTarget,
        *,
        name: str = "traffic",
        mix: Sequence[RequestClass] = (RequestClass(),),
        connections: FreshConnections | KeepAlive | None = None,
        timeout_s: float = 30.0,
        calibration: Calibration | None = None,
    ) -> None:
        if not mix:
            raise ValueError("a mix needs at least one class of requests")
        self.kernel = kernel
        self.name = name
        self.actor = f"traffic/{name}"
        self.target = target
        self.sent = 0
        self.is_running = False
        self._env: Any = kernel.env
        stream = kernel.streams.stream
        self._keep_alive = connections if isinstance(connections, KeepAlive) else None
        is_handshake_needed = True
        self._connector: Connector | GatewayConnector
        rng = stream(f"{self.actor}/endpoints")
        if isinstance(target, GatewayTarget):
            self._connector = GatewayConnector(pods, target, self.actor, rng, self._host_gone)
            # Kept connections end at the gateway: each request is given to a backend by itself.
            is_handshake_needed, self._keep_alive = self._keep_alive is None, None
        else:
            self._connector = Connector(pods, target, self.actor, rng, self._host_gone)
        self._pool = ConnectionPool(self._keep_alive) if self._keep_alive is not None else None
        max_age_s = self._keep_alive.max_age_s if self._keep_alive is not None else None
        self._max_age_ns = NEVER_NS if max_age_s is None else to_ns(max_age_s)
        self._kinds = [
            _Kind(
                HttpRequest.of(c.method, c.path, headers={k.lower(): v for k, v in c.headers.items()}, body=c.body),
                f"{self.actor}/{c.name}",
                None if c.duration is None else ServiceTimes(stream(f"{self.actor}/durations/{c.name}"), c.duration),
            )
            for c in mix
        ]
        self._draw_kind: Callable[[], int] | None = None
        if len(mix) > 1:
            self._draw_kind = weighted_choice([c.weight for c in mix], stream(f"{self.actor}/classes"))
        self._wire: ServiceTimes | None = None
        #: The way to a server that is no Serve proxy.
        self._plain_wire: ServiceTimes | None = None
        self._handshake: ServiceTimes | None = None
        if calibration is not None:
            way: tuple[Distribution, ...]
            way = (calibration.http_latency, calibration.proxy_latency, calibration.replica_latency)
            if isinstance(target, GatewayTarget):
                way = (calibration.http_latency, *way)
            if any(leg != Constant(0.0) for leg in way):
                self._wire = ServiceTimes(stream(f"{self.actor}/wire"), *way)
            if calibration.http_latency != Constant(0.0):
                self._plain_wire = ServiceTimes(stream(f"{self.actor}/plain-wire"), *way[:-2])
            if is_handshake_needed and calibration.connect_latency != Constant(0.0):
                self._handshake = ServiceTimes(stream(f"{self.actor}/handshake"), calibration.connect_latency)
        self._timeout_ns = to_ns(timeout_s)
        self._in_flight: dict[Exchange, None] = {}
        self._append = kernel.trace.append_record
        self._cause: int | None = None
        self._ledger = Ledger(kernel.trace, self.actor)
        self._timer_armed = False
        self._settled: KernelSignal[None] | None = None

    # Control

    def start(self) -> None:
        """Begin to send. Nothing when it does already."""
        if not self.is_running:
            self.is_running = True
            self._cause = self._emit("started", self.describe())
            self._begin()

    def stop(self) -> None:
        """Send no more. Requests under way go on to their fate."""
        if self.is_running:
            self.is_running = False
            self._emit("stopped", "")
            self._end()

    async def settled(self) -> None:
        """Wait until no request is under way (at most the time limit, after a stop)."""
        while self._in_flight:
            self._settled = self.kernel.signal()
            await self._settled

    def accounting(self) -> Accounting:
        """The account up to now."""
        return self._ledger.account(self.sent, len(self._in_flight))

    @property
    def in_flight(self) -> int:
        """Requests sent that have no fate yet."""
        return len(self._in_flight)

    def describe(self) -> str:
        """What is sent, in a few words, for the trace."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        """Take back what is scheduled."""

    def _emit(self, state: str, detail: str) -> int:
        return self.kernel.trace.emit(Kind.TRAFFIC, self.actor, state, detail)

    # Sending

    def _send(self, client: Any = None, kept: Connection | None = None) -> None:
        """Send one request now, over the kept connection if there is one that still stands."""
        now: int = self._env._now
        draw = self._draw_kind
        number = self.sent
        self.sent = number + 1
        exchange = Exchange(self, self._kinds[0] if draw is None else self._kinds[draw()], number, now)
        exchange.client = client
        self._in_flight[exchange] = None
        if not self._timer_armed:
            self._arm(now + self._timeout_ns)
        wire = self._wire
        exchange.wire_ns = 0 if wire is None else wire.draw_ns()
        connector = self._connector
        if self._keep_alive is not None:
            if not connector.is_current():
                connector.refresh()
            if self._pool is not None and client is None:
                kept = self._pool.take(now)
            elif kept is not None and not is_open(kept, now, to_ns(self._keep_alive.idle_timeout_s)):
                kept = None
            if kept is not None:
                exchange.connection = kept
                exchange.link = kept.link
                if wire is not None and type(kept.server) is not ProxyServer:
                    exchange.wire_ns = self._plain_wire_ns()
                self._hand_over(exchange, kept.link, kept.server)
                return
        exchange.connection = None
        link = exchange.link = connector.choose(exchange.kind.http)
        if link is None:
            why = connector.why_no_link()
            self._close_books(exchange, why.fate, why.status, why.detail, why.cause, None)
            return
        server = link.server
        if wire is not None and type(server) is not ProxyServer:
            exchange.wire_ns = self._plain_wire_ns()
        if self._handshake is not None:
            exchange.wire_ns += self._handshake.draw_ns()
        if server is None or link.reach is not Reach.OK:
            self._cannot_connect(exchange, link)
            return
        if self._keep_alive is not None:
            exchange.connection = Connection(link, server, now, now + self._max_age_ns)
        self._hand_over(exchange, link, server)

    def _plain_wire_ns(self) -> int:
        """The way there and back where neither Serve's proxy nor its router is on it."""
        return 0 if self._plain_wire is None else self._plain_wire.draw_ns()

    def _hand_over(self, exchange: Exchange, link: Link, server: object) -> None:
        if link.reach is not Reach.OK:
            exchange.is_lost = True
        elif type(server) is ProxyServer:
            if server.is_closed:
                self.failed(exchange, Fate.REFUSED, "nobody listens on the pod's port", server.routes_cause)
            else:
                server.accept(exchange)
        else:
            self.kernel.spawn(self.actor, self._ask(exchange, cast(Any, server)))

    async def _ask(self, exchange: Exchange, server: Any) -> None:
        """A server that is no Serve proxy."""
        try:
            answer: HttpResponse = await server.handle(exchange.http)
        except HttpFailure as failure:
            if exchange in self._in_flight and failure.failure is not Failure.TIMEOUT:
                fate = Fate.REFUSED if failure.failure is Failure.REFUSED else Fate.RESET
                detail = getattr(server, "end", "") or str(failure)
                self.failed(exchange, fate, detail, getattr(server, "ended_by", None))
            return
        if exchange in self._in_flight:
            self.answered(exchange, True, answer)

    def _cannot_connect(self, exchange: Exchange, link: Link) -> None:
        if link.reach is Reach.SILENT:
            exchange.is_lost = True
            return
        previous = link.previous
        cause: int | None
        cause = previous.routes_cause if isinstance(previous, ProxyServer) else getattr(previous, "ended_by", None)
        if cause is None:
            cause = self._connector.cause()
        self.failed(exchange, Fate.REFUSED, "nobody listens on the pod's port", cause)

    # Ends

    def answered(self, exchange: Exchange, ok: bool, value: Any) -> None:
        """The proxy has answered. The answer is lost when the pod has fallen silent."""
        link = exchange.link
        assert link is not None
        if not self._connector.is_current():
            self._connector.refresh()
        if link.reach is not Reach.OK:
            exchange.is_lost = True
            return
        if ok and type(value) is not HttpResponse:
            del self._in_flight[exchange]
            now = self._env._now
            latency = now - exchange.sent_ns + exchange.wire_ns
            data = (exchange.number, _OK, latency, 200, exchange.app, link.pod, "")
            self._append((now, self.actor, _REQUEST, exchange.kind.subject, data, self._cause))
            self._free(exchange, exchange.connection)
            return
        status = status_of(ok, value)
        fate = fate_of(status)
        detail, cause = ("", None) if fate is Fate.OK else self._explain(exchange, ok, value, status)
        self._close_books(exchange, fate, status, detail, cause, exchange.connection)

    def failed(self, exchange: Exchange, fate: Fate, detail: str, cause: int | None) -> None:
        """No answer will come."""
        link = exchange.link
        if link is not None and fate is Fate.RESET and link.reach is Reach.SILENT:
            exchange.is_lost = True
            return
        self._broken(exchange, fate, detail, cause)

    def _broken(self, exchange: Exchange, fate: Fate, detail: str, cause: int | None) -> None:
        """The connection to the pod does not carry the request to its end."""
        if isinstance(self.target, GatewayTarget):
            # That connection is the gateway's: the client is told.
            self._close_books(
                exchange, Fate.UNAVAILABLE, 503, f"{fate.value} behind the gateway: {detail}", cause, None
            )
            return
        self._close_books(exchange, fate, None, detail, cause, None)

    def _close_books(
        self,
        exchange: Exchange,
        fate: Fate,
        status: int | None,
        detail: str,
        cause: int | None,
        connection: Connection | None,
    ) -> None:
        if exchange not in self._in_flight:
            return
        del self._in_flight[exchange]
        now: int = self._env._now
        took = now - exchange.sent_ns + (exchange.wire_ns if fate is not Fate.TIMEOUT or status is not None else 0)
        pod = exchange.link.pod if exchange.link is not None else ""
        data = (exchange.number, fate.value, took, status, exchange.app, pod, detail[:_DETAIL_LENGTH])
        if cause is None:
            cause = self._cause
        self._append((now, self.actor, _REQUEST, exchange.kind.subject, data, cause))
        self._free(exchange, connection)

    def _free(self, exchange: Exchange, connection: Connection | None) -> None:
        """The request has its fate; what it used can be used again."""
        if connection is not None:
            connection.used_ns = self._env._now
        if self._pool is not None and exchange.client is None:
            self._pool.give_back(connection)
        if self._settled is not None and not self._in_flight:
            self._settled.set(None)
            self._settled = None
        if exchange.client is not None:
            self._client_free(exchange, connection)

    def _client_free(self, exchange: Exchange, connection: Connection | None) -> None:
        """A closed loop's client has its answer."""

    def _explain(self, exchange: Exchange, ok: bool, value: Any, status: int) -> tuple[str, int | None]:
        """What to say of a bad answer, without anything that differs from request to request, and its cause."""
        proxy = exchange.proxy
        if status == 408:
            return "the proxy's time limit passed", None
        if ok and isinstance(value, HttpResponse):
            return f"the application answered {status}", None
        if isinstance(value, HttpResponse):
            return value.body.decode(errors="replace"), proxy.routes_cause if proxy is not None else None
        if isinstance(value, ReplicaDied):
            return f"the replica died: {value.reason}", value.cause
        if isinstance(value, CallFailed):
            return str(value), value.cause
        return f"{type(value).__name__}: {value}", None

    # Time limits: the oldest request is always the first of the dictionary, so one timer is enough

    def _arm(self, due_ns: int) -> None:
        self._timer_armed = True
        self.kernel.call_later(due_ns - self._env._now, self._expire)

    def _expire(self, _: Any) -> None:
        now: int = self._env._now
        self._timer_armed = False
        while self._in_flight:
            oldest = next(iter(self._in_flight))
            due = oldest.sent_ns + self._timeout_ns
            if due > now:
                self._arm(due)
                return
            self._give_up(oldest)

    def _give_up(self, exchange: Exchange) -> None:
        cause: int | None = None
        router = exchange.router
        if exchange.is_lost:
            detail = "the pod does not answer"
            cause = exchange.link.cause if exchange.link is not None else None
        elif exchange.execution is not None:
            detail = f"still running in {exchange.execution.deployment}"
        elif router is not None and exchange in router.waiting:
            detail, cause = f"waiting for a replica of {router.deployment.name}", router.cause
        else:
            detail = "no answer"
        if not exchange.is_lost:
            exchange.abandon()
        self._close_books(exchange, Fate.TIMEOUT, None, detail, cause, None)

    def _host_gone(self, link: Link, failure: Failure) -> None:
        """A pod's network is taken down, or the host has fallen silent, under requests on their way."""
        link.cause = self.kernel.cause
        if failure is not Failure.RESET:
            return
        # A server that ended at the same moment was first; those who wait for its answers have only not had their turn.
        server = link.server or link.previous
        detail = getattr(server, "end", "") or "the pod's network was taken down"
        cause = getattr(server, "ended_by", None) or link.cause
        for exchange in [exchange for exchange in self._in_flight if exchange.link is link]:
            if not exchange.is_done:
                exchange.abandon()
            self._broken(exchange, Fate.RESET, detail, cause)
