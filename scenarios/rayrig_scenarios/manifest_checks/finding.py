"""One thing found in a manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from rayrig_scenarios.language.documents import Place
from rayrig_scenarios.language.manifests import WrittenObject


class Level(StrEnum):
    """ERROR: refused, or cannot work. WARNING: works, and is surely not meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` is counted from 1; `field` is a path such as `spec.rayClusterConfig.headGroupSpec`."""

    file: str
    line: int
    field: str
    level: Level
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        at = f"{self.file}:{self.line} {self.field}".rstrip()
        return f"{at}: {self.level}: {self.what}" + (f" ({self.remedy})" if self.remedy else "")


def at_path(written: WrittenObject, path: str, level: Level, what: str, remedy: str = "") -> Finding:
    """A finding at a field that is named by its path."""
    line = written.document.line((*written.base, *place_of(path)))
    return Finding(written.document.file, line, path, level, what, remedy)


_STEP = re.compile(r"\[([^\]]*)\]|([^.\[]+)")


def place_of(path: str) -> Place:
    """`("spec", "groups", 0)` for `spec.groups[0]`; a name in brackets is a key."""
    steps: list[str | int] = []
    for match in _STEP.finditer(path):
        inside, plain = match.groups()
        if plain is not None:
            steps.append(plain)
        else:
            steps.append(int(inside) if inside.isdigit() else inside.strip("\"'"))
    return tuple(steps)
