"""Checks of single values: bounds, lengths, patterns, enumerations, formats."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.formats import FORMATS
from rayrig_fakes.kubernetes.schema.go_regexp import compiled
from rayrig_fakes.kubernetes.status import Cause

#: A check of one value; the path is rendered only when something is wrong.
Check = Callable[[Json, Callable[[], str]], Cause | None]

_INT32 = 1 << 31
_MAX_SINGLE = 3.4028234663852886e38


def checks_of(schema: JsonObject) -> tuple[Check, ...]:
    """The checks a schema makes of a value of the right type, apart from those of its parts."""
    found: list[Check] = []
    of_text: list[Check] = []
    for keyword, make in _KEYWORDS.items():
        value = schema.get(keyword)
        if value is not None:
            check = make(value, schema)
            if check is not None:
                (of_text if keyword in _OF_TEXT else found).append(check)
    if of_text:
        found.append(of_text[0] if len(of_text) == 1 else _first_of(tuple(of_text)))
    return tuple(found)


#: Of these only the first that fails is reported.
_OF_TEXT = ("maxLength", "minLength", "pattern")


def _first_of(checks: tuple[Check, ...]) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        for each in checks:
            cause = each(value, path)
            if cause is not None:
                return cause
        return None

    return check


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _minimum(bound: Json, schema: JsonObject) -> Check:
    exclusive = bool(schema.get("exclusiveMinimum"))

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not _is_number(value) or (value > bound if exclusive else value >= bound):
            return None
        at = path()
        words = "greater than" if exclusive else "greater than or equal to"
        return status.invalid_value(at, value, f"{at} in body should be {words} {status.go_value(bound)}")

    return check


def _maximum(bound: Json, schema: JsonObject) -> Check:
    exclusive = bool(schema.get("exclusiveMaximum"))

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not _is_number(value) or (value < bound if exclusive else value <= bound):
            return None
        at = path()
        words = "less than" if exclusive else "less than or equal to"
        return status.invalid_value(at, value, f"{at} in body should be {words} {status.go_value(bound)}")

    return check


def _multiple_of(factor: Json, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not _is_number(value):
            return None
        if isinstance(value, int):
            # Whole numbers are divided by the whole part of the factor.
            whole = int(factor)
            if whole <= 0:
                at = path()
                text = f"factor MultipleOf declared for {at} must be positive: {whole}"
                return status.invalid_value(at, whole, text)
            if value % whole == 0:
                return None
        elif abs(value / factor - round(value / factor)) < 1e-9:
            return None
        at = path()
        return status.invalid_value(at, value, f"{at} in body should be a multiple of {status.go_value(factor)}")

    return check


def _min_length(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, str) or len(value) >= limit:
            return None
        at = path()
        return status.invalid_value(at, value, f"{at} in body should be at least {limit} chars long")

    return check


def _max_length(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, str) or len(value) <= limit:
            return None
        return status.too_long(path(), limit)

    return check


def _pattern(pattern: str, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, str) or compiled(pattern).search(value):
            return None
        at = path()
        return status.invalid_value(at, value, f"{at} in body should match '{pattern}'")

    return check


def _enum(choices: list[Json], schema: JsonObject) -> Check:
    named = [choice if isinstance(choice, str) else status.go_value(choice) for choice in choices]

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if value in choices:
            return None
        return status.not_supported(path(), value, named)

    return check


def _format(name: str, schema: JsonObject) -> Check | None:
    if name == "int32":

        def in_range(value: Json, path: Callable[[], str]) -> Cause | None:
            if not _is_number(value) or -_INT32 <= value < _INT32 or not float(value).is_integer():
                return None
            return status.invalid_value(
                "<nil>", "", f"Checked value must be of type integer with format {name} in {path()}"
            )

        return in_range
    if name == "float":

        def is_single(value: Json, path: Callable[[], str]) -> Cause | None:
            if not _is_number(value) or abs(value) <= _MAX_SINGLE:
                return None
            return status.invalid_value(
                "<nil>", "", f"Checked value must be of type number with format float in {path()}"
            )

        return is_single
    accepts = FORMATS.get(name)
    if accepts is None:
        return None

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, str) or accepts(value):
            return None
        at = path()
        return status.wrong_type(at, value, f"{at} in body must be of type {name}: {status.go_value(value)}")

    return check


def _min_items(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, list) or len(value) >= limit:
            return None
        at = path()
        return status.invalid_value(at, len(value), f"{at} in body should have at least {limit} items")

    return check


def _max_items(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, list) or len(value) <= limit:
            return None
        return status.too_many(path(), len(value), limit)

    return check


def _min_properties(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, dict) or len(value) >= limit:
            return None
        at = path()
        return status.invalid_value(at, len(value), f"{at} in body should have at least {limit} properties")

    return check


def _max_properties(limit: int, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if not isinstance(value, dict) or len(value) <= limit:
            return None
        return status.too_many(path(), len(value), limit)

    return check


_KEYWORDS: dict[str, Callable[[Json, JsonObject], Check | None]] = {
    "format": _format,
    "multipleOf": _multiple_of,
    "minimum": _minimum,
    "maximum": _maximum,
    "maxLength": _max_length,
    "minLength": _min_length,
    "pattern": _pattern,
    "enum": _enum,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
}
