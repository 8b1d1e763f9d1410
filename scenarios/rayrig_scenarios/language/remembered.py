"""Values that a `remember` step keeps, and the texts of later steps and expectations that refer to them as `$(name)`.

Objects of an apply, and the changes of a patch, may hold such texts of their own (Kubernetes writes variables so): there only what
is remembered is replaced. Everywhere else a name that no earlier step remembers is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rayrig_core.errors import InputError
from rayrig_core.objects import Json
from rayrig_core.remedies import closest
from rayrig_scenarios.language.documents import Document, Place
from rayrig_scenarios.language.paths import shown
from rayrig_scenarios.language.problems import first_problem

M = TypeVar("M", bound=BaseModel)

NAME = re.compile(r"[a-z][a-z0-9-]*")
_REFERENCE = re.compile(r"\$\(([^()\s]+)\)")
#: Fields of a step that hold objects, or parts of them.
_OBJECTS: tuple[Place, ...] = (("apply",), ("patch", "merge"), ("patch", "json"), ("patch", "set"))


def check_remembered(document: Document, steps: Sequence[Any], expectations: Sequence[Any]) -> None:
    """Raises `InputError` for a reference to what no step before remembers."""
    later = {name for step in steps for name in _remembers(step)}
    known: dict[str, None] = {}
    for index, step in enumerate(steps):
        _check(document, step, ("steps", index), known, later)
        known.update(dict.fromkeys(_remembers(step)))
    for index, expectation in enumerate(expectations):
        _check(document, expectation, ("expect", index), known, later)


def _remembers(step: Any) -> Sequence[str]:
    found = step.get("remember") if isinstance(step, dict) else None
    return list(found) if isinstance(found, dict) else []


def _check(document: Document, data: Any, base: Place, known: Mapping[str, None], later: set[str]) -> None:
    for place, name in _references(data, ()):
        if name in known or any(place[: len(inner)] == inner for inner in _OBJECTS):
            continue
        where = document.where((*base, *place))
        if name in later:
            raise InputError(f'"{name}" is remembered only later', where=where, remedy="remember it in a step before")
        remedy = closest(name, known) if known else "remember it in a step before"
        raise InputError(f'nothing is remembered as "{name}"', where=where, remedy=remedy)


def _references(data: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(data, str):
        for found in _REFERENCE.finditer(data):
            yield place, found[1]
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _references(value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _references(value, (*place, index))


def filled(data: Any, values: Mapping[str, Json]) -> Any:
    """The data with what is remembered in place of references. A text that is nothing else becomes the value itself."""
    if isinstance(data, str):
        whole = _REFERENCE.fullmatch(data)
        if whole is not None and whole[1] in values:
            return values[whole[1]]
        return _REFERENCE.sub(lambda found: _as_text(values[found[1]]) if found[1] in values else found[0], data)
    if isinstance(data, dict):
        return {key: filled(value, values) for key, value in data.items()}
    if isinstance(data, list):
        return [filled(value, values) for value in data]
    return data


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else shown(value)


def filled_model(model: type[M], data: Any, values: Mapping[str, Json], document: Document, base: Place) -> M:
    """A step or expectation anew, with what is remembered. Raises `InputError` when a value does not fit its place."""
    try:
        return model.model_validate(filled(data, values))
    except ValidationError as error:
        inner = Document(data, document.file, document.lines, document.first_line)
        place, what, remedy = first_problem(error, inner)
        raise InputError(what, where=document.where((*base, *place)), remedy=remedy) from None
