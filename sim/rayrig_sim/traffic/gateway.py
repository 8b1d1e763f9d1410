"""The hop through a Gateway: each request by itself is given to a backend by the HTTPRoute's weights, then to an endpoint of it.

The gateway keeps its own connections to the endpoints; a client's kept connection ends at the gateway, so it pins nothing. What
breaks behind the gateway reaches the client as a 503, what has no backend as 404 or 500 (Gateway API v1, HTTPBackendRef). Nothing
is tried again: retries are a matter of the gateway's make.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rayrig_core.http import Failure, HttpRequest
from rayrig_sim.kubernetes.gateway.routes import RouteBackend
from rayrig_sim.traffic.connections import Connector, Link, Pods
from rayrig_sim.traffic.requests import Fate, GatewayTarget, NoLink, Target


@dataclass(slots=True)
class _Share:
    """A backend of a rule. It takes draws below `until`, counted from the end of the share before."""

    until: int
    backend: RouteBackend
    connector: Connector


class GatewayConnector:
    """Chooses where a request of one source goes. Stands where `Connector` stands for a Service."""

    __slots__ = (
        "_connectors",
        "_gateways_version",
        "_no_link",
        "_on_gone",
        "_random",
        "_rng",
        "_shares",
        "_source",
        "pods",
        "target",
    )

    def __init__(
        self, pods: Pods, target: GatewayTarget, source: str, rng: Random, on_gone: Callable[[Link, Failure], None]
    ) -> None:
        self.pods = pods
        self.target = target
        self._source = source
        self._rng = rng
        self._random = rng.random
        self._on_gone = on_gone
        self._connectors: dict[tuple[str, str, int], Connector] = {}
        #: By identity: a source sends the same few request objects again and again.
        self._shares: dict[int, tuple[HttpRequest, list[_Share]]] = {}
        self._gateways_version = -1
        self._no_link = NoLink(Fate.NO_ENDPOINT, None, "", None)

    def choose(self, request: HttpRequest) -> Link | None:
        """The link of this request; None when there is none, then `why_no_link` tells why."""
        if self._gateways_version != self.pods.gateways.version:
            self._shares.clear()
            self._gateways_version = self.pods.gateways.version
        found = self._shares.get(id(request))
        if found is None:
            shares = self._find(request)
            if shares is None:
                return None
            found = self._shares[id(request)] = (request, shares)
        shares = found[1]
        share = shares[0]
        if len(shares) > 1:
            draw = self._random() * shares[-1].until
            share = next(each for each in shares if draw < each.until)
        backend = share.backend
        if backend.problem:
            self._no_link = NoLink(Fate.ERROR, 500, f"the route's backend is missing: {backend.problem}", self.cause())
            return None
        link = share.connector.choose()
        if link is None:
            detail = f"no endpoint is ready behind Service {backend.service}"
            self._no_link = NoLink(Fate.UNAVAILABLE, 503, detail, share.connector.cause() or self.cause())
        return link

    def _find(self, request: HttpRequest) -> list[_Share] | None:
        """Shares of the first rule that takes the request; those of weight 0 get none."""
        target, gateways = self.target, self.pods.gateways
        rules = gateways.rules(target.namespace, target.gateway, target.port)
        if rules is None:
            is_there = gateways.has_gateway(target.namespace, target.gateway)
            detail = f"the Gateway does not listen on port {target.port}" if is_there else "no such Gateway"
            self._no_link = NoLink(Fate.NO_ENDPOINT, None, detail, self.cause())
            return None
        rule = next((rule for rule in rules if rule.takes(request)), None)
        if rule is None:
            self._no_link = NoLink(Fate.NOT_FOUND, 404, "no HTTPRoute takes this request", self.cause())
            return None
        shares: list[_Share] = []
        total = 0
        for backend in rule.backends:
            if backend.weight > 0:
                total += backend.weight
                shares.append(_Share(total, backend, self._connector(backend)))
        if not shares:
            self._no_link = NoLink(Fate.ERROR, 500, "the HTTPRoute has no backend with a weight", self.cause())
            return None
        return shares

    def _connector(self, backend: RouteBackend) -> Connector:
        key = (backend.namespace, backend.service, backend.port)
        found = self._connectors.get(key)
        if found is None:
            target = Target(backend.service, backend.namespace, backend.port)
            found = Connector(self.pods, target, self._source, self._rng, self._on_gone)
            self._connectors[key] = found
        return found

    def is_current(self) -> bool:
        """Whether what the links say is what the network says."""
        return all(connector.is_current() for connector in self._connectors.values())

    def refresh(self) -> None:
        for connector in self._connectors.values():
            connector.refresh()

    def why_no_link(self) -> NoLink:
        return self._no_link

    def cause(self) -> int | None:
        """Trace event of the last change of the Gateway's rules."""
        return self.pods.gateways.cause_of(self.target.namespace, self.target.gateway)
