"""Serve's replica autoscaler: how metrics become a total, the total a wish, and the wish, after its delay, a target.

Pure: a decision is a function of configuration, numbers and the remembered wish. Source: ray-serve.md 3.5, 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
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
    """The policy's decision before bounds; updates `wish` (ray-serve.md 8.2). With gangs it counts in whole gangs."""
    if gang_size:
        gangs = decide(
            config,
            running=running // gang_size,
            target=target // gang_size,
            total_requests=total_requests / gang_size,
            now_ns=now_ns,
            wish=wish,
        )
        return gangs * gang_size
    if running == 0 and total_requests > 0:
        return max(ceil(config.up_factor), target)
    raw = total_requests / config.target_ongoing_requests if running else float(target)
    factor = config.up_factor if raw > running else config.down_factor
    want = ceil(running + factor * (raw - running))
    if ceil(raw) < running and want == running:
        want -= 1  # a small factor must not keep it from ever going down
    if running == 0 and want > 0:
        return want
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
    """Sum of step functions as one, at 10 ms resolution.

    Each begins at zero; points at which none of them changes are left out.
    """
    points: list[tuple[float, int, float]] = []
    for index, one in enumerate(series):
        points.extend((round(at, 2), index, value) for at, value in one)
    points.sort(key=lambda point: point[0])
    latest = [0.0] * len(series)
    merged: list[tuple[float, float]] = []
    total = 0.0
    for at, index, value in points:
        if value == latest[index]:
            continue
        total += value - latest[index]
        latest[index] = value
        if merged and merged[-1][0] == at:
            merged.pop()
        merged.append((at, total))
    return merged


def aggregate(series: Sequence[Series], now_s: float, function: Aggregation = "mean") -> float:
    """One number over the look-back window, which begins where every series has a value. 0 without any."""
    filled = [one for one in series if one]
    if not filled:
        return 0.0
    if len(filled) == 1:  # one source alone is taken as it is, without rounding its instants
        merged, begin = list(filled[0]), filled[0][0][0]
    else:
        merged, begin = merge(filled), max(round(one[0][0], 2) for one in filled)
    carried = 0.0
    inside: list[tuple[float, float]] = []
    for at, value in merged:
        if at < begin:
            carried = value
        else:
            inside.append((at, value))
    if function != "mean":
        values = [value for _, value in inside] or [carried]
        return max(values) if function == "max" else min(values)
    if now_s <= begin:
        return inside[-1][1] if inside else carried
    area, since = 0.0, begin
    for at, value in inside:
        area += carried * (at - since)
        carried, since = value, at
    return (area + carried * (now_s - since)) / (now_s - begin)
