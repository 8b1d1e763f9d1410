"""Values as scenarios write them, with units: durations (`30s`, `250ms`), rates (`50/s`), distributions, bounds (`<= 3`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

from rayrig_core.errors import InputError
from rayrig_sim.calibration import Distribution, distribution, duration_s


def bad(what: str, remedy: str) -> PydanticCustomError:
    """A validation error with its remedy; the loader turns it into an `InputError` with file and line."""
    # pydantic would take braces in the text for placeholders, so the text travels as context.
    return PydanticCustomError("rayrig", "{what}", {"what": what, "remedy": remedy})


def parse_duration(value: Any) -> float:
    """Seconds. A bare number is refused, save 0: nobody can tell its unit."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = value if isfinite(value) else 30
        raise bad(f"{value} has no unit", f'write "{number}s" or "{number}ms"')
    if not isinstance(value, str):
        raise bad(f"{value!r} is no duration", "write one such as 30s, 1m30s or 250ms")
    try:
        return duration_s(value)
    except (ValueError, OverflowError):
        raise bad(f'"{shortened(value)}" is no duration', "write one such as 30s, 1m30s or 250ms") from None


def shortened(text: str) -> str:
    """A text as an error quotes it: not longer than anybody would read."""
    return text if len(text) <= 60 else f"{text[:60]}…"


_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")


def parse_rate(value: Any) -> float:
    """Per second."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise bad(f"{value!r} is no rate", "write one such as 50/s or 600/m")
    rate = float(match[1]) / {"s": 1, "m": 60, "h": 3600}[match[2]]
    if rate <= 0:
        raise bad(f"{value!r} sends nothing", "give a rate above 0")
    return rate


def parse_distribution(value: Any) -> Distribution:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        parse_duration(value)
    try:
        return distribution(value)
    except InputError as error:
        raise bad(error.what, error.remedy) from None


@dataclass(frozen=True, slots=True)
class Bound:
    """A number and how the observed one must stand to it."""

    operator: str
    value: float

    def holds(self, observed: float) -> bool:
        match self.operator:
            case "<=":
                return observed <= self.value
            case ">=":
                return observed >= self.value
            case "<":
                return observed < self.value
            case ">":
                return observed > self.value
            case "!=":
                return observed != self.value
            case _:
                return observed == self.value

    def __str__(self) -> str:
        number = f"{self.value:g}"
        return number if self.operator == "==" else f"{self.operator} {number}"


_BOUND = re.compile(r"(<=|>=|==|!=|<|>)\s*(.+)")


def parse_bound(value: Any) -> Bound:
    """`3` and `"== 3"` mean exactly, `"<= 3"`, `">= 3"`, `"< 3"`, `"> 3"`, `"!= 3"` what they say."""
    if isinstance(value, Bound):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Bound("==", float(value))
    match = _BOUND.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is not None:
            return Bound(match[1], float(match[2]))
        if isinstance(value, str):
            return Bound("==", float(value))
    except ValueError:
        pass
    raise bad(f"{value!r} is no bound", 'write a number, or "<= 3", ">= 1", "< 5", "> 0", "!= 2"')


def parse_duration_bound(value: Any) -> Bound:
    """As `parse_bound` with durations; a bare duration means at most that. The value is in seconds."""
    if isinstance(value, Bound):
        return value
    match = _BOUND.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return Bound(match[1], parse_duration(match[2].strip()))
    return Bound("<=", parse_duration(value))


def _as_text(value: Bound) -> str:
    return str(value)


_TEXT = PlainSerializer(_as_text, return_type=str)

Duration = Annotated[float, BeforeValidator(parse_duration)]
Rate = Annotated[float, BeforeValidator(parse_rate)]
Spread = Annotated[Any, BeforeValidator(parse_distribution)]
NumberBound = Annotated[Bound, BeforeValidator(parse_bound), _TEXT]
DurationBound = Annotated[Bound, BeforeValidator(parse_duration_bound), _TEXT]
