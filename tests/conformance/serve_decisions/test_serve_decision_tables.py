"""The pure decisions of the modelled Serve against tables computed with the real functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.serve_decisions.judge import RECORDINGS, differences, judge

#: Behaviours that a table decides on its own.
_ACCEPTED: dict[str, tuple[str, ...]] = {
    "app_status": ("SV-053", "SV-054", "SV-055"),
    "autoscaling_register": ("SV-134",),
    "autoscaling_sequences": ("SV-126", "SV-127", "SV-128", "SV-131", "SV-133"),
    "autoscaling_single": ("SV-130", "SV-132"),
    "config_updates": ("SV-046", "SV-047", "SV-048", "SV-063", "SV-065", "SV-067", "SV-068"),
    "config_validation_late": ("SV-037", "SV-041", "SV-042", "SV-043", "SV-045"),
    "target_capacity": ("SV-083",),
}


def _tables() -> list[Any]:
    names = sorted(path.stem for path in RECORDINGS.glob("*.json"))
    marks = {name: [pytest.mark.accepts(*behaviours)] for name, behaviours in _ACCEPTED.items()}
    return [pytest.param(name, marks=marks.get(name, []), id=name) for name in names]


@pytest.mark.parametrize("table", _tables())
def test_every_decision_is_the_recorded_one(table: str) -> None:
    content = json.loads((RECORDINGS / f"{table}.json").read_text())
    assert len(content["cases"]) == content["count"]
    assert {case["id"]: lines for case in content["cases"] if (lines := judge(table, case))} == {}


def test_differences_are_told_by_path() -> None:
    recorded = {"a": [1, {"b": True}], "gone": 1, "n": 0.1 + 0.2}
    assert differences(recorded, {"a": [1.0, {"b": True}], "gone": 1, "n": 0.3}) == []
    assert differences(recorded, {"a": [2, {"b": 1}], "n": 0.3, "new": None}) == [
        "/a/0: recorded 1, seen 2",
        "/a/1/b: recorded True, seen 1",
        "/gone: recorded 1, absent",
        "/new: not recorded, seen None",
    ]
    assert differences([1], [1, 2], "/x") == ["/x: recorded [1], seen [1, 2]"]


def test_a_case_nobody_decides_fails() -> None:
    assert judge("limits", {"group": "unheard", "input": {}, "output": {}}) == [
        "/: nothing decides group 'unheard' of table 'limits'"
    ]
