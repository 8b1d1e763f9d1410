"""Which differences between two dashboards count."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_backends.dashboard_differential.comparing import Comparison, compare_tracks
from rayrig_backends.dashboard_differential.telling import Turn


def _replica(identity: str, **fields: Any) -> dict[str, Any]:
    return {"replica_id": identity, "state": "RUNNING", **fields}


def _status(*replicas: dict[str, Any]) -> Turn:
    return Turn(200, tracks={}, details={"replicas": list(replicas)})


def _at(left: Turn, right: Turn) -> list[str]:
    return [difference.at for difference in Comparison().of(left, right)]


def test_after_another_status_nothing_else_is_looked_at() -> None:
    assert _at(Turn(200, {"content-type": "a"}, "x"), Turn(400, {}, "y")) == ["status"]
    assert _at(Turn(0), Turn(200)) == ["status"]


def test_headers_and_bodies_are_compared_field_by_field() -> None:
    left = Turn(200, {"content-type": "a"}, {"same": 1, "other": [1, 2], "gone": None})
    right = Turn(200, {"content-type": "b"}, {"same": 1.0, "other": [1, 3]})
    assert _at(left, right) == ["header content-type", "body.other[1]", "body.gone"]


def test_a_replica_is_the_same_one_on_both_sides_or_on_none() -> None:
    comparison = Comparison()
    assert comparison.of(_status(_replica("a")), _status(_replica("x"))) == []
    assert comparison.of(_status(_replica("a")), _status(_replica("x"))) == []
    (kept,) = comparison.of(_status(_replica("a")), _status(_replica("y")))
    assert (kept.at, kept.left, kept.right) == ("then.replicas[0].replica_id", "seen before", "new")


def test_which_of_several_replicas_it_is_does_not_count() -> None:
    comparison = Comparison()
    assert comparison.of(_status(_replica("a"), _replica("b")), _status(_replica("x"), _replica("y"))) == []
    assert comparison.of(_status(_replica("a"), _replica("b")), _status(_replica("y"), _replica("x"))) == []
    assert _at(_status(_replica("a"), _replica("b")), _status(_replica("x"), _replica(""))) == [
        "then.replicas[1].replica_id"
    ]


@pytest.mark.parametrize(
    ("left", "right", "differ"),
    [
        ([[0, "A"], [5, "B"]], [[0, "A"], [9, "B"]], False),
        # Too short to be seen by everybody.
        ([[0, "A"], [0.1, "X"], [0.2, "B"]], [[0, "B"]], False),
        ([[0, "A"], [2, "X"], [4, "B"]], [[0, "A"], [2, "B"]], True),
        ([[0, "A"], [2, "X"], [4, "Y"], [6, "B"]], [[0, "A"], [2, "Y"], [4, "X"], [6, "B"]], True),
        ([[0, "A"], [5, "B"]], [[0, "A"]], True),
        ([[0, "A"], [5, None]], [[0, "A"]], True),
    ],
)
def test_what_lasted_must_have_been_on_both_sides_in_the_same_order(
    left: list[Any], right: list[Any], differ: bool
) -> None:
    assert bool(list(compare_tracks({"app:a": left}, {"app:a": right}))) is differ


@pytest.mark.parametrize(
    ("right", "differ"),
    [
        ([[0, {"RUNNING": 2}], [4, {"RUNNING": 1, "STARTING": 1, "STOPPING": 1}], [8, {"RUNNING": 2}]], False),
        ([[0, {"RUNNING": 2}], [4, {"RUNNING": 2, "STARTING": 1}], [8, {"RUNNING": 2}]], True),
        ([[0, {"RUNNING": 2}], [4, {"RUNNING": 2, "STARTING": 1}], [4.1, {"RUNNING": 2}]], False),
        ([[0, {"RUNNING": 2}], [4, {"RUNNING": 1}]], True),
    ],
)
def test_of_replicas_it_is_how_many_there_were_at_once_and_the_end(right: list[Any], differ: bool) -> None:
    left = [[0, {"RUNNING": 2}], [3, {"RUNNING": 1, "STOPPING": 1}], [5, {"RUNNING": 2}]]
    assert bool(list(compare_tracks({"replicas:a/D": left}, {"replicas:a/D": right}))) is differ
