"""A server with one thing broken is found out, and told in the fewest steps that show it; two good ones agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rayrig_backends.differential.comparing import Answer
from rayrig_backends.differential.grammar.areas import AREAS, stories
from tests.backends.differential.conftest import Break, Laboratory, with_body

#: Requests in these are about identities, which the handler alone does not know.
_WITHOUT_USERS = [area for area in AREAS if area not in ("identity", "paths")]


@pytest.mark.parametrize("area", _WITHOUT_USERS)
def test_two_fakes_agree(laboratory: Laboratory, area: str) -> None:
    outcome = laboratory.outcome(stories(3, [area]), requests=120)
    assert outcome.requests >= 120
    assert [found.as_json() for found in outcome.groups.values()] == []


def test_a_wrong_code_is_found_and_shrunk_to_one_request(laboratory: Laboratory) -> None:
    def gone(method: str, target: str, answer: Answer) -> Answer:
        return replace(answer, status=410) if method == "GET" and answer.status == 404 else answer

    outcome = laboratory.outcome(stories(1, ["crud"]), Break(gone), requests=200)
    found = outcome.unexplained
    assert {one.group.at for one in found} == {"status"}
    assert all(one.shrunk is not None and [step.method for step in one.shrunk] == ["GET"] for one in found)


def test_a_missing_field_is_found_with_its_path(laboratory: Laboratory) -> None:
    def without_labels(method: str, target: str, answer: Answer) -> Answer:
        if method != "PATCH" or answer.status != 200:
            return answer
        return with_body(answer, lambda body: body["metadata"].pop("labels", None))

    outcome = laboratory.outcome(stories(1, ["merge-patch"]), Break(without_labels), requests=150)
    assert {one.group.at for one in outcome.unexplained} == {"metadata.labels"}
    shortest = [one.shrunk for one in outcome.unexplained if one.shrunk is not None]
    assert shortest
    assert all(len(story.steps) <= 2 for story in shortest)


def test_a_lost_watch_event_is_found(laboratory: Laboratory) -> None:
    outcome = laboratory.outcome(
        stories(1, ["watch"]), Break(event=lambda event: event["type"] != "DELETED"), requests=150
    )
    (first, *_) = outcome.unexplained
    assert first.group.at == "events"
    assert first.shrunk is not None
    assert len(first.shrunk.steps) <= 4
    assert "DELETED" in first.example.difference.left
    assert "DELETED" not in first.example.difference.right


def test_a_version_that_grows_over_an_empty_change_is_found(laboratory: Laboratory) -> None:
    def grown(method: str, target: str, answer: Answer) -> Answer:
        if method != "GET" or answer.status != 200:
            return answer

        def grow(body: Any) -> None:
            if "items" not in body and body.get("metadata", {}).get("resourceVersion"):
                body["metadata"]["resourceVersion"] += "0"

        return with_body(answer, grow)

    outcome = laboratory.outcome(stories(1, ["crud"]), Break(grown), requests=200)
    assert {one.group.at for one in outcome.unexplained} == {"metadata.resourceVersion"}
    assert all(one.shrunk is not None and len(one.shrunk.steps) == 2 for one in outcome.unexplained)


def test_one_defect_is_one_difference_however_often_it_shows(laboratory: Laboratory) -> None:
    def typo(method: str, target: str, answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b"already exists", b"is there already"))

    outcome = laboratory.outcome(stories(1, ["crud"]), Break(typo), requests=600, shrink_budget=0)
    texts = {(one.group.at, one.group.action.split()[1]) for one in outcome.unexplained}
    assert len(texts) == len(outcome.unexplained)
    assert any(one.count > 1 for one in outcome.unexplained)


def test_the_same_seed_tells_the_same_stories() -> None:
    first, again, other = (stories(seed, ["apply", "lists"]) for seed in (7, 7, 8))
    assert [next(first).as_json() for _ in range(20)] == [next(again).as_json() for _ in range(20)]
    assert next(first).as_json() != next(other).as_json()
