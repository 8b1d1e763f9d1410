"""Descriptors of the messages on the wire: what a `.proto` file would say, as tables.

A decoded message is a plain dict keyed by the fields' JSON names. Enums are ints, integers and floats are Python's,
timestamps are texts (`2026-01-02T03:04:05Z`), maps are dicts, repeated fields lists. A field that is zero or absent is
not in the dict, except a sub-message that was given (if need be `{}`) and an `optional` field that was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property


class Scalar(Enum):
    """The scalar kinds in use; the value is protobuf's word."""

    STRING = "string"
    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT = "float"
    TIMESTAMP = "google.protobuf.Timestamp"


@dataclass(frozen=True, slots=True)
class EnumType:
    """`name` is qualified by the message it is declared in (`Cluster.Environment`).

    `values` are in the order of their numbers, from 0.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """`name` is in proto spelling. `mapped`: a map from text to `kind`. `optional`: absent and zero differ.

    `required` and `output_only` are words of the description alone: nothing on the wire checks them.
    """

    name: str
    kind: Scalar | EnumType | Message
    repeated: bool = False
    mapped: bool = False
    optional: bool = False
    required: bool = False
    output_only: bool = False

    @cached_property
    def json_name(self) -> str:
        """lowerCamelCase: each letter after an underscore is a capital, everything else stays."""
        head, *rest = self.name.split("_")
        return head + "".join(part[:1].upper() + part[1:] for part in rest)


@dataclass(frozen=True)
class Message:
    """A message type. `name` has no package."""

    name: str
    fields: tuple[Field, ...] = field(repr=False, default=())

    @cached_property
    def by_spelling(self) -> Mapping[str, Field]:
        """Each field under its JSON name and under its proto name."""
        return {spelling: item for item in self.fields for spelling in (item.json_name, item.name)}


EMPTY = Message("google.protobuf.Empty")
