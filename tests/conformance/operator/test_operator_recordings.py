"""The recordings of KubeRay's operator, played and judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_core.objects import JsonObject
from tests.conformance.operator.judge import NOT_REACHED, RECORDINGS, cases_in, judge, load, sample_cases
from tests.conformance.operator.player import play

#: Behaviours that a recording shows from beginning to end; they count once the recording holds.
_ACCEPTS: dict[str, tuple[str, ...]] = {
    "rayservice/managed-elsewhere": ("RS-011",),
}


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _param(path: Path) -> object:
    behaviours = _ACCEPTS.get(_name(path))
    return pytest.param(path, id=_name(path), marks=[pytest.mark.accepts(*behaviours)] if behaviours else [])


_CASES = [*cases_in(RECORDINGS), *sample_cases()]
_REACHED = [_param(path) for path in _CASES if _name(path) not in NOT_REACHED]


@pytest.mark.parametrize("path", _REACHED)
def test_the_operator_does_what_was_recorded(path: Path) -> None:
    assert list(map(str, judge(load(path)))) == []


def test_what_is_excused_as_not_reached_yet_does_not_hold() -> None:
    for path in _CASES:
        if _name(path) in NOT_REACHED:
            assert judge(load(path)), f"{_name(path)} holds now: take it off not_reached_yet.toml"


def test_every_excused_case_exists() -> None:
    excused = {name for name in NOT_REACHED if sample_cases() or not name.startswith("pods/sample-")}
    assert excused <= {_name(path) for path in _CASES}


def test_cases_from_sample_manifests_are_played_where_they_are() -> None:
    if not sample_cases():
        pytest.skip("cases made from KubeRay's sample manifests are not part of this repository")
    assert len(sample_cases()) > 40


def _accepted_configurations(produced: JsonObject) -> int:
    return sum(each["method"] == "PUT" and each["status"] == 200 for each in produced["dashboard"])


@pytest.mark.accepts("RS-134")
def test_a_new_head_without_fault_tolerance_is_given_the_configuration_again() -> None:
    case = load(RECORDINGS / "rayservice" / "head-deleted.json")
    produced = play(case)
    assert _accepted_configurations(produced) == _accepted_configurations(case["recorded"]) == 2
    serving = {name: _ready_pods(snapshot) for name, snapshot in produced["snapshots"].items()}
    assert serving["running"] & {"<RAYCLUSTER-1>-head-<POD-1>"}
    assert serving["back"] - serving["running"] == {"<RAYCLUSTER-1>-head-<POD-3>"}


@pytest.mark.accepts("RS-133")
def test_a_new_head_with_fault_tolerance_still_has_the_configuration() -> None:
    case = load(RECORDINGS / "rayservice" / "head-failed.json")
    produced = play(case)
    assert _accepted_configurations(produced) == _accepted_configurations(case["recorded"]) == 1
    (service,) = (obj for obj in produced["snapshots"]["back"]["objects"] if obj["kind"] == "RayService")
    applications = service["status"]["activeServiceStatus"]["applicationStatuses"]
    assert {application["status"] for application in applications.values()} == {"RUNNING"}
    heads = {pod for pod in _ready_pods(produced["snapshots"]["back"]) if "-head-" in pod}
    assert heads == {"<RAYCLUSTER-1>-head-<POD-3>"}


def _ready_pods(snapshot: JsonObject) -> set[str]:
    """In the EndpointSlices of the serve Service."""
    return {
        endpoint["pod"]
        for obj in snapshot["objects"]
        if obj["kind"] == "EndpointSlice" and str(obj["metadata"]["labels"]).find("serve-svc") >= 0
        for endpoint in obj["endpoints"]
        if endpoint["ready"]
    }
