"""The autoscaler of one deployment at work: samples of its handles, their reports, the wish, the decisions.

Source: ray-serve.md 8. The decisions themselves are in `autoscaling.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rayrig_core.timestamps import NS, to_ns
from rayrig_sim.serve.autoscaling import AutoscalingConfig, LoadWindow, Wish, bounds, clamp, decide
from rayrig_sim.serve.context import NEVER_NS, STEP_NS, ServeContext
from rayrig_sim.serve.deployment import DeploymentState
from rayrig_sim.serve.identity import DeploymentId

#: Handles that have not reported for twice their interval, and at least this long, are dropped.
_LEAST_SILENCE_NS = to_ns(10)

_Points = list[tuple[float, float]]


class DeploymentAutoscaler:
    """Watches the handles of one deployment while it is autoscaled."""

    def __init__(self, context: ServeContext, state: DeploymentState, wake: Callable[[], None]) -> None:
        self.context = context
        self.state = state
        self.is_ended = False
        self._wake = wake
        self._wish = Wish()
        self._config: AutoscalingConfig | None = None
        #: What each handle has recorded, and what the controller has of it: (when reported, points).
        self._recorded: dict[str, _Points] = {}
        self._reports: dict[str, tuple[int, _Points]] = {}
        self._pushed_ns = context.now_ns
        self._next_ns = NEVER_NS
        self._sample_later()

    @property
    def deployment(self) -> DeploymentId:
        return self.state.id

    def end(self) -> None:
        self.is_ended = True

    def starved(self) -> None:
        """A request arrived while there is no replica: its handle reports at once."""
        self._sample()
        self._push()

    def decide(self, now_ns: int, cause: int | None) -> None:
        """(5) of a step."""
        config, target = self.state.autoscaling, self.state.target
        if config is None or target is None:
            return
        if config != self._config:
            self._config = config
            self._wish.clear()
        limits = bounds(config, target.target_capacity, target.direction)
        running = self.state.running_count
        total, is_constant = self._total(config, now_ns)
        gang = target.info.config.gang_scheduling_config
        wanted = clamp(
            decide(
                config,
                running=running,
                target=target.num_replicas,
                total_requests=total,
                now_ns=now_ns,
                wish=self._wish,
                gang_size=gang["gang_size"] if gang else None,
            ),
            limits,
        )
        self.state.autoscale(
            wanted,
            is_within_bounds=limits[0] <= running <= limits[1],
            detail=f"{round(total * 1000)} thousandths of a request on {running} replicas",
            cause=cause,
        )
        self._plan(config, now_ns, is_constant)

    def next_ns(self) -> int:
        return self._next_ns

    # Inside

    def _plan(self, config: AutoscalingConfig, now_ns: int, is_constant: bool) -> None:
        if not is_constant:
            self._next_ns = now_ns + STEP_NS
        elif self._wish.since_ns is None:
            self._next_ns = NEVER_NS
        else:
            delays = [config.upscale_delay_s] if self._wish.sign > 0 else [config.downscale_delay_s]
            if self._wish.sign < 0 and config.downscale_to_zero_delay_s is not None:
                delays.append(config.downscale_to_zero_delay_s)
            dues = [self._wish.since_ns + to_ns(delay) for delay in delays]
            self._next_ns = min((due for due in dues if due > now_ns), default=now_ns + STEP_NS)

    def _total(self, config: AutoscalingConfig, now_ns: int) -> tuple[float, bool]:
        """Requests over the look-back window, and whether time alone cannot change that number."""
        silence = max(to_ns(2 * config.metrics_interval_s), _LEAST_SILENCE_NS)
        alive = {owner for owner, _, _ in self.context.routers.loads(self.deployment)}
        series: list[_Points] = []
        now_s, oldest_s = now_ns / NS, (now_ns - to_ns(config.look_back_period_s)) / NS
        for owner, (reported_ns, points) in list(self._reports.items()):
            if owner not in alive or now_ns - reported_ns > silence:
                del self._reports[owner]
                continue
            recent = [point for point in points if point[0] >= oldest_s]
            if recent:
                series.append(recent)
        window = LoadWindow(series, config.aggregation_function)
        return window.total(now_s), window.is_constant

    def _sample_later(self) -> None:
        config = self.state.autoscaling
        if config is None:
            self.is_ended = True
            return
        period = min(0.2 * config.look_back_period_s, config.metrics_interval_s)

        def sample(_: Any) -> None:
            if self.is_ended:
                return
            self._sample()
            current = self.state.autoscaling
            if current is not None and self.context.now_ns - self._pushed_ns >= to_ns(current.metrics_interval_s):
                self._push()
            self._sample_later()

        self.context.kernel.call_later(to_ns(period), sample)

    def _sample(self) -> None:
        config = self.state.autoscaling
        if config is None:
            return
        now_ns = self.context.now_ns
        oldest_s = (now_ns - to_ns(config.look_back_period_s)) / NS
        recorded = self._recorded
        self._recorded = {}
        for owner, queued, ongoing in self.context.routers.loads(self.deployment):
            points = [point for point in recorded.get(owner, ()) if point[0] >= oldest_s]
            points.append((now_ns / NS, float(queued + ongoing)))
            self._recorded[owner] = points

    def _push(self) -> None:
        now_ns = self.context.now_ns
        self._pushed_ns = now_ns
        for owner, points in self._recorded.items():
            if owner in self.context.routers.silent:
                continue
            self._reports[owner] = (now_ns, list(points))
        self._next_ns = now_ns
        self._wake()
