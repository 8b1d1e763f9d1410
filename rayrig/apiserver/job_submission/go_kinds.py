"""Kinds of JSON values in the words of Go's decoder."""

from __future__ import annotations

from rayrig_core.objects import Json

_KINDS: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def go_kind(value: Json) -> str:
    """Of a value that isn't null."""
    return _KINDS[type(value)]
