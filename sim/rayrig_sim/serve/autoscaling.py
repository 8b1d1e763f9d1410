"""Serve's replica autoscaler: how metrics become a total, the total a wish, and the wish, after its delay, a target.

Pure: a decision is a function of configuration, numbers and the remembered wish. Source: ray-serve.md 3.5, 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from rayrig_sim.serve.target_capacity import Direction, adjusted

Aggregation = Literal["mean", "max", "min"]
Series = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class AutoscalingConfig:
    """`autoscaling_config` with its defaults (ray-serve.md 3.5). Times in seconds."""

    min_replicas: int = 1
    initial_replicas: int | None = None
    max_replicas: int = 1
    target_ongoing_requests: float = 2
    metrics_interval_s: float = 10.0
    look_back_period_s: float = 30.0
    smoothing_factor: float = 1.0
    upscale_smoothing_factor: float | None = None
    downscale_smoothing_factor: float | None = None
    upscaling_factor: float | None = None
    downscaling_factor: float | None = None
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    upscale_delay_s: float = 30.0
    aggregation_function: Aggregation = "mean"
    policy_function: str = "ray.serve.autoscaling_policy:default_autoscaling_policy"
    policy_kwargs: str = "{}"

    @property
    def up_factor(self) -> float:
        return _first(self.upscaling_factor, self.upscale_smoothing_factor, self.smoothing_factor)

    @property
    def down_factor(self) -> float:
        return _first(self.downscaling_factor, self.downscale_smoothing_factor, self.smoothing_factor)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def bounds(
    config: AutoscalingConfig, target_capacity: float | None = None, direction: Direction | None = None
) -> tuple[int, int]:
    """Least and most replicas. While capacity goes up, `initial_replicas` is the floor (ray-serve.md 5.9)."""
    floor = config.min_replicas
    if direction is Direction.UP and config.initial_replicas is not None:
        floor = config.initial_replicas
    return adjusted(floor, target_capacity), adjusted(config.max_replicas, target_capacity)


def clamp(value: int, limits: tuple[int, int]) -> int:
    return max(limits[0], min(limits[1], value))


def registered_target(
    config: AutoscalingConfig,
    current_target: int,
    *,
    is_changed: bool,
    target_capacity: float | None = None,
    direction: Direction | None = None,
) -> int:
    """Target right after a deploy: `initial_replicas` for a new or changed configuration, else the current one, within bounds."""
    wanted = config.initial_replicas if is_changed and config.initial_replicas is not None else current_target
    return clamp(wanted, bounds(config, target_capacity, direction))


@dataclass(slots=True)
class Wish:
    """A standing wish to scale: +1 up, -1 down, 0 none; `since_ns` its beginning."""

    sign: int = 0
    since_ns: int | None = None

    def clear(self) -> None:
        self.sign, self.since_ns = 0, None


def decide(
    config: AutoscalingConfig,
    *,
    running: int,
    target: int,
    total_requests: float,
    now_ns: int,
    wish: Wish,
    gang_size: int | None = None,
) -> int:
    """The policy's decision before bounds; updates `wish` (ray-serve.md 8.2). Gangs are filled up."""
    if gang_size and gang_size > 1:
        # The last gang counts as a single replica on its way to zero.
        is_last = config.min_replicas == 0 and target == gang_size
        wanted = decide(
            config,
            running=running,
            target=1 if is_last else target,
            total_requests=total_requests,
            now_ns=now_ns,
            wish=wish,
        )
        return -(-wanted // gang_size) * gang_size
    if running == 0:
        # Factors and delays are for who runs already.
        if total_requests > 0:
            return max(ceil(config.up_factor), target)
        return target if target > 0 else _after_delay(config, 0, target, now_ns, wish)
    # In this order of operations: where the quotient is a whole number but for its last digit, the next one is wanted.
    raw = running * (total_requests / (config.target_ongoing_requests * running))
    factor = config.up_factor if raw > running else config.down_factor
    want = ceil(running + factor * (raw - running))
    if ceil(raw) < running and want == running:
        want -= 1  # a small factor must not keep it from ever going down
    return _after_delay(config, max(want, 0), target, now_ns, wish)


def _after_delay(config: AutoscalingConfig, want: int, target: int, now_ns: int, wish: Wish) -> int:
    if want == target:
        wish.clear()
        return target
    sign = 1 if want > target else -1
    if wish.sign != sign or wish.since_ns is None:
        wish.sign, wish.since_ns = sign, now_ns
    delay_s = config.upscale_delay_s
    if sign < 0:
        delay_s = config.downscale_delay_s
        if target == 1 and want == 0 and config.downscale_to_zero_delay_s is not None:
            delay_s = config.downscale_to_zero_delay_s
    if now_ns - wish.since_ns < round(delay_s * 1_000_000_000):
        return target
    wish.clear()
    return max(want, 1) if sign < 0 and target > 1 else want


def merge(series: Sequence[Series]) -> list[tuple[float, float]]:
    """Sum of step functions as one, at 10 ms resolution: a point wherever one of them changes, each beginning at zero.

    One alone is taken as it is.
    """
    filled = [one for one in series if one]
    if len(filled) < 2:
        return [(at, value) for one in filled for at, value in one]
    changes: dict[float, float] = {}
    for one in filled:
        latest = 0.0
        for at, value in one:
            if value != latest:
                instant = floor(at * 100 + 0.5) / 100
                changes[instant] = changes.get(instant, 0.0) + value - latest
                latest = value
    merged: list[tuple[float, float]] = []
    total = 0.0
    for instant in sorted(changes):
        total += changes[instant]
        merged.append((instant, total))
    return merged


class LoadWindow:
    """What sources have reported over the look-back window, as one number at any later time."""

    __slots__ = ("_area", "_begin_s", "_function", "_last", "_last_s", "is_constant", "is_zero")

    def __init__(self, series: Sequence[Series], function: Aggregation) -> None:
        merged = merge(series)
        begins = [one[0][0] for one in series if one]
        self._function = function
        #: Whether time alone does not change the number.
        self.is_constant = True
        #: Whether nobody had any call.
        self.is_zero = not any(value for _, value in merged)
        self._area = self._begin_s = self._last = self._last_s = 0.0
        if not merged:
            return
        self._last_s, self._last = merged[-1]
        self._begin_s = merged[0][0]
        if len(begins) > 1 and max(begins) <= self._last_s:
            self._begin_s = max(*begins, self._begin_s)  # before, not every source has said something
        if function != "mean":
            values = [value for at, value in merged if at >= self._begin_s]
            self._last = max(values) if function == "max" else min(values)
            return
        value, since = 0.0, self._begin_s
        for at, next_value in merged:
            if at > self._begin_s:
                self.is_constant = self.is_constant and value == next_value
                self._area += value * (at - since)
                since = at
            value = next_value

    def total(self, now_s: float) -> float:
        """The time-weighted mean up to now, or the most or least; 0 when nothing was reported."""
        if self._function != "mean":
            return self._last
        # A clock that is behind counts as a millisecond.
        open_s = max(now_s - self._last_s, 0.0) or 1e-3
        span_s = self._last_s + open_s - self._begin_s
        return (self._area + self._last * open_s) / span_s
