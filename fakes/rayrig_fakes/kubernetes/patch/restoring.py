"""What a strategically patched object has that its type does not, in the words of the server (K8-029).

Such objects are not read from JSON: what does not fit is told in words of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_core.objects import Json
from rayrig_fakes.kubernetes.typed.catalogue import fields_of

_KINDS: dict[type, str] = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}
_NUMBERS = ("int32", "int64", "float64")
#: These read themselves from JSON.
_OWN_WORDS = ("Quantity", "Time", "MicroTime", "IntOrString", "Any")


def misfit(value: Json, type_name: str) -> str:
    """The first thing that does not fit; empty when everything does, or when the type finds its own words for it."""
    if value is None or type_name in _OWN_WORDS:
        return ""
    found = _KINDS[type(value)]
    if type_name.startswith("[]") or type_name == "bytes":
        if type_name == "bytes" and found == "string":
            return ""
        if not isinstance(value, list):
            return f"cannot restore slice from {found}"
        return _first(misfit(item, type_name[2:]) for item in value) if type_name != "bytes" else ""
    if type_name.startswith("map"):
        if not isinstance(value, dict):
            return f"cannot restore map from {found}"
        return _first(misfit(item, type_name.partition(" ")[2]) for item in value.values())
    wanted, _, alias = type_name.partition("=")
    if wanted in ("string", "bool", *_NUMBERS):
        fits = found == wanted or (found in _NUMBERS and wanted in _NUMBERS)
        return "" if fits else f"cannot convert {found} to {alias or wanted}"
    if not isinstance(value, dict):
        return f"cannot restore struct from: {found}"
    try:
        fields = fields_of(type_name)
    except KeyError:
        return ""
    return _first(misfit(item, fields[name].type) for name, item in value.items() if name in fields)


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
