"""The dashboards of the world in memory: a fake agent in front of each Serve instance, which a fault can make answer errors."""

from __future__ import annotations

from rayrig_fakes.dashboard.agent import DashboardAgent
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.instance import SimulatedServe


class Dashboards:
    """Makes them; remembers which clusters' dashboards are out of order, also for heads to come."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._agents: dict[tuple[str, str], DashboardAgent] = {}
        self._errors: dict[tuple[str, str], int] = {}

    def make(self, serve: SimulatedServe) -> DashboardAgent:
        """What listens on a head's dashboard port."""
        cluster = serve.cluster
        key = (cluster.namespace, cluster.name)
        rng = self._kernel.streams.stream(f"dashboard-agent/{cluster.namespace}/{cluster.name}")
        agent = DashboardAgent(serve, cluster=cluster, clock=self._kernel, rng=rng)
        agent.error_code = self._errors.get(key)
        self._agents[key] = agent
        return agent

    def set_error(self, namespace: str, cluster: str, code: int | None) -> None:
        """Answer every call with that status; None: as usual."""
        key = (namespace, cluster)
        if code is None:
            self._errors.pop(key, None)
        else:
            self._errors[key] = code
        if key in self._agents:
            self._agents[key].error_code = code
