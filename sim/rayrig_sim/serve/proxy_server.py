"""A node's HTTP proxy: internal paths, routing by prefix, time limits, draining, and what happens when its process
ends.

It is the listener on the pod's Serve port. Control-plane callers await `handle`; traffic hands over exchanges with
`accept` and hears of their end by call-back. When proxies start, drain and go is the control plane's business.
Source: reference/ray-serve.md 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.identifiers import random_uuid
from rayrig_core.ports import Cancelled
from rayrig_core.timestamps import to_ns
from rayrig_sim.network.listeners import Forecast, Foreseeable
from rayrig_sim.serve.exchange import HttpExchange, response_of
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.router import Router
from rayrig_sim.serve.routes import match_route

if TYPE_CHECKING:
    from rayrig_sim.agenda import KernelSignal
    from rayrig_sim.kernel import Kernel
    from rayrig_sim.serve.routers import Routers

HEALTHZ = "/-/healthz"
ROUTES = "/-/routes"
_JSON = "application/json"
_DRAINING = HttpResponse.text(503, "This node is being drained.")
_NO_ROUTES_YET = HttpResponse.text(503, "Route table is not populated yet.")
_NO_REPLICAS_YET = HttpResponse.text(503, "No replicas are available yet.")
_SUCCESS = HttpResponse.text(200, "success")


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix, its application, and the deployment that gets the requests."""

    prefix: str
    app: str
    ingress: DeploymentId


@dataclass(frozen=True, slots=True)
class _Target:
    route: Route
    router: Router


class ProxyServer(Foreseeable):
    """One proxy process. Its routers come from `routers`, so that they follow what the controller pushes.

    `request_timeout_s` None or negative: no limit. `root_path` precedes the paths that applications see.
    """

    def __init__(
        self,
        kernel: Kernel,
        node_id: str,
        is_head: bool,
        rng: Random,
        *,
        routers: Routers,
        pod_ip: str = "",
        request_timeout_s: float | None = None,
        keep_alive_timeout_s: float = 90.0,
        root_path: str = "",
    ) -> None:
        self.kernel = kernel
        self.node_id = node_id
        self.is_head = is_head
        self.pod_ip = pod_ip
        self.keep_alive_timeout_s = keep_alive_timeout_s
        #: Requests taken and not answered, in order.
        self.in_flight: dict[HttpExchange, None] = {}
        #: No more connections; kept ones are closed.
        self.is_closed = False
        self.is_draining = False
        #: Accepts requests and answers none (a fault).
        self.is_hanging = False
        self._rng = rng
        self._routers = routers
        self._timeout_s = float(request_timeout_s) if request_timeout_s is not None and request_timeout_s >= 0 else None
        self._root_path = root_path.rstrip("/")
        self._routes: dict[str, _Target] | None = None
        self._by_deployment: dict[DeploymentId, Router] = {}
        self._by_path: dict[str, _Target | None] = {}
        self._saw_replica = False
        self._cause: int | None = None

    @property
    def ongoing(self) -> int:
        """Requests taken and not answered."""
        return len(self.in_flight)

    # What the control plane says

    def set_routes(self, routes: Sequence[Route], cause: int | None = None) -> None:
        """The route table, as a whole. Requests under way go on when theirs is gone."""
        self._cause = self.kernel.cause if cause is None else cause
        self._note_replicas()
        before = self._by_deployment
        routers = {route.ingress: before.get(route.ingress) for route in routes}
        self._by_deployment = {
            ingress: router or self._routers.router(ingress, owner=self._owner, node_id=self.node_id)
            for ingress, router in routers.items()
        }
        for ingress, router in before.items():
            if ingress not in routers and not router.waiting and not router.ongoing:
                self._routers.close(router)
        self._routes = {route.prefix: _Target(route, self._by_deployment[route.ingress]) for route in routes}
        self._by_path.clear()

    def set_draining(self, is_draining: bool) -> None:
        """The node is to lose its proxy: health says so, requests are still served."""
        self.is_draining = is_draining

    def set_hanging(self, is_hanging: bool) -> None:
        """A fault: requests that come from now on are taken and never answered."""
        self.is_hanging = is_hanging

    def close(self, reset: bool = True, cause: int | None = None) -> None:
        """The process ends. With `reset` requests under way break and their tasks are cancelled; without, they are
        still answered.
        """
        if not self.is_closed:
            self.is_closed = True
            self._cause = self.kernel.cause if cause is None else cause
        if not reset:
            return
        broken, self.in_flight = self.in_flight, {}
        for exchange in broken:
            if not exchange.is_done:
                exchange.cancel()
                exchange.was_reset(self._cause)
        self._routers.close_owner(self._owner)

    # Requests

    def healthz(self) -> HttpResponse:
        """Answer of `/-/healthz`."""
        return self._unready() or _SUCCESS

    def routes(self) -> HttpResponse:
        """Answer of `/-/routes`."""
        table = {prefix: target.route.app for prefix, target in (self._routes or {}).items()}
        unready = self._unready()
        if unready is not None:
            return unready
        answer = HttpResponse.of_json(200, table)
        return HttpResponse(200, answer.body, {"content-type": _JSON})

    def accept(self, exchange: HttpExchange) -> None:
        """Take a request. Its end comes by `exchange.answered` or `exchange.was_reset`, possibly before this returns."""
        exchange.proxy = self
        self.in_flight[exchange] = None
        if self.is_hanging:
            return
        http = exchange.http
        path = http.path
        try:
            target = self._by_path[path]
        except KeyError:
            target = self._find(path)
        if target is None:
            exchange.finished(False, self._answer_without_route(path))
            return
        exchange.app = target.route.app
        exchange.route_prefix = target.route.prefix
        if self._root_path:
            # uvicorn puts it before the path that the application sees; routes do not know of it.
            exchange.http = replace(http, path=self._root_path + path)
            exchange.route_prefix = self._root_path + target.route.prefix.rstrip("/")
        if self._timeout_s is not None or http.headers:
            self._limit(exchange)
        target.router.assign(exchange)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request. Raises `HttpFailure` when the process ends first; when the caller is cancelled, so is
        the request.
        """
        if self.is_closed:
            raise HttpFailure(Failure.REFUSED, f"{self.pod_ip}: the proxy has ended")
        exchange = _Awaited(request, self.kernel.signal(), self.pod_ip)
        self.accept(exchange)
        try:
            outcome: HttpResponse | HttpFailure = await exchange.done
        except Cancelled:
            if request.headers.get("x-request-disconnect-disabled") != "?1":
                exchange.abandon()
            raise
        if isinstance(outcome, HttpFailure):
            raise outcome
        request_id = request.headers.get("x-request-id") or random_uuid(self._rng)
        return HttpResponse(outcome.status, outcome.body, {**outcome.headers, "x-request-id": request_id})

    def foresee(self, request: HttpRequest) -> Forecast | None:
        """Of the internal path that tells of health."""
        if request.path != HEALTHZ or self.is_closed or self.is_hanging or request.headers.get("x-request-id"):
            return None
        return Forecast((self, self.healthz().status), draws=(self._draw_request_id,))

    def _draw_request_id(self) -> int:
        """As `random_uuid` draws, without the text."""
        self._rng.getrandbits(128)
        return 0

    # Inside

    @property
    def _owner(self) -> str:
        return f"proxy/{self.node_id}"

    def _note_replicas(self) -> bool:
        if not self._saw_replica:
            self._saw_replica = any(router.has_had_replicas for router in self._by_deployment.values())
        return self._saw_replica

    def _unready(self) -> HttpResponse | None:
        if self.is_draining:
            return _DRAINING
        if self._routes is None:
            return _NO_ROUTES_YET
        if not self.is_head and not self._note_replicas():
            return _NO_REPLICAS_YET
        return None

    def _find(self, path: str) -> _Target | None:
        table = self._routes or {}
        prefix = None if path in (HEALTHZ, ROUTES) else match_route(table, path)
        target = None if prefix is None else table[prefix]
        if len(self._by_path) < 10_000:
            self._by_path[path] = target
        return target

    def _answer_without_route(self, path: str) -> HttpResponse:
        if path == HEALTHZ:
            return self.healthz()
        if path == ROUTES:
            return self.routes()
        return HttpResponse.text(404, f"Path '{path}' not found. Ping http://.../-/routes for available routes.")

    @property
    def routes_cause(self) -> int | None:
        """Trace event of the last route table, or of the end of the process."""
        return self._cause

    def _limit(self, exchange: HttpExchange) -> None:
        """Start the time limit: `x-request-timeout-seconds` over `request_timeout_s`; none when not positive or none
        is set.
        """
        limit_s = _header_timeout_s(exchange.http.headers, self._timeout_s)
        if limit_s is not None and limit_s > 0:
            exchange.timer = self.kernel.call_later(to_ns(limit_s), _TimeLimit(self, exchange, limit_s))

    def _time_out(self, exchange: HttpExchange, limit_s: float) -> None:
        request_id = exchange.http.headers.get("x-request-id") or random_uuid(self._rng)
        exchange.cancel()
        exchange.is_done = False
        exchange.finished(False, HttpResponse.text(408, f"Request {request_id} timed out after {limit_s}s."))


def _header_timeout_s(headers: Mapping[str, str], configured_s: float | None) -> float | None:
    text = headers.get("x-request-timeout-seconds")
    if text is None:
        return configured_s
    try:
        return float(text)
    except ValueError:
        return configured_s


class _TimeLimit:
    """Ends a request that takes too long."""

    __slots__ = ("_exchange", "_limit_s", "_proxy")

    def __init__(self, proxy: ProxyServer, exchange: HttpExchange, limit_s: float) -> None:
        self._proxy = proxy
        self._exchange = exchange
        self._limit_s = limit_s

    def __call__(self, _: Any) -> None:
        if not self._exchange.is_done:
            self._proxy._time_out(self._exchange, self._limit_s)


class _Awaited(HttpExchange):
    """A request whose caller is an actor."""

    __slots__ = ("done", "pod_ip")

    def __init__(self, http: HttpRequest, done: KernelSignal[Any], pod_ip: str) -> None:
        HttpExchange.__init__(self, http)
        self.done = done
        self.pod_ip = pod_ip

    def answered(self, ok: bool, value: Any) -> None:
        self.done.set(response_of(ok, value))

    def was_reset(self, cause: int | None) -> None:
        self.is_done = True
        self.done.set(HttpFailure(Failure.RESET, self.pod_ip))
