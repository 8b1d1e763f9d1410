"""Logical resources as Ray counts them: in ten-thousandths, so that 0.1 CPU ten times is one CPU exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

#: Ray's unit: a ten-thousandth of a resource.
UNIT = 10_000

#: Every node has one of each resource of this kind, whatever its name; `max_replicas_per_node: n` asks for 1/n of one.
IMPLICIT_PREFIX = "node:__internal_implicit_resource_"

Amounts: TypeAlias = dict[str, int]


def amounts(resources: Mapping[str, float]) -> Amounts:
    """In Ray's unit; zeros left out."""
    return {name: round(value * UNIT) for name, value in resources.items() if value}


def plain(resources: Mapping[str, int]) -> dict[str, float]:
    """Back to numbers, as messages show them."""
    return {name: value / UNIT for name, value in resources.items()}


def text(amount: int) -> str:
    """An amount for people, exactly: `2`, `0.5`."""
    whole, rest = divmod(amount, UNIT)
    return f"{whole}.{rest:04d}".rstrip("0") if rest else str(whole)


def implicit(name: str) -> str:
    return IMPLICIT_PREFIX + name


class Ledger:
    """What one node has and what is left of it."""

    __slots__ = ("available", "total")

    def __init__(self, total: Mapping[str, float]) -> None:
        self.total = amounts(total)
        self.available = dict(self.total)

    def _left(self, name: str) -> int:
        return self.available.get(name, UNIT if name.startswith(IMPLICIT_PREFIX) else 0)

    def fits(self, wanted: Mapping[str, int]) -> bool:
        return all(self._left(name) >= amount for name, amount in wanted.items())

    def could_ever_fit(self, wanted: Mapping[str, int]) -> bool:
        return all(
            self.total.get(name, UNIT if name.startswith(IMPLICIT_PREFIX) else 0) >= amount
            for name, amount in wanted.items()
        )

    def take(self, wanted: Mapping[str, int]) -> None:
        for name, amount in wanted.items():
            self.available[name] = self._left(name) - amount

    def give_back(self, wanted: Mapping[str, int]) -> None:
        for name, amount in wanted.items():
            left = self.available[name] + amount
            if name in self.total or left < UNIT:
                self.available[name] = left
            else:
                del self.available[name]

    @property
    def is_idle(self) -> bool:
        return self.available == self.total
