"""Which fields differ between two objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rayrig_core.objects import Json, copy_json
from rayrig_scenarios.language.documents import Place, place_text


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; `ABSENT` stands for a field that is not there."""

    place: Place
    old: Any
    new: Any

    @property
    def path(self) -> str:
        return place_text(self.place)

    def applied_to(self, value: Json) -> Json:
        """A copy of `value` with this change only."""
        changed: Any = copy_json(value)
        inner = changed
        for step in self.place[:-1]:
            inner = inner[step]
        last: Any = self.place[-1]
        if self.new is ABSENT:
            del inner[last]
        elif isinstance(inner, list) and last == len(inner):
            inner.append(copy_json(self.new))
        else:
            inner[last] = copy_json(self.new)
        return changed


def changes(old: Any, new: Any, place: Place = ()) -> Iterator[Change]:
    """In the order of the new object. Lists that only grew at their end differ in the items added, others of different lengths as a
    whole.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            if key not in old:
                yield Change((*place, key), ABSENT, new[key])
            elif key not in new:
                yield Change((*place, key), old[key], ABSENT)
            else:
                yield from changes(old[key], new[key], (*place, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        if len(old) < len(new) and new[: len(old)] != old:
            yield Change(place, old, new)
            return
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from changes(before, after, (*place, index))
        for index in range(len(old), len(new)):
            yield Change((*place, index), ABSENT, new[index])
    elif old != new or type(old) is not type(new):
        yield Change(place, old, new)
