"""The shortest story that still shows a difference: first fewer steps, then simpler ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rayrig_backends.differential.steps import Step, Story


def shrink(story: Story, shows: Callable[[Story], bool], budget: int = 200) -> Story:
    """A smaller story for which `shows` holds, as it does for `story`. Asks `shows` at most `budget` times."""
    asked = 0

    def holds(steps: tuple[Step, ...]) -> bool:
        nonlocal asked
        if asked >= budget or not steps:
            return False
        asked += 1
        return shows(story.with_steps(steps))

    steps = _fewer(story.steps, holds)
    steps = _simpler(steps, holds)
    return story.with_steps(_fewer(steps, holds))


def _fewer(steps: tuple[Step, ...], holds: Callable[[tuple[Step, ...]], bool]) -> tuple[Step, ...]:
    """Delta debugging: leave out ever smaller parts."""
    size = max(1, len(steps) // 2)
    while True:
        start = 0
        while start < len(steps):
            fewer = steps[:start] + steps[start + size :]
            if fewer and holds(fewer):
                steps = fewer
            else:
                start += size
        if size == 1:
            return steps
        size = max(1, size // 2)


def _simpler(steps: tuple[Step, ...], holds: Callable[[tuple[Step, ...]], bool]) -> tuple[Step, ...]:
    """Leave out parameters, headers, and parts of bodies, the largest first."""
    for index in range(len(steps)):
        while True:
            for simpler in _variants(steps[index]):
                candidate = (*steps[:index], simpler, *steps[index + 1 :])
                if holds(candidate):
                    steps = candidate
                    break
            else:
                break
    return steps


def _variants(step: Step) -> Iterator[Step]:
    for at in range(len(step.query)):
        yield replace(step, query=step.query[:at] + step.query[at + 1 :])
    for at, (name, _) in enumerate(step.headers):
        if name.lower() != "content-type":
            yield replace(step, headers=step.headers[:at] + step.headers[at + 1 :])
    if step.text is None and step.body is not None:
        for body in sorted(_less(step.body), key=lambda each: len(json.dumps(each))):
            yield replace(step, body=body)


def _less(value: Any) -> Iterator[Any]:
    """The value with one thing left out somewhere in it."""
    if isinstance(value, dict):
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
        for key, item in value.items():
            for less in _less(item):
                yield {**value, key: less}
    elif isinstance(value, list):
        for at in range(len(value)):
            yield value[:at] + value[at + 1 :]
        for at, item in enumerate(value):
            for less in _less(item):
                yield [*value[:at], less, *value[at + 1 :]]
