"""A Ray cluster as its GCS sees it: nodes, actors, where actors are placed, and what happens to them when a node goes.

An `Actor` here is a Ray actor, a worker process with logical resources, not one of the kernel's. Placement is Ray's: SPREAD goes
round the nodes that have room; what fits nowhere waits, in order, until something is freed or a node joins (ray-serve.md 5.7).
Times of detection are the caller's (`rayrig_sim.ray_pods`): a node that is removed here is known to be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.ray.placement import place_bundles
from rayrig_sim.ray.resources import Amounts, Ledger, amounts, plain, text

#: Ends of actor ids: the number of the job that made them.
_JOB = "01000000"


#: What the state API lists of a node where nobody set it: bytes on a machine of 16 GiB. Not counted in placement.
_OF_EVERY_NODE = {"memory": 8.0 * 2**30, "object_store_memory": 4.0 * 2**30}


def _own_resources(node: RayNode) -> dict[str, float]:
    """Resources by which one node is meant."""
    own = {f"node:{node.ip}": 1.0}
    return {**own, "node:__internal_head__": 1.0} if node.is_head else own


def hex_id(rng: Random, digits: int) -> str:
    """A random identifier in hexadecimal."""
    return f"{rng.getrandbits(digits * 4):0{digits}x}"


class RayNode:
    """One raylet: its address, its resources, whether Ray drains it."""

    __slots__ = (
        "actors",
        "drain_deadline_ns",
        "has_processes",
        "instance_id",
        "ip",
        "is_alive",
        "is_draining",
        "is_head",
        "labels",
        "ledger",
        "name",
        "node_id",
    )

    def __init__(
        self, node_id: str, name: str, ip: str, total: Mapping[str, float], labels: Mapping[str, str], is_head: bool
    ) -> None:
        self.node_id = node_id
        self.name = name
        self.ip = ip
        self.ledger = Ledger(total)
        self.labels = dict(labels)
        self.is_head = is_head
        self.is_alive = True
        #: False once its processes ended, which the GCS may not know yet.
        self.has_processes = True
        self.is_draining = False
        self.drain_deadline_ns: int | None = None
        #: What its environment says of the machine (RAY_CLOUD_INSTANCE_ID).
        self.instance_id = ""
        self.actors: dict[str, Actor] = {}


class ActorState(Enum):
    PENDING = "PENDING_CREATION"
    ALIVE = "ALIVE"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True)
class ActorSpec:
    """What is asked for. `pinned_to` is a node id; `bundles` a placement group whose first bundle holds the actor."""

    name: str
    resources: Mapping[str, float]
    pinned_to: str | None = None
    bundles: Sequence[Mapping[str, float]] | None = None
    strategy: str = "PACK"
    label_selector: Mapping[str, str] | None = None
    class_name: str = ""


class Actor:
    """A worker process. `payload` is whatever runs in it."""

    __slots__ = (
        "_held",
        "actor_id",
        "death",
        "is_final",
        "node",
        "on_dead",
        "on_placed",
        "payload",
        "pid",
        "spec",
        "state",
        "worker_id",
    )

    def __init__(self, actor_id: str, spec: ActorSpec) -> None:
        self.actor_id = actor_id
        self.spec = spec
        self.state = ActorState.PENDING
        self.node: RayNode | None = None
        self.worker_id: str | None = None
        self.pid: int | None = None
        self.payload: Any = None
        self.death = ""
        #: It is not to be restarted when it dies (`ray.kill(actor, no_restart=True)`).
        self.is_final = False
        self.on_placed: Callable[[], None] | None = None
        #: (why, whether its node is gone)
        self.on_dead: Callable[[str, bool], None] | None = None
        self._held: list[tuple[RayNode, Amounts]] = []

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_alive(self) -> bool:
        return self.state is ActorState.ALIVE


class RayCluster:
    """Nodes and actors of one Ray cluster, and its key-value store.

    `subject` names it in the trace. `kv` is the GCS's internal store: it outlives the head when `is_fault_tolerant`.
    """

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        namespace: str = "default",
        *,
        calibration: Calibration | None = None,
        is_fault_tolerant: bool = False,
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.namespace = namespace
        self.calibration = calibration or Calibration()
        self.is_fault_tolerant = is_fault_tolerant
        self.subject = f"rayclusters/{namespace}/{name}"
        self.rng = kernel.streams.stream(f"ray/{namespace}/{name}")
        self.session_name = f"session_{hex_id(self.rng, 12)}"
        self.is_gcs_up = False
        #: Whether the external storage of a fault-tolerant GCS answers.
        self.is_storage_up: Callable[[], bool] = _always
        #: Registered nodes in the order in which they joined.
        self.nodes: dict[str, RayNode] = {}
        self.kv: dict[str, Any] = {}
        self.pending: list[Actor] = []
        #: Called when nodes join, leave, drain, or a pending actor found room.
        self.on_change: list[Callable[[], None]] = []
        self._spread_next = 0
        self._next_pid = 200

    # Nodes

    @property
    def head(self) -> RayNode | None:
        return next((node for node in self.nodes.values() if node.is_head), None)

    def add_node(
        self,
        name: str,
        ip: str,
        total: Mapping[str, float],
        *,
        labels: Mapping[str, str] | None = None,
        is_head: bool = False,
        instance_id: str = "",
        cause: int | None = None,
    ) -> RayNode:
        """A raylet registered."""
        node = RayNode(hex_id(self.rng, 56), name, ip, total, labels or {}, is_head)
        node.instance_id = instance_id
        self.nodes[node.node_id] = node
        shown = ", ".join(f"{key} {text(value)}" for key, value in node.ledger.total.items() if key != "memory")
        self._emit("node", "joined", f"{name}: {shown}", cause)
        self._place_pending()
        self._changed()
        return node

    def remove_node(self, node: RayNode, reason: str, *, cause: int | None = None) -> None:
        """The GCS knows that the node is gone: its actors are dead."""
        if not node.is_alive:
            return
        node.is_alive = node.has_processes = False
        self.nodes.pop(node.node_id, None)
        self._emit("node", "gone", f"{node.name}: {reason}", cause)
        for actor in list(node.actors.values()):
            self._die(actor, f"The actor died because its node has died: {reason}", node_died=True)
        self._place_pending()
        self._changed()

    def drain_node(self, node: RayNode, deadline_ns: int | None, *, cause: int | None = None) -> None:
        """Ray will take the node away (preemption, scale-down): nothing new is placed there."""
        if not node.is_draining:
            node.is_draining = True
            node.drain_deadline_ns = deadline_ns
            self._emit("node", "draining", node.name, cause)
            self._changed()

    # Actors

    def create_actor(
        self,
        spec: ActorSpec,
        *,
        on_placed: Callable[[], None] | None = None,
        on_dead: Callable[[str, bool], None] | None = None,
        payload: Any = None,
    ) -> Actor:
        """Place an actor now, or let it wait. `on_placed` may be called before this returns."""
        actor = Actor(hex_id(self.rng, 24) + _JOB, spec)
        actor.on_placed = on_placed
        actor.on_dead = on_dead
        actor.payload = payload
        if not self._place(actor):
            self.pending.append(actor)
        return actor

    def kill_actor(self, actor: Actor, reason: str = "killed by its owner") -> None:
        """The owner ends it: resources are freed, `on_dead` is not called."""
        actor.on_dead = None
        self._die(actor, reason, node_died=False)
        self._place_pending()

    def actor_died(self, actor: Actor, reason: str) -> None:
        """Its process ended by itself or was killed from outside."""
        self._die(actor, reason, node_died=False)
        self._place_pending()

    def actors_named(self, prefix: str) -> list[Actor]:
        """Living actors whose name begins so, in order of node and creation."""
        return [
            actor for node in self.nodes.values() for actor in node.actors.values() if actor.name.startswith(prefix)
        ]

    # Seen from outside

    def total_resources(self) -> dict[str, float]:
        total: Amounts = {}
        for node in self.nodes.values():
            for name, amount in node.ledger.total.items():
                total[name] = total.get(name, 0) + amount
        return plain(total)

    def available_resources(self) -> dict[str, float]:
        left: Amounts = {}
        for node in self.nodes.values():
            for name, amount in node.ledger.available.items():
                if name in node.ledger.total:
                    left[name] = left.get(name, 0) + amount
        return plain(left)

    def demand(self) -> list[JsonObject]:
        """Shapes of what waits for room, as the cluster autoscaler would see them."""
        return [dict(actor.spec.resources) for actor in self.pending if actor.spec.resources]

    def gcs_health(self) -> str:
        """Why the GCS is not healthy; empty when it is."""
        if not self.is_gcs_up:
            return "Health check failed: the GCS is not running"
        return "" if self.is_storage_up() else "Health check failed: the GCS's storage does not answer"

    def node_states(self) -> list[JsonObject]:
        """One entry per registered node."""
        return [
            {
                "node_id": node.node_id,
                "node_ip": node.ip,
                "is_head_node": node.is_head,
                "state": "ALIVE",
                "state_message": None,
                "node_name": node.ip,
                "resources_total": {**_OF_EVERY_NODE, **plain(node.ledger.total), **_own_resources(node)},
                "labels": {"ray.io/node-id": node.node_id, **node.labels},
            }
            for node in self.nodes.values()
        ]

    def actor_states(self) -> list[JsonObject]:
        """One entry per living or waiting actor."""
        living = [actor for node in self.nodes.values() for actor in node.actors.values()]
        return [
            {
                "actor_id": actor.actor_id,
                "class_name": actor.spec.class_name,
                "state": actor.state.value,
                "job_id": _JOB,
                "name": actor.name,
                "node_id": actor.node.node_id if actor.node is not None else None,
                "pid": actor.pid or 0,
                "ray_namespace": "serve",
            }
            for actor in (*living, *self.pending)
        ]

    def host_names(self) -> list[str]:
        return [node.name for node in self.nodes.values()]

    # Inside

    def _place(self, actor: Actor) -> bool:
        spec = actor.spec
        if spec.pinned_to is not None:
            node = self.nodes.get(spec.pinned_to)
            if node is None:
                return False
            self._settle(actor, node, [(node, amounts(spec.resources))])
            return True
        nodes = [
            node
            for node in self.nodes.values()
            if not node.is_draining and _matches(node.labels, spec.label_selector or {})
        ]
        if spec.bundles is not None:
            wanted = [amounts(bundle) for bundle in spec.bundles]
            placed = place_bundles([node.ledger for node in nodes], wanted, spec.strategy)
            if placed is None:
                return False
            held = [(nodes[index], bundle) for index, bundle in zip(placed, wanted, strict=True)]
            self._settle(actor, held[0][0], held)
            return True
        need = amounts(spec.resources)
        count = len(nodes)
        for step in range(count):
            index = (self._spread_next + step) % count
            if nodes[index].ledger.fits(need):
                self._spread_next = index + 1
                self._settle(actor, nodes[index], [(nodes[index], need)])
                return True
        return False

    def _settle(self, actor: Actor, node: RayNode, held: list[tuple[RayNode, Amounts]]) -> None:
        for holder, amount in held:
            holder.ledger.take(amount)
        actor._held = held
        actor.node = node
        actor.state = ActorState.ALIVE
        actor.worker_id = hex_id(self.rng, 56)
        self._next_pid += 1 + int(self.rng.random() * 7)
        actor.pid = self._next_pid
        node.actors[actor.actor_id] = actor
        if actor.on_placed is not None:
            actor.on_placed()

    def _die(self, actor: Actor, reason: str, *, node_died: bool) -> None:
        if actor.state is ActorState.DEAD:
            return
        was_pending = actor.state is ActorState.PENDING
        actor.state = ActorState.DEAD
        actor.death = reason
        if was_pending:
            self.pending.remove(actor)
        for holder, amount in actor._held:
            if holder.is_alive:
                holder.ledger.give_back(amount)
        actor._held = []
        if actor.node is not None:
            actor.node.actors.pop(actor.actor_id, None)
        if actor.on_dead is not None:
            actor.on_dead(reason, node_died)

    def _place_pending(self) -> None:
        if not self.pending:
            return
        placed = False
        for actor in list(self.pending):
            if actor.state is ActorState.PENDING and self._place(actor):
                self.pending.remove(actor)
                placed = True
        if placed:
            self._changed()

    def _changed(self) -> None:
        for callback in list(self.on_change):
            callback()

    def _emit(self, component: str, state: str, detail: str, cause: int | None) -> int:
        return self.kernel.trace.emit(Kind.RAY, self.subject, component, state, detail, cause=cause)

    def emit(self, component: str, state: str, detail: str = "", cause: int | None = None) -> int:
        """A change of one of the cluster's processes, for the trace."""
        return self._emit(component, state, detail, cause)


def _always() -> bool:
    return True


def _matches(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Ray's label selector: `v`, `!v`, `in(a,b)`, `!in(a,b)`."""
    for key, condition in selector.items():
        negated = condition.startswith("!")
        text = condition.removeprefix("!")
        values = text[3:-1].split(",") if text.startswith("in(") and text.endswith(")") else [text]
        if (labels.get(key) in [value.strip() for value in values]) == negated:
            return False
    return True
