"""A run: stories one after the other, their differences gathered, confirmed, shrunk and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rayrig_backends.differential.grouping import Group
from rayrig_backends.differential.known import Known
from rayrig_backends.differential.shrinking import shrink
from rayrig_backends.differential.steps import Story
from rayrig_backends.differential.telling import Finding, Pair
from rayrig_core.objects import JsonObject


@dataclass(slots=True)
class Found:
    """All findings of one group."""

    group: Group
    example: Finding
    count: int = 1
    #: Why it is so, when the file of known differences says.
    reason: str = ""
    #: It did not come again when its story was told once more.
    is_unsteady: bool = False
    shrunk: Story | None = None

    def as_json(self) -> JsonObject:
        form: JsonObject = {
            "action": self.group.action,
            "at": self.example.difference.at,
            "left": self.example.difference.left,
            "right": self.example.difference.right,
            "count": self.count,
            "request": self.example.step.as_json(),
            "story": self.example.story.as_json(),
        }
        if self.reason:
            form["reason"] = self.reason
        if self.is_unsteady:
            form["unsteady"] = True
        if self.shrunk is not None:
            form["shrunk"] = self.shrunk.as_json()
        return form


@dataclass(slots=True)
class Outcome:
    """What a run has found so far."""

    stories: dict[str, int] = field(default_factory=dict)
    #: Requests drawn, and those sent again to confirm and shrink.
    requests: int = 0
    repeated: int = 0
    groups: dict[Group, Found] = field(default_factory=dict)
    is_interrupted: bool = False

    @property
    def unexplained(self) -> list[Found]:
        return [found for found in self.groups.values() if not found.reason and not found.is_unsteady]

    @property
    def explained(self) -> list[Found]:
        return [found for found in self.groups.values() if found.reason]

    @property
    def unsteady(self) -> list[Found]:
        return [found for found in self.groups.values() if found.is_unsteady and not found.reason]

    def as_json(self) -> JsonObject:
        return {
            "stories": self.stories,
            "requests": self.requests,
            "repeated": self.repeated,
            "interrupted": self.is_interrupted,
            "unexplained": [found.as_json() for found in self.unexplained],
            "explained": [found.as_json() for found in self.explained],
            "unsteady": [found.as_json() for found in self.unsteady],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """`requests`: stories are told until so many were sent; None: all of them."""

    requests: int | None = None
    known: Sequence[Known] = ()
    #: How often a story may be told again to shrink it; 0: not at all.
    shrink_budget: int = 60


def run(
    pair: Pair,
    stories: Iterable[Story],
    plan: Plan,
    outcome: Outcome,
    progress: Callable[[str], None] = lambda told: None,
) -> None:
    """Fills `outcome` as it goes, so that what was found by then is there after an interrupt. Raises `Unreachable`."""
    try:
        for story in stories:
            if plan.requests is not None and outcome.requests >= plan.requests:
                break
            _one(pair, story, plan, outcome, progress)
    except KeyboardInterrupt:
        outcome.is_interrupted = True


def _one(pair: Pair, story: Story, plan: Plan, outcome: Outcome, progress: Callable[[str], None]) -> None:
    progress(f"{story.area} {story.number}")
    telling = pair.tell(story, lambda finding: bool(_reason(plan, finding)))
    outcome.stories[story.area] = outcome.stories.get(story.area, 0) + 1
    outcome.requests += telling.requests
    for finding in telling.findings:
        found = outcome.groups.get(finding.group)
        if found is not None:
            found.count += 1
            continue
        found = Found(finding.group, finding, reason=_reason(plan, finding))
        outcome.groups[finding.group] = found
        if not found.reason and plan.shrink_budget:
            progress(f"{story.area} {story.number}: shrinking {finding.group.told()}")
            _confirm_and_shrink(pair, found, plan, outcome)


def _confirm_and_shrink(pair: Pair, found: Found, plan: Plan, outcome: Outcome) -> None:
    def shows(story: Story) -> bool:
        telling = pair.tell(story, lambda finding: bool(_reason(plan, finding)))
        outcome.repeated += telling.requests
        return any(finding.group == found.group for finding in telling.findings)

    story = found.example.story
    if not any(shows(story) for _ in range(2)):
        found.is_unsteady = True
        return
    found.shrunk = shrink(story, shows, plan.shrink_budget)


def _reason(plan: Plan, finding: Finding) -> str:
    return next((known.reason for known in plan.known if known.explains(finding)), "")
