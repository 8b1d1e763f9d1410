"""Quantities inside built-in kinds: written back in canonical form, refused in the server's words."""

from __future__ import annotations

from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.quantities import canonical, parse_quantity
from rayrig_fakes.kubernetes import status

_WORDS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def canonical_quantity(value: Json, kind: str, version: str = "v1") -> str:
    """Raises `ApiError` 400 when `value` is no quantity."""
    try:
        return canonical(value)
    except ValueError:
        raise status.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {_WORDS}') from None


def normalise_amounts(amounts: JsonObject | None, kind: str) -> None:
    """A map of resource name to quantity, in place."""
    if amounts:
        for name, value in amounts.items():
            amounts[name] = canonical_quantity(value, kind)


def in_thousandths(value: str) -> str:
    """An amount of which no finer part than a thousandth counts, rounded up."""
    thousandths = -((-parse_quantity(value) * 1000) // 1)
    return canonical(f"{thousandths}m")
