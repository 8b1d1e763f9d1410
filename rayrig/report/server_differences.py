"""What `rayrig kube-diff` prints: each difference with its request, its place, both values, and the shortest story."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rayrig_backends.differential.campaign import Found, Outcome

_WIDTH = 2000


def print_outcome(console: Console, outcome: Outcome, left: str, right: str) -> None:
    for number, found in enumerate(outcome.unexplained, 1):
        _print_found(console, f"{number}.", found, left, right)
    for found in outcome.unsteady:
        _print_found(console, "unsteady:", found, left, right)
    reasons: dict[str, int] = {}
    for found in outcome.explained:
        reasons[found.reason] = reasons.get(found.reason, 0) + found.count
    for reason, count in reasons.items():
        console.print(f"explained, {count} times: {reason}", soft_wrap=True)
    stories = sum(outcome.stories.values())
    parts = [
        f"{outcome.requests} requests in {stories} stories",
        f"{len(outcome.unexplained)} differences without a reason",
        f"{len(outcome.explained)} with one",
    ]
    if outcome.unsteady:
        parts.append(f"{len(outcome.unsteady)} that came only once")
    if outcome.is_interrupted:
        parts.append("interrupted")
    console.print("; ".join(parts), style="red" if outcome.unexplained else "green", soft_wrap=True)


def _print_found(console: Console, label: str, found: Found, left: str, right: str) -> None:
    times = "once" if found.count == 1 else f"{found.count} times"
    console.print(Text(f"{label} {found.group.told()} ({times})", style="bold"), soft_wrap=True)
    difference = found.example.difference
    width = max(len(left), len(right))
    console.print(f"   {left:<{width}}  {_short(difference.left)}", soft_wrap=True)
    console.print(f"   {right:<{width}}  {_short(difference.right)}", soft_wrap=True)
    story = found.shrunk or found.example.story
    for step in story.steps if found.shrunk is not None else (found.example.step,):
        console.print(f"     {_short(step.told())}", soft_wrap=True)
    console.print(f"   from story {story.number} of {story.area}", soft_wrap=True)


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"
