"""Kubernetes quantities: `500m`, `2Gi`, `1e3` as exact fractions, and back to their canonical text.

Canonical means: no fraction, the largest suffix that leaves an integer, in the family (decimal, binary, exponent) it was written in
(Kubernetes API, "Quantity"). Values finer than a nano are rounded away from zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from fractions import Fraction
from functools import lru_cache


class QuantityFormat(Enum):
    """The family of suffixes a quantity is written with."""

    DECIMAL_SI = "decimal"
    BINARY_SI = "binary"
    DECIMAL_EXPONENT = "exponent"


_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY_SUFFIX = {0: "", **{power: suffix for suffix, power in _BINARY.items()}}
_SHAPE = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?[0-9]+)")
_NANO = 1_000_000_000


def _round_away(value: Fraction) -> int:
    """To an integer, away from zero."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    whole += 1 if rest else 0
    return whole if value >= 0 else -whole


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Fraction, QuantityFormat]:
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} is not a quantity: expected a number with an optional suffix such as m, k, M, G, Ki, Mi, Gi"
        )
    sign, digits, suffix = found.groups()
    number = Fraction(digits.rstrip(".") or "0")
    if suffix in _BINARY:
        form, number = QuantityFormat.BINARY_SI, number * (1 << _BINARY[suffix])
    elif suffix in _DECIMAL:
        form, number = QuantityFormat.DECIMAL_SI, number * Fraction(10) ** _DECIMAL[suffix]
    else:
        form, number = QuantityFormat.DECIMAL_EXPONENT, number * Fraction(10) ** int(suffix[1:])
    if _NANO % number.denominator:
        number = Fraction(_round_away(number * _NANO), _NANO)
    return (-number if sign == "-" else number), form


def parse_quantity(value: str | int | float) -> Fraction:
    """Exact value. Raises `ValueError` when the text is no quantity."""
    return _parse(str(value))[0]


def quantity_format(value: str | int | float) -> QuantityFormat:
    """The family a quantity is written in. Raises `ValueError`."""
    return _parse(str(value))[1]


@lru_cache(maxsize=4096)
def milli(value: str | int | float) -> int:
    """Thousandths, rounded up (away from zero), as schedulers count CPU. Raises `ValueError`."""
    return _round_away(_parse(str(value))[0] * 1000)


@lru_cache(maxsize=4096)
def whole(value: str | int | float) -> int:
    """Units, rounded up (away from zero): bytes of memory, number of GPUs. Raises `ValueError`."""
    return _round_away(_parse(str(value))[0])


@lru_cache(maxsize=4096)
def canonical(value: str | int | float) -> str:
    """Canonical text: `1000m` is `1`, `0.5Gi` is `512Mi`, `1.5` is `1500m`. Raises `ValueError`."""
    return format_quantity(*_parse(str(value)))


@lru_cache(maxsize=4096)
def format_quantity(amount: Fraction | int, form: QuantityFormat = QuantityFormat.DECIMAL_SI) -> str:
    """Canonical text of an amount in a family. Binary falls back to decimal below 1024 and for fractions."""
    if amount == 0:
        return "0"
    exact = Fraction(amount)
    if form is QuantityFormat.BINARY_SI and exact.denominator == 1 and abs(exact.numerator) >= 1024:
        mantissa, power = exact.numerator, 0
        while mantissa % 1024 == 0 and power < 60:
            mantissa //= 1024
            power += 10
        return f"{mantissa}{_BINARY_SUFFIX[power]}"
    mantissa, power = _round_away(exact * _NANO), -9
    top = 18 if form is not QuantityFormat.DECIMAL_EXPONENT else 10_000
    while mantissa % 1000 == 0 and power < top:
        mantissa //= 1000
        power += 3
    if form is QuantityFormat.DECIMAL_EXPONENT:
        return f"{mantissa}e{power}" if power else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[power]}"


def add_quantities(values: Iterable[str | int | float]) -> str:
    """Canonical text of a sum; it takes the family of the first operand that is not zero. Raises `ValueError`."""
    total, form = Fraction(0), QuantityFormat.DECIMAL_SI
    for value in values:
        amount, its_form = _parse(str(value))
        if total == 0:
            form = its_form
        total += amount
    return format_quantity(total, form)
