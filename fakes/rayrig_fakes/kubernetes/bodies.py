"""Bodies as text: JSON and YAML the way the API server reads them, and fields that occur twice."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from rayrig_core.objects import Json

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
    except ValueError as problem:
        raise Malformed(_go_words(text, problem)) from None
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


def _go_words(text: str, problem: ValueError) -> str:
    """In the words of the real server's parser, where they are known."""
    stripped = text.strip()
    position = getattr(problem, "pos", len(text))
    if position >= len(text.rstrip()) or not stripped:
        return "unexpected end of JSON input"
    if str(problem).startswith("Extra data"):
        return f"invalid character {_quoted(text[position])} after top-level value"
    where = "object key string" if "property name" in str(problem) else "value"
    return f"invalid character {_quoted(text[position])} looking for beginning of {where}"


def _quoted(character: str) -> str:
    if character == "'":
        return "'\\''"
    return f"'{character}'" if " " <= character < "\x7f" or character > "\xa0" else f"'\\x{ord(character):02x}'"


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
