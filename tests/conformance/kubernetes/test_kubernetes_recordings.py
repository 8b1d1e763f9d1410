"""Every recorded exchange that can be played in process passes, but for those listed with a reason."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kubernetes.player import Player, load

RECORDINGS = Path(__file__).parents[4] / "shared" / "golden" / "kubernetes"
EXPECTED_FAILURES = Path(__file__).with_name("expected_failures.txt")

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not part of this repository")


def expected_failures() -> dict[str, str]:
    lines = EXPECTED_FAILURES.read_text().splitlines()
    entries = (
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line and not line.startswith("#")
    )
    return dict(entries)


@cache
def fixtures() -> list[dict[str, Any]]:
    return [each for file in sorted((RECORDINGS / "fixtures").glob("*.json")) for each in json.loads(file.read_text())]


def areas() -> list[str]:
    return sorted({case["area"] for case in load(RECORDINGS)}) if RECORDINGS.is_dir() else []


@pytest.mark.parametrize("area", areas())
def test_area(area: str) -> None:
    player, known = Player(fixtures()), expected_failures()
    problems = []
    for case in load(RECORDINGS):
        if case["area"] != area:
            continue
        verdict = player.play(case)
        if verdict.outcome == "failed" and verdict.name not in known:
            problems.append(f"{verdict.name}: {verdict.problems[0]}")
        elif verdict.outcome == "passed" and verdict.name in known:
            problems.append(f"{verdict.name} passes: take it off the list of expected failures")
    assert not problems, "\n".join(problems)
