"""Statuses of applications, replicas and proxies, and how an application's follows from its deployments'.

Source: ray-serve.md 4.1, 4.3, 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from rayrig_sim.serve.deployment_transitions import DeploymentStatus, DeploymentStatusInfo, Trigger


class ApplicationStatus(StrEnum):
    NOT_STARTED = "NOT_STARTED"
    DEPLOYING = "DEPLOYING"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    RUNNING = "RUNNING"
    UNHEALTHY = "UNHEALTHY"
    DELETING = "DELETING"


class ReplicaState(StrEnum):
    STARTING = "STARTING"
    UPDATING = "UPDATING"
    RECOVERING = "RECOVERING"
    RUNNING = "RUNNING"
    PENDING_MIGRATION = "PENDING_MIGRATION"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


class ProxyStatus(StrEnum):
    STARTING = "STARTING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"


#: The lowest rank among its deployments decides an application's status.
_RANK_FAILED, _RANK_UNHEALTHY, _RANK_DEPLOYING, _RANK_RUNNING = range(4)


def _rank(info: DeploymentStatusInfo) -> int:
    match info.status:
        case DeploymentStatus.DEPLOY_FAILED:
            return _RANK_FAILED
        case DeploymentStatus.UNHEALTHY:
            return _RANK_UNHEALTHY
        case DeploymentStatus.UPDATING:
            return _RANK_DEPLOYING
        case DeploymentStatus.UPSCALING | DeploymentStatus.DOWNSCALING:
            return _RANK_RUNNING if info.trigger is Trigger.AUTOSCALING else _RANK_DEPLOYING
        case DeploymentStatus.HEALTHY:
            return _RANK_RUNNING


def application_status(
    deployments: Iterable[tuple[str, DeploymentStatusInfo]],
) -> tuple[ApplicationStatus, str]:
    """Status and message of a built application whose deployments have these (name, status) in deployment order."""
    lowest, names = _RANK_RUNNING, list[str]()
    for name, info in deployments:
        rank = _rank(info)
        if rank < lowest:
            lowest, names = rank, [name]
        elif rank == lowest:
            names.append(name)
    if lowest == _RANK_FAILED:
        return ApplicationStatus.DEPLOY_FAILED, f"Failed to update the deployments {names}."
    if lowest == _RANK_UNHEALTHY:
        return ApplicationStatus.UNHEALTHY, f"The deployments {names} are UNHEALTHY."
    return (ApplicationStatus.DEPLOYING if lowest == _RANK_DEPLOYING else ApplicationStatus.RUNNING), ""
