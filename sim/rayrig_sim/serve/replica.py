"""The controller's record of a replica: its state and what may follow it.

Source: ray-serve.md 4.3. The process behind it is a `ReplicaProcess`.
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS, to_ns
from rayrig_core.trace import Kind
from rayrig_sim.serve.context import NEVER_NS, ServeContext
from rayrig_sim.serve.deployment_config import Config, DeploymentInfo
from rayrig_sim.serve.deployment_update import DeploymentVersion
from rayrig_sim.serve.replica_health import HealthChecks
from rayrig_sim.serve.replica_process import Call, ReplicaProcess
from rayrig_sim.serve.status import ReplicaState

_S = ReplicaState

#: What may follow what. A replica begins STARTING, or RECOVERING after a restart of the controller.
TRANSITIONS: dict[ReplicaState, tuple[ReplicaState, ...]] = {
    _S.STARTING: (_S.RUNNING, _S.STOPPING),
    _S.RECOVERING: (_S.RUNNING, _S.STOPPING),
    _S.RUNNING: (_S.UPDATING, _S.PENDING_MIGRATION, _S.STOPPING),
    _S.UPDATING: (_S.RUNNING, _S.STOPPING),
    _S.PENDING_MIGRATION: (_S.RUNNING, _S.STOPPING),
    _S.STOPPING: (_S.STOPPED,),
    _S.STOPPED: (),
}

#: States in which a node counts as having an active replica (ray-serve.md 6.1), STARTING once it has its node.
ACTIVE = (_S.STARTING, _S.UPDATING, _S.RECOVERING, _S.RUNNING, _S.PENDING_MIGRATION)
#: After this long a start is called slow; also the pause between two such messages.
SLOW_START_NS = 30 * NS


class Replica:
    """One replica. `version` is what it runs or is being brought to; `seq` its last trace event."""

    __slots__ = (
        "began_ns",
        "context",
        "health",
        "kill_at_ns",
        "process",
        "seq",
        "start_time_s",
        "state",
        "subject",
        "version",
    )

    def __init__(
        self,
        context: ServeContext,
        process: ReplicaProcess,
        version: DeploymentVersion,
        *,
        state: ReplicaState = ReplicaState.STARTING,
        cause: int | None = None,
    ) -> None:
        self.context = context
        self.process = process
        self.version = version
        self.state = state
        self.began_ns = context.now_ns
        self.start_time_s = context.kernel.unix_ns() / NS
        self.kill_at_ns = NEVER_NS
        self.health: HealthChecks | None = None
        deployment = process.deployment
        self.subject = f"{context.subject}/{deployment.app}/{deployment.name}/{process.replica_id}"
        node = process.node
        self.seq = context.kernel.trace.emit(
            Kind.REPLICA, self.subject, state.value, node.name if node else "", "", cause=cause
        )

    @property
    def replica_id(self) -> str:
        return self.process.replica_id

    @property
    def config(self) -> Config:
        return self.process.info.config

    def enter(self, state: ReplicaState, detail: str = "", cause: int | None = None) -> None:
        """Change state. Raises `ValueError` for what is not in the table."""
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"{self.process!r} cannot go from {self.state} to {state}")
        self.state = state
        node = self.process.node
        self.seq = self.context.kernel.trace.emit(
            Kind.REPLICA,
            self.subject,
            state.value,
            node.name if node else "",
            detail,
            cause=self.seq if cause is None else cause,
        )
        if state is ReplicaState.RUNNING and self.health is None:
            rng = self.context.stream(f"health/{self.replica_id}")
            self.health = HealthChecks(rng, self.context.now_ns, self.config)

    def stop(self, detail: str, cause: int | None = None, *, is_graceful: bool = True) -> None:
        """Stop it: gracefully within its grace, or at once (what is dead already is only removed)."""
        self.enter(ReplicaState.STOPPING, detail, cause)
        now_ns = self.context.now_ns
        if is_graceful and self.process.death is None:
            self.kill_at_ns = now_ns + to_ns(self.config.graceful_shutdown_timeout_s)
            self.process.drain()
        else:
            self.kill_at_ns = now_ns
            self.process.kill(detail, self.seq)

    def is_stopped(self, now_ns: int) -> bool:
        """Whether a STOPPING one has ended; ends it when its grace is over."""
        process = self.process
        if not (process.is_drained or process.death is not None or now_ns >= self.kill_at_ns):
            return False
        process.kill("graceful shutdown is over" if process.is_drained else "its grace period is over", self.seq)
        return True

    def reconfigure(self, info: DeploymentInfo, version: DeploymentVersion, cause: int | None) -> None:
        self.version = version
        self.enter(ReplicaState.UPDATING, "", cause)
        self.process.reconfigure(info, version)

    def next_ns(self) -> int:
        """When the controller has to look at it again, if nothing happens."""
        match self.state:
            case ReplicaState.RUNNING | ReplicaState.PENDING_MIGRATION:
                assert self.health is not None
                return self.health.next_ns(self.process, self.config)
            case ReplicaState.STOPPING:
                return self.kill_at_ns
            case _:
                return NEVER_NS

    @property
    def is_initializing(self) -> bool:
        """It has a node and its start is not over."""
        return self.process.node is not None and self.process.start is Call.RUNNING

    def details(self, state: ReplicaState | None = None) -> JsonObject:
        """As the GET answer shows it. What is not placed has no node, worker, process or log yet."""
        actor = self.process.actor
        node = actor.node
        deployment = self.process.deployment
        shown: JsonObject = {
            "actor_name": actor.name,
            "replica_id": self.replica_id,
            "state": (state or self.state).value,
            "start_time_s": self.start_time_s,
        }
        if node is None:
            return shown
        return {
            "node_id": node.node_id,
            "node_ip": node.ip,
            "node_instance_id": node.instance_id,
            "actor_id": actor.actor_id,
            "worker_id": actor.worker_id,
            "log_file_path": f"/serve/replica_{deployment.app}_{deployment.name}_{self.replica_id}.log",
            "pid": actor.pid,
            **shown,
        }
