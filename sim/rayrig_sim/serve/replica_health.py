"""Health checks of one replica: when the next is due, and what three failures in a row mean.

Source: ray-serve.md 5.4. A replica without a `check_health` of its own passes every check as long as its process lives, so its
checks are not carried out: when the process dies, the schedule is drawn up to that moment, and the first check after it notices.
The result is the same, draw for draw.
"""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from rayrig_core.timestamps import to_ns
from rayrig_sim.serve.context import NEVER_NS

if TYPE_CHECKING:
    from rayrig_core.ports import Task
    from rayrig_sim.serve.deployment_config import Config
    from rayrig_sim.serve.replica_process import ReplicaProcess

#: Failed checks in a row after which a replica is stopped (REPLICA_HEALTH_CHECK_UNHEALTHY_THRESHOLD).
FAILURES_ALLOWED = 3


class Health(Enum):
    FINE = "fine"
    #: Three checks in a row raised or took too long.
    FAILED = "failed"
    #: The process is gone.
    DEAD = "dead"


class HealthChecks:
    """The checks of one running replica."""

    __slots__ = ("_due_ns", "_failures", "_result", "_rng", "_since_ns", "_task")

    def __init__(self, rng: Random, now_ns: int, config: Config) -> None:
        self._rng = rng
        self._failures = 0
        self._task: Task[None] | None = None
        self._since_ns = now_ns
        self._result: bool | None = None
        self._due_ns = now_ns + self._period_ns(config)

    def _period_ns(self, config: Config) -> int:
        return to_ns(config.health_check_period_s * (0.9 + 0.2 * self._rng.random()))

    def poll(self, now_ns: int, process: ReplicaProcess, config: Config) -> Health:
        """Look at the outcome of the check under way, begin the next one if it is due."""
        if process.death is not None:
            return self._poll_dead(now_ns, process, config)
        if not process.has_health_check:
            return Health.FINE
        if self._task is not None:
            is_late = now_ns - self._since_ns >= to_ns(config.health_check_timeout_s)
            if self._result is None and not is_late:
                return Health.FINE
            if self._result is None:
                self._task.cancel()
            self._failures = 0 if self._result else self._failures + 1
            self._task, self._result = None, None
            if self._failures >= FAILURES_ALLOWED:
                return Health.FAILED
            self._due_ns = max(self._since_ns + self._period_ns(config), now_ns)
        if now_ns >= self._due_ns:
            self._since_ns = now_ns
            self._task = process.begin_health_check(self._finished)
        return Health.FINE

    def _poll_dead(self, now_ns: int, process: ReplicaProcess, config: Config) -> Health:
        if process.is_node_dead or self._task is not None:
            return Health.DEAD
        while self._due_ns < process.died_ns:
            self._due_ns += self._period_ns(config)
        return Health.DEAD if now_ns >= self._due_ns else Health.FINE

    def _finished(self, is_fine: bool) -> None:
        self._result = is_fine

    def next_ns(self, process: ReplicaProcess, config: Config) -> int:
        """When `poll` has something to do."""
        if process.death is None:
            if not process.has_health_check:
                return NEVER_NS
            if self._task is not None:
                return self._since_ns + to_ns(config.health_check_timeout_s)
        return self._due_ns
