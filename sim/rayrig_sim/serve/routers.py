"""All routers of one Serve instance, kept at what the controller last pushed (its long poll, `reference/ray-serve.md`
5.11).

The control plane pushes a deployment's state here once; every router of it follows, and one made later begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rayrig_sim.serve.handle_metrics import Counting, HandleMetrics, HandleReport
from rayrig_sim.serve.handles import DeploymentHandle
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.router import Router, RouterConfig

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel
    from rayrig_sim.serve.execution import ReplicaExecution


@dataclass(slots=True)
class _Pushed:
    replicas: tuple[ReplicaExecution, ...] = ()
    is_unavailable: bool = False
    config: RouterConfig = field(default_factory=RouterConfig)
    cause: int | None = None
    routers: dict[Router, HandleMetrics] = field(default_factory=dict)


class Routers:
    """Routers by deployment. `on_report` hears what handles of autoscaled deployments report, `on_closed` of their ends;
    `tells_nothing` is asked whether another report without calls would make no difference.
    """

    __slots__ = (
        "_by_deployment",
        "_kernel",
        "_name",
        "ingress_of",
        "on_closed",
        "on_report",
        "silent",
        "tells_nothing",
    )

    def __init__(self, kernel: Kernel, name: str = "serve") -> None:
        self._kernel = kernel
        self._name = name
        self._by_deployment: dict[DeploymentId, _Pushed] = {}
        #: The ingress of an application, as the controller knows it.
        self.ingress_of: Callable[[str], str | None] = _nobody_knows
        self.on_report: Callable[[DeploymentId, HandleReport], None] | None = None
        self.on_closed: Callable[[Router], None] | None = None
        self.tells_nothing: Callable[[Router], bool] | None = None
        #: Processes that hold handles and report their queues no more, without anybody knowing why: drivers that were killed.
        self.silent: dict[str, None] = {}

    # Making and ending

    def router(self, deployment: DeploymentId, *, owner: str, node_id: str | None = None) -> Router:
        """A new router; `owner` (a replica id, a proxy's node) is who holds it and names its random stream."""
        rng = self._kernel.streams.stream(f"router/{self._name}/{owner}/{deployment.app}/{deployment.name}")
        router = Router(self._kernel, deployment, rng, node_id, owner=owner)
        metrics = HandleMetrics(
            self._kernel, router, lambda report: self._reported(router, report), lambda: self._tells_nothing(router)
        )
        router.on_starved = metrics.starved
        pushed = self._of(deployment)
        pushed.routers[router] = metrics
        router.configure(pushed.config)
        router.set_unavailable(pushed.is_unavailable, pushed.cause)
        router.update_replicas(pushed.replicas, pushed.cause)
        metrics.follow(pushed.config.metrics)
        return router

    def handles(self, app: str, owner: str) -> Callable[..., DeploymentHandle]:
        """What a replica of `app` makes its children's handles with (`ReplicaExecution(handles=...)`)."""
        return lambda name, app=app: DeploymentHandle(self.router(DeploymentId(name, app), owner=owner))

    def close(self, router: Router) -> None:
        """The handle is gone."""
        metrics = self._of(router.deployment).routers.pop(router, None)
        if metrics is not None:
            metrics.follow(None)
        router.close()
        if self.on_closed is not None:
            self.on_closed(router)

    def close_owner(self, owner: str) -> None:
        """The process that held these handles is gone (a replica's death, a proxy's end)."""
        for pushed in self._by_deployment.values():
            for router in [router for router in pushed.routers if router.owner == owner]:
                self.close(router)

    # What the controller pushes

    def update_replicas(
        self, deployment: DeploymentId, replicas: Sequence[ReplicaExecution], cause: int | None = None
    ) -> None:
        """The replicas that get calls: RUNNING ones, and others that still do (UPDATING, PENDING_MIGRATION,
        RECOVERING).
        """
        pushed = self._of(deployment)
        pushed.replicas, pushed.cause = tuple(replicas), self._kernel.cause if cause is None else cause
        for router in list(pushed.routers):
            router.update_replicas(pushed.replicas, pushed.cause)

    def set_unavailable(self, deployment: DeploymentId, is_unavailable: bool, cause: int | None = None) -> None:
        """DEPLOY_FAILED without running replicas: calls fail at once."""
        pushed = self._of(deployment)
        if pushed.is_unavailable == is_unavailable:
            return
        pushed.is_unavailable, pushed.cause = is_unavailable, self._kernel.cause if cause is None else cause
        for router in list(pushed.routers):
            router.set_unavailable(is_unavailable, pushed.cause)

    def configure(self, deployment: DeploymentId, config: RouterConfig) -> None:
        pushed = self._of(deployment)
        if pushed.config == config:
            return
        pushed.config = config
        for router, metrics in list(pushed.routers.items()):
            router.configure(config)
            metrics.follow(config.metrics)

    def remove(self, deployment: DeploymentId, cause: int | None = None) -> None:
        """The deployment is deleted. Calls that wait go on waiting, as for any deployment without replicas."""
        pushed = self._by_deployment.get(deployment)
        if pushed is None:
            return
        self.update_replicas(deployment, (), cause)
        self.set_unavailable(deployment, False, cause)
        if not pushed.routers:
            del self._by_deployment[deployment]

    def loads(self, deployment: DeploymentId) -> list[tuple[str, int, int]]:
        """(owner, queued, ongoing) for each handle."""
        return [(router.owner, router.queued, router.ongoing) for router in self._of(deployment).routers]

    def _of(self, deployment: DeploymentId) -> _Pushed:
        pushed = self._by_deployment.get(deployment)
        if pushed is None:
            pushed = self._by_deployment[deployment] = _Pushed()
        return pushed

    def _reported(self, router: Router, report: HandleReport) -> None:
        if self.on_report is not None and router.owner not in self.silent:
            self.on_report(router.deployment, report)

    def _tells_nothing(self, router: Router) -> bool:
        if self.on_report is None or router.owner in self.silent:
            return True
        return self.tells_nothing is not None and self.tells_nothing(router)

    def are_heard(self, deployment: DeploymentId, handles: Iterable[Counting]) -> bool:
        """Whether these routers go on reporting, and their reports arrive."""
        heard = {
            router: None
            for router, metrics in self._of(deployment).routers.items()
            if metrics.is_going and router.owner not in self.silent
        }
        return all(handle in heard for handle in handles)


def _nobody_knows(_: str) -> None:
    """There is no controller."""
