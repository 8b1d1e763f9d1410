"""Durations as Go writes and reads them: `1m30s`, `1.5h`, `250ms` (kuberay-operator 1.4, 1.6, 2.15)."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_INTEGER = re.compile(r"[+-]?[0-9]+")


@lru_cache(maxsize=256)
def parse_go_duration(text: str) -> int:
    """Nanoseconds. `0` needs no unit. Raises `ValueError`."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    position, total = 0, Fraction(0)
    while position < len(rest):
        found = _PART.match(rest, position)
        if found is None:
            break
        total += Fraction(found[1].rstrip(".") or "0") * _UNITS_NS[found[2]]
        position = found.end()
    if position == 0 or position != len(rest):
        raise ValueError(f"{text!r} is not a duration such as 90s or 1h30m")
    return sign * int(total)


@lru_cache(maxsize=256)
def parse_seconds_or_duration(text: str) -> int:
    """Nanoseconds of a Go duration or of a whole number of seconds. Raises `ValueError`."""
    if text != "0" and _INTEGER.fullmatch(text):
        return int(text) * _UNITS_NS["s"]
    return parse_go_duration(text)


def format_go_duration(duration_ns: int) -> str:
    """`1h30m0s`, `10.002s`, `250ms`, `0s`."""
    if duration_ns == 0:
        return "0s"
    sign = "-" if duration_ns < 0 else ""
    ns = abs(duration_ns)
    if ns < _UNITS_NS["s"]:
        for unit in ("ms", "µs", "ns"):
            if ns >= _UNITS_NS[unit]:
                return f"{sign}{_decimal(ns, _UNITS_NS[unit])}{unit}"
    minutes, rest = divmod(ns, _UNITS_NS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, _UNITS_NS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def format_milliseconds(duration_ns: int) -> str:
    """As `format_go_duration`; what is below a millisecond is cut off, as in the kubelet's texts."""
    return format_go_duration(duration_ns - duration_ns % _UNITS_NS["ms"])


def _decimal(ns: int, unit_ns: int) -> str:
    whole, rest = divmod(ns, unit_ns)
    if not rest:
        return str(whole)
    digits = str(rest).zfill(len(str(unit_ns)) - 1).rstrip("0")
    return f"{whole}.{digits}"
