"""Times as the API server reads and writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_PLAIN = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ")
_MICRO = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z")
_ZONE = re.compile(r"Z|[+-]\d\d:\d\d")
#: Parts of the layout, what each accepts, and the name of what may be out of range.
_PARTS: tuple[tuple[str, str, str, int, int], ...] = (
    ("2006", r"\d{4}", "", 0, 9999),
    ("-", "-", "", 0, 0),
    ("01", r"\d\d", "month", 1, 12),
    ("-", "-", "", 0, 0),
    ("02", r"\d\d", "day", 1, 31),
    ("T", "T", "", 0, 0),
    ("15", r"\d\d?", "hour", 0, 23),
    (":", ":", "", 0, 0),
    ("04", r"\d\d", "minute", 0, 59),
    (":", ":", "", 0, 0),
    ("05", r"\d\d", "second", 0, 59),
)


def read_time(text: str) -> str:
    """An RFC 3339 time in UTC and whole seconds. Raises `ValueError` with the server's words."""
    if _PLAIN.fullmatch(text):
        return text
    return _read(text, micro=False).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_micro_time(text: str) -> str:
    """A time with exactly six decimals, in UTC. Raises `ValueError` with the server's words."""
    if _MICRO.fullmatch(text):
        return text
    return _read(text, micro=True).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(text: str, micro: bool) -> datetime:
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    intro = f'parsing time "{text}"'
    rest = text

    def failed(part: str) -> ValueError:
        return ValueError(f'{intro} as "{layout}": cannot parse "{rest}" as "{part}"')

    numbers: list[int] = []
    for part, pattern, name, least, most in _PARTS:
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            raise failed(part)
        rest = rest[found.end() :]
        if part.isdigit():
            number = int(found.group())
            if not least <= number <= most:
                raise ValueError(f"{intro}: {name} out of range")
            numbers.append(number)
    micros = 0
    if micro:
        found = re.match(r"\.\d{6}", rest, re.ASCII)
        if found is None:
            raise failed(".000000")
        micros, rest = int(found.group()[1:]), rest[7:]
    elif found := re.match(r"[.,]\d+", rest, re.ASCII):
        rest = rest[found.end() :]
    zone = _ZONE.match(rest)
    if zone is None:
        raise failed("Z07:00")
    rest = rest[zone.end() :]
    if rest:
        raise ValueError(f'{intro}: extra text: "{rest}"')
    try:
        if zone.group() == "Z":
            return datetime(*numbers, micros, tzinfo=UTC)  # type: ignore[misc,arg-type]
        return datetime.fromisoformat(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}".format(*numbers, micros) + zone.group()
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{intro}: day out of range") from None
