"""The fields of built-in types, read from `types.txt` when first asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rayrig_core.resource_types import ResourceType


class FieldType(NamedTuple):
    """One field of a type."""

    name: str
    #: Without marks: `[]core.v1.Container`, `map string`, `int32`.
    type: str
    required: bool = False
    #: Keys of a list that is a map; empty for a set; None for other lists.
    list_keys: tuple[str, ...] | None = None
    #: Strategic merge: by this key; empty for plain values; None when it replaces.
    merge_key: str | None = None
    atomic: bool = False
    #: A scalar (or all of a struct) that is not written when it is empty.
    drops_zero: bool = False
    #: Written even when it was not given: its zero value then.
    always: bool = False


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = Path(__file__).with_name("types.txt").read_text(encoding="utf-8")
    return {name: fields for name, _, fields in (line.partition("|") for line in text.splitlines())}


@lru_cache(maxsize=512)
def fields_of(type_name: str) -> dict[str, FieldType]:
    """Fields by name. Raises `KeyError` for an unknown type."""
    parts = _lines()[type_name].split(";")
    return {found.name: found for found in (_field(part) for part in parts if part)}


def _field(text: str) -> FieldType:
    name, _, kind = text.partition(":")
    kind, tilde, _ = kind.partition("~")
    kind, caret, merge_key = kind.partition("^")
    kind, brace, keys = kind.partition("{")
    bare = name.removesuffix("!")
    return FieldType(
        bare.rstrip("?+"),
        kind,
        name.endswith("!"),
        tuple(key for key in keys.removesuffix("}").split(",") if key) if brace else None,
        merge_key if caret else None,
        bool(tilde),
        bare.endswith("?"),
        bare.endswith("+"),
    )


def type_name(api_version: str, kind: str) -> str | None:
    """Name of the type of a kind; None when it is not in the catalogue."""
    group, _, version = api_version.rpartition("/")
    name = f"{group.split('.')[0] or 'core'}.{version}.{kind}"
    return name if name in _lines() else None


@lru_cache(maxsize=512)
def type_of(resource: ResourceType) -> str | None:
    return type_name(resource.api_version, resource.kind)


def go_name(type_text: str) -> str:
    """As a type shows in messages: `[]v1.Container`, `map[string]string`, `int32`."""
    if type_text.startswith("[]"):
        return f"[]{go_name(type_text[2:])}"
    if type_text.startswith("map"):
        form, _, item = type_text.partition(" ")
        return form.partition("=")[2] or f"map[string]{go_name(item)}"
    if type_text.startswith("string="):
        return type_text.partition("=")[2]
    if type_text in _GO_NAMES:
        return _GO_NAMES[type_text]
    return ".".join(type_text.split(".")[-2:])


_GO_NAMES = {
    "bytes": "[]uint8",
    "Quantity": "resource.Quantity",
    "Time": "v1.Time",
    "MicroTime": "v1.MicroTime",
    "IntOrString": "intstr.IntOrString",
    "Any": "interface {}",
}


@lru_cache(maxsize=1)
def atomic_types() -> frozenset[str]:
    """Structs that are owned as a whole wherever they occur."""
    # The catalogue marks fields; this one is only ever an item.
    names: dict[str, None] = {"meta.v1.OwnerReference": None}
    for fields in _lines().values():
        if "~" in fields:
            for part in fields.split(";"):
                found = _field(part)
                if found.atomic and found.type in _lines():
                    names[found.type] = None
    return frozenset(names)
