"""`rayrig dashboard-diff`: the same documents to two Ray dashboards, and what differs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DashboardDiffOptions:
    """What the command line says."""

    stories: Path
    known: Path | None = None
    report: Path | None = None
    as_json: bool = False


def dashboard_diff_command(left: tuple[str, str], right: tuple[str, str], options: DashboardDiffOptions) -> int:
    """`left` and `right`: URLs of dashboard and proxy. The exit code: 0 no difference without a reason, 1 some, 2 interrupted
    before any. Raises `RayrigError`."""
    import json

    from rayrig.report.console import console
    from rayrig.report.dashboard_differences import print_outcome
    from rayrig_backends.dashboard_differential.outcome import Outcome, run
    from rayrig_backends.dashboard_differential.sides import HttpSide
    from rayrig_backends.dashboard_differential.stories import read_stories
    from rayrig_backends.differential.known import read_known
    from rayrig_core.errors import InputError

    for url in (*left, *right):
        if not url.startswith("http://"):
            raise InputError("not an http URL", where=url, remedy="such as http://127.0.0.1:8265")
    stories = read_stories(options.stories)
    known = read_known(options.known) if options.known is not None else ()
    outcome = Outcome()

    def tell_progress(told: str) -> None:
        if sys.stderr.isatty():
            print(f"{outcome.stories + 1}/{len(stories)} {told}", file=sys.stderr, flush=True)

    run(HttpSide(*left), HttpSide(*right), stories, known, outcome, tell_progress)
    text = json.dumps({"left": left[0], "right": right[0], **outcome.as_json()}, indent=2, ensure_ascii=False)
    if options.report is not None:
        options.report.write_text(text + "\n", encoding="utf-8")
    if options.as_json:
        print(text)
    else:
        print_outcome(console(), outcome, left[0], right[0])
    if outcome.unexplained:
        return 1
    return 2 if outcome.is_interrupted else 0
