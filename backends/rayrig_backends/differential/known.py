"""Differences that have a reason: a file of them, so that a run fails on the others only."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rayrig_backends.differential.comparing import Difference
from rayrig_backends.differential.grouping import Group
from rayrig_core.errors import InputError

_FIELDS = ("reason", "action", "at", "left", "right")


class Finding(Protocol):
    """A difference, and what it has in common with its like."""

    @property
    def difference(self) -> Difference: ...

    @property
    def group(self) -> Group: ...


@dataclass(frozen=True, slots=True)
class Known:
    """Patterns (regular expressions, searched for) that a finding must all match; "" matches everything."""

    reason: str
    action: str = ""
    at: str = ""
    left: str = ""
    right: str = ""

    def explains(self, finding: Finding) -> bool:
        texts = (finding.group.action, finding.difference.at, finding.difference.left, finding.difference.right)
        patterns = (self.action, self.at, self.left, self.right)
        return all(re.search(pattern, text) for pattern, text in zip(patterns, texts, strict=True))


def read_known(path: Path) -> list[Known]:
    """Entries `[[known]]` with `reason` and at least one of `action`, `at`, `left`, `right`. Raises `InputError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"cannot read: {problem.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InputError(f"not TOML: {problem}", where=str(path)) from None
    entries = document.get("known", [])
    if not isinstance(entries, list) or set(document) - {"known"}:
        raise InputError("holds something other than [[known]] entries", where=str(path))
    return [_entry(entry, f"{path} known[{index}]") for index, entry in enumerate(entries)]


def _entry(entry: object, where: str) -> Known:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise InputError("every field is a text", where=where)
    surplus = [name for name in entry if name not in _FIELDS]
    if surplus:
        raise InputError(f"no field {surplus[0]}", where=where, remedy=f"there are {', '.join(_FIELDS)}")
    if not entry.get("reason") or len(entry) < 2:
        raise InputError("needs a reason and something to match", where=where)
    for name, pattern in entry.items():
        if name != "reason":
            try:
                re.compile(pattern)
            except re.error as problem:
                raise InputError(f"{name} is no regular expression: {problem}", where=where) from None
    return Known(**entry)
