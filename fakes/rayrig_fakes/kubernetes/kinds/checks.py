"""Checks that several kinds make, each giving causes in the server's words (`kubernetes-api.md` section 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rayrig_core.kubernetes_names import dns_label, label_value, qualified_name
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"
_PORT_RANGE = "must be between 1 and 65535, inclusive"
_SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")

_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_HEADER_TEXT = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)


def each(field: str, value: Json, problems: Iterable[str]) -> list[Cause]:
    """A cause for each problem of a value."""
    return [status.invalid_value(field, value, text) for text in problems]


def not_negative(field: str, value: int | None) -> list[Cause]:
    return [] if value is None or value >= 0 else [status.invalid_value(field, value, NOT_NEGATIVE)]


def one_of(field: str, value: str | None, choices: Sequence[str]) -> list[Cause]:
    """The value, when there is one, is among the choices."""
    return [] if value is None or value in choices else [status.not_supported(field, value, choices)]


def in_ports(field: str, port: int) -> list[Cause]:
    return [] if 1 <= port <= 65535 else [status.invalid_value(field, port, _PORT_RANGE)]


@lru_cache(maxsize=1024)
def port_name(name: str) -> tuple[str, ...]:
    """Name of a port: at most 15 letters, digits and hyphens."""
    problems = []
    if len(name) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name and "-" in (name[0], name[-1]):
        problems.append("must not begin or end with a hyphen")
    return tuple(problems)


def port_or_name(field: str, value: Json) -> list[Cause]:
    """A port by its number or its name."""
    if isinstance(value, str):
        return each(field, value, port_name(value))
    return in_ports(field, value or 0)


def label_without_dots(name: str) -> tuple[str, ...]:
    """A DNS label; dots get a remark of their own."""
    return ("must not contain dots",) if "." in name else dns_label(name)


@lru_cache(maxsize=4096)
def config_key(key: str) -> tuple[str, ...]:
    """Key in a ConfigMap or Secret."""
    problems = []
    if len(key) > 253:
        problems.append("must be no more than 253 characters")
    if not _CONFIG_KEY.fullmatch(key):
        problems.append(_CONFIG_KEY_TEXT)
    if key in (".", ".."):
        problems.append(f"must not be '{key}'")
    elif key.startswith(".."):
        problems.append("must not start with '..'")
    return tuple(problems)


@lru_cache(maxsize=4096)
def environment_name(name: str) -> tuple[str, ...]:
    if name and all(" " <= letter <= "~" and letter != "=" for letter in name):
        return ()
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


def header_name(name: str) -> tuple[str, ...]:
    return () if _HEADER.fullmatch(name) else (_HEADER_TEXT,)


@lru_cache(maxsize=1024)
def ip_problems(text: str) -> tuple[str, ...]:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return ()


def amount_problems(value: Json, field: str) -> list[Cause]:
    """A number that is not negative, or a percentage."""
    if isinstance(value, int):
        return not_negative(field, value)
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return []
    return [status.invalid_value(field, value, _PERCENT_TEXT)]


def descending_path(path: str) -> tuple[str, ...]:
    """Inside what it is relative to."""
    problems = ["must be a relative path"] if path.startswith("/") else []
    return (*problems, *backsteps(path))


def backsteps(path: str) -> tuple[str, ...]:
    return ("must not contain '..'",) if ".." in path.split("/") else ()


def labels_problems(labels: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for key, value in labels.items():
        causes += each(field, key, qualified_name(key))
        causes += each(field, value, label_value(value))
    return causes


def operator_values_problems(field: str, operator: str, values: Sequence[Json]) -> list[Cause] | None:
    """Whether a requirement has values where its operator takes some. None: it is none of the operators of labels."""
    if operator in ("In", "NotIn"):
        text = "must be specified when `operator` is 'In' or 'NotIn'"
        return [] if values else [status.required(f"{field}.values", text)]
    if operator in ("Exists", "DoesNotExist"):
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        return [status.forbidden_field(f"{field}.values", text)] if values else []
    return None


def selector_problems(selector: JsonObject | None, field: str, *, lenient: bool = False) -> list[Cause]:
    """What is wrong with a label selector. `lenient`: values of what was stored before they were checked are let through."""
    if selector is None:
        return []
    causes = labels_problems(selector.get("matchLabels") or {}, f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        at = f"{field}.matchExpressions[{index}]"
        operator, values = expression.get("operator") or "", expression.get("values") or ()
        found = operator_values_problems(at, operator, values)
        if found is None:
            found = [status.invalid_value(f"{at}.operator", operator, "not a valid selector operator")]
        causes += found
        key = expression.get("key") or ""
        causes += each(f"{at}.key", key, qualified_name(key))
        if not lenient:
            for position, value in enumerate(values):
                causes += each(f"{at}.values[{position}]", value, label_value(value))
    return causes


def shown_selector(selector: JsonObject | None) -> JsonObject | None:
    """As it shows in messages."""
    if selector is None:
        return None
    shown: JsonObject = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = selector["matchExpressions"]
    return shown


def selects(selector: JsonObject | None, labels: JsonObject) -> bool:
    """Whether a label selector matches; none at all matches nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or ():
        key, values = expression.get("key"), expression.get("values") or ()
        present = key in labels
        holds = {
            "In": present and labels.get(key) in values,
            "NotIn": not present or labels.get(key) not in values,
            "Exists": present,
            "DoesNotExist": not present,
        }.get(expression.get("operator"), False)
        if not holds:
            return False
    return True


def validate_port(port: Json, field: str) -> list[Cause]:
    if port is None:
        return [status.required(field)]
    if not isinstance(port, int) or not 1 <= port <= 65535:
        return [status.invalid_value(field, port, "must be between 1 and 65535, inclusive")]
    return []
