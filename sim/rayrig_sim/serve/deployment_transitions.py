"""The status machine of a Serve deployment, as a table: (status, event) -> what becomes of status and trigger.

Source: ray-serve.md 4.2. Whatever is not in the table changes nothing. The table does not look at how a status was reached,
with two exceptions that are columns of their own: a deployment that is already scaling follows the autoscaler only if the
autoscaler made it scale, and a changed count only if a configuration change or the autoscaler did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class DeploymentStatus(StrEnum):
    UPDATING = "UPDATING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    UPSCALING = "UPSCALING"
    DOWNSCALING = "DOWNSCALING"


class Trigger(StrEnum):
    """Why a deployment has its status."""

    UNSPECIFIED = "UNSPECIFIED"
    CONFIG_UPDATE_STARTED = "CONFIG_UPDATE_STARTED"
    CONFIG_UPDATE_COMPLETED = "CONFIG_UPDATE_COMPLETED"
    UPSCALE_COMPLETED = "UPSCALE_COMPLETED"
    DOWNSCALE_COMPLETED = "DOWNSCALE_COMPLETED"
    AUTOSCALING = "AUTOSCALING"
    REPLICA_STARTUP_FAILED = "REPLICA_STARTUP_FAILED"
    DEPLOYMENT_ACTOR_FAILED = "DEPLOYMENT_ACTOR_FAILED"
    HEALTH_CHECK_FAILED = "HEALTH_CHECK_FAILED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DELETING = "DELETING"


class DeploymentEvent(StrEnum):
    """What can happen to a deployment."""

    CONVERGED = "HEALTHY"
    CONFIG_UPDATE = "CONFIG_UPDATE"
    COUNT_RAISED = "MANUALLY_INCREASE_NUM_REPLICAS"
    COUNT_LOWERED = "MANUALLY_DECREASE_NUM_REPLICAS"
    AUTOSCALE_UP = "AUTOSCALE_UP"
    AUTOSCALE_DOWN = "AUTOSCALE_DOWN"
    REPLICA_STARTUP_FAILED = "REPLICA_STARTUP_FAILED"
    ROLLING_UPDATE_FAILED = "ROLLING_UPDATE_FAILED"
    DEPLOYMENT_ACTOR_FAILED = "DEPLOYMENT_ACTOR_FAILED"
    HEALTH_CHECK_FAILED = "HEALTH_CHECK_FAILED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DELETE = "DELETE"


_S, _T, _E = DeploymentStatus, Trigger, DeploymentEvent
_Outcome = tuple[DeploymentStatus, Trigger]

#: Events that act alike from every status.
_FROM_ANY: dict[DeploymentEvent, _Outcome] = {
    _E.CONFIG_UPDATE: (_S.UPDATING, _T.CONFIG_UPDATE_STARTED),
    _E.ROLLING_UPDATE_FAILED: (_S.DEPLOY_FAILED, _T.REPLICA_STARTUP_FAILED),
    _E.INTERNAL_ERROR: (_S.UNHEALTHY, _T.INTERNAL_ERROR),
    _E.DELETE: (_S.UPDATING, _T.DELETING),
}

_SCALE: dict[DeploymentEvent, _Outcome] = {
    _E.AUTOSCALE_UP: (_S.UPSCALING, _T.AUTOSCALING),
    _E.AUTOSCALE_DOWN: (_S.DOWNSCALING, _T.AUTOSCALING),
}
_COUNT: dict[DeploymentEvent, _Outcome] = {
    _E.COUNT_RAISED: (_S.UPSCALING, _T.CONFIG_UPDATE_STARTED),
    _E.COUNT_LOWERED: (_S.DOWNSCALING, _T.CONFIG_UPDATE_STARTED),
}
_ILL: dict[DeploymentEvent, _Outcome] = {
    _E.REPLICA_STARTUP_FAILED: (_S.UNHEALTHY, _T.REPLICA_STARTUP_FAILED),
    _E.HEALTH_CHECK_FAILED: (_S.UNHEALTHY, _T.HEALTH_CHECK_FAILED),
}
_FAILED: dict[DeploymentEvent, _Outcome] = {
    _E.REPLICA_STARTUP_FAILED: (_S.DEPLOY_FAILED, _T.REPLICA_STARTUP_FAILED),
    _E.HEALTH_CHECK_FAILED: (_S.DEPLOY_FAILED, _T.HEALTH_CHECK_FAILED),
    _E.DEPLOYMENT_ACTOR_FAILED: (_S.DEPLOY_FAILED, _T.DEPLOYMENT_ACTOR_FAILED),
}

TRANSITIONS: dict[DeploymentStatus, dict[DeploymentEvent, _Outcome]] = {
    _S.UPDATING: {**_FROM_ANY, **_SCALE, **_FAILED, _E.CONVERGED: (_S.HEALTHY, _T.CONFIG_UPDATE_COMPLETED)},
    _S.HEALTHY: {
        **_FROM_ANY,
        **_SCALE,
        **_COUNT,
        _E.HEALTH_CHECK_FAILED: (_S.UNHEALTHY, _T.HEALTH_CHECK_FAILED),
    },
    _S.UPSCALING: {**_FROM_ANY, **_SCALE, **_COUNT, **_ILL, _E.CONVERGED: (_S.HEALTHY, _T.UPSCALE_COMPLETED)},
    _S.DOWNSCALING: {**_FROM_ANY, **_SCALE, **_COUNT, **_ILL, _E.CONVERGED: (_S.HEALTHY, _T.DOWNSCALE_COMPLETED)},
    _S.UNHEALTHY: {**_FROM_ANY, **_ILL, _E.CONVERGED: (_S.HEALTHY, _T.UNSPECIFIED)},
    _S.DEPLOY_FAILED: {**_FROM_ANY, **_FAILED, _E.CONVERGED: (_S.HEALTHY, _T.UNSPECIFIED)},
}

_SCALING = (_S.UPSCALING, _S.DOWNSCALING)
#: While scaling, these events count only if the present trigger is one of these.
REQUIRED_TRIGGER: dict[DeploymentEvent, tuple[Trigger, ...]] = {
    _E.AUTOSCALE_UP: (_T.AUTOSCALING,),
    _E.AUTOSCALE_DOWN: (_T.AUTOSCALING,),
    _E.COUNT_RAISED: (_T.CONFIG_UPDATE_STARTED, _T.AUTOSCALING),
    _E.COUNT_LOWERED: (_T.CONFIG_UPDATE_STARTED, _T.AUTOSCALING),
}


@dataclass(frozen=True, slots=True)
class DeploymentStatusInfo:
    """Status, why, and the message people see."""

    status: DeploymentStatus = DeploymentStatus.UPDATING
    trigger: Trigger = Trigger.CONFIG_UPDATE_STARTED
    message: str = ""

    def after(self, event: DeploymentEvent, message: str = "") -> DeploymentStatusInfo:
        """What the event makes of it; `self` when it changes nothing. A transition replaces the message."""
        outcome = TRANSITIONS[self.status].get(event)
        if outcome is None:
            return self
        if self.status in _SCALING:
            required = REQUIRED_TRIGGER.get(event)
            if required is not None and self.trigger not in required:
                return self
        if outcome == (self.status, self.trigger) and message == self.message:
            return self
        return DeploymentStatusInfo(outcome[0], outcome[1], message)

    def with_message(self, message: str) -> DeploymentStatusInfo:
        return self if message == self.message else replace(self, message=message)
