"""Endpoints, their routes, and which backends their traffic goes to: the tables of the early API, as of Ray 0.8.5.

Nothing runs here. Source: ray-serve.md 13.1, SV-144, SV-145, SV-147.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: How far from 1 the sum of weights may be.
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`route` is where it is reached over HTTP; its own name, which no path equals, when it has none."""

    name: str
    route: str
    methods: tuple[str, ...]


class Endpoints:
    """Which endpoints there are and where their traffic goes."""

    def __init__(self) -> None:
        self._by_route: dict[str, Endpoint] = {}
        self._policies: dict[str, dict[str, float]] = {}

    def create(self, name: str, route: str | None, methods: Sequence[str]) -> None:
        """Raises `ValueError` when the route or the name is taken; the same endpoint again changes nothing."""
        wanted = Endpoint(name, route or name, tuple(method.upper() for method in methods))
        known = self._by_route.get(wanted.route)
        if known == wanted:
            return
        if known is not None:
            raise ValueError(f"Cannot create endpoint. Route '{wanted.route}' is already registered.")
        if self.has(name):
            raise ValueError(f"Cannot create endpoint. Endpoint '{name}' is already registered.")
        self._by_route[wanted.route] = wanted

    def delete(self, name: str) -> None:
        """Looks for the endpoint among those with traffic only, so that one without keeps its route, as Ray 0.8.5 does."""
        if self._policies.pop(name, None) is None:
            return
        self._by_route = {route: each for route, each in self._by_route.items() if each.name != name}

    def set_traffic(self, name: str, weights: Mapping[str, float], backends: Mapping[str, object]) -> None:
        """Replace the endpoint's whole policy.

        Raises `ValueError` for an endpoint or backend that nobody registered, `AssertionError` when the weights don't sum to 1.
        """
        if not self.has(name):
            raise ValueError(f"Attempted to assign traffic for an endpoint '{name}' that is not registered.")
        total = 0.0
        for tag, weight in weights.items():
            total += weight
            if tag not in backends:
                raise ValueError(f"Attempted to assign traffic to a backend '{tag}' that is not registered.")
        if abs(total - 1) > _TOLERANCE:
            raise AssertionError(f"weights must sum to 1, currently they sum to {total}")
        self._policies[name] = dict(weights)

    def has(self, name: str) -> bool:
        return any(each.name == name for each in self._by_route.values())

    def at(self, path: str) -> Endpoint | None:
        """Exact paths only."""
        return self._by_route.get(path)

    def weights(self, name: str) -> Mapping[str, float]:
        """Empty when no traffic was set."""
        return self._policies.get(name, {})

    def user_of(self, tag: str) -> str | None:
        """The first endpoint whose policy names the backend, with weight 0 as well."""
        return next((name for name, weights in self._policies.items() if tag in weights), None)

    def routes(self) -> dict[str, tuple[str, list[str]]]:
        """Path to (endpoint, methods), as `/-/routes` lists them."""
        return {each.route: (each.name, list(each.methods)) for each in self._by_route.values()}

    def listed(self) -> dict[str, dict[str, object]]:
        """Name to route, methods and traffic."""
        return {
            each.name: {"route": each.route, "methods": list(each.methods), "traffic": dict(self.weights(each.name))}
            for each in self._by_route.values()
        }
