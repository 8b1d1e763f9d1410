"""All routers of one Serve instance, kept at what the controller last pushed (its long poll, `reference/ray-serve.md`
5.11).

The control plane pushes a deployment's state here once; every router of it follows, and one made later begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    routers: list[Router] = field(default_factory=list)


class Routers:
    """Routers by deployment. `on_starved` hears of a deployment for which a call waits while it has no replica."""

    __slots__ = ("_by_deployment", "_kernel", "_name", "on_starved", "silent")

    def __init__(
        self, kernel: Kernel, name: str = "serve", *, on_starved: Callable[[DeploymentId], None] | None = None
    ) -> None:
        self._kernel = kernel
        self._name = name
        self._by_deployment: dict[DeploymentId, _Pushed] = {}
        self.on_starved = on_starved
        #: Processes that hold handles and report their queues no more, without anybody knowing why: drivers that were killed.
        self.silent: dict[str, None] = {}

    # Making and ending

    def router(self, deployment: DeploymentId, *, owner: str, node_id: str | None = None) -> Router:
        """A new router; `owner` (a replica id, a proxy's node) is who holds it and names its random stream."""
        rng = self._kernel.streams.stream(f"router/{self._name}/{owner}/{deployment.app}/{deployment.name}")
        router = Router(self._kernel, deployment, rng, node_id, owner=owner, on_starved=self._starved)
        pushed = self._of(deployment)
        pushed.routers.append(router)
        router.configure(pushed.config)
        router.set_unavailable(pushed.is_unavailable, pushed.cause)
        router.update_replicas(pushed.replicas, pushed.cause)
        return router

    def handles(self, app: str, owner: str) -> Callable[[str], DeploymentHandle]:
        """What a replica of `app` makes its children's handles with (`ReplicaExecution(handles=...)`)."""
        return lambda name: DeploymentHandle(self.router(DeploymentId(name, app), owner=owner))

    def close(self, router: Router) -> None:
        """The handle is gone."""
        router.close()
        routers = self._of(router.deployment).routers
        if router in routers:
            routers.remove(router)

    def close_owner(self, owner: str) -> None:
        """The process that held these handles is gone (a replica's death, a proxy's end)."""
        for pushed in self._by_deployment.values():
            for router in [router for router in pushed.routers if router.owner == owner]:
                router.close()
                pushed.routers.remove(router)

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
        for router in pushed.routers:
            router.configure(config)

    def remove(self, deployment: DeploymentId, cause: int | None = None) -> None:
        """The deployment is deleted. Calls that wait go on waiting, as for any deployment without replicas."""
        pushed = self._by_deployment.get(deployment)
        if pushed is None:
            return
        self.update_replicas(deployment, (), cause)
        self.set_unavailable(deployment, False, cause)
        if not pushed.routers:
            del self._by_deployment[deployment]

    # What autoscaling reads

    def queued(self, deployment: DeploymentId) -> int:
        """Calls that wait in any handle."""
        return sum(len(router.waiting) for router in self._of(deployment).routers)

    def ongoing(self, deployment: DeploymentId) -> int:
        """Calls that run, as the handles count them."""
        return sum(router.ongoing for router in self._of(deployment).routers)

    def loads(self, deployment: DeploymentId) -> list[tuple[str, int, int]]:
        """(owner, queued, ongoing) for each handle."""
        return [(router.owner, len(router.waiting), router.ongoing) for router in self._of(deployment).routers]

    def _of(self, deployment: DeploymentId) -> _Pushed:
        pushed = self._by_deployment.get(deployment)
        if pushed is None:
            pushed = self._by_deployment[deployment] = _Pushed()
        return pushed

    def _starved(self, deployment: DeploymentId) -> None:
        if self.on_starved is not None:
            self.on_starved(deployment)
