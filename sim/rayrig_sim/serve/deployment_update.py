"""What deploying a deployment again does: whether it is noticed, its new target and status, and what its replicas need.

Pure. Source: ray-serve.md 3.8; every line of its table is a recorded decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from rayrig_sim.serve.autoscaling import registered_target
from rayrig_sim.serve.deployment_config import DeploymentInfo, canonical
from rayrig_sim.serve.deployment_transitions import DeploymentEvent
from rayrig_sim.serve.target_capacity import Direction, adjusted


class Effect(StrEnum):
    """What a replica of an older version needs."""

    RESTART = "restart"
    RECONFIGURE = "reconfigure-actor"
    ADOPT = "new-version-no-actor-call"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DeploymentVersion:
    """What a replica runs. `restart` needs a new process, `reconfigure` a call to it, `adopted` only the controller."""

    code: str
    restart: str
    reconfigure: str
    adopted: str

    def effect_on(self, running: DeploymentVersion) -> Effect:
        """What a replica that runs `running` needs to get here."""
        if running.code != self.code or running.restart != self.restart:
            return Effect.RESTART
        if running.reconfigure != self.reconfigure:
            return Effect.RECONFIGURE
        return Effect.ADOPT if running.adopted != self.adopted else Effect.NONE


def version_of(info: DeploymentInfo) -> DeploymentVersion:
    config, actor = info.config, info.actor
    autoscaling = config.autoscaling
    return DeploymentVersion(
        code=info.code_version,
        restart=canonical(
            [
                actor.options,
                actor.max_replicas_per_node,
                actor.placement_group_bundles,
                actor.placement_group_strategy,
                actor.placement_group_bundle_label_selector,
                config.gang_scheduling_config,
            ]
        ),
        reconfigure=canonical(
            [
                config.user_config,
                config.max_ongoing_requests,
                config.graceful_shutdown_wait_loop_s,
                config.backpressure_config,
                config.logging_config,
                [autoscaling.metrics_interval_s, autoscaling.look_back_period_s] if autoscaling else None,
                info.route_prefix,
            ]
        ),
        adopted=canonical(
            [config.graceful_shutdown_timeout_s, config.health_check_period_s, config.health_check_timeout_s]
        ),
    )


@dataclass(frozen=True, slots=True)
class DeploymentTarget:
    """What the controller wants of a deployment. This is what a checkpoint holds."""

    info: DeploymentInfo
    version: DeploymentVersion
    num_replicas: int
    target_capacity: float | None = None
    direction: Direction | None = None
    is_deleting: bool = False

    def with_count(self, num_replicas: int) -> DeploymentTarget:
        return replace(self, num_replicas=num_replicas)

    def deleted(self) -> DeploymentTarget:
        return replace(self, num_replicas=0, is_deleting=True)


@dataclass(frozen=True, slots=True)
class DeploymentUpdate:
    """The new target and the event it means for the status (None: none), with its message."""

    target: DeploymentTarget
    event: DeploymentEvent | None
    message: str
    is_new_version: bool


def plan_update(
    old: DeploymentTarget | None,
    info: DeploymentInfo,
    *,
    target_capacity: float | None = None,
    direction: Direction | None = None,
) -> DeploymentUpdate | None:
    """What deploying `info` does; None when nothing is noticed."""
    version = version_of(info)
    if old is not None and not old.is_deleting and not _is_noticed(old, info, target_capacity, direction):
        return None
    count = _count(old, info, target_capacity, direction)
    target = DeploymentTarget(info, version, count, target_capacity, direction)
    if old is None or old.is_deleting:
        return DeploymentUpdate(target, DeploymentEvent.CONFIG_UPDATE, "", old is not None and old.version != version)
    is_new_version = old.version != version
    if is_new_version or _without_count(old.info) != _without_count(info):
        return DeploymentUpdate(target, DeploymentEvent.CONFIG_UPDATE, "", is_new_version)
    if count > old.num_replicas:
        return DeploymentUpdate(target, DeploymentEvent.COUNT_RAISED, upscaling(old.num_replicas, count), False)
    if count < old.num_replicas:
        return DeploymentUpdate(target, DeploymentEvent.COUNT_LOWERED, downscaling(old.num_replicas, count), False)
    return DeploymentUpdate(target, None, "", False)


def upscaling(before: int, after: int) -> str:
    return f"Upscaling from {before} to {after} replicas."


def downscaling(before: int, after: int) -> str:
    return f"Downscaling from {before} to {after} replicas."


def _is_noticed(
    old: DeploymentTarget, info: DeploymentInfo, capacity: float | None, direction: Direction | None
) -> bool:
    return (
        old.info.config != info.config
        or old.info.actor.options != info.actor.options
        or old.info.route_prefix != info.route_prefix
        or old.info.code_version != info.code_version
        or old.target_capacity != capacity
        or old.direction != direction
    )


def _without_count(info: DeploymentInfo) -> object:
    return replace(info.config, num_replicas=0)


def _count(
    old: DeploymentTarget | None, info: DeploymentInfo, capacity: float | None, direction: Direction | None
) -> int:
    autoscaling = info.config.autoscaling
    if autoscaling is None:
        return adjusted(info.config.num_replicas or 0, capacity)
    is_changed = (
        old is None
        or old.info.config != info.config
        or old.info.actor.options != info.actor.options
        or old.info.code_version != info.code_version
    )
    current = old.num_replicas if old is not None else -1
    return registered_target(autoscaling, current, is_changed=is_changed, target_capacity=capacity, direction=direction)
