"""Durations for hot paths: drawn from a distribution in batches, so that one costs little more than a list's pop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from random import Random

from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant, Distribution, Exponential, LogNormal, Uniform

_BATCH = 256


def batch_ns(distribution: Distribution, rng: Random, count: int) -> list[int]:
    """`count` durations in nanoseconds, in the order in which they are drawn."""
    if isinstance(distribution, Constant):
        return [round(distribution.value_s * NS)] * count
    random = rng.random
    if isinstance(distribution, Uniform):
        low, width = distribution.low_s * NS, (distribution.high_s - distribution.low_s) * NS
        return [int(low + width * random()) for _ in range(count)]
    if isinstance(distribution, Exponential):
        least, mean = distribution.least_s * NS, distribution.mean_s_above * NS
        return [int(least - mean * log(1.0 - random())) for _ in range(count)]
    if isinstance(distribution, LogNormal):
        location, sigma, gauss = log(distribution.median_s * NS), distribution.sigma, rng.gauss
        return [int(exp(gauss(location, sigma))) for _ in range(count)]
    draw = distribution.draw_ns
    return [draw(rng) for _ in range(count)]


class ServiceTimes:
    """An endless supply from one distribution and one random stream, which nobody else may draw from.

    `stock` may be popped directly by hot code, after a check that it is not empty.
    """

    __slots__ = ("_distributions", "_rng", "stock")

    def __init__(self, rng: Random, *distributions: Distribution) -> None:
        self._rng = rng
        self._distributions = distributions
        self.stock: list[int] = []

    def draw_ns(self) -> int:
        """One duration: the sum of one draw from each distribution."""
        stock = self.stock
        if not stock:
            self.refill()
        return stock.pop()

    def refill(self) -> None:
        batches = [batch_ns(distribution, self._rng, _BATCH) for distribution in self._distributions]
        total = (
            batches[0] if len(batches) == 1 else [sum(draws) for draws in zip(*batches, strict=True)] or [0] * _BATCH
        )
        total.reverse()
        self.stock.extend(total)


def weighted_choice(weights: Sequence[float], rng: Random) -> Callable[[], int]:
    """Draws indices with chances in proportion to `weights`, in batches."""
    indices = range(len(weights))
    stock: list[int] = []

    def draw() -> int:
        if not stock:
            stock.extend(reversed(rng.choices(indices, weights, k=_BATCH)))
        return stock.pop()

    return draw
