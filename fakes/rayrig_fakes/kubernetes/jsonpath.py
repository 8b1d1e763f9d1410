"""The JSON paths that CRDs use for printer columns, scale and selectable fields: fields, indices, `[*]` and `[?(@.a=="b")]`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from rayrig_core.objects import Json

#: From a value to the values one step below it.
_Step = Callable[[Json], list[Json]]

_TOKEN = re.compile(
    r"\.(?P<field>(?:\\.|[^.\[\]\\])+)"
    r"|\[\?\(@\.(?P<key>[^=!<>\s]+)\s*==\s*(?P<quote>['\"])(?P<value>.*?)(?P=quote)\)\]"
    r"|\['(?P<quoted>[^']*)'\]"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<all>\*)\]"
)


@lru_cache(maxsize=1024)
def compile_path(path: str) -> tuple[_Step, ...]:
    """Steps of a path such as `.status.conditions[?(@.type=="Ready")].status`. Raises `ValueError`."""
    text = path if path.startswith((".", "[")) else f".{path}"
    steps: list[_Step] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"{path!r} is no JSON path this server understands (at {text[place:]!r})")
        place = found.end()
        if found["field"] is not None:
            steps.append(_field(re.sub(r"\\(.)", r"\1", found["field"])))
        elif found["quoted"] is not None:
            steps.append(_field(found["quoted"]))
        elif found["index"] is not None:
            steps.append(_index(int(found["index"])))
        elif found["all"] is not None:
            steps.append(_all)
        else:
            steps.append(_where(found["key"], found["value"]))
    return tuple(steps)


def _field(name: str) -> _Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _index(at: int) -> _Step:
    return lambda value: [value[at]] if isinstance(value, list) and -len(value) <= at < len(value) else []


def _all(value: Json) -> list[Json]:
    if isinstance(value, list):
        return list(value)
    return list(value.values()) if isinstance(value, dict) else []


def _where(key: str, wanted: str) -> _Step:
    def step(value: Json) -> list[Json]:
        if not isinstance(value, list):
            return []
        return [item for item in value if isinstance(item, dict) and item.get(key) == wanted]

    return step


def find(value: Json, path: str) -> list[Json]:
    """Everything the path leads to, in order; nulls left out."""
    values = [value]
    for step in compile_path(path):
        values = [below for each in values for below in step(each)]
    return [each for each in values if each is not None]
