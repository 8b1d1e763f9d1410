"""What the controller pushes to routers and proxies: its long poll, with the time a push takes.

Pushes about one key arrive in the order in which they were made. After a restart of the controller they are held back until no
replica is recovering, so that routers keep their old lists (ray-serve.md 5.10, 5.11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rayrig_sim.serve.context import ServeContext
from rayrig_sim.serve.execution import ReplicaExecution
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.proxy_server import Route
from rayrig_sim.serve.router import RouterConfig


class Broadcaster:
    """One per instance. `route_tables` are the running proxies' `set_routes`, each called with every new table."""

    def __init__(self, context: ServeContext) -> None:
        self._context = context
        self._rng = context.stream("broadcast")
        self._arrived_ns: dict[object, int] = {}
        self._routes: tuple[Route, ...] | None = None
        self._routes_cause: int | None = None
        self.is_held = False
        self.route_tables: list[Callable[[Sequence[Route], int | None], None]] = []

    def replicas(
        self,
        deployment: DeploymentId,
        executions: tuple[ReplicaExecution, ...],
        is_unavailable: bool,
        cause: int | None,
    ) -> bool:
        """The replicas that may be given requests. False while held back: to be said again."""
        if self.is_held:
            return False
        routers = self._context.routers

        def deliver() -> None:
            routers.update_replicas(deployment, executions, cause)
            routers.set_unavailable(deployment, is_unavailable, cause)

        self._send(deployment, deliver)
        return True

    def configure(self, deployment: DeploymentId, config: RouterConfig) -> None:
        """Options that routers follow."""
        self._send(("config", deployment), lambda: self._context.routers.configure(deployment, config))

    def removed(self, deployment: DeploymentId, cause: int | None) -> None:
        """The deployment is deleted."""
        self._send(deployment, lambda: self._context.routers.remove(deployment, cause))

    @property
    def has_routes(self) -> bool:
        """Whether a table was ever pushed: until then proxies are not ready (ray-serve.md 6.3)."""
        return self._routes is not None

    def routes(self, routes: Sequence[Route], cause: int | None) -> None:
        """The route table, to all proxies."""
        table = tuple(routes)
        if table == self._routes:
            return
        self._routes, self._routes_cause = table, cause

        def deliver() -> None:
            for set_routes in list(self.route_tables):
                set_routes(table, cause)

        self._send("routes", deliver)

    def add_proxy(self, set_routes: Callable[[Sequence[Route], int | None], None]) -> None:
        """A new proxy asks for the table: it gets what there is, if any was ever pushed."""
        self.route_tables.append(set_routes)

        def deliver() -> None:
            if self._routes is not None and set_routes in self.route_tables:
                set_routes(self._routes, self._routes_cause)

        self._send("routes", deliver)

    def remove_proxy(self, set_routes: Callable[[Sequence[Route], int | None], None]) -> None:
        if set_routes in self.route_tables:
            self.route_tables.remove(set_routes)

    def _send(self, key: object, deliver: Callable[[], None]) -> None:
        kernel = self._context.kernel
        now_ns = kernel.monotonic_ns()
        arrives_ns = now_ns + self._context.calibration.serve_broadcast.draw_ns(self._rng)
        arrives_ns = max(arrives_ns, self._arrived_ns.get(key, 0))
        self._arrived_ns[key] = arrives_ns

        def arrived(_: Any) -> None:
            deliver()

        kernel.call_later(arrives_ns - now_ns, arrived)
