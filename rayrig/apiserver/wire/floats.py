"""Numbers of 32 bits, as messages carry them: in the fewest digits that tell one from its neighbours."""

from __future__ import annotations

import math
import struct
from contextlib import suppress


def single(value: float) -> float:
    """The 32-bit float nearest to `value`, as the shortest decimal that stands for it. Raises `OverflowError`."""
    if math.isnan(value) or math.isinf(value):
        return value
    packed = struct.pack("<f", value)
    (nearest,) = struct.unpack("<f", packed)
    for digits in range(1, 9):
        shorter = float(f"{nearest:.{digits}g}")
        # Fewer digits may say more than the largest number there is.
        with suppress(OverflowError):
            if struct.pack("<f", shorter) == packed:
                return shorter
    return float(f"{nearest:.9g}")


def json_number(value: float) -> int | float:
    """The same as JSON has it: a whole number is an integer. Raises `OverflowError`."""
    short = single(value)
    return int(short) if short.is_integer() and abs(short) < 1e21 else short
