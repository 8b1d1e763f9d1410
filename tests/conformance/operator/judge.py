"""Which recorded cases there are, and whether one of them holds here."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from rayrig_core.objects import JsonObject
from tests.conformance.operator.comparer import Difference, differences
from tests.conformance.operator.player import play

RECORDINGS = Path(__file__).parent.parent / "recordings" / "operator"
#: Cases made from KubeRay's own sample manifests, which are not part of this repository.
SAMPLES = Path(__file__).parents[4] / "shared" / "golden" / "operator"
NOT_REACHED: dict[str, str] = tomllib.loads((Path(__file__).parent / "not_reached_yet.toml").read_text())


def load(path: Path) -> JsonObject:
    case: JsonObject = json.loads(path.read_text())
    return case


def cases_in(folder: Path) -> list[Path]:
    """All recorded cases below a folder; other JSON files there are none."""
    return sorted(path for path in folder.rglob("*.json") if '"recorded"' in path.read_text())


def sample_cases() -> list[Path]:
    """Empty where they are absent."""
    return sorted(SAMPLES.glob("pods/sample-*.json"))


def judge(case: JsonObject) -> list[Difference]:
    """Differences of a play from its recording; none when the case holds."""
    return differences(case, play(case))
