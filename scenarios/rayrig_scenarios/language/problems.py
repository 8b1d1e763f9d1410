"""Pydantic's findings as one line each: place, what is wrong, remedy."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from rayrig_core.errors import InputError
from rayrig_core.remedies import closest
from rayrig_scenarios.language.documents import Document, Place
from rayrig_scenarios.language.manifests import type_name

_WANTED = {
    "string_type": "give a text, in quotes if it looks like a number",
    "int_type": "give a whole number",
    "float_type": "give a number",
    "bool_type": "give true or false",
    "list_type": "give a list",
    "dict_type": "give a mapping",
    "model_type": "give a mapping",
    "model_attributes_type": "give a mapping",
}


def input_error(error: ValidationError, document: Document) -> InputError:
    """The finding that comes first in the file."""
    place, what, remedy = first_problem(error, document)
    return InputError(what, where=document.where(place), remedy=remedy)


def first_problem(error: ValidationError, document: Document) -> tuple[Place, str, str]:
    """(place, what is wrong, remedy) of the finding that comes first in the document."""
    problems = [_problem(dict(found), document) for found in error.errors(include_url=False)]
    return min(problems, key=lambda problem: document.line(problem[0]))


def _problem(found: dict[str, Any], document: Document) -> tuple[Place, str, str]:
    place = _written_place(tuple(found["loc"]), document)
    kind, value, context = str(found["type"]), found["input"], found.get("ctx") or {}
    if kind == "rayrig":
        if "key" in context:
            place = (*place, context["key"])
        place = (*place, *context.get("place", ()))
        return place, str(context["what"]), str(context["remedy"])
    if kind == "missing":
        return place[:-1], f'"{place[-1]}" is missing', f"add {place[-1]}"
    if kind in _WANTED:
        return place, f"this is {type_name(value)}", _WANTED[kind]
    if kind == "literal_error":
        choices = [part.strip("' ") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        choices = [choice for choice in choices if choice]
        return place, f"this is {type_name(value)}", closest(value if isinstance(value, str) else "", choices)
    if kind in ("too_short", "list_too_short"):
        return place, "the list is empty", f"give at least {context.get('min_length', 1)}"
    message = str(found["msg"]).removeprefix("Value error, ")
    return place, f"{type_name(value)}: {message[:1].lower()}{message[1:]}", "change the value"


def _written_place(loc: tuple[str | int, ...], document: Document) -> Place:
    """Pydantic's location without what is not in the file: the index of a single value taken for a list, `[key]`."""
    place: list[str | int] = []
    value: Any = document.data
    part: Any
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif not (last and isinstance(part, str) and part != "[key]"):
            continue
        place.append(part)
    return tuple(place)
