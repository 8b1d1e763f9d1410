"""Numbers of messages in objects and bodies of JSON."""

from __future__ import annotations

from rayrig.apiserver.wire.floats import single


def json_number(value: float) -> int | float:
    """A 32-bit float in its fewest digits; a whole one is an integer. Raises `OverflowError`."""
    short = single(value)
    return int(short) if short.is_integer() and abs(short) < 1e21 else short
