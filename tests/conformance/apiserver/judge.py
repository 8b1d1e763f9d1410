"""Which recorded cases there are, and whether they hold here."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.apiserver.comparer import differences, normal
from tests.conformance.apiserver.player import Player

RECORDINGS = Path(__file__).parent.parent / "recordings" / "apiserver"
NOT_REACHED: dict[str, str] = tomllib.loads((Path(__file__).parent / "not_reached_yet.toml").read_text())


def load(folder: Path) -> list[dict[str, Any]]:
    """All cases of a folder of recordings: `cases/NAME.json` or `NAME.json` in it, or one such file."""
    if folder.is_file():
        files = [folder]
    else:
        files = sorted((folder / "cases" if (folder / "cases").is_dir() else folder).glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def judge(case: dict[str, Any]) -> Iterator[str]:
    """Differences of a play from its recording; none when the case holds."""
    answers, asked, namespaces = Player().play(case)
    for number, (step, answer) in enumerate(zip(case["steps"], answers, strict=True)):
        expected = step["expect"]
        found = normal(answer, namespaces)
        if step.get("may_close") and not expected["status"]:
            # The real server sometimes breaks off the answer of a proxied error.
            continue
        if step.get("match") == "status":
            expected, found = {"status": expected["status"]}, {"status": found["status"]}
        for difference in differences(expected, found):
            yield f"step {number} {step['method']} {step['path']}: {difference}"
    if "upstream" in case:
        for difference in differences(case["upstream"], normal(asked, namespaces)):
            yield f"upstream {difference}"
