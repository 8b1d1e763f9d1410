"""The replicas of one deployment: how they come, change, move away from draining nodes, and go; their ranks.

Nothing here knows what the deployment's status says or why a replica is to go; that is `rayrig_sim.serve.deployment`'s.
Source: ray-serve.md 5.6, 5.8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import to_ns
from rayrig_sim.serve.context import NEVER_NS, ServeContext
from rayrig_sim.serve.deployment_config import DeploymentInfo
from rayrig_sim.serve.deployment_update import DeploymentVersion
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.replica import ACTIVE, SLOW_START_NS, Replica
from rayrig_sim.serve.replica_process import ACTOR_PREFIX, ReplicaProcess
from rayrig_sim.serve.scale_down import Candidate, victims
from rayrig_sim.serve.status import ReplicaState

_S = ReplicaState
#: Dead replicas that stay listed (RETAINED_DEAD_REPLICAS).
_DEAD_KEPT = 10
#: A recovering replica that does not answer for this long is killed.
RECOVERY_NS = to_ns(30)
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class ReplicaSet:
    """`members` in order of start. `wake` is what a process calls when something happened to it; `changed` is called after every
    change made here."""

    def __init__(
        self,
        context: ServeContext,
        deployment: DeploymentId,
        *,
        wake: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.members: list[Replica] = []
        self.dead: deque[JsonObject] = deque(maxlen=_DEAD_KEPT)
        #: The last trace event of any of them.
        self.last_seq: int | None = None
        self._context = context
        self._wake = wake
        self._changed = changed
        self._rng = context.stream(f"ids/{deployment.app}/{deployment.name}")

    # Coming

    def start(self, info: DeploymentInfo, version: DeploymentVersion, cause: int | None) -> None:
        replica_id = "".join(_ID_LETTERS[int(self._rng.random() * 36)] for _ in range(8))
        process = ReplicaProcess(self._context, replica_id, info, version)
        process.notify = self._wake
        replica = Replica(self._context, process, version, cause=cause)
        self.members.append(replica)
        self._note(replica)

    def take_over(self, process: ReplicaProcess, cause: int | None) -> None:
        """A process that was found alive after a restart of the controller."""
        replica = Replica(self._context, process, process.version, state=_S.RECOVERING, cause=cause)
        process.notify = self._wake
        self.members.append(replica)

    # Changing

    def enter(self, replica: Replica, state: ReplicaState, detail: str = "") -> None:
        replica.enter(state, detail)
        self._note(replica)

    def reconfigure(
        self, replica: Replica, info: DeploymentInfo, version: DeploymentVersion, cause: int | None
    ) -> None:
        replica.reconfigure(info, version, cause)
        self._note(replica)

    def give_rank(self, replica: Replica) -> None:
        """The lowest that is free; a stopping replica has its rank to its end."""
        replica.process.rank = self._free_rank()

    def close_ranks(self, count: int) -> bool:
        """Once the count is right, ranks are made contiguous by a call to those that move. True when there was one."""
        moved = False
        for replica in self.members:
            process = replica.process
            free = self._free_rank()
            if process.rank is not None and free < count <= process.rank:
                process.rank = free
                self.reconfigure(replica, process.info, process.version, replica.seq)
                moved = True
        return moved

    def _free_rank(self) -> int:
        taken = {r.process.rank for r in self.members}
        rank = 0
        while rank in taken:
            rank += 1
        return rank

    # Going

    def stop(self, replica: Replica, detail: str, *, cause: int | None = None, is_graceful: bool = True) -> None:
        replica.stop(detail, cause, is_graceful=is_graceful)
        self._note(replica)

    def stop_surplus(self, present: list[Replica], count: int, cause: int | None) -> None:
        """So many of `present` go."""
        cluster = self._context.cluster
        head = cluster.head
        candidates = [
            Candidate(
                replica,
                replica.state in (_S.RUNNING, _S.UPDATING),
                replica.process.node.node_id if replica.process.node else None,
                position,
            )
            for position, replica in enumerate(present)
        ]
        chosen = victims(
            candidates, count, head_id=head.node_id if head else None, replicas_on=self._replicas_of_all_on
        )
        for replica in chosen:
            self.stop(replica, "not wanted any more", cause=cause)

    def move_from_draining_nodes(self, now_ns: int, wanted: int | None) -> None:
        """Replicas on nodes that Ray drains go once there are others, or when time is up. `wanted` None: none goes for that."""
        for replica in list(self.members):
            node = replica.process.node
            if node is None or not node.is_draining:
                if replica.state is _S.PENDING_MIGRATION:
                    self.enter(replica, _S.RUNNING, "its node no longer drains")
            elif replica.state in (_S.STARTING, _S.UPDATING):
                self.stop(replica, "its node drains")
            elif replica.state is _S.RUNNING:
                self.enter(replica, _S.PENDING_MIGRATION, "its node drains")
        migrating = [r for r in self.members if r.state is _S.PENDING_MIGRATION]
        if not migrating or wanted is None:
            return
        migrating.sort(key=_drain_deadline_ns)
        surplus = self.count(_S.RUNNING) + len(migrating) - wanted
        for replica in migrating:
            if surplus > 0 or now_ns >= _last_moment_ns(replica):
                surplus -= 1
                self.stop(replica, "migrated")

    def remove(self, replica: Replica) -> None:
        """It has stopped."""
        self.members.remove(replica)
        if replica.process.node is not None:
            self.dead.append(replica.details(ReplicaState.STOPPED))
        replica.process.rank = None
        self.enter(replica, _S.STOPPED)

    # Reading

    def count(self, state: ReplicaState, version: DeploymentVersion | None = None) -> int:
        """Replicas in that state, of that version when given."""
        return sum(r.state is state and (version is None or r.version == version) for r in self.members)

    def active_nodes(self) -> dict[str, int]:
        """Ids of nodes with an active replica, each with the last trace event of the oldest one there."""
        found: dict[str, int] = {}
        for replica in self.members:
            if replica.state in ACTIVE and replica.process.node is not None:
                found.setdefault(replica.process.node.node_id, replica.seq)
        return found

    def next_ns(self, warned_ns: int) -> int:
        """When one of them has to be looked at again, if nothing happens before; `warned_ns` is when slow starts were last told."""
        earliest = NEVER_NS
        for replica in self.members:
            due = replica.next_ns()
            if replica.state is _S.STARTING:
                due = max(replica.began_ns, warned_ns) + SLOW_START_NS
            elif replica.state is _S.RECOVERING:
                due = replica.began_ns + RECOVERY_NS
            elif replica.state is _S.PENDING_MIGRATION:
                due = min(due, _last_moment_ns(replica))
            earliest = min(earliest, due)
        return earliest

    def _note(self, replica: Replica) -> None:
        self.last_seq = replica.seq
        self._changed()

    def _replicas_of_all_on(self, node_id: str) -> int:
        """Replicas of all deployments on a node."""
        node = self._context.cluster.nodes.get(node_id)
        return 0 if node is None else sum(actor.name.startswith(ACTOR_PREFIX) for actor in node.actors.values())


def _drain_deadline_ns(replica: Replica) -> int:
    node = replica.process.node
    return node.drain_deadline_ns if node is not None and node.drain_deadline_ns is not None else NEVER_NS


def _last_moment_ns(replica: Replica) -> int:
    """When it has to begin to stop, so that its node is free in time."""
    return _drain_deadline_ns(replica) - to_ns(replica.config.graceful_shutdown_timeout_s)
