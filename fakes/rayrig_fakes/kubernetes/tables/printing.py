"""Tables as the server prints them: printer columns of custom resources, columns of built-in kinds (K8-011)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import jsonpath
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.tables import everyday_kinds
from rayrig_fakes.kubernetes.tables.cells import Cell, Column, age
from rayrig_fakes.kubernetes.tables.layouts import AGE, NAME, Layout, age_of

Row: TypeAlias = "list[Cell]"


_PLAIN: Layout = ([NAME, AGE], lambda obj, now: [obj["metadata"].get("name", ""), age_of(obj, now)])


def table(served: Served, objects: Iterable[JsonObject], now_unix_ns: int) -> tuple[list[Column], list[list[Cell]]]:
    """Columns and one row per object, in the order given."""
    columns, row = layout(served)
    return columns, [row(obj, now_unix_ns) for obj in objects]


def layout(served: Served) -> Layout:
    """Columns of a resource and what makes a row of an object."""
    if served.rules.is_custom:
        return _custom_layout(served.columns)
    found = everyday_kinds.LAYOUTS.get(served.storage)
    if found is not None:
        return found
    # The rest is read in when somebody looks.
    from rayrig_fakes.kubernetes.tables import other_kinds, storage, workloads

    seldom = workloads.LAYOUTS | storage.LAYOUTS | other_kinds.LAYOUTS
    return seldom.get(served.storage, _PLAIN)


def _custom_layout(definitions: tuple[JsonObject, ...]) -> Layout:
    columns = [NAME]
    readers: list[tuple[str, str]] = []
    for each in definitions:
        columns.append(
            Column(
                each["name"],
                each.get("type", "string"),
                each.get("format", ""),
                each.get("priority", 0),
                each.get("description")
                or f"Custom resource definition column (in JSONPath format): {each['jsonPath']}",
            )
        )
        readers.append((each["jsonPath"], each.get("type", "string")))
    if not definitions:
        columns.append(Column("Age", "date"))
        readers.append((".metadata.creationTimestamp", "date"))

    def row(obj: JsonObject, now: int) -> list[Cell]:
        return [obj["metadata"]["name"], *(_custom_cell(obj, path, kind, now) for path, kind in readers)]

    return columns, row


def _custom_cell(obj: JsonObject, path: str, kind: str, now: int) -> Cell:
    found = jsonpath.find(obj, path)
    if not found:
        return None
    value = found[0]
    if kind == "string":
        return _text(value)
    if kind == "date":
        return age(value, now)
    if kind == "integer":
        return int(value) if isinstance(value, (int, float)) else None
    if kind == "number":
        return float(value) if isinstance(value, (int, float)) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return None


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
