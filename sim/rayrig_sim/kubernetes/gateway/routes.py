"""Where a Gateway sends a request: rules from HTTPRoutes in the order in which they are tried, and a table of those in effect.

Source: the Gateway API v1 (HTTPRouteMatch for the order of matches, HTTPBackendRef for what answers when a backend is missing).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject, namespace_of


@dataclass(frozen=True, slots=True)
class RouteBackend:
    """A Service's port and its share. `problem`: why requests that fall to it are answered with 500; empty when it is sound."""

    namespace: str
    service: str
    port: int
    weight: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One match of a route's rule with the rule's backends. An empty `method` or `hostnames` takes all."""

    hostnames: tuple[str, ...]
    path_type: str
    path: str
    method: str
    headers: tuple[tuple[str, str, str], ...]
    backends: tuple[RouteBackend, ...]

    def takes(self, request: HttpRequest) -> bool:
        if self.method and self.method != request.method:
            return False
        if self.hostnames and not _is_host_among(request.headers.get("host", ""), self.hostnames):
            return False
        for name, type_, value in self.headers:
            sent = request.headers.get(name)
            if sent is None or (re.fullmatch(value, sent) is None if type_ == "RegularExpression" else sent != value):
                return False
        if self.path_type == "Exact":
            return request.path == self.path
        if self.path_type == "RegularExpression":
            return re.fullmatch(self.path, request.path) is not None
        # A prefix is compared path element by path element.
        prefix = self.path.rstrip("/")
        return request.path == prefix or request.path.startswith(prefix + "/")

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Smaller is tried first: exact paths, longer paths, a method, more headers."""
        kind = ("Exact", "RegularExpression", "PathPrefix").index(self.path_type)
        return kind, -len(self.path), 0 if self.method else 1, -len(self.headers)


def _is_host_among(host: str, hostnames: tuple[str, ...]) -> bool:
    host = host.partition(":")[0].lower()
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in hostnames)


def rules_of(route: JsonObject, problems: dict[tuple[str, str], str]) -> list[RouteRule]:
    """The rules of a route as written. `problems` of backends by namespace and name."""
    spec = route["spec"]
    hostnames = tuple(name.lower() for name in spec.get("hostnames") or ())
    rules: list[RouteRule] = []
    for rule in spec.get("rules") or ():
        backends = tuple(_backend(route, reference, problems) for reference in rule.get("backendRefs") or ())
        matches: list[JsonObject] = rule.get("matches") or [{}]
        for match in matches:
            path = match.get("path") or {}
            headers = tuple(
                (each["name"].lower(), each.get("type", "Exact"), each["value"]) for each in match.get("headers") or ()
            )
            rules.append(
                RouteRule(
                    hostnames,
                    path.get("type", "PathPrefix"),
                    path.get("value", "/"),
                    match.get("method", ""),
                    headers,
                    backends,
                )
            )
    return rules


def backend_key(route: JsonObject, reference: JsonObject) -> tuple[str, str]:
    """(namespace, name) of what a backend reference names."""
    return reference.get("namespace") or namespace_of(route), reference["name"]


def _backend(route: JsonObject, reference: JsonObject, problems: dict[tuple[str, str], str]) -> RouteBackend:
    key = backend_key(route, reference)
    return RouteBackend(*key, int(reference.get("port") or 0), int(reference.get("weight", 1)), problems.get(key, ""))


def chosen_backend(rules: Iterable[RouteRule], request: HttpRequest, rng: Random) -> RouteBackend | HttpResponse:
    """Where one request goes by the weights of the first rule that takes it, or what the gateway answers instead."""
    rule = next((rule for rule in rules if rule.takes(request)), None)
    if rule is None:
        return HttpResponse.text(404, "no HTTPRoute takes this request")
    shared = [backend for backend in rule.backends if backend.weight > 0]
    if not shared:
        return HttpResponse.text(500, "the HTTPRoute has no backend with a weight")
    draw = rng.random() * sum(backend.weight for backend in shared)
    for backend in shared:
        draw -= backend.weight
        if draw < 0:
            break
    if backend.problem:
        return HttpResponse.text(500, f"the route's backend is missing: {backend.problem}")
    return backend


#: What the names under which the model's Gateways are reached end with.
_ADDRESS_END = "gateway"


def address_of(namespace: str, gateway: str) -> str:
    """The name under which a Gateway of the model is reached."""
    return f"{gateway}.{namespace}.{_ADDRESS_END}"


class GatewayTable:
    """The rules in effect by Gateway. `version` grows with each change; what was read may be kept while it stays the same."""

    __slots__ = ("_causes", "_ports", "_rules", "version")

    def __init__(self) -> None:
        self.version = 0
        self._ports: dict[tuple[str, str], tuple[int, ...]] = {}
        self._rules: dict[tuple[str, str], tuple[RouteRule, ...]] = {}
        self._causes: dict[tuple[str, str], int | None] = {}

    def rules(self, namespace: str, gateway: str, port: int) -> tuple[RouteRule, ...] | None:
        """Rules in the order in which they are tried; None when no such Gateway listens on that port."""
        key = (namespace, gateway)
        return self._rules[key] if port in self._ports.get(key, ()) else None

    def at(self, host: str) -> tuple[str, str] | None:
        """(namespace, name) of the Gateway in effect that is reached under that name."""
        name, _, rest = host.partition(".")
        namespace, _, end = rest.partition(".")
        key = (namespace, name)
        return key if end == _ADDRESS_END and key in self._ports else None

    def has_gateway(self, namespace: str, gateway: str) -> bool:
        return (namespace, gateway) in self._ports

    def cause_of(self, namespace: str, gateway: str) -> int | None:
        """Trace event of the last change of that Gateway's rules."""
        return self._causes.get((namespace, gateway))

    def is_same(self, namespace: str, gateway: str, ports: Iterable[int], rules: Iterable[RouteRule]) -> bool:
        key = (namespace, gateway)
        return self._ports.get(key) == tuple(ports) and self._rules.get(key) == tuple(rules)

    def put(
        self, namespace: str, gateway: str, ports: Iterable[int], rules: Iterable[RouteRule], cause: int | None
    ) -> None:
        key = (namespace, gateway)
        self.version += 1
        self._ports[key] = tuple(ports)
        self._rules[key] = tuple(rules)
        self._causes[key] = cause

    def remove(self, namespace: str, gateway: str, cause: int | None) -> None:
        key = (namespace, gateway)
        self.version += 1
        self._ports.pop(key, None)
        self._rules.pop(key, None)
        self._causes[key] = cause
