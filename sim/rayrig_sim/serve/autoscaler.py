"""The autoscaler of one deployment at work: reports of its handles, the wish, the decisions.

Source: ray-serve.md 8. The decisions themselves are in `autoscaling.py`, the reports in `handle_metrics.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.autoscaling import AutoscalingConfig, LoadWindow, Wish, bounds, clamp, decide
from rayrig_sim.serve.context import NEVER_NS, STEP_NS
from rayrig_sim.serve.deployment_update import DeploymentTarget
from rayrig_sim.serve.handle_metrics import Counting, HandleReport

#: Handles that have not reported for twice their interval, and at least this long, are dropped (MIN_HANDLE_METRICS_TIMEOUT_S).
_LEAST_SILENCE_NS = to_ns(10)


class Scaled(Protocol):
    """The deployment, as its autoscaler knows it."""

    @property
    def target(self) -> DeploymentTarget | None: ...

    def routable_ids(self) -> Sequence[str]:
        """Ids of the replicas that get calls."""

    def running_at_target(self) -> int:
        """Replicas that run what the target says."""

    def autoscale(self, num_replicas: int, *, is_within_bounds: bool, detail: str, cause: int | None) -> None:
        """Follow a decision."""


def _silence_ns(config: AutoscalingConfig) -> int:
    return max(to_ns(2 * config.metrics_interval_s), _LEAST_SILENCE_NS)


class DeploymentAutoscaler:
    """Decides for one deployment while it is autoscaled."""

    def __init__(self, state: Scaled) -> None:
        self._state = state
        self._wish = Wish()
        #: What each handle said last, and when.
        self._reports: dict[Counting, tuple[int, HandleReport]] = {}
        self._replicas: Sequence[str] = ()
        #: What the reports mean for these replicas; None when that is to be worked out anew.
        self._window: LoadWindow | None = None
        self._next_ns = NEVER_NS

    def deployed(self) -> None:
        """The deployment was deployed anew, with whatever change: no wish stands any more."""
        self._wish.clear()
        self._window = None

    def received(self, report: HandleReport, now_ns: int) -> bool:
        """A handle's report. Whether a decision is due: another one of an unchanged load tells nothing."""
        before, is_known = self._window, report.handle in self._reports
        self._reports[report.handle] = (now_ns, report)
        config = self._config
        if config is None:
            return False
        self._window = self._load(config)
        if is_known and before is not None and before.is_constant and self._window.is_constant:
            now_s = now_ns / NS
            if before.total(now_s) == self._window.total(now_s):
                return False
        self._next_ns = now_ns
        return True

    def is_told_nothing_by(self, handle: Counting) -> bool:
        """Whether another report of that handle, in which there are no calls, makes no difference."""
        return handle in self._reports and self._window is not None and self._window.is_zero

    @property
    def handles(self) -> Iterable[Counting]:
        """Those that have reported."""
        return self._reports

    def silent_ns(self) -> int:
        """When one of the handles will have been silent for too long, if it reports no more."""
        config = self._config
        if config is None or not self._reports:
            return NEVER_NS
        return min(at_ns for at_ns, _ in self._reports.values()) + _silence_ns(config)

    def lost(self, handle: Counting) -> bool:
        """The process that held the handle is dead. Whether a decision is due."""
        if self._reports.pop(handle, None) is None:
            return False
        self._window = None
        return True

    def decide(self, now_ns: int, now_s: float, cause: int | None) -> None:
        """(5) of a step. `now_s` is Unix time."""
        config, target = self._config, self._state.target
        if config is None or target is None:
            return
        replicas = self._state.routable_ids()
        if replicas != self._replicas or self._window is None:
            self._replicas = replicas
            self._window = self._load(config)
        total = self._window.total(now_s)
        limits = bounds(config, target.target_capacity, target.direction)
        gang = target.info.config.gang_scheduling_config
        wanted = clamp(
            decide(
                config,
                running=len(replicas),
                target=target.num_replicas,
                total_requests=total,
                now_ns=now_ns,
                wish=self._wish,
                gang_size=gang["gang_size"] if gang else None,
            ),
            limits,
        )
        self._state.autoscale(
            wanted,
            is_within_bounds=limits[0] <= self._state.running_at_target() <= limits[1],
            detail=f"{round(total * 1000)} thousandths of a request on {len(replicas)} replicas",
            cause=cause,
        )
        self._drop_silent(config, now_ns)
        self._plan(config, now_ns)

    def next_ns(self) -> int:
        """When a decision may come out otherwise, if nothing is heard before and nobody falls silent."""
        return self._next_ns

    # Inside

    @property
    def _config(self) -> AutoscalingConfig | None:
        target = self._state.target
        return None if target is None or target.is_deleting else target.info.config.autoscaling

    def _load(self, config: AutoscalingConfig) -> LoadWindow:
        """Calls that wait, and those on replicas that still run."""
        running = dict.fromkeys(self._replicas)
        series = [
            notes for _, report in self._reports.values() for id_, notes in report.running.items() if id_ in running
        ]
        series += [report.queued for _, report in self._reports.values()]
        return LoadWindow(series, config.aggregation_function)

    def _drop_silent(self, config: AutoscalingConfig, now_ns: int) -> None:
        """At the end of a step: the next one decides without them."""
        silence_ns = _silence_ns(config)
        silent = [handle for handle, (at_ns, _) in self._reports.items() if now_ns - at_ns >= silence_ns]
        for handle in silent:
            self.lost(handle)

    def _plan(self, config: AutoscalingConfig, now_ns: int) -> None:
        if self._window is None or not self._window.is_constant:
            self._next_ns = now_ns + STEP_NS
            return
        self._next_ns = NEVER_NS
        if self._wish.since_ns is not None:
            delays = [config.upscale_delay_s] if self._wish.sign > 0 else [config.downscale_delay_s]
            if self._wish.sign < 0 and config.downscale_to_zero_delay_s is not None:
                delays.append(config.downscale_to_zero_delay_s)
            dues = [self._wish.since_ns + to_ns(delay) for delay in delays]
            self._next_ns = min(self._next_ns, min((due for due in dues if due > now_ns), default=now_ns + STEP_NS))
