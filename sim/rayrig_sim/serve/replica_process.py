"""A replica's worker process as the controller holds it: from the request for an actor to its end.

It outlives the controller: after a restart the new controller finds it by its actor's name. What it does with requests is
`ReplicaExecution`'s. Source: ray-serve.md 4.3, 5.2, 5.5.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from rayrig_sim.ray.cluster import Actor, ActorSpec, RayNode
from rayrig_sim.ray.resources import implicit
from rayrig_sim.serve.execution import HealthFault, ReplicaExecution
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.user_code import ProcessExit

if TYPE_CHECKING:
    from rayrig_core.ports import Task
    from rayrig_sim.serve.context import ServeContext
    from rayrig_sim.serve.deployment_config import DeploymentInfo
    from rayrig_sim.serve.deployment_update import DeploymentVersion

ACTOR_PREFIX = "SERVE_REPLICA::"


class Call(Enum):
    """State of a call to the process."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ReplicaProcess:
    """One replica's actor. `notify` is called when something about it changed; `died_ns` is when its process ended."""

    def __init__(
        self, context: ServeContext, replica_id: str, info: DeploymentInfo, version: DeploymentVersion
    ) -> None:
        self.context = context
        self.replica_id = replica_id
        self.deployment = DeploymentId(info.name, info.app)
        self.info = info
        #: What the process runs; follows a reconfiguration when it is done.
        self.version = version
        self.execution: ReplicaExecution | None = None
        self.notify: Callable[[], None] = _nobody
        self.start = Call.RUNNING
        self.update = Call.NONE
        self.is_drained = False
        self.failure = ""
        self.death: str | None = None
        #: Trace event of what killed it.
        self.death_cause: int | None = None
        self.died_ns = 0
        self.is_node_dead = False
        self.rank: int | None = None
        self._tasks: list[Task[None]] = []
        self._has_health_fault = False
        self._crash_cause: int | None = None
        self._rng = context.stream(f"replica/{replica_id}")
        actor = info.actor
        resources = dict(actor.resources)
        if actor.max_replicas_per_node:
            resources[implicit(f"{info.app}:{info.name}")] = 1 / actor.max_replicas_per_node
        spec = ActorSpec(
            name=f"{ACTOR_PREFIX}{info.app}#{info.name}#{replica_id}",
            resources=resources,
            bundles=actor.placement_group_bundles,
            strategy=actor.placement_group_strategy or "PACK",
            label_selector=actor.options.get("label_selector"),
            class_name=f"ServeReplica:{info.app}:{info.name}",
        )
        self.actor = context.cluster.create_actor(spec, on_dead=self._died, payload=self)
        if self.actor.node is not None:
            self._placed()
        else:
            self.actor.on_placed = self._placed

    def __repr__(self) -> str:
        return f"Replica(id='{self.replica_id}', deployment='{self.deployment.name}', app='{self.deployment.app}')"

    @property
    def node(self) -> RayNode | None:
        return self.actor.node

    @property
    def has_health_check(self) -> bool:
        """Whether a check can have another outcome than that of a living process."""
        return self._has_health_fault or hasattr(self.info.code.behaviour, "check_health")

    # Start

    def _placed(self) -> None:
        self._spawn("start", self._start())
        self.notify()

    async def _start(self) -> None:
        context, info = self.context, self.info
        kernel, calibration = context.kernel, context.calibration
        await kernel.sleep_ns(calibration.replica_start.draw_ns(self._rng))
        node = self.actor.node
        assert node is not None
        if not node.has_processes:
            return  # the raylet is gone, which the GCS will find out
        environment = (info.actor.options.get("runtime_env") or {}).get("env_vars") or {}
        execution = self.execution = ReplicaExecution(
            kernel,
            replica_id=self.replica_id,
            deployment=info.name,
            app=info.app,
            node_id=node.node_id,
            pod_ip=node.ip,
            code=info.code,
            max_ongoing_requests=info.config.max_ongoing_requests,
            handles=context.routers.handles(info.app, self.replica_id),
            env=environment,
            machine=self,
            on_exit=self._exited,
        )
        self.notify()
        constructor_ns = calibration.replica_init.draw_ns(self._rng)
        if constructor_ns:
            await kernel.sleep_ns(constructor_ns)
        try:
            await execution.initialize(info.config.user_config)
        except Exception as error:
            self.failure = self._remote_traceback("initialize_and_get_metadata", error)
            self.start = Call.FAILED
        except ProcessExit as exit_:
            self._exited(exit_.code)
        else:
            self.start = Call.DONE
        self.notify()

    # Calls of the controller

    def reconfigure(self, info: DeploymentInfo, version: DeploymentVersion) -> None:
        """Bring a running process to a version that needs a call to it. The user's method is called only for a changed
        `user_config` (SV-164)."""
        is_user_config_new = info.config.user_config != self.info.config.user_config
        self.update = Call.RUNNING
        self._spawn("reconfigure", self._reconfigure(info, version, is_user_config_new))

    async def _reconfigure(self, info: DeploymentInfo, version: DeploymentVersion, is_user_config_new: bool) -> None:
        kernel, execution = self.context.kernel, self.execution
        assert execution is not None
        await kernel.sleep_ns(self.context.calibration.replica_reconfigure.draw_ns(self._rng))
        execution.set_max_ongoing(info.config.max_ongoing_requests)
        try:
            if is_user_config_new:
                await execution.reconfigure(info.config.user_config)
        except Exception as error:
            self.failure = self._remote_traceback("reconfigure", error)
            self.update = Call.FAILED
        except ProcessExit as exit_:
            self._exited(exit_.code)
        else:
            self.info, self.version = info, version
            self.update = Call.DONE
        self.notify()

    def adopt(self, info: DeploymentInfo, version: DeploymentVersion) -> None:
        """A version that needs no call to the process."""
        self.info, self.version = info, version

    def begin_health_check(self, finished: Callable[[bool], None]) -> Task[None]:
        return self._spawn("health check", self._check_health(finished))

    async def _check_health(self, finished: Callable[[bool], None]) -> None:
        execution = self.execution
        assert execution is not None
        try:
            await execution.check_health()
        except Exception:
            finished(False)
        except ProcessExit as exit_:
            self._exited(exit_.code)
        else:
            finished(True)
        self.notify()

    def drain(self) -> None:
        """Graceful shutdown. What never got a node can't answer, so its grace runs out (recorded, ray-serve S23)."""
        if self.actor.node is not None:
            self._spawn("drain", self._drain())

    async def _drain(self) -> None:
        config, kernel = self.info.config, self.context.kernel
        if self.execution is not None and not await self.execution.drain(
            config.graceful_shutdown_wait_loop_s, config.graceful_shutdown_timeout_s
        ):
            return
        await kernel.sleep_ns(self.context.calibration.replica_stop.draw_ns(self._rng))
        self.is_drained = True
        self.notify()

    def kill(self, reason: str, cause: int | None = None) -> None:
        """The controller ends the process and gives its resources back."""
        self._end(reason, cause)
        self.context.cluster.kill_actor(self.actor, reason)

    # Misfortune

    def crash(
        self, reason: str = "The actor is dead because its process was killed.", cause: int | None = None
    ) -> None:
        """The process dies by itself or by a fault. The controller notices at a health check."""
        if self.death is None:
            self._crash_cause = cause
            self.context.cluster.actor_died(self.actor, reason)

    def _exited(self, code: int) -> None:
        """User code ended the process. What it was about to do goes no further."""
        self._crash_soon(f"The actor is dead because its process ended with exit code {code}.")

    def _crash_soon(self, reason: str) -> None:
        """Once the user code on the stack has returned: nothing ends a task from within."""
        self.context.kernel.call_later(0, lambda _: self.crash(reason))

    def kill_process(self, pid: int) -> None:
        """SIGKILL to a process of the same node, at the end of this instant. Raises `ProcessLookupError`."""
        actors = self.node.actors.values() if self.node is not None else ()
        found = next((actor for actor in actors if actor.pid == pid), None)
        if found is None:
            raise ProcessLookupError(3, "No such process")
        self._kill_soon(found)

    def ingress_of(self, app: str) -> str | None:
        """What the controller says of an application."""
        return self.context.routers.ingress_of(app)

    def kill_actor(self, name: str, no_restart: bool) -> None:
        """`ray.kill` of a named actor, at the end of this instant. Raises `ValueError`."""
        found = [actor for actor in self.context.cluster.actors_named(name) if actor.name == name]
        if not found:
            raise ValueError(f"Failed to look up actor with name '{name}'.")
        found[0].is_final = no_restart
        self._kill_soon(found[0])

    def _kill_soon(self, actor: Actor) -> None:
        cluster, reason = self.context.cluster, "The actor is dead because its process was killed."
        self.context.kernel.call_later(0, lambda _: cluster.actor_died(actor, reason))

    def go_dark(self) -> None:
        """Its machine goes silent: it answers nobody, the controller's health checks among them, and nobody is told."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self.execution is not None:
            self.execution.go_dark()
        self.set_health_fault(HealthFault.HANGS)

    def lost(self, reason: str, cause: int | None) -> None:
        """The process is gone with its node, and the GCS doesn't know yet."""
        self._end(reason, cause)

    def set_health_fault(self, fault: HealthFault) -> None:
        """A fault: from now on health checks raise, hang, or are fine again."""
        self._has_health_fault = fault is not HealthFault.NONE
        if self.execution is not None:
            self.execution.set_health_fault(fault)
        self.notify()

    def _died(self, reason: str, is_node_dead: bool) -> None:
        if self.death is not None:
            return
        self.is_node_dead = is_node_dead
        self.died_ns = self.context.now_ns
        self.death_cause = self.context.kernel.cause if self._crash_cause is None else self._crash_cause
        self._end(reason, self._crash_cause)
        self.death = reason
        self.notify()

    def _end(self, reason: str, cause: int | None) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self.execution is not None:
            self.execution.kill(reason, cause)
        self.context.routers.close_owner(self.replica_id)

    # Inside

    def _spawn(self, what: str, coroutine: object) -> Task[None]:
        self._tasks = [task for task in self._tasks if not task.is_done]
        task: Task[None] = self.context.kernel.spawn(f"replica {self.replica_id} {what}", coroutine)  # type: ignore[arg-type]
        self._tasks.append(task)
        return task

    def _remote_traceback(self, method: str, error: Exception) -> str:
        """The error as it reaches the controller out of the actor."""
        actor, kind = self.actor, type(error).__name__
        node = actor.node
        name = f"ServeReplica:{self.deployment.app}:{self.deployment.name}"
        address = int(actor.actor_id[:12], 16)
        return (
            f"ray::{name}.{method}() (pid={actor.pid}, ip={node.ip if node else ''}, actor_id={actor.actor_id}, "
            f"repr=<ray.serve._private.replica.{name} object at 0x{address:x}>)\n"
            f'  File "replica.py", in {method}\n'
            f"{kind}: Traceback (most recent call last):\n"
            f'  File "replica.py", in {method}\n'
            f"{kind}: {error}"
        )


def _nobody() -> None:
    """There is no controller to tell."""
