"""Schedules of CronJobs, and what is wrong with one in the words of the parser that reads them."""

from __future__ import annotations

import re
from functools import lru_cache

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
#: Least, most and names of minutes, hours, days of the month, months and days of the week.
_BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_DURATION = re.compile(r"[-+]?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+|0")
_ZONED = re.compile(r"(?:CRON_)?TZ=(\S*) +(.*)")


class BadSchedule(Exception):
    """The text is the parser's."""


@lru_cache(maxsize=256)
def schedule_problem(schedule: str) -> str:
    """Why this is no schedule; empty when it is one."""
    try:
        _read(schedule)
    except BadSchedule as problem:
        return str(problem)
    return ""


@lru_cache(maxsize=256)
def zone_problem(zone: str) -> str:
    """Why this is no time zone; empty when it is one."""
    if not zone or zone == "UTC":
        return ""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown time zone {zone}"
    return ""


def _read(schedule: str) -> None:
    zoned = _ZONED.fullmatch(schedule)
    if zoned is not None:
        problem = zone_problem(zoned.group(1))
        if problem:
            raise BadSchedule(f"provided bad location {zoned.group(1)}: {problem}")
        schedule = zoned.group(2).strip()
    if schedule.startswith("@"):
        every = schedule.removeprefix("@every ")
        if every != schedule:
            if not _DURATION.fullmatch(every):
                raise BadSchedule(f'failed to parse duration {schedule}: time: invalid duration "{every}"')
        elif schedule not in _DESCRIPTORS:
            raise BadSchedule(f"unrecognized descriptor: {schedule}")
        return
    fields = schedule.split()
    if len(fields) != len(_BOUNDS):
        raise BadSchedule(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, (least, most, names) in zip(fields, _BOUNDS, strict=True):
        for part in field.split(","):
            if part:
                _read_range(part, least, most, names)


def _read_range(text: str, least: int, most: int, names: dict[str, int]) -> None:
    span, *steps = text.split("/")
    ends = span.split("-")
    step = 1
    if ends[0] in ("*", "?"):
        start, end = least, most
    else:
        start = _number(ends[0], names)
        if len(ends) > 2:
            raise BadSchedule(f"too many hyphens: {text}")
        end = _number(ends[1], names) if len(ends) == 2 else start
    if len(steps) > 1:
        raise BadSchedule(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0], {})
        if len(ends) == 1:
            end = most
    if start < least:
        raise BadSchedule(f"beginning of range ({start}) below minimum ({least}): {text}")
    if end > most:
        raise BadSchedule(f"end of range ({end}) above maximum ({most}): {text}")
    if start > end:
        raise BadSchedule(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise BadSchedule(f"step of range should be a positive number: {text}")


def _number(text: str, names: dict[str, int]) -> int:
    known = names.get(text.lower())
    if known is not None:
        return known
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise BadSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise BadSchedule(f"negative number ({number}) not allowed: {text}")
    return number
