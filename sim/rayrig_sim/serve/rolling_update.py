"""How many replicas a rollout may replace at a time, and how many failed starts a deployment is allowed.

Source: ray-serve.md 5.2, 5.3.
"""

from __future__ import annotations

#: `max_constructor_retry_count` of every deployment; no option sets it.
MAX_CONSTRUCTOR_FAILURES = 20
#: Failed starts allowed per wanted replica (MAX_PER_REPLICA_RETRY_COUNT).
FAILURES_PER_REPLICA = 3


def failure_threshold(target: int, max_constructor_retry_count: int = MAX_CONSTRUCTOR_FAILURES) -> int:
    """Failed starts after which a deployment that never ran is given up."""
    return min(max_constructor_retry_count, FAILURES_PER_REPLICA * target)


def rollout_size(target: int, rolling_update_percentage: float) -> int:
    """Replicas that may be missing at once during a rollout."""
    return max(int(rolling_update_percentage * target), 1)


def surge_size(target: int, max_surge_percent: int) -> int:
    """Replicas that may be started above the target before old ones stop."""
    return (max_surge_percent * target + 99) // 100


def may_stop(target: int, size: int, running_new: int, running_old: int) -> int:
    """Outdated replicas that may be stopped or reconfigured now without a surge.

    `running_old` includes STARTING and UPDATING ones. While old ones alone exceed the target (the count was lowered too), none.
    """
    if running_old > target:
        return 0
    pending = target - running_new - running_old
    return max(size - pending, 0)


def may_stop_with_surge(target: int, size: int, running: int) -> int:
    """Outdated replicas that may be stopped now when a surge is allowed: RUNNING must not fall below the target."""
    return max(min(size, running - target), 0)
