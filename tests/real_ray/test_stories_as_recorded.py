"""The model gives what a real Ray gave."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from rayrig_backends.dashboard_differential.stories import Story
from tests.real_ray.telling import differences, recorded, stories


@cache
def real() -> dict[str, Any]:
    return recorded()


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.name)
def test_the_model_gives_what_a_real_ray_gave(story: Story) -> None:
    _, turns = real()[story.name]
    assert [finding.as_json() for finding in differences(story, turns)] == []


def test_half_of_the_documents_are_drawn_and_some_are_refused() -> None:
    documents = {story.name: sum(ask.method == "PUT" for ask in story.asks) for story in stories()}
    drawn = [name for name in documents if name.startswith("drawn")]
    assert sum(documents[name] for name in drawn) * 2 >= sum(documents.values()) >= 60
    assert {real()[name][1][0].status for name in drawn} == {200, 400}
