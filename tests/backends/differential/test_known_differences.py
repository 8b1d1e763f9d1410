"""A file of differences that have a reason; what is wrong in it is told in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rayrig_backends.differential.comparing import Answer
from rayrig_backends.differential.grammar.areas import stories
from rayrig_backends.differential.known import read_known
from rayrig_backends.differential.steps import Step, Story
from rayrig_core.errors import InputError
from tests.backends.differential.conftest import Break, Laboratory, tell

KNOWN = """
[[known]]
reason = "the other server speaks of things that are gone"
action = "^get "
at = "^status$"
left = "^404"
right = "^410"
"""


def _gone(method: str, target: str, answer: Answer) -> Answer:
    return replace(answer, status=410) if method == "GET" and answer.status == 404 else answer


def test_a_known_difference_is_explained_and_the_story_goes_on(laboratory: Laboratory, tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(KNOWN)
    outcome = laboratory.outcome(stories(1, ["crud"]), Break(_gone), requests=200, known=read_known(file))
    assert outcome.unexplained == []
    assert {one.reason for one in outcome.explained} == {"the other server speaks of things that are gone"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[known]]\nat = "x"\n', "needs a reason"),
        ('[[known]]\nreason = "x"\n', "something to match"),
        ('[[known]]\nreason = "x"\nwhere = "y"\n', "no field where"),
        ('[[known]]\nreason = "x"\nat = "("\n', "no regular expression"),
        ("x = 1\n", "something other"),
        ("[[", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=told):
        read_known(file)


def test_a_difference_that_does_not_come_again_is_unsteady(laboratory: Laboratory) -> None:
    times = iter([True])

    def once(method: str, target: str, answer: Answer) -> Answer:
        return replace(answer, status=418) if method == "GET" and next(times, False) else answer

    story = tell(Step("GET", "/api/v1/namespaces/${ns}/configmaps/a"))
    outcome = laboratory.outcome([story], Break(once))
    assert outcome.unexplained == []
    assert len(outcome.unsteady) == 1


def test_a_story_survives_being_written_down(laboratory: Laboratory) -> None:
    drawn = stories(4)
    for _ in range(40):
        story = next(drawn)
        assert Story.of_json(json.loads(json.dumps(story.as_json()))) == story


def test_an_interrupt_leaves_what_was_found_and_takes_the_namespace_away(laboratory: Laboratory) -> None:
    asked = iter(range(1000))

    def interrupted(method: str, target: str, answer: Answer) -> Answer:
        if method == "GET" and next(asked) == 1:
            raise KeyboardInterrupt
        return _gone(method, target, answer)

    get = Step("GET", "/api/v1/namespaces/${ns}/configmaps/a")
    outcome = laboratory.outcome([tell(get), tell(get)], Break(interrupted), shrink_budget=0)
    assert outcome.is_interrupted
    assert len(outcome.unexplained) == 1
