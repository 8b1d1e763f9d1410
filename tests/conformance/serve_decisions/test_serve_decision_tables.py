"""The pure decisions of the modelled Serve against tables computed with the real functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.serve_decisions.judge import MORE_RECORDINGS, RECORDINGS, differences, judge
from tests.conformance.serve_decisions.trajectories import play


def _differing(table: str, folder: Path = RECORDINGS) -> dict[str, list[str]]:
    """What differs, by case."""
    content = json.loads((folder / f"{table}.json").read_text())
    assert len(content["cases"]) == content["count"]
    return {case["id"]: lines for case in content["cases"] if (lines := judge(table, case))}


@pytest.mark.accepts("SV-053", "SV-054", "SV-055")
def test_the_status_of_an_application_follows_from_its_deployments() -> None:
    assert _differing("app_status") == {}


@pytest.mark.accepts("SV-134")
def test_an_autoscaled_deployment_begins_and_goes_on_within_its_bounds() -> None:
    assert _differing("autoscaling_register") == {}


@pytest.mark.accepts("SV-126", "SV-127", "SV-128", "SV-131", "SV-133")
def test_targets_follow_the_load_with_their_delays() -> None:
    assert _differing("autoscaling_sequences") == {}


@pytest.mark.accepts("SV-130", "SV-132")
def test_one_decision_about_a_number_of_replicas() -> None:
    assert _differing("autoscaling_single") == {}


@pytest.mark.accepts("SV-046", "SV-047", "SV-048", "SV-063", "SV-065", "SV-067", "SV-068")
def test_what_a_changed_configuration_does_to_replicas() -> None:
    assert _differing("config_updates") == {}


@pytest.mark.accepts("SV-037", "SV-041", "SV-042", "SV-043", "SV-045")
def test_what_the_controller_makes_of_a_configuration_and_refuses() -> None:
    assert _differing("config_validation_late") == {}


@pytest.mark.accepts("SV-083")
def test_target_capacity_changes_numbers_of_replicas() -> None:
    assert _differing("target_capacity") == {}


_HELD_ABOVE = (
    "app_status",
    "autoscaling_register",
    "autoscaling_sequences",
    "autoscaling_single",
    "config_updates",
    "config_validation_late",
    "target_capacity",
)


@pytest.mark.parametrize("table", sorted({path.stem for path in RECORDINGS.glob("*.json")}.difference(_HELD_ABOVE)))
def test_every_other_decision_is_the_recorded_one(table: str) -> None:
    assert _differing(table) == {}


@pytest.mark.parametrize("table", sorted(path.stem for path in MORE_RECORDINGS.glob("*.json")))
def test_decisions_about_random_inputs_are_the_recorded_ones(table: str) -> None:
    assert _differing(table, MORE_RECORDINGS) == {}


def test_steps_at_which_no_decision_is_due_may_be_left_out() -> None:
    cases = json.loads((MORE_RECORDINGS / "autoscaling_trajectories.json").read_text())["cases"]
    played = {case["id"]: play(case["input"], is_each_step_made=False) for case in cases}
    assert played == {case["id"]: case["output"] for case in cases}


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
