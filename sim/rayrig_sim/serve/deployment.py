"""One deployment in the controller: brings its replicas to the target, step by step.

The parts of a step are methods in the order in which the controller calls them (ray-serve.md 5.1, 4 a to h). A step in which
nothing is due changes nothing, so the controller leaves it out; `next_ns` says when something will be.
"""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.objects import JsonObject
from rayrig_core.trace import Kind
from rayrig_sim.ray.resources import IMPLICIT_PREFIX
from rayrig_sim.serve import deployment_messages as messages
from rayrig_sim.serve.autoscaling import AutoscalingConfig
from rayrig_sim.serve.broadcast import Broadcaster
from rayrig_sim.serve.context import ServeContext
from rayrig_sim.serve.deployment_config import DeploymentInfo, shown
from rayrig_sim.serve.deployment_transitions import DeploymentEvent, DeploymentStatus, DeploymentStatusInfo
from rayrig_sim.serve.deployment_update import (
    DeploymentTarget,
    Effect,
    downscaling,
    plan_update,
    upscaling,
)
from rayrig_sim.serve.execution import ReplicaExecution
from rayrig_sim.serve.handle_metrics import MetricsOptions
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.replica import SLOW_START_NS, Replica
from rayrig_sim.serve.replica_health import Health
from rayrig_sim.serve.replica_process import Call, ReplicaProcess
from rayrig_sim.serve.replica_set import RECOVERY_NS, ReplicaSet
from rayrig_sim.serve.rolling_update import (
    failure_threshold,
    may_stop,
    may_stop_with_surge,
    rollout_size,
    surge_size,
)
from rayrig_sim.serve.router import RouterConfig
from rayrig_sim.serve.status import ReplicaState
from rayrig_sim.serve.target_capacity import Direction

_S = ReplicaState
_UNSETTLED = (_S.STARTING, _S.UPDATING, _S.RECOVERING, _S.STOPPING)
_ROUTABLE = (_S.RUNNING, _S.PENDING_MIGRATION)


class DeploymentState:
    """A deployment and its replicas. `wake` asks the controller for a step; `changed` tells it to write a checkpoint."""

    def __init__(
        self,
        context: ServeContext,
        deployment: DeploymentId,
        broadcaster: Broadcaster,
        *,
        wake: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.context = context
        self.id = deployment
        self.subject = f"{context.subject}/{deployment.app}/{deployment.name}"
        self.target: DeploymentTarget | None = None
        self.status = DeploymentStatusInfo()
        self._set = ReplicaSet(context, deployment, wake=self.wake, changed=self._mark_dirty)
        self.is_dirty = True
        self.next_ns = 0
        #: Its last trace event.
        self.seq: int | None = None
        #: A rollout has failed for good: no replica is started until there is a new version.
        self.is_frozen = False
        self._broadcaster = broadcaster
        self._wake_controller = wake
        self._target_changed = changed
        self._failures = 0
        self._failure = ""
        self._has_run = False
        self._is_rolling = False
        self._warned_ns = -SLOW_START_NS
        self._sent: tuple[ReplicaExecution, ...] | None = None
        self._sent_unavailable = False

    @property
    def replicas(self) -> list[Replica]:
        """In order of start."""
        return self._set.members

    # Targets

    def deploy(
        self,
        info: DeploymentInfo,
        target_capacity: float | None,
        direction: Direction | None,
        cause: int | None,
    ) -> bool:
        """A new configuration. False when it is noticed in nothing."""
        update = plan_update(self.target, info, target_capacity=target_capacity, direction=direction)
        if update is None:
            return False
        is_first = self.target is None or self.target.is_deleting
        if update.is_new_version or is_first:
            self.is_frozen = False
            self._has_run = False
            self._is_rolling = any(
                r.version != update.target.version and r.state is not _S.STOPPING for r in self.replicas
            )
        self._failures, self._failure = 0, ""
        self._set_target(update.target)
        if is_first:
            self.status = DeploymentStatusInfo()
            self._emit_status(cause)
        elif update.event is not None:
            self._happened(update.event, update.message, cause)
        return True

    def delete(self, cause: int | None) -> None:
        """All replicas go, then the deployment."""
        assert self.target is not None
        if not self.target.is_deleting:
            self._set_target(self.target.deleted())
            self._happened(DeploymentEvent.DELETE, "", cause)

    def set_count(self, num_replicas: int) -> None:
        """The scale API: no status moves (ray-serve.md 2.3)."""
        assert self.target is not None
        if num_replicas != self.target.num_replicas:
            self._set_target(self.target.with_count(num_replicas))

    def autoscale(self, num_replicas: int, *, is_within_bounds: bool, detail: str, cause: int | None) -> None:
        """The autoscaler's decision."""
        assert self.target is not None
        before = self.target.num_replicas
        if num_replicas == before:
            return
        self.seq = self.context.kernel.trace.emit(
            Kind.AUTOSCALE, self.subject, before, num_replicas, detail, cause=cause
        )
        self._set_target(self.target.with_count(num_replicas))
        if not is_within_bounds:
            return
        if num_replicas > before:
            self._happened(DeploymentEvent.AUTOSCALE_UP, upscaling(before, num_replicas), self.seq)
        else:
            self._happened(DeploymentEvent.AUTOSCALE_DOWN, downscaling(before, num_replicas), self.seq)

    def recover(
        self, target: DeploymentTarget, processes: list[ReplicaProcess], *, is_frozen: bool, cause: int | None
    ) -> None:
        """After a restart of the controller: the target of the checkpoint, the replicas that were found alive."""
        self.target = target
        self.is_frozen = is_frozen
        for process in processes:
            if process.start is not Call.DONE:
                process.kill("the controller restarted before it had initialised")
                continue
            self._set.take_over(process, cause)
        self._is_rolling = any(r.version != target.version for r in self.replicas)
        if target.is_deleting:
            self.status = self.status.after(DeploymentEvent.DELETE)
        elif is_frozen:
            self.status = self.status.after(
                DeploymentEvent.ROLLING_UPDATE_FAILED, messages.ROLLOUT_HAD_FAILED_BEFORE_RESTART
            )
        self._emit_status(cause)
        self._configure_routers()

    def _set_target(self, target: DeploymentTarget) -> None:
        self.target = target
        self._configure_routers()
        self._target_changed()
        self.wake()

    def _configure_routers(self) -> None:
        assert self.target is not None
        config = self.target.info.config
        router, backpressure, scaling = config.request_router_config, config.backpressure_config, config.autoscaling
        self._broadcaster.configure(
            self.id,
            RouterConfig(
                max_queued_requests=config.max_queued_requests,
                backpressure_status=backpressure["status_code"],
                backpressure_retry_after_s=backpressure["retry_after_s"],
                initial_backoff_s=router["initial_backoff_s"],
                backoff_multiplier=router["backoff_multiplier"],
                max_backoff_s=router["max_backoff_s"],
                metrics=None
                if scaling is None
                else MetricsOptions(scaling.metrics_interval_s, scaling.look_back_period_s),
            ),
        )

    # A step

    def wake(self) -> None:
        """Something about it or its replicas changed."""
        self.is_dirty = True
        self._wake_controller()

    def _mark_dirty(self) -> None:
        self.is_dirty = True

    def is_due(self, now_ns: int) -> bool:
        return self.is_dirty or now_ns >= self.next_ns

    def check_replicas(self, now_ns: int) -> None:
        """(a) Health of running replicas; results of starts, updates, recoveries and stops."""
        self.is_dirty = False
        for replica in list(self.replicas):
            match replica.state:
                case _S.RUNNING | _S.PENDING_MIGRATION:
                    self._check_health(replica, now_ns)
        waiting = initializing = 0
        for replica in list(self.replicas):
            match replica.state:
                case _S.STARTING:
                    self._check_start(replica)
                    if replica.state is _S.STARTING and now_ns - replica.began_ns >= SLOW_START_NS:
                        waiting += replica.process.node is None
                        initializing += replica.is_initializing
                case _S.UPDATING:
                    self._check_update(replica)
                case _S.RECOVERING:
                    self._check_recovery(replica, now_ns)
        for replica in list(self.replicas):
            if replica.state is _S.STOPPING and replica.is_stopped(now_ns):
                self._set.remove(replica)
        if (waiting or initializing) and now_ns - self._warned_ns >= SLOW_START_NS:
            self._warn_slow(waiting, initializing, now_ns)

    def update_status(self) -> None:
        """(b) and (f): what the counts say."""
        target = self.target
        assert target is not None
        wanted = target.num_replicas
        running_new = self._set.count(_S.RUNNING, target.version)
        if running_new:
            self._has_run = True
        if target.is_deleting:
            return
        threshold = failure_threshold(wanted)
        if wanted and self._failures >= threshold:
            if self._is_rolling:
                self._give_up_rollout()
            elif not self._has_run:
                self._give_up_start()
        if any(replica.state in _UNSETTLED for replica in self.replicas):
            return
        if (
            running_new == wanted
            and self._set.count(_S.RUNNING) == running_new
            and not self._set.close_ranks(running_new)
        ):
            self._failures, self._failure = 0, ""
            self._is_rolling = False
            self._happened(DeploymentEvent.CONVERGED, "", self._set.last_seq)

    def migrate(self, now_ns: int) -> None:
        """(c) Replicas on nodes that Ray drains (ray-serve.md 5.8)."""
        self._set.move_from_draining_nodes(now_ns, None if self.target is None else self.target.num_replicas)

    def scale(self) -> None:
        """(e) Outdated replicas as far as the rollout allows, then the count."""
        target = self.target
        assert target is not None
        is_failing = self._is_failing
        extra = 0
        if not target.is_deleting:
            extra = self._roll(is_failing)
        present = [r for r in self.replicas if r.state not in (_S.STOPPING, _S.PENDING_MIGRATION)]
        missing = target.num_replicas + extra - len(present)
        if missing > 0 and not is_failing:
            for _ in range(missing):
                self._set.start(target.info, target.version, self.seq)
        elif missing < 0:
            self._set.stop_surplus(present, -missing, self.seq)

    @property
    def is_gone(self) -> bool:
        """Deletion is over."""
        return self.target is not None and self.target.is_deleting and not self.replicas

    def broadcast(self) -> None:
        """(h) Tell the routers, if what they should know has changed."""
        running = tuple(
            replica.process.execution
            for replica in self.replicas
            if replica.state in _ROUTABLE and replica.process.execution is not None
        )
        is_unavailable = self.status.status is DeploymentStatus.DEPLOY_FAILED and not running
        if running != self._sent or is_unavailable != self._sent_unavailable:
            if self._broadcaster.replicas(self.id, running, is_unavailable, self._set.last_seq):
                self._sent, self._sent_unavailable = running, is_unavailable
            else:
                self.is_dirty = True

    def plan_next(self, now_ns: int) -> None:
        """When it has to be looked at again, if nothing happens before."""
        earliest = self._set.next_ns(self._warned_ns)
        self.next_ns = earliest if earliest > now_ns else now_ns

    # Replicas

    def _check_health(self, replica: Replica, now_ns: int) -> None:
        assert replica.health is not None
        health = replica.health.poll(now_ns, replica.process, replica.config)
        if health is Health.FINE:
            return
        is_new = self._is_new(replica)
        detail = replica.process.death or "three health checks in a row failed"
        self._set.stop(replica, detail, cause=replica.process.death_cause, is_graceful=health is Health.FAILED)
        if is_new:
            if self._is_rolling:
                self._failures += 1
                self._failure = detail
            self._happened(DeploymentEvent.HEALTH_CHECK_FAILED, messages.HEALTH_CHECK_FAILED, replica.seq)

    def _check_start(self, replica: Replica) -> None:
        process = replica.process
        if process.execution is not None and process.rank is None:
            self._set.give_rank(replica)
        if process.start is Call.DONE and process.death is None:
            self._set.enter(replica, _S.RUNNING)
        elif process.start is Call.FAILED or process.death is not None:
            self._failed(replica, process.failure or process.death or "")

    def _check_update(self, replica: Replica) -> None:
        process = replica.process
        if process.death is not None or process.update is Call.FAILED:
            self._failed(replica, process.failure or process.death or "")
        elif process.update is Call.DONE:
            self._set.enter(replica, _S.RUNNING)

    def _check_recovery(self, replica: Replica, now_ns: int) -> None:
        process = replica.process
        if process.death is not None or now_ns - replica.began_ns >= RECOVERY_NS:
            why = process.death or "it could not be recovered"
            self._set.stop(replica, why, cause=process.death_cause, is_graceful=False)
        elif now_ns > replica.began_ns:
            self._set.enter(replica, _S.RUNNING, "recovered")

    def _failed(self, replica: Replica, text: str) -> None:
        """A start or reconfiguration failed: it is stopped, counted and said."""
        first_line = text.rstrip().rpartition("\n")[2]
        process = replica.process
        self._set.stop(replica, first_line, cause=process.death_cause, is_graceful=process.death is None)
        if self.target is None or not self.target.num_replicas:
            return
        self._failures += 1
        self._failure = text
        left = max(failure_threshold(self.target.num_replicas) - self._failures, 0)
        self._say(messages.retrying(None if self._has_run else left, text), replica.seq)

    def _roll(self, is_failing: bool) -> int:
        """Bring outdated replicas on. Returns how many may exist above the target meanwhile."""
        target = self.target
        assert target is not None
        outdated = [r for r in self.replicas if r.version != target.version and r.state is not _S.STOPPING]
        if not outdated:
            return 0
        for replica in [r for r in outdated if r.state is _S.STARTING]:
            self._set.stop(replica, "outdated", cause=self.seq, is_graceful=False)
        outdated = [r for r in outdated if r.state in _ROUTABLE]
        for replica in list(outdated):
            if target.version.effect_on(replica.version) in (Effect.ADOPT, Effect.NONE):
                replica.version = target.version
                replica.process.adopt(target.info, target.version)
                outdated.remove(replica)
                self.is_dirty = True
        if is_failing or not outdated:
            return 0
        config, wanted = target.info.config, target.num_replicas
        size = rollout_size(wanted, config.rolling_update_percentage)
        restarts = [r for r in outdated if target.version.effect_on(r.version) is Effect.RESTART]
        extra = surge_size(wanted, config.max_surge_percent) if restarts else 0
        if extra:
            allowed, outdated = may_stop_with_surge(wanted, size, self._set.count(_S.RUNNING)), restarts
        else:
            old = sum(
                r.version != target.version and r.state in (_S.STARTING, _S.UPDATING, _S.RUNNING) for r in self.replicas
            )
            allowed = may_stop(wanted, size, self._set.count(_S.RUNNING, target.version), old)
        for replica in outdated[:allowed]:
            if target.version.effect_on(replica.version) is Effect.RESTART:
                self._set.stop(replica, "replaced by a new version", cause=self.seq)
            else:
                self._set.reconfigure(replica, target.info, target.version, self.seq)
        return extra

    # Status

    @property
    def _is_failing(self) -> bool:
        """No replica is started any more until the next deploy."""
        target = self.target
        if target is None or target.is_deleting or not target.num_replicas:
            return False
        if self.is_frozen:
            return True
        return not self._has_run and not self._is_rolling and self._failures >= failure_threshold(target.num_replicas)

    def _give_up_start(self) -> None:
        message = messages.start_failed(self._failures, self._failure)
        self._happened(DeploymentEvent.REPLICA_STARTUP_FAILED, message, self._set.last_seq)

    def _give_up_rollout(self) -> None:
        if not self.is_frozen:
            self.is_frozen = True
            self._target_changed()
        message = messages.rollout_failed(self._failures, self._failure)
        self._happened(DeploymentEvent.ROLLING_UPDATE_FAILED, message, self._set.last_seq)

    def _warn_slow(self, waiting: int, initializing: int, now_ns: int) -> None:
        self._warned_ns = now_ns
        target = self.target
        assert target is not None
        if initializing:
            message = messages.slow_to_initialize(self.id, initializing)
        else:
            total = self.context.cluster.total_resources()
            message = messages.slow_to_be_scheduled(self.id, waiting, target.info.actor.resources, total)
        if self.status.status not in (DeploymentStatus.UNHEALTHY, DeploymentStatus.DEPLOY_FAILED):
            self._say(message, self._set.last_seq)

    def _happened(self, event: DeploymentEvent, message: str, cause: int | None) -> None:
        after = self.status.after(event, message)
        if after is not self.status:
            self.status = after
            self._emit_status(cause)

    def _say(self, message: str, cause: int | None) -> None:
        after = self.status.with_message(message)
        if after is not self.status:
            self.status = after
            self._emit_status(cause)

    def _emit_status(self, cause: int | None) -> None:
        status = self.status
        self.seq = self.context.kernel.trace.emit(
            Kind.DEPLOYMENT, self.subject, status.status.value, status.trigger.value, status.message, cause=cause
        )
        self.is_dirty = True

    # Counts and views

    def _is_new(self, replica: Replica) -> bool:
        return self.target is not None and replica.version == self.target.version

    def routable_ids(self) -> list[str]:
        """Ids of the replicas that get calls."""
        return [replica.replica_id for replica in self.replicas if replica.state in _ROUTABLE]

    def running_at_target(self) -> int:
        """Replicas that run what the target says."""
        return 0 if self.target is None else self._set.count(_S.RUNNING, self.target.version)

    @property
    def is_recovering(self) -> bool:
        return any(replica.state is _S.RECOVERING for replica in self.replicas)

    @property
    def autoscaling(self) -> AutoscalingConfig | None:
        if self.target is None or self.target.is_deleting:
            return None
        return self.target.info.config.autoscaling

    def active_nodes(self) -> dict[str, int]:
        """Ids of nodes with an active replica, each with the last trace event of the oldest one there."""
        return self._set.active_nodes()

    def details(self) -> JsonObject:
        """As the GET answer shows it (ray-serve.md 2.2)."""
        target, status = self.target, self.status
        assert target is not None
        resources = target.info.actor.asked
        return {
            "name": self.id.name,
            "status": status.status.value,
            "status_trigger": status.trigger.value,
            "message": status.message,
            "deployment_config": shown(target.info),
            "target_num_replicas": target.num_replicas,
            "required_resources": {n: a for n, a in resources.items() if not n.startswith(IMPLICIT_PREFIX)},
            "replicas": [replica.details() for replica in self.replicas],
            "recent_dead_replicas": list(self._set.dead),
        }
