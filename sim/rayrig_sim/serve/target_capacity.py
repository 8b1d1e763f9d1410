"""`target_capacity`: a percentage that scales every deployment's number of replicas, and in which direction it moves.

Source: ray-serve.md 5.9.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from math import floor


class Direction(StrEnum):
    """Where the capacity goes; autoscaling looks at it."""

    UP = "UP"
    DOWN = "DOWN"


def adjusted(num_replicas: int, target_capacity: float | None) -> int:
    """Replicas at that capacity (percent, None = 100): rounded half up, at least one unless either is zero."""
    if target_capacity is None or target_capacity == 100:
        return num_replicas
    if target_capacity == 0 or num_replicas == 0:
        return 0
    return max(1, floor(num_replicas * target_capacity / 100 + 0.5))


def next_direction(
    old_applications: Collection[str] | None,
    old_capacity: float | None,
    new_applications: Collection[str],
    new_capacity: float | None,
    current: Direction | None,
) -> Direction | None:
    """Direction after a new document. `old_applications` is None before the first one."""
    is_same = old_applications is not None and set(old_applications) == set(new_applications)
    if is_same and old_capacity == new_capacity:
        return current
    if new_capacity is None:
        return None
    if not is_same:
        return Direction.UP
    if old_capacity is None:
        return Direction.DOWN
    return Direction.UP if new_capacity > old_capacity else Direction.DOWN
