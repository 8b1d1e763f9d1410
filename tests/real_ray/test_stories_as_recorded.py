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


def test_there_are_many_documents_and_half_of_them_are_drawn() -> None:
    drawn = [story for story in stories() if story.name.startswith("drawn")]
    assert sum(ask.method == "PUT" for story in stories() for ask in story.asks) >= 60
    assert len(drawn) >= 30
    assert {turns[0].status for name, (_, turns) in real().items() if name.startswith("drawn")} == {200, 400}
