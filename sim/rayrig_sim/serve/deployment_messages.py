"""What Serve says of a deployment in its `message` (ray-serve.md 4.2, golden/ray-serve)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rayrig_sim.serve.identity import DeploymentId

HEALTH_CHECK_FAILED = (
    "A replica's health check failed. This deployment will be UNHEALTHY until the replica recovers or a new deploy "
    "happens."
)
ROLLOUT_HAD_FAILED_BEFORE_RESTART = "The rolling update of this deployment had failed before the controller restarted."


def retrying(left: int | None, error: str) -> str:
    """A start failed and is tried again; `left` is None when there is no limit."""
    times = "" if left is None else f" {left} more time(s)"
    return f"A replica failed to start with exception. Retrying{times}. Error:\n{error}"


def start_failed(failures: int, error: str) -> str:
    return (
        f"The deployment failed to start {failures} times in a row. This may be due to a problem with its "
        "constructor or initial health check failing. See controller logs for details. "
        f"Error:\n{error}"
    )


def rollout_failed(failures: int, error: str) -> str:
    return (
        f"The deployment failed to start {failures} times in a row during a rolling update. This may be due "
        "to a problem with its constructor, initial health check or health checks failing. The update is stopped "
        "and replicas of the previous version keep running until a new deploy. See controller logs for details. "
        f"Error:\n{error}"
    )


def slow_to_be_scheduled(
    deployment: DeploymentId, count: int, resources: Mapping[str, float], total: Mapping[str, float]
) -> str:
    """`resources` of one replica, `total` of the cluster, of which CPUs, GPUs and what is asked for are shown."""
    required = json.dumps({name: float(amount) for name, amount in resources.items()})
    available = json.dumps({n: a for n, a in total.items() if n in ("CPU", "GPU") or n in resources})
    return (
        f"{_who(deployment)} {count} replicas that have taken more than 30s to be scheduled. This may be due to waiting for "
        "the cluster to auto-scale or for a runtime environment to be installed. Resources required for each "
        f"replica: {required}, total resources available: {available}. Use `ray status` for more details."
    )


def slow_to_initialize(deployment: DeploymentId, count: int) -> str:
    return (
        f"{_who(deployment)} {count} replicas that have taken more than 30s to initialize.\n"
        "This may be caused by a slow __init__ or reconfigure method."
    )


def _who(deployment: DeploymentId) -> str:
    return f"Deployment '{deployment.name}' in application '{deployment.app}' has"
