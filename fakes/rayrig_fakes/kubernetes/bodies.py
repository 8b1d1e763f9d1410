"""Bodies as text: JSON and YAML the way the API server reads them, and fields that occur twice."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from rayrig_core.objects import Json
from rayrig_fakes.kubernetes.json_syntax import syntax_error

_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB]", re.ASCII)
#: Deeper bodies are refused before anything walks through them.
_DEEPEST = 200


class Malformed(ValueError):
    """A body that cannot be parsed; the text is the server's, as far as it is known."""


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"invalid character '{name.lstrip('-')[0]}' looking for beginning of value")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Malformed(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float)


class _Pairs(list[tuple[str, Any]]):
    """An object as its fields in order, doubles and all."""


#: Every digit as `0` and all else as a space.
_DIGITS = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))
#: Only longer ones can be more than 64 bits take.
_LONG_NUMBER = b"0" * 19
_SLOW = object()


def parse_body(body: bytes) -> tuple[Json, tuple[str, ...]]:
    """As `parse_counting`; bytes that are not UTF-8 are read as the replacement character. Raises `Malformed`."""
    value = _parse_quickly(body)
    return parse_counting(body.decode("utf-8", "replace")) if value is _SLOW else (value, ())


def _parse_quickly(body: bytes) -> Json:
    """`_SLOW` for whatever the quick parser could read in another way, and for what it does not take."""
    if b"\\u" in body or body.count(b"[") + body.count(b"{") > _DEEPEST or _LONG_NUMBER in body.translate(_DIGITS):
        return _SLOW
    try:
        value = orjson.loads(body)
    except ValueError:
        return _SLOW
    # Colons that are not there again belong to fields that occur twice.
    return value if orjson.dumps(value).count(b":") == body.count(b":") else _SLOW


def parse_json(text: str) -> Json:
    """Raises `Malformed`."""
    return _parse(text, _DECODER)


def parse_counting(text: str) -> tuple[Json, tuple[str, ...]]:
    """The value, and the paths of fields that occur more than once (the last of them counts). Raises `Malformed`."""
    doubled = False

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubled
        found = dict(pairs)
        doubled = doubled or len(found) != len(pairs)
        return found

    decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float, object_pairs_hook=collect)
    value = _parse(text, decoder)
    if not doubled:
        return value, ()
    paths: list[str] = []
    _doubles(json.loads(text, object_pairs_hook=_Pairs), "", paths)
    return value, tuple(dict.fromkeys(paths))


def _parse(text: str, decoder: json.JSONDecoder) -> Json:
    try:
        value = decoder.decode(text)
    except Malformed:
        raise
    except RecursionError:
        raise Malformed("exceeded max depth") from None
    except ValueError:
        raise Malformed(syntax_error(text)) from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(value) > _DEEPEST:
        raise Malformed("exceeded max depth")
    return _without_lone_surrogates(value) if _LONE_SURROGATE.search(text) else value


def _depth(value: Json) -> int:
    level, here = 0, [value]
    while here:
        level += 1
        below: list[Json] = []
        for item in here:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        here = below
    return level


def _without_lone_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(name): _without_lone_surrogates(item) for name, item in value.items()}
    return value


def _doubles(value: Any, path: str, paths: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: dict[str, None] = {}
        for name, item in value:
            at = f"{path}.{name}" if path else name
            if name in seen:
                paths.append(at)
            seen[name] = None
            _doubles(item, at, paths)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _doubles(item, f"{path}[{index}]", paths)


def parse_yaml(text: str) -> Json:
    """The first document as JSON. Raises `Malformed`."""
    from rayrig_core.resources.go_yaml import yaml_to_json  # Heavy, and rarely asked for.

    try:
        return parse_json(json.dumps(yaml_to_json(text), allow_nan=False))
    except Malformed:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError) as problem:
        raise Malformed(f"error converting YAML to JSON: {str(problem).splitlines()[0]}") from None
