"""What `rayrig dashboard-diff` prints: each difference with its story, its request, its place and both values."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from rayrig_backends.dashboard_differential.outcome import Outcome

_WIDTH = 2000


def print_outcome(console: Console, outcome: Outcome, left: str, right: str) -> None:
    width = max(len(left), len(right))
    for number, finding in enumerate(outcome.unexplained, 1):
        difference = finding.difference
        console.print(Text(f"{number}. {finding.story}: {difference.at}", style="bold"), soft_wrap=True)
        console.print(Text(f"   {left:<{width}}  {_short(difference.left)}"), soft_wrap=True)
        console.print(Text(f"   {right:<{width}}  {_short(difference.right)}"), soft_wrap=True)
        console.print(Text(f"     {_short(finding.ask.told())}"), soft_wrap=True)
    reasons: dict[str, int] = {}
    for finding in outcome.explained:
        reasons[finding.reason] = reasons.get(finding.reason, 0) + 1
    for reason, count in reasons.items():
        console.print(Text(f"explained, {count} times: {reason}"), soft_wrap=True)
    parts = [
        f"{outcome.documents} documents in {outcome.stories} stories",
        f"{len(outcome.unexplained)} differences without a reason",
        f"{len(outcome.explained)} with one",
    ]
    if outcome.is_interrupted:
        parts.append("interrupted")
    console.print("; ".join(parts), style="red" if outcome.unexplained else "green", soft_wrap=True)


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"
