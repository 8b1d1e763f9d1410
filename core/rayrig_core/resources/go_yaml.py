"""YAML text as the operator reads it: the YAML 1.1 words of Go's parser, turned into JSON (kuberay-operator 8.2 H23).

`y`, `no`, `on` … are booleans, also as keys; every key becomes text; dates stay text; a number is a 64-bit float, so that integers
beyond 2**53 lose digits and `1e3` is 1000.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

import yaml

from rayrig_core.objects import Json
from rayrig_core.yaml_limits import YamlTooLarge, check_limits


class YamlError(ValueError):
    """The text is no YAML. `line` counts from 1; 0 when it is not known. As text it is Go's message, with Go's line."""

    def __init__(self, problem: str, line: int, go_line: int = 0) -> None:
        self.problem, self.line = problem, line
        super().__init__(f"yaml: line {go_line}: {problem}" if go_line else f"yaml: {problem}")


class _GoLoader(yaml.SafeLoader if not hasattr(yaml, "CSafeLoader") else yaml.CSafeLoader):  # type: ignore[misc]
    """Scalars resolved as Go does."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - a table of pyyaml's


def _resolve(tag: str, pattern: str, first: str) -> None:
    _GoLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


_resolve("bool", r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO")
_resolve("null", r"~|null|Null|NULL|", "~nN")
_GoLoader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))
_resolve("int", r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+.0123456789",
)
_resolve("merge", r"<<", "<")

_TRUE = frozenset({"y", "yes", "true", "on"})
_EXACT = 2**53


def _integer(loader: Any, node: Any) -> int:
    text = node.value.replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0o"):
        value = int(digits[2:], 8)
    elif len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        value = int(digits, 8)
    else:
        value = int(digits, 0)
    value *= sign
    return value if -_EXACT <= value <= _EXACT else int(Decimal(repr(float(value))))


def _number(loader: Any, node: Any) -> int | float:
    value = float(node.value.replace("_", ""))
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < 1e21 else value


def _flag(loader: Any, node: Any) -> bool:
    return node.value.lower() in _TRUE


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    raise ValueError(f"unsupported map key: {value!r}")


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    loader.flatten_mapping(node)
    construct = loader.construct_object
    return {_key(construct(key, deep=True)): construct(value, deep=True) for key, value in node.value}


def _go_line(error: yaml.MarkedYAMLError) -> int:
    """The line Go's parser names: the context's unless that is the first, and one too few for errors of the parser proper."""
    for mark in (error.context_mark, error.problem_mark):
        if mark is not None and mark.line:
            return int(mark.line) + isinstance(error, yaml.scanner.ScannerError)
    return 0


_GoLoader.add_constructor("tag:yaml.org,2002:int", _integer)
_GoLoader.add_constructor("tag:yaml.org,2002:float", _number)
_GoLoader.add_constructor("tag:yaml.org,2002:bool", _flag)
_GoLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _first_document(text: str) -> Json:
    """Whatever comes after it. Raises `yaml.YAMLError`, `ValueError`."""
    loader = _GoLoader(text)
    try:
        return loader.get_data() if loader.check_data() else None
    finally:
        loader.dispose()


@lru_cache(maxsize=1024)
def yaml_to_json(text: str) -> Json:
    """The JSON value of the first document of `text`; shared between callers, so not to be changed. Raises `YamlError`."""
    try:
        check_limits(text)
        return _first_document(text)
    except YamlTooLarge as error:
        raise YamlError(error.problem, error.line) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(
            error.problem or "not a YAML document", mark.line + 1 if mark else 0, _go_line(error)
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(str(error), 0) from error


@lru_cache(maxsize=1024)
def yaml_to_compact_json(text: str) -> str:
    """The same, serialised with sorted keys and without blanks. Raises `YamlError`."""
    return json.dumps(yaml_to_json(text), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
