"""Every recorded exchange passes in process, but for those listed with a reason."""

from __future__ import annotations

import pytest

from tests.conformance.kubernetes.judge import RECORDINGS, definitions, expected_failures, judge, load

_CASES = load(RECORDINGS)


@pytest.mark.accepts("K8-088")
@pytest.mark.parametrize("area", sorted({case["area"] for case in _CASES}))
def test_every_exchange_of_an_area_is_answered_as_recorded(area: str) -> None:
    known = expected_failures()
    problems = []
    for verdict in judge([case for case in _CASES if case["area"] == area]):
        if verdict.outcome == "failed" and verdict.name not in known:
            problems.append(f"{verdict.name}: {verdict.problems[0]}")
        elif verdict.outcome == "passed" and verdict.name in known:
            problems.append(f"{verdict.name} passes: take it off the list of expected failures")
    assert not problems, "\n".join(problems)


def test_every_expected_failure_is_a_recorded_case() -> None:
    assert set(expected_failures()) <= {case["name"] for case in _CASES}


def test_cases_of_kuberays_own_resources_are_played_where_its_definitions_are() -> None:
    if not any(each["spec"]["group"] == "ray.io" for each in definitions()):
        pytest.skip("KubeRay's definitions are not part of this repository")
    assert {verdict.outcome for verdict in judge([each for each in _CASES if "ray.io" in str(each)])} == {"passed"}
