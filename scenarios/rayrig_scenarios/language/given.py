"""Values that Python code gives in the language's words. What is wrong with one is an `InputError` that names its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject
from rayrig_scenarios.language.documents import Document, place_text
from rayrig_scenarios.language.problems import first_problem
from rayrig_scenarios.language.units import parse_distribution, parse_duration

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def given_model(model: type[M], data: JsonObject, where: str) -> M:
    """`data` as a model of the language."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        place, what, remedy = first_problem(error, Document(data, where, {}, 1))
        raise InputError(what, where=place_text((where, *place)), remedy=remedy) from None


def given_duration(text: str, where: str = "") -> float:
    """Seconds."""
    return _parsed(parse_duration, text, where)


def given_distribution(value: Any, where: str) -> Any:
    """A distribution, or None for None."""
    return None if value is None else _parsed(parse_distribution, value, where)


def _parsed(parse: Callable[[Any], T], value: Any, where: str) -> T:
    try:
        return parse(value)
    except ValueError as error:
        context = getattr(error, "context", None) or {}
        raise InputError(str(context.get("what", error)), where=where, remedy=str(context.get("remedy", ""))) from None
