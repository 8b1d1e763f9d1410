"""The recordings of KubeRay's operator, played and judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.operator.judge import NOT_REACHED, RECORDINGS, cases_in, judge, load, sample_cases

#: Behaviours that a recording shows from beginning to end.
_ACCEPTS: dict[str, tuple[str, ...]] = {}


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


@pytest.mark.parametrize("path", [pytest.param(p, id=_name(p)) for p in _CASES if _name(p) in NOT_REACHED])
def test_what_is_not_reached_yet_is_excused_with_a_reason(path: Path) -> None:
    assert judge(load(path)), f"{_name(path)} holds now: take it off not_reached_yet.toml"
    pytest.xfail(NOT_REACHED[_name(path)])


def test_every_excused_case_exists() -> None:
    excused = {name for name in NOT_REACHED if sample_cases() or not name.startswith("pods/sample-")}
    assert excused <= {_name(path) for path in _CASES}


def test_cases_from_sample_manifests_are_played_where_they_are() -> None:
    if not sample_cases():
        pytest.skip("cases made from KubeRay's sample manifests are not part of this repository")
    assert len(sample_cases()) > 40
