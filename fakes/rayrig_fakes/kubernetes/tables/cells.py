"""What cells of tables are made of, whatever they tell of (K8-011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import NS, parse_rfc3339

Cell: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Column:
    """`priority` above 0 shows only in wide output."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


def human_duration(ns: int) -> str:
    """`45s`, `2m30s`, `75m`, `5h`, `3d4h`: the fewest units that still say something."""
    if ns <= -NS:
        return "<invalid>"
    total = max(0, ns) // NS
    minutes, hours, days = total // 60, total // 3600, total // 86_400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return f"{days // 365}y{days % 365}d" if days % 365 else f"{days // 365}y"
    return f"{days // 365}y"


def age(timestamp: Json, now: int) -> str:
    if not timestamp:
        return "<unknown>"
    try:
        return human_duration(now - parse_rfc3339(str(timestamp)))
    except ValueError:
        return "<invalid>"


def or_none(text: Json) -> str:
    return str(text) if text else "<none>"


def pairs(labels: JsonObject | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def first_few(values: list[str], nothing: str) -> str:
    """The first three, and how many more there are."""
    if not values:
        return nothing
    shown = ",".join(values[:3])
    return f"{shown} + {len(values) - 3} more..." if len(values) > 3 else shown


WIDE_WORKLOAD = [Column("Containers", priority=1), Column("Images", priority=1), Column("Selector", priority=1)]
