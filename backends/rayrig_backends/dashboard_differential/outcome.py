"""A run: stories told to both sides, their differences gathered and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rayrig_backends.dashboard_differential.comparing import Comparison
from rayrig_backends.dashboard_differential.sides import HttpSide
from rayrig_backends.dashboard_differential.stories import Ask, Story
from rayrig_backends.dashboard_differential.telling import Turn, tell
from rayrig_backends.differential.comparing import Difference
from rayrig_backends.differential.grouping import Group
from rayrig_backends.differential.known import Known
from rayrig_core.objects import JsonObject


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference in what came of one request. `reason`: why it is so, where that is known."""

    story: str
    ask: Ask
    difference: Difference
    reason: str = ""

    @property
    def group(self) -> Group:
        different = self.difference
        return Group(f"{self.ask.method} {self.story}", different.at, different.left, different.right)

    def as_json(self) -> JsonObject:
        form: JsonObject = {
            "story": self.story,
            "request": self.ask.told(),
            "at": self.difference.at,
            "left": self.difference.left,
            "right": self.difference.right,
        }
        return {**form, "reason": self.reason} if self.reason else form


@dataclass(slots=True)
class Outcome:
    """What a run has found so far."""

    stories: int = 0
    #: Documents that were PUT.
    documents: int = 0
    findings: list[Finding] = field(default_factory=list)
    is_interrupted: bool = False

    @property
    def unexplained(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.reason]

    @property
    def explained(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.reason]

    def as_json(self) -> JsonObject:
        return {
            "stories": self.stories,
            "documents": self.documents,
            "interrupted": self.is_interrupted,
            "unexplained": [finding.as_json() for finding in self.unexplained],
            "explained": [finding.as_json() for finding in self.explained],
        }


def compare(story: Story, left: Sequence[Turn], right: Sequence[Turn], known: Sequence[Known] = ()) -> list[Finding]:
    """All differences of one story, in order. What follows a difference in status is left out: it would only repeat it."""
    findings: list[Finding] = []
    comparison = Comparison()
    for ask, one, other in zip(story.asks, left, right, strict=True):
        for difference in comparison.of(one, other):
            finding = Finding(story.name, ask, difference)
            reason = next((each.reason for each in known if each.explains(finding)), "")
            findings.append(Finding(story.name, ask, difference, reason))
        if one.status != other.status:
            break
    return findings


def run(
    left: HttpSide,
    right: HttpSide,
    stories: Iterable[Story],
    known: Sequence[Known],
    outcome: Outcome,
    progress: Callable[[str], None] = lambda told: None,
) -> None:
    """Fills `outcome` as it goes, so that what was found by then is there after an interrupt. Closes the sides.

    Raises `InputError`.
    """
    threads = ThreadPoolExecutor(2, thread_name_prefix="side")
    try:
        for story in stories:
            progress(story.name)
            tellings = [threads.submit(tell, side, story) for side in (left, right)]
            turns = [telling.result() for telling in tellings]
            outcome.findings += compare(story, turns[0], turns[1], known)
            outcome.stories += 1
            outcome.documents += sum(1 for ask in story.asks if ask.method == "PUT")
    except KeyboardInterrupt:
        outcome.is_interrupted = True
    finally:
        for side in (left, right):
            side.close()
        threads.shutdown(wait=True, cancel_futures=True)
