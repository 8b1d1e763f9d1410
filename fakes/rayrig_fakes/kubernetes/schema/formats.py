"""Formats of strings (`format` in a schema), checked as the API server checks them; others are taken as they come (K8-038)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Callable

_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s-?%s-?[0-9a-fA-F]{12}"
_ANY, _VARIANT = "[0-9a-fA-F]{4}", "[89abAB][0-9a-fA-F]{3}"
_EXACT_DURATION = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+|[+-]?0")
_AMOUNT = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
#: Units of a duration; the last of each may go on (`minutes`).
_UNITS = (
    ("ns", "nano"),
    ("us", "µs", "micro"),
    ("ms", "milli"),
    ("s", "sec"),
    ("m", "min"),
    ("h", "hr", "hour"),
    ("d", "day"),
    ("w", "wk", "week"),
)
_HOSTNAME = re.compile(r"[a0](-?[a0]{0,62})?|([a0]([a0-]{0,61}[a0])?\.)+a{2,63}")
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_COLOUR = r"\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*"
_CARD = re.compile(
    r"4\d{12}(\d{3})?|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|6(011|5\d\d)\d{12}|3[47]\d{13}"
    r"|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11}|6[27]\d{14}"
)
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return accepts


def _is_base64(text: str) -> bool:
    try:
        return bool(text) and base64.b64decode(text, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _is_duration(text: str) -> bool:
    """`1h5m`, and any text in which an amount of time occurs."""
    if _EXACT_DURATION.fullmatch(text):
        return True
    for _, written in _AMOUNT.findall(text):
        unit = written.lower()
        if any(unit in names or unit.startswith(names[-1]) for names in _UNITS):
            return True
    return False


def _is_hostname(text: str) -> bool:
    """Letters and symbols of any script count."""

    def form(char: str) -> str:
        if char in ".-":
            return char
        category = unicodedata.category(char)
        return "a" if category[0] == "L" else "0" if category[0] == "S" or char in "0123456789" else "!"

    if not _HOSTNAME.fullmatch("".join(map(form, text))):
        return False
    return len(text) <= 255 and all(len(part) <= 63 for part in text.split("."))


def _is_isbn10(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if not re.fullmatch(r"\d{9}[\dX]", digits):
        return False
    return sum((10 - at) * (10 if digit == "X" else int(digit)) for at, digit in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if not re.fullmatch(r"\d{13}", digits):
        return False
    return sum((3 if at % 2 else 1) * int(digit) for at, digit in enumerate(digits)) % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _address(text: str) -> str:
    """Numbers of an IPv4 address may have zeros in front."""
    return _LEADING_ZEROS.sub("", text) if ":" not in text else text


def _network(text: str) -> object:
    if "/" not in text:
        raise ValueError("no mask")
    return ipaddress.ip_network(_address(text), strict=False)


_is_long_name = _matches(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "byte": _is_base64,
    "cidr": _parses(_network),
    "creditcard": _is_card,
    "date": _matches(r"\d{4}-\d\d-\d\d"),
    "date-time": _matches(r"\d{4}-\d\d-\d\d[tT ]\d\d:\d\d:\d\d(\.\d+)?([zZ]|[+-]\d\d:\d\d)"),
    "duration": _is_duration,
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _is_hostname,
    "ipv4": _parses(lambda text: ipaddress.IPv4Address(_address(text))),
    "ipv6": _parses(ipaddress.IPv6Address),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "k8s-long-name": lambda text: len(text) <= 253 and _is_long_name(text),
    "k8s-short-name": _matches(_LABEL),
    "mac": _matches(
        r"[0-9a-fA-F]{2}(?P<by>[:-])[0-9a-fA-F]{2}((?P=by)[0-9a-fA-F]{2}){4}((?P=by)[0-9a-fA-F]{2}){0,2}"
        r"|[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2,3}|[0-9a-fA-F]{12}|[0-9a-fA-F]{16}"
    ),
    "password": lambda text: True,
    "rgbcolor": _matches(rf"rgb\({_COLOUR},{_COLOUR},{_COLOUR}\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _matches(r"[a-zA-Z][a-zA-Z0-9+.-]*:.*|/.*"),
    "uuid": _matches(_UUID % (_ANY, _ANY)),
    "uuid3": _matches(_UUID % ("3[0-9a-fA-F]{3}", _ANY)),
    "uuid4": _matches(_UUID % ("4[0-9a-fA-F]{3}", _VARIANT)),
    "uuid5": _matches(_UUID % ("5[0-9a-fA-F]{3}", _VARIANT)),
}
FORMATS["datetime"] = FORMATS["date-time"]
