"""The messages of `numbers.txt`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

MAGIC = b"k8s\0"
#: Packages of `numbers.txt` whose name is not the group's first word.
_PACKAGES = {"": "core", "rbac.authorization.k8s.io": "rbac"}
#: Kinds that belong to no group, whatever apiVersion they come with.
_META = ("DeleteOptions", "Status")


class Field(NamedTuple):
    """One field: its name in JSON (empty when its own fields are there instead), type, and whether JSON has it when empty."""

    name: str
    type: str
    keeps_empty: bool


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = Path(__file__).with_name("numbers.txt").read_text(encoding="utf-8")
    return {name: fields for name, _, fields in (line.partition("|") for line in text.splitlines())}


@lru_cache(maxsize=512)
def fields_of(message: str) -> dict[int, Field]:
    """Fields by number. Raises `KeyError` for an unknown message."""
    fields = {}
    for part in _lines()[message].split(";"):
        if part:
            number, name, kind = part.split(":")
            fields[int(number.rstrip("!"))] = Field(name, kind, number.endswith("!"))
    return fields


def message_of(api_version: str, kind: str) -> str | None:
    """Name of the message of a kind; None when it has none here."""
    group, _, version = api_version.rpartition("/")
    package = _PACKAGES.get(group) or group.partition(".")[0]
    message = f"meta.v1.{kind}" if kind in _META else f"{package}.{version}.{kind}"
    return message if message in _lines() else None
