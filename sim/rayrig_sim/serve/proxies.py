"""Proxies: which nodes have one, their processes, and the controller's state machine of each.

Source: ray-serve.md 4.4, 6.1, 6.2, 6.7. What a proxy does with requests is `ProxyServer`'s. Health checks of a proxy that lives and
answers pass, so they are not carried out; when it dies or hangs, the checks are taken up where they would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import to_ns
from rayrig_core.trace import Kind
from rayrig_sim.network.fabric import AddressTaken
from rayrig_sim.ray.cluster import Actor, ActorSpec, RayNode
from rayrig_sim.serve.broadcast import Broadcaster
from rayrig_sim.serve.context import NEVER_NS, ServeContext
from rayrig_sim.serve.proxy_server import ProxyServer
from rayrig_sim.serve.status import ProxyStatus

if TYPE_CHECKING:
    from rayrig_core.ports import Task

ACTOR_PREFIX = "SERVE_PROXY_ACTOR-"
_READY_TIMEOUT_S = 5.0
_READY_FAILURES = 3
_CHECK_PERIOD_NS = to_ns(10)
_CHECK_TIMEOUT_NS = to_ns(10)
_CHECK_FAILURES = 3
_DRAIN_CHECK_PERIOD_NS = to_ns(5)
_MIN_DRAINING_NS = to_ns(30)

_P = ProxyStatus

#: What may follow what.
TRANSITIONS: dict[ProxyStatus, tuple[ProxyStatus, ...]] = {
    _P.STARTING: (_P.HEALTHY, _P.UNHEALTHY),
    _P.HEALTHY: (_P.UNHEALTHY, _P.DRAINING),
    _P.DRAINING: (_P.HEALTHY, _P.UNHEALTHY, _P.DRAINED),
    _P.UNHEALTHY: (),
    _P.DRAINED: (),
}


def ready_timeout_s(restarts: int) -> float:
    """How long a proxy that was restarted this often has to get ready."""
    return _READY_TIMEOUT_S * (restarts + 1)


class ProxyProcess:
    """A proxy's actor on one node. Outlives the controller, as replicas do. `notify` hears of its readiness."""

    def __init__(self, context: ServeContext, node: RayNode, broadcaster: Broadcaster) -> None:
        self.context = context
        self.node = node
        self.server: ProxyServer | None = None
        self.notify: Callable[[], None] = _nobody
        self.is_ready = False
        self.failure = ""
        self.death: str | None = None
        #: Trace event of what killed it, or made it hang.
        self.trouble_cause: int | None = None
        self.troubled_ns = NEVER_NS
        self._broadcaster = broadcaster
        self._rng = context.stream(f"proxy/{node.name}")
        self._task: Task[None] | None = None
        name = f"{ACTOR_PREFIX}{node.node_id}"
        spec = ActorSpec(name=name, resources={}, pinned_to=node.node_id, class_name="ProxyActor")
        self.actor: Actor = context.cluster.create_actor(spec, on_dead=self._died, payload=self)
        self._task = context.kernel.spawn(f"proxy {node.name} start", self._start())

    @property
    def port(self) -> int:
        return int(self.context.http_options.get("port", 8000))

    async def _start(self) -> None:
        context, node = self.context, self.node
        calibration = context.calibration
        duration = calibration.proxy_start if node.is_head else calibration.proxy_start_worker
        await context.kernel.sleep_ns(duration.draw_ns(self._rng))
        if not node.has_processes:
            return  # the raylet is gone, which the GCS will find out
        options = context.http_options
        server = ProxyServer(
            context.kernel,
            node.node_id,
            node.is_head,
            self._rng,
            routers=context.routers,
            pod_ip=node.ip,
            request_timeout_s=options.get("request_timeout_s"),
            keep_alive_timeout_s=options.get("keep_alive_timeout_s", 90),
            root_path=options.get("root_path") or "",
        )
        if context.network is not None:
            try:
                context.network.listen(node.ip, self.port, server)
            except AddressTaken as taken:
                self.failure = str(taken)
                return
        self.server = server
        self._broadcaster.add_proxy(server.set_routes)
        self.is_ready = True
        self.notify()

    @property
    def is_hanging(self) -> bool:
        return self.server is not None and self.server.is_hanging

    def set_hanging(self, is_hanging: bool) -> None:
        """A fault: takes requests and answers none, health checks among them."""
        if self.server is not None:
            self.server.set_hanging(is_hanging)
            self.troubled_ns = self.context.now_ns if is_hanging else NEVER_NS
            self.trouble_cause = self.context.kernel.cause if is_hanging else None
            self.notify()

    def crash(self, reason: str = "The proxy process was killed.") -> None:
        """Its process dies; the controller notices by its health checks."""
        self.context.cluster.actor_died(self.actor, reason)

    def lost(self, reason: str, cause: int | None) -> None:
        """The process is gone with its node, and the GCS doesn't know yet."""
        self._close(reason)

    def end(self) -> None:
        """The controller ends it."""
        self._close("ended by the controller")
        self.context.cluster.kill_actor(self.actor)

    def _died(self, reason: str, _: bool) -> None:
        self.death = reason
        self.troubled_ns = self.context.now_ns
        self.trouble_cause = self.context.kernel.cause
        self._close(reason)
        self.notify()

    def _close(self, reason: str) -> None:
        if self._task is not None:
            self._task.cancel()
        server, self.server = self.server, None
        if server is None:
            return
        self._broadcaster.remove_proxy(server.set_routes)
        server.close(reset=True)
        network = self.context.network
        if network is not None and network.listener(self.node.ip, self.port) is server:
            network.close(self.node.ip, self.port)


class ProxyState:
    """The controller's view of one proxy."""

    def __init__(
        self, context: ServeContext, process: ProxyProcess, restarts: int, cause: int | None, wake: Callable[[], None]
    ) -> None:
        self.context = context
        self.process = process
        self.restarts = restarts
        self.status = ProxyStatus.STARTING
        self.subject = f"{context.subject}/proxies/{process.node.name}"
        self.seq = context.kernel.trace.emit(
            Kind.PROXY, self.subject, self.status.value, f"restart {restarts}" if restarts else "", cause=cause
        )
        self._failures = 0
        self._ready_by_ns = context.now_ns + self._ready_timeout_ns
        self._check_ns = NEVER_NS
        self._drain_began_ns = NEVER_NS
        self._drain_checked_ns = NEVER_NS
        self._drain_asked = False
        process.notify = wake

    @property
    def _ready_timeout_ns(self) -> int:
        return to_ns(ready_timeout_s(self.restarts))

    @property
    def trouble(self) -> str:
        """Why it does not get ready."""
        return self.process.death or self.process.failure or "not ready in time"

    def update(self, now_ns: int) -> None:
        """One step, without the question whether the node should have a proxy."""
        if self.status is ProxyStatus.STARTING:
            self._update_starting(now_ns)
        elif self.status in (ProxyStatus.HEALTHY, ProxyStatus.DRAINING):
            self._update_health(now_ns)
        if self.status is ProxyStatus.DRAINING:
            self._update_draining(now_ns)

    def should_be(self, is_wanted: bool, now_ns: int) -> None:
        """Whether the node is one that has a proxy."""
        server = self.process.server
        if self.status is ProxyStatus.HEALTHY and not is_wanted:
            self._enter(ProxyStatus.DRAINING, "no replica is left on its node")
            self._drain_began_ns = self._drain_checked_ns = now_ns
            self._drain_asked = True
            if server is not None:
                server.set_draining(True)
        elif self.status is ProxyStatus.DRAINING and is_wanted:
            self._enter(ProxyStatus.HEALTHY, "a replica has arrived on its node")
            if server is not None:
                server.set_draining(False)

    def _update_starting(self, now_ns: int) -> None:
        if self.process.is_ready and self.process.death is None:
            self._failures = 0
            self._check_ns = now_ns + _CHECK_PERIOD_NS
            self._enter(ProxyStatus.HEALTHY)
        elif now_ns >= self._ready_by_ns or self.process.death is not None:
            self._failures += 1
            self._ready_by_ns = now_ns + self._ready_timeout_ns
            if self._failures >= _READY_FAILURES or self.process.death is not None:
                self._enter(ProxyStatus.UNHEALTHY, self.trouble)

    def _update_health(self, now_ns: int) -> None:
        process = self.process
        while self._check_ns <= now_ns:
            if process.death is not None and self._check_ns >= process.troubled_ns:
                outcome_ns, is_fine = self._check_ns, False
            elif process.is_hanging and self._check_ns >= process.troubled_ns:
                outcome_ns, is_fine = self._check_ns + _CHECK_TIMEOUT_NS, False
            else:
                outcome_ns, is_fine = self._check_ns, True
            if outcome_ns > now_ns:
                return
            self._failures = 0 if is_fine else self._failures + 1
            if self._failures >= _CHECK_FAILURES:
                self._enter(ProxyStatus.UNHEALTHY, process.death or "three health checks in a row failed")
                return
            self._check_ns = max(self._check_ns + _CHECK_PERIOD_NS, outcome_ns)

    def _update_draining(self, now_ns: int) -> None:
        server = self.process.server
        if self._drain_asked and now_ns > self._drain_checked_ns:
            self._drain_asked = False
            ongoing = server.ongoing if server is not None else 0
            if not ongoing and self._drain_checked_ns - self._drain_began_ns >= _MIN_DRAINING_NS:
                self._enter(ProxyStatus.DRAINED)
                return
        if now_ns - self._drain_checked_ns > _DRAIN_CHECK_PERIOD_NS:
            self._drain_checked_ns = now_ns
            self._drain_asked = True

    def _enter(self, status: ProxyStatus, detail: str = "") -> None:
        if status not in TRANSITIONS[self.status]:
            raise ValueError(f"{self.subject} cannot go from {self.status} to {status}")
        self.status = status
        trouble = self.process.trouble_cause if status is ProxyStatus.UNHEALTHY else None
        self.seq = self.context.kernel.trace.emit(
            Kind.PROXY, self.subject, status.value, detail, cause=self.seq if trouble is None else trouble
        )

    def next_ns(self, now_ns: int) -> int:
        """When it has to be looked at again, if nothing happens."""
        match self.status:
            case ProxyStatus.STARTING:
                is_known = self.process.is_ready or self.process.death is not None
                return now_ns if is_known else self._ready_by_ns
            case ProxyStatus.UNHEALTHY | ProxyStatus.DRAINED:
                return now_ns
        due = NEVER_NS
        if self.process.death is not None:
            due = self._check_ns
        elif self.process.is_hanging:
            due = self._check_ns if self._check_ns > now_ns else self._check_ns + _CHECK_TIMEOUT_NS
        if self.status is ProxyStatus.DRAINING:
            check_ns = self._drain_checked_ns + _DRAIN_CHECK_PERIOD_NS + 1
            due = min(due, now_ns if self._drain_asked else check_ns)
        return due

    def details(self) -> JsonObject:
        """As the GET answer shows it."""
        node, actor = self.process.node, self.process.actor
        return {
            "node_id": node.node_id,
            "node_ip": node.ip,
            "node_instance_id": node.instance_id,
            "actor_id": actor.actor_id,
            "actor_name": actor.name,
            "worker_id": actor.worker_id,
            "log_file_path": f"/serve/proxy_{node.ip}.log",
            "status": self.status.value,
        }


class Proxies:
    """All proxies of an instance."""

    def __init__(
        self, context: ServeContext, broadcaster: Broadcaster, location: str, *, wake: Callable[[], None]
    ) -> None:
        self.context = context
        self.location = location
        self.states: dict[str, ProxyState] = {}
        self._broadcaster = broadcaster
        self._wake = wake

    def update(self, now_ns: int, carrying: Mapping[str, int], cause: int | None) -> None:
        """(6) of a step: existing proxies, then nodes that gained or lost theirs.

        `carrying` are the nodes with an active replica, each with the trace event that is the cause of its proxy.
        """
        nodes = self.context.cluster.nodes
        for node_id, state in list(self.states.items()):
            if node_id not in nodes:
                self._drop(node_id, "its node is gone")
                continue
            if state.status is ProxyStatus.UNHEALTHY:
                state.process.end()
                self._begin(nodes[node_id], state.restarts + 1, state.seq)
                continue
            state.update(now_ns)
            if state.status is ProxyStatus.DRAINED:
                self._drop(node_id, "drained")
        wanted = self._wanted(carrying)
        for node_id, node in wanted.items():
            if node_id not in self.states:
                self._begin(node, 0, carrying.get(node_id, cause))
        for node_id, state in self.states.items():
            state.should_be(node_id in wanted, now_ns)

    def _wanted(self, carrying: Mapping[str, int]) -> dict[str, RayNode]:
        """Nodes that have a proxy (ray-serve.md 6.1), the head first."""
        cluster = self.context.cluster
        if self.location == "Disabled":
            return {}
        head = cluster.head
        wanted = {head.node_id: head} if head is not None else {}
        if self.location == "EveryNode":
            for node_id, node in cluster.nodes.items():
                if node_id in carrying and not node.is_draining:
                    wanted[node_id] = node
        return wanted

    def _begin(self, node: RayNode, restarts: int, cause: int | None) -> None:
        found = self.context.cluster.actors_named(f"{ACTOR_PREFIX}{node.node_id}")
        living = [actor.payload for actor in found if isinstance(actor.payload, ProxyProcess)]
        process = living[0] if living else ProxyProcess(self.context, node, self._broadcaster)
        self.states[node.node_id] = ProxyState(self.context, process, restarts, cause, self._wake)

    def _drop(self, node_id: str, reason: str) -> None:
        state = self.states.pop(node_id)
        state.process.end()
        self.context.kernel.trace.emit(Kind.PROXY, state.subject, "GONE", reason, cause=state.seq)

    def end_all(self) -> None:
        for node_id in list(self.states):
            self._drop(node_id, "Serve is shut down")

    def next_ns(self, now_ns: int) -> int:
        earliest = min((state.next_ns(now_ns) for state in self.states.values()), default=NEVER_NS)
        return max(earliest, now_ns)

    @property
    def are_known(self) -> bool:
        """Each is ready, or known not to get so."""
        return all(state.status is not ProxyStatus.STARTING for state in self.states.values())

    def healthy(self) -> list[ProxyState]:
        return [state for state in self.states.values() if state.status is ProxyStatus.HEALTHY]

    def details(self) -> JsonObject:
        return {node_id: state.details() for node_id, state in self.states.items()}


def _nobody() -> None:
    """There is no controller to tell."""
