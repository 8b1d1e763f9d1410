"""`--speed`: how fast virtual time passes where it follows the clock."""

from __future__ import annotations

import math

from rayrig_core.errors import InputError


def check_speed(speed: float) -> None:
    """In virtual seconds a second. Raises `InputError`."""
    if not 0 < speed < math.inf:
        raise InputError(f"time cannot pass {speed:g} times as fast", where="--speed", remedy="give a positive number")
