"""Values of JSON as Go prints them by default (`%v`): how maps of anything become maps of text on the wire.

Kubernetes' decoder, which KubeRay reads dashboards with, keeps integers of 64 bits as such.
"""

from __future__ import annotations

from decimal import Decimal

from rayrig_core.objects import Json

#: From this power of ten on, and below the ten-thousandth, a number is printed with an exponent.
_EXPONENT_FROM = 6
_EXPONENT_BELOW = -4
_INTEGERS = 2**63


def go_text(value: Json) -> str:
    """`3` for 3, `true`, `<nil>`, `[a b]`, `map[a:1 b:2]` with sorted keys; text as it is."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_INTEGERS <= value < _INTEGERS:
        return str(value)
    if isinstance(value, (int, float)):
        return _number(float(value))
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    return str(value)


def _number(value: float) -> str:
    # `repr` has the fewest digits that mean this number, as Go's text has.
    sign, digits, last = Decimal(repr(value)).normalize().as_tuple()
    exponent = len(digits) - 1 + int(last)
    if value and not _EXPONENT_BELOW <= exponent < _EXPONENT_FROM:
        mantissa = "".join(map(str, digits))
        point = f".{mantissa[1:]}" if mantissa[1:] else ""
        return f"{'-' * sign}{mantissa[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return f"{Decimal(repr(value)).normalize():f}"
