"""The recorded exchanges and timelines of Ray Serve, played and judged."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rayrig_backends.dashboard_differential.normal_form import normal_text
from tests.conformance.ray_serve.comparer import compare_request, compare_tally, compare_wait
from tests.conformance.ray_serve.judge import RECORDINGS, judge

_NOT_REACHED: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "not_reached_yet.toml").read_text())
_CASES = sorted(RECORDINGS.glob("*.json"))
#: Behaviours whose every statement a case's steps look at.
_ACCEPTED: dict[str, tuple[str, ...]] = {}


def _cases() -> list[Any]:
    marks = {name: [pytest.mark.accepts(*behaviours)] for name, behaviours in _ACCEPTED.items()}
    return [pytest.param(path, marks=marks.get(path.stem, []), id=path.stem) for path in _CASES]


@pytest.mark.parametrize("path", _cases())
def test_the_model_gives_what_was_recorded(path: Path) -> None:
    excused = {int(number) for number in _NOT_REACHED.get(path.stem, {})}
    failing = {number: lines for number, lines in judge(json.loads(path.read_text())).items() if lines}
    assert {number: lines for number, lines in failing.items() if number not in excused} == {}
    held = excused - failing.keys()
    assert not held, f"{path.stem}: steps {sorted(held)} hold now: take them off not_reached_yet.toml"


def test_every_excused_step_exists() -> None:
    steps = {path.stem: {str(step["n"]) for step in json.loads(path.read_text())["steps"]} for path in _CASES}
    assert {name for name, reasons in _NOT_REACHED.items() if not reasons.keys() <= steps.get(name, set())} == set()


# The comparer


def test_texts_lose_what_is_drawn_anew() -> None:
    traceback = 'failed:\nTraceback (most recent call last):\n  File "x.py", line 3, in f\nValueError: no (pid=17)\n'
    assert normal_text(traceback) == "failed: <traceback> ValueError: no (pid=<n>)"
    assert normal_text("Replica(id='ab12cd34', deployment='D')") == "Replica(id='<id>', deployment='D')"
    assert normal_text("one of {'b', 'a'}") == "one of {'a', 'b'}"


def test_an_answer_differs_by_status_header_and_path() -> None:
    recorded = {"status": 200, "headers": {"content-type": "application/json"}, "body": {"pid": 4, "list": [1, 2.0]}}
    seen = {"status": 200, "headers": {"content-type": "application/json"}, "body": {"pid": 5, "list": [1.0, 3]}}
    assert compare_request({}, recorded, seen) == ["/body/list/1: recorded 2, seen 3"]
    assert compare_request({"ignore": ["/body/list/*"]}, recorded, seen) == ["/body/list/1: recorded 2, seen 3"]
    assert compare_request({"ignore": ["/body/list"]}, recorded, seen) == []
    assert compare_request({"compare": "shape"}, recorded, seen) == []
    assert compare_request({}, recorded, {"error": "TimeoutError"}) == ["status: recorded 200, seen TimeoutError null"]
    assert compare_request({}, {**recorded, "headers": {}}, recorded) == [
        "header content-type: recorded None, seen 'application/json'"
    ]


def test_tallies_are_compared_as_the_step_says() -> None:
    recorded, seen = {"answers": {"200 a": 3, "503 b": 1}}, {"answers": {"200 a": 4}}
    assert compare_tally({"compare": "statuses_within"}, recorded, seen) == []
    assert compare_tally({"compare": "statuses"}, recorded, seen) != []
    assert compare_tally({}, recorded, {"answers": {"200 a": 1, "503 b": 9}}) == []
    assert compare_tally({"compare": "counts"}, recorded, seen) == [
        "answers/200 a: recorded 3, seen 4",
        "answers/503 b: recorded 1, absent",
    ]


def _wait(*values: Any, name: str = "app:a", each_s: float = 2.0) -> dict[str, Any]:
    return {"met": True, "after_s": 9.0, "tracks": {name: [[each_s * i, value] for i, value in enumerate(values)]}}


def test_a_track_has_what_all_recordings_have_in_common_in_order() -> None:
    step: dict[str, Any] = {"until": {}}
    recordings = [_wait("DEPLOYING", "UNHEALTHY", "RUNNING"), _wait("DEPLOYING", "RUNNING")]
    assert compare_wait(step, recordings, _wait("DEPLOYING", "RUNNING")) == []
    assert compare_wait(step, recordings, _wait("DEPLOYING", "UNHEALTHY", "RUNNING")) == []
    assert compare_wait(step, recordings, _wait("RUNNING", "DEPLOYING")) == [
        'app:a ends with "DEPLOYING", recorded "RUNNING"',
        'app:a: order "RUNNING" > "DEPLOYING", recorded "DEPLOYING" > "RUNNING"',
    ]
    assert compare_wait(step, recordings[1:], _wait("DEPLOYING", "UNHEALTHY", "RUNNING")) == [
        'app:a: seen "UNHEALTHY", never recorded (recorded "DEPLOYING" > "RUNNING")'
    ]
    brief = _wait("DEPLOYING", "UNHEALTHY", "RUNNING", each_s=0.2)
    assert compare_wait(step, [brief], _wait("DEPLOYING", "RUNNING")) == []


def test_replicas_are_compared_by_their_bounds() -> None:
    name = "replicas:a/D"
    recorded = _wait({"RUNNING": 2}, {"RUNNING": 1, "STARTING": 1}, {"RUNNING": 2}, name=name)
    seen = _wait({"RUNNING": 2}, {"STARTING": 3}, {"RUNNING": 2}, name=name)
    assert compare_wait({"until": {}}, [recorded], seen) == [
        "replicas:a/D: up to 3 replicas at once, recorded 2",
        "replicas:a/D: down to 0 running, recorded 1",
    ]


def test_a_wait_that_took_too_long_fails_where_times_count() -> None:
    slow = {**_wait("RUNNING"), "after_s": 40.0}
    assert compare_wait({"until": {}}, [_wait("RUNNING")], slow) == []
    assert compare_wait({"until": {}}, [_wait("RUNNING")], slow, timing=3) == ["took 40.0 s, recorded 9.0 to 9.0 s"]
    never = {**_wait("RUNNING"), "met": False, "after_s": None}
    assert compare_wait({"until": {}}, [_wait("RUNNING")], never)[0].startswith("not met in 60 s")
    assert compare_wait({"until": {}}, [never], _wait("RUNNING")) == ["never met in the recording, here after 9.0 s"]
