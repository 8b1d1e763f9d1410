"""The functions that Kubernetes adds to CEL, and the string functions of its extension (K8-039).

Values of the types that come with them (quantities, addresses, URLs, versions) are objects with one key, which names the type:
CEL compares and passes them around as it does all objects. What cannot be made raises `ValueError` with the server's words.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qs, unquote_plus, urlsplit

from rayrig_core.kubernetes_names import dns_label, dns_subdomain, label_value, qualified_name
from rayrig_fakes.kubernetes.schema import go_regexp
from rayrig_fakes.kubernetes.schema.formats import FORMATS

Kind: TypeAlias = Literal["dyn", "string", "int", "bool", "double", "list", "map"]
_QUANTITY_WORDS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z.-]+))?"
)


class Function(NamedTuple):
    """One way to call a function. `parameters` of a member begin with what it is a member of."""

    name: str
    parameters: tuple[Kind, ...]
    result: Kind
    call: Callable[..., Any]
    member: bool = True


# Lists


def _index(value: Any, part: Any) -> int:
    if isinstance(value, str):
        return value.find(part)
    return next((at for at, each in enumerate(value) if each == part), -1)


def _last_index(value: Any, part: Any) -> int:
    if isinstance(value, str):
        return value.rfind(part)
    return next((at for at in range(len(value) - 1, -1, -1) if value[at] == part), -1)


def _least(values: list[Any]) -> Any:
    if not values:
        raise ValueError("min called on empty list")
    return min(values)


def _greatest(values: list[Any]) -> Any:
    if not values:
        raise ValueError("max called on empty list")
    return max(values)


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise ValueError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise ValueError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(values):
        raise ValueError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return list(values[start:end])


# Text


def _char(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise ValueError(f"index out of range: {at}")
    return text[at : at + 1]


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise ValueError(f"index out of range: {start}")
    if not 0 <= stop <= len(text):
        raise ValueError(f"index out of range: {stop}")
    if start > stop:
        raise ValueError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not by:
        letters = list(text)
        return letters if limit < 0 or len(letters) <= limit else [*letters[: limit - 1], "".join(letters[limit - 1 :])]
    return text.split(by, limit - 1 if limit > 0 else -1)


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


def _formatted(template: str, values: list[Any]) -> str:
    """`%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x`, `%X`, `%%`."""
    left = list(values)

    def one(found: re.Match[str]) -> str:
        form = found[2]
        if form == "%":
            return "%"
        if not left:
            raise ValueError(f"index {len(values)} out of range")
        value = left.pop(0)
        if form == "s":
            return shown(value)
        if form in "fe":
            return f"{value:.{found[1][1:] if found[1] else 6}{form}}"
        if form in "xX" and isinstance(value, str):
            text = value.encode().hex()
            return text.upper() if form == "X" else text
        return format(value, form)

    return re.sub(r"%(\.\d+)?([sdfeboxX%])", one, template)


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(shown(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(each)}" for key, each in sorted(value.items())) + "}"
    return "null" if value is None else str(value)


def _find(text: str, pattern: str) -> str:
    found = go_regexp.compiled(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [each[0] for each in go_regexp.compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


# Quantities


def _amount(text: str) -> Fraction:
    from rayrig_core.resources.quantities import parse_quantity

    try:
        return Fraction(parse_quantity(text))
    except (ValueError, OverflowError, ArithmeticError):
        raise ValueError(_QUANTITY_WORDS) from None


def _quantity(amount: Fraction) -> dict[str, str]:
    return {"quantity": str(amount)}


def _number(value: Any) -> Fraction:
    return Fraction(value["quantity"]) if isinstance(value, dict) else Fraction(value)


def _compare(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _whole(value: Any) -> int:
    amount = _number(value)
    if amount.denominator != 1:
        raise ValueError("cannot convert value to integer")
    return int(amount)


# Addresses


def _ip(text: str) -> Any:
    try:
        if "%" in text or re.search(r"(^|\.)0\d", text):
            raise ValueError
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
        ) from None


def _cidr(text: str) -> Any:
    try:
        if "/" not in text:
            raise ValueError("no '/'")
        return ipaddress.ip_interface(text)
    except ValueError as problem:
        why = str(problem) if str(problem) == "no '/'" else "unable to parse"
        words = "network address parse error during conversion from string: "
        raise ValueError(f'{words}{words}netip.ParsePrefix("{text}"): {why}') from None


def _address(value: Any) -> Any:
    return _ip(value["ip"]) if isinstance(value, dict) else _ip(value)


def _network(value: Any) -> Any:
    return _cidr(value["cidr"]) if isinstance(value, dict) else _cidr(value)


def _contains(value: Any, other: Any) -> bool:
    address = _address(other)
    network = _network(value).network
    return bool(address.version == network.version and address in network)


def _contains_network(value: Any, other: Any) -> bool:
    outer, inner = _network(value).network, _network(other).network
    return bool(outer.version == inner.version and inner.subnet_of(outer))


# URLs


def _url(text: str) -> dict[str, str]:
    good = re.fullmatch(r"(/[^\s]*|[A-Za-z][A-Za-z0-9+.-]*:[^\s]*)", text)
    if good is None or not (text.startswith("/") or "://" in text):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {"url": text}


def _part(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: read(urlsplit(value["url"].partition("#")[0]))


# Versions


def _version(text: str, lenient: bool = False) -> dict[str, str]:
    if lenient:
        core, mark, rest = re.fullmatch(r"v?([^-+]*)([-+]?)(.*)", text.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
        numbers = [part.lstrip("0") or "0" for part in core.split(".")] if core else []
        text = ".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + mark + rest
    if _SEMVER.fullmatch(text) is None:
        count = text.partition("-")[0].count(".")
        raise ValueError(
            "No Major.Minor.Patch elements found" if count < 2 else f'Invalid character(s) found in version "{text}"'
        )
    return {"semver": text}


def _ranked(value: Any) -> Any:
    found = _SEMVER.fullmatch(value["semver"])
    assert found is not None
    numbers = tuple(int(found[at]) for at in (1, 2, 3))
    parts = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in (found[4] or "").split(".") if part
    )
    return numbers, not parts, parts


# Formats by name

_NAMED: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": lambda text: list(dns_label(text)),
    "dns1123Subdomain": lambda text: list(dns_subdomain(text)),
    "dns1035Label": lambda text: _shape(text, r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", "DNS-1035 label"),
    "qualifiedName": lambda text: list(qualified_name(text)),
    "dns1123LabelPrefix": lambda text: list(dns_label(text.removesuffix("-"))),
    "dns1123SubdomainPrefix": lambda text: list(dns_subdomain(text.removesuffix("-"))),
    "dns1035LabelPrefix": lambda text: _shape(
        text.removesuffix("-"), r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", "DNS-1035 label"
    ),
    "labelValue": lambda text: list(label_value(text)),
    "uri": lambda text: [] if _holds(_url, text) else [f'parse "{text}": invalid URI for request'],
    "uuid": lambda text: [] if FORMATS["uuid"](text) else ["does not match the UUID format"],
    "byte": lambda text: [] if FORMATS["byte"](text) else ["invalid base64"],
    "date": lambda text: [] if FORMATS["date"](text) else ["invalid date"],
    "datetime": lambda text: [] if FORMATS["datetime"](text) else ["invalid datetime"],
}
FORMAT_NAMES = tuple(_NAMED)


def _shape(text: str, pattern: str, what: str) -> list[str]:
    return [] if re.fullmatch(pattern, text) else [f"a {what} must match {pattern}"]


def format_problems(value: Any, text: str) -> list[str]:
    return _NAMED[value["format"]](text)


def _holds(make: Callable[..., Any], *given: Any) -> bool:
    try:
        make(*given)
    except ValueError:
        return False
    return True


_TEXT: Kind = "string"
FUNCTIONS: tuple[Function, ...] = (
    Function("isSorted", ("list",), "bool", lambda values: all(a <= b for a, b in pairwise(values))),
    Function("sum", ("list",), "dyn", lambda values: sum(values)),
    Function("min", ("list",), "dyn", _least),
    Function("max", ("list",), "dyn", _greatest),
    Function("indexOf", ("dyn", "dyn"), "int", _index),
    Function("lastIndexOf", ("dyn", "dyn"), "int", _last_index),
    Function("slice", ("list", "int", "int"), "list", _slice),
    Function("lists.range", ("int",), "list", lambda count: list(range(count)), False),
    Function("sets.contains", ("list", "list"), "bool", lambda a, b: all(each in a for each in b), False),
    Function(
        "sets.equivalent",
        ("list", "list"),
        "bool",
        lambda a, b: all(x in a for x in b) and all(x in b for x in a),
        False,
    ),
    Function("sets.intersects", ("list", "list"), "bool", lambda a, b: any(each in a for each in b), False),
    Function("charAt", (_TEXT, "int"), _TEXT, _char),
    Function("join", ("list",), _TEXT, lambda values: "".join(values)),
    Function("join", ("list", _TEXT), _TEXT, lambda values, by: by.join(values)),
    Function("lowerAscii", (_TEXT,), _TEXT, _lower),
    Function("upperAscii", (_TEXT,), _TEXT, _upper),
    Function("replace", (_TEXT, _TEXT, _TEXT), _TEXT, lambda text, old, new: text.replace(old, new)),
    Function("replace", (_TEXT, _TEXT, _TEXT, "int"), _TEXT, lambda text, old, new, most: text.replace(old, new, most)),
    Function("split", (_TEXT, _TEXT), "list", _split),
    Function("split", (_TEXT, _TEXT, "int"), "list", _split),
    Function("substring", (_TEXT, "int"), _TEXT, _substring),
    Function("substring", (_TEXT, "int", "int"), _TEXT, _substring),
    Function("trim", (_TEXT,), _TEXT, lambda text: text.strip()),
    Function("format", (_TEXT, "list"), _TEXT, _formatted),
    Function("strings.quote", (_TEXT,), _TEXT, lambda text: json.dumps(text, ensure_ascii=False), False),
    Function("find", (_TEXT, _TEXT), _TEXT, _find),
    Function("findAll", (_TEXT, _TEXT), "list", _find_all),
    Function("findAll", (_TEXT, _TEXT, "int"), "list", _find_all),
    Function("quantity", (_TEXT,), "map", lambda text: _quantity(_amount(text)), False),
    Function("isQuantity", (_TEXT,), "bool", lambda text: _holds(_amount, text), False),
    Function("isInteger", ("map",), "bool", lambda value: _number(value).denominator == 1),
    Function("asInteger", ("map",), "int", _whole),
    Function("asApproximateFloat", ("map",), "double", lambda value: float(_number(value))),
    Function("sign", ("map",), "int", lambda value: _compare(_number(value), 0)),
    Function("add", ("map", "dyn"), "map", lambda a, b: _quantity(_number(a) + _number(b))),
    Function("sub", ("map", "dyn"), "map", lambda a, b: _quantity(_number(a) - _number(b))),
    Function("isGreaterThan", ("map", "map"), "bool", lambda a, b: _order(a) > _order(b)),
    Function("isLessThan", ("map", "map"), "bool", lambda a, b: _order(a) < _order(b)),
    Function("compareTo", ("map", "map"), "int", lambda a, b: _compare(_order(a), _order(b))),
    Function("semver", (_TEXT,), "map", _version, False),
    Function("semver", (_TEXT, "bool"), "map", _version, False),
    Function("isSemver", (_TEXT,), "bool", lambda text: _holds(_version, text), False),
    Function("isSemver", (_TEXT, "bool"), "bool", lambda text, lenient: _holds(_version, text, lenient), False),
    Function("major", ("map",), "int", lambda value: _ranked(value)[0][0]),
    Function("minor", ("map",), "int", lambda value: _ranked(value)[0][1]),
    Function("patch", ("map",), "int", lambda value: _ranked(value)[0][2]),
    Function("ip", (_TEXT,), "map", lambda text: {"ip": str(_ip(text))}, False),
    Function("isIP", (_TEXT,), "bool", lambda text: _holds(_ip, text), False),
    Function("ip.isCanonical", (_TEXT,), "bool", lambda text: str(_ip(text)) == text, False),
    Function("family", ("map",), "int", lambda value: _address(value).version),
    Function("isUnspecified", ("map",), "bool", lambda value: _address(value).is_unspecified),
    Function("isLoopback", ("map",), "bool", lambda value: _address(value).is_loopback),
    Function("isLinkLocalMulticast", ("map",), "bool", lambda value: _link_local_multicast(_address(value))),
    Function("isLinkLocalUnicast", ("map",), "bool", lambda value: _address(value).is_link_local),
    Function("isGlobalUnicast", ("map",), "bool", lambda value: _global_unicast(_address(value))),
    Function("cidr", (_TEXT,), "map", lambda text: {"cidr": str(_cidr(text))}, False),
    Function("isCIDR", (_TEXT,), "bool", lambda text: _holds(_cidr, text), False),
    Function("containsIP", ("map", "dyn"), "bool", _contains),
    Function("containsCIDR", ("map", "dyn"), "bool", _contains_network),
    Function("ip", ("map",), "map", lambda value: {"ip": str(_network(value).ip)}),
    Function("masked", ("map",), "map", lambda value: {"cidr": str(_network(value).network)}),
    Function("prefixLength", ("map",), "int", lambda value: _network(value).network.prefixlen),
    Function("url", (_TEXT,), "map", _url, False),
    Function("isURL", (_TEXT,), "bool", lambda text: _holds(_url, text), False),
    Function("getScheme", ("map",), _TEXT, _part(lambda parts: parts.scheme)),
    Function("getHost", ("map",), _TEXT, _part(lambda parts: parts.netloc.rpartition("@")[2])),
    Function("getHostname", ("map",), _TEXT, _part(lambda parts: _hostname(parts.netloc.rpartition("@")[2])[0])),
    Function("getPort", ("map",), _TEXT, _part(lambda parts: _hostname(parts.netloc.rpartition("@")[2])[1])),
    Function("getEscapedPath", ("map",), _TEXT, _part(lambda parts: parts.path)),
    Function("getQuery", ("map",), "map", _part(lambda parts: _query(parts.query))),
    Function("problems", ("map", _TEXT), "list", format_problems),
    Function("format.known", (_TEXT,), "map", lambda name: {"format": name} if name in _NAMED else {}, False),
    *(Function(f"format.{name}", (), "map", lambda name=name: {"format": name}, False) for name in FORMAT_NAMES),
)


def _order(value: Any) -> Any:
    return _ranked(value) if "semver" in value else _number(value)


def _link_local_multicast(address: Any) -> bool:
    network = "224.0.0.0/24" if address.version == 4 else "ff02::/16"
    return address in ipaddress.ip_network(network)


def _global_unicast(address: Any) -> bool:
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)


def _hostname(host: str) -> tuple[str, str]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", host)
    return (found[1].strip("[]"), found[2] or "") if found else (host, "")


def _query(text: str) -> dict[str, list[str]]:
    return {unquote_plus(key): values for key, values in parse_qs(text, keep_blank_values=True).items()}
