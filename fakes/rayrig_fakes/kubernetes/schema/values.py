"""Checks of single values: bounds, lengths, patterns, enumerations, formats."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

#: A check of one value; the path is rendered only when something is wrong.
Check = Callable[[Json, Callable[[], str]], Cause | None]

_INT32 = 1 << 31
_INT64 = 1 << 63
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[tT ]\d\d:\d\d:\d\d(\.\d+)?([zZ]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
_DURATION = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))*|0"
)
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*")
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.*|/.*")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(r"\z", r"\Z"))


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return accepts


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


#: Formats of strings that are checked; others are taken as they come.
_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _matches(_DATE_TIME),
    "date": _matches(_DATE),
    "email": _matches(_EMAIL),
    "uuid": _matches(_UUID),
    "duration": _matches(_DURATION),
    "hostname": _matches(_HOSTNAME),
    "mac": _matches(_MAC),
    "uri": _matches(_URI),
    "byte": _is_base64,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False)),
}


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


def _minimum(bound: Json, schema: JsonObject) -> Check:
    exclusive = bool(schema.get("exclusiveMinimum"))

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if isinstance(value, str) or (value > bound if exclusive else value >= bound):
            return None
        at = path()
        words = "greater than" if exclusive else "greater than or equal to"
        return status.invalid_value(at, value, f"{at} in body should be {words} {status.go_value(bound)}")

    return check


def _maximum(bound: Json, schema: JsonObject) -> Check:
    exclusive = bool(schema.get("exclusiveMaximum"))

    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if isinstance(value, str) or (value < bound if exclusive else value <= bound):
            return None
        at = path()
        words = "less than" if exclusive else "less than or equal to"
        return status.invalid_value(at, value, f"{at} in body should be {words} {status.go_value(bound)}")

    return check


def _multiple_of(factor: Json, schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if isinstance(value, str):
            return None
        if not value:
            at = path()
            text = f"factor MultipleOf declared for {at} must be positive: {status.go_value(value)}"
            return status.invalid_value(at, value, text)
        if abs(value / factor - round(value / factor)) < 1e-9:
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
        if not isinstance(value, str) or _compiled(pattern).search(value):
            return None
        at = path()
        return status.invalid_value(at, value, f"{at} in body should match '{pattern}'")

    return check


def _enum(choices: list[Json], schema: JsonObject) -> Check:
    def check(value: Json, path: Callable[[], str]) -> Cause | None:
        if value in choices:
            return None
        return status.not_supported(path(), value, choices)

    return check


def _format(name: str, schema: JsonObject) -> Check | None:
    if name in ("int32", "int64"):
        bound = _INT32 if name == "int32" else _INT64

        def in_range(value: Json, path: Callable[[], str]) -> Cause | None:
            if isinstance(value, str) or -bound <= value < bound:
                return None
            return status.invalid_value(
                "<nil>", "", f"Checked value must be of type integer with format {name} in {path()}"
            )

        return in_range
    accepts = _FORMATS.get(name)
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
