"""Amounts that are a number or a percentage of another."""

from __future__ import annotations

from rayrig_core.objects import Json


def amount_of(value: Json, total: int, *, round_up: bool) -> int:
    """`value` as a number: 3 is 3, "25%" a quarter of `total`. Nothing is 0."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    percent = int(str(value).rstrip("%"))
    return -(-total * percent // 100) if round_up else total * percent // 100
