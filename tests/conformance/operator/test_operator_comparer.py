"""The comparer of operator recordings notices what it must and forgives what it may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from tests.conformance.operator.__main__ import main
from tests.conformance.operator.comparer import Difference, differences, object_differences, value_differences


def _pod(name: str, **status: Any) -> JsonObject:
    return {"kind": "Pod", "metadata": {"name": name}, "status": status}


def _case(**recorded: Any) -> JsonObject:
    parts: JsonObject = {"responses": [], "snapshots": {}, "events": [], "dashboard": []}
    return {"area": "life", "name": "made-up", "steps": [], "recorded": {**parts, **recorded}}


def _produced(**parts: Any) -> JsonObject:
    recorded: JsonObject = _case(**parts)["recorded"]
    return recorded


def _event(reason: str, note: str) -> JsonObject:
    return {"regarding": "RayCluster/rc", "type": "Normal", "reason": reason, "action": "Create", "note": note}


def test_a_difference_is_told_with_its_path() -> None:
    recorded, produced = {"a": [{"b.c": 1}]}, {"a": [{"b.c": 2}]}
    assert value_differences(recorded, produced) == [Difference('$.a[0]["b.c"]', 1, 2)]


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_empty_and_absent_are_the_same(empty: Any) -> None:
    assert value_differences({"a": empty}, {}) == []
    assert value_differences({}, {"a": empty}) == []


def test_zero_and_false_are_not_absent() -> None:
    assert value_differences({"a": 0}, {}) != []
    assert value_differences({"a": False}, {}) != []


def test_times_differ_in_form_only() -> None:
    assert value_differences("<T+1>", "<T+20>") == []
    assert value_differences("<T+1>", "never") != []


def test_objects_missing_and_surplus_are_told() -> None:
    assert object_differences([_pod("a")], [_pod("b")]) == [
        Difference("Pod/a", "present", "absent"),
        Difference("Pod/b", "absent", "present"),
    ]


def test_unstable_paths_are_left_out() -> None:
    snapshots = {"end": {"objects": [_pod("a", ready="True")]}}
    produced = _produced(snapshots={"end": {"objects": [_pod("a", ready="False")]}})
    case = _case(snapshots=snapshots)
    assert [difference.path for difference in differences(case, produced)] == ["end: Pod/a:$.status.ready"]
    assert differences({**case, "unstable": {"end": ["Pod/a:$.status*"]}}, produced) == []
    assert differences({**case, "unstable": {"start": ["Pod/a:$.status*"]}}, produced) != []


def test_an_unchanged_object_is_the_one_seen_before() -> None:
    first, again = _pod("a", ready="True"), {"kind": "Pod", "metadata": {"name": "a"}, "unchanged": True}
    case = _case(snapshots={"one": {"objects": [first]}, "two": {"objects": [again]}})
    same = {"one": {"objects": [first]}, "two": {"objects": [first]}}
    assert differences(case, _produced(snapshots=same)) == []
    other = {**same, "two": {"objects": [_pod("a", ready="False")]}}
    assert [difference.path for difference in differences(case, _produced(snapshots=other))] == [
        "two: Pod/a:$.status.ready"
    ]


def test_which_of_several_objects_a_note_names_does_not_count() -> None:
    case = _case(events=[_event("CreatedWorkerPod", "Created worker Pod <NS>/rc-<POD-2>")])
    assert differences(case, _produced(events=[_event("CreatedWorkerPod", "Created worker Pod <NS>/rc-<POD-3>")])) == []
    assert len(differences(case, _produced(events=[_event("CreatedWorkerPod", "Created a pod")]))) == 2
    assert len(differences(case, _produced())) == 1


def test_configurations_count_in_their_order_without_repetitions() -> None:
    def put(body: Any, status: int = 200) -> JsonObject:
        return {"cluster": "c", "role": "dashboard", "method": "PUT", "path": "/", "body": body, "status": status}

    case = _case(dashboard=[put({"a": 1}), put("as before"), put({"a": 2}, 500), put("as before")])
    assert differences(case, _produced(dashboard=[put({"a": 1}), put({"a": 2})])) == []
    assert differences(case, _produced(dashboard=[put({"a": 2}), put({"a": 1})])) != []


def test_a_step_that_got_stuck_is_told() -> None:
    assert differences(_case(), _produced(problems=["step 1 wait: nothing"])) == [
        Difference("problem", None, "step 1 wait: nothing")
    ]


def test_the_command_tells_what_differs_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.json").write_text("[]")
    case = _case(responses=[{"op": "create", "code": 201}])
    (tmp_path / "made-up.json").write_text(json.dumps(case))
    assert main(["--cases", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAIL life/made-up",
        '    response 0: recorded {"op": "create", "code": 201}, produced null',
        "0 passed, 1 failed",
    ]


def test_the_command_succeeds_when_all_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made-up.json").write_text(json.dumps(_case()))
    assert main(["--cases", str(tmp_path), "-v"]) == 0
    assert capsys.readouterr().out.splitlines() == ["ok   life/made-up", "1 passed, 0 failed"]


def test_a_folder_without_cases_is_a_mistake(tmp_path: Path) -> None:
    assert main(["--cases", str(tmp_path)]) == 2
