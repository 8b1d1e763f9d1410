"""Layouts: the columns of a resource, and what makes a row of an object; and what many rows show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.tables.cells import Cell, Column, age

NAME = Column("Name", format="name")
AGE = Column("Age")

Cells = Callable[[JsonObject, int], "list[Cell]"]
Layout = tuple[list[Column], Cells]


def columns(*names: str) -> list[Column]:
    """`Name:type` each; a `+` before a name shows it in wide output only."""
    found = []
    for text in names:
        name, _, kind = text.removeprefix("+").partition(":")
        found.append(Column(name, kind or "string", priority=1 if text.startswith("+") else 0))
    return found


def layout_of(columns: Sequence[Column], cells: Cells) -> Layout:
    """Every row begins with the object's name."""

    def row(obj: JsonObject, now: int) -> list[Cell]:
        return [obj["metadata"].get("name", ""), *cells(obj, now)]

    return [NAME, *columns], row


def age_of(obj: JsonObject, now: int) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def spec_of(obj: JsonObject) -> JsonObject:
    return obj.get("spec") or {}


def status_of(obj: JsonObject) -> JsonObject:
    return obj.get("status") or {}


def containers_of(template: JsonObject) -> tuple[str, str]:
    containers = (template.get("spec") or {}).get("containers") or ()
    names = ",".join(each.get("name", "") for each in containers)
    return names, ",".join(each.get("image", "") for each in containers)


def selector_text(selector: JsonObject | None) -> str:
    """A label selector as it is written on a command line."""
    selector = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(expression.get("operator", ""), key)
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts)) or "<none>"


def _created(obj: JsonObject, now: int) -> list[Cell]:
    return [obj["metadata"].get("creationTimestamp")]


#: Of kinds that show nothing else.
CREATED = layout_of(columns("Created At:date"), _created)
