"""How the lists of built-in kinds merge in a strategic merge patch: by a key, or as a set of plain values, as their types say.

Lists of which a type says nothing are replaced whole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rayrig_fakes.kubernetes.typed.catalogue import fields_of


class ListMerge(NamedTuple):
    """One field: its type in the catalogue (\"\" when it is not known), and by which key a list there merges: \"\" for plain
    values, None when it is replaced."""

    type: str
    key: str | None


_UNKNOWN = ListMerge("", None)


@lru_cache(maxsize=4096)
def field_of(type_name: str, field: str) -> ListMerge:
    """A field of an object of that type, or a value of a map of that type."""
    if type_name.startswith("map"):
        return ListMerge(type_name.partition(" ")[2], None)
    if not type_name:
        return ListMerge("meta.v1.ObjectMeta", None) if field == "metadata" else _UNKNOWN
    try:
        found = fields_of(type_name).get(field)
    except KeyError:
        return _UNKNOWN
    return ListMerge(found.type, found.merge_key) if found is not None else _UNKNOWN


def item_of(type_name: str) -> str:
    """Type of the items of a list."""
    return type_name.removeprefix("[]")
