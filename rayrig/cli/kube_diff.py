"""`rayrig kube-diff`: the same requests to two API servers, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayrig_backends.differential.sides import Access
    from rayrig_backends.differential.steps import Story


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What the command line says."""

    seed: int
    #: Requests; None with stories from a file: all of them.
    count: int
    areas: Sequence[str] = ()
    known: Path | None = None
    stories: Path | None = None
    report: Path | None = None
    shrink: bool = True
    as_json: bool = False


def kube_diff_command(left: Access, right: Access, options: DiffOptions) -> int:
    """The exit code: 0 no difference without a reason, 1 some, 2 interrupted before any. Raises `RayrigError`."""
    import json
    from random import SystemRandom

    from rayrig.report.console import console
    from rayrig.report.server_differences import print_outcome
    from rayrig_backends.differential.campaign import Outcome, Plan, run
    from rayrig_backends.differential.grammar.areas import stories
    from rayrig_backends.differential.known import read_known
    from rayrig_backends.differential.sides import HttpSide
    from rayrig_backends.differential.telling import WORDS, Pair, Unreachable, word_from
    from rayrig_core.errors import InputError

    known = read_known(options.known) if options.known is not None else ()
    chosen: Iterable[Story] = stories(options.seed, options.areas)
    if options.stories is not None:
        chosen = _stories_of(options.stories)
    if not (left.reader_token and right.reader_token):
        chosen = (story for story in chosen if all(step.user != "reader" for step in story))
    sides = HttpSide(left), HttpSide(right)
    # Words of a run are no part of what a seed decides: what an earlier run left behind must not be in the way.
    words = SystemRandom()
    pair = Pair(*sides, lambda: word_from(words.randrange(WORDS)), same=left.url == right.url)
    plan = Plan(None if options.stories else options.count, known, 60 if options.shrink else 0)
    outcome = Outcome()
    cut_short: Unreachable | None = None
    shown, progress = _progress(outcome, options.count)
    try:
        with shown:
            run(pair, chosen, plan, outcome, progress)
    except Unreachable as problem:
        cut_short = problem
    finally:
        pair.close()
        for side in sides:
            side.close()
    form = {"left": left.url, "right": right.url, "seed": options.seed, **outcome.as_json()}
    text = json.dumps(form, indent=2, ensure_ascii=False)
    if options.report is not None:
        options.report.write_text(text + "\n", encoding="utf-8")
    if options.as_json:
        print(text)
    else:
        print_outcome(console(), outcome, left.url, right.url)
    if cut_short is not None:
        raise InputError(str(cut_short), where=f"{left.url} or {right.url}")
    if outcome.unexplained:
        return 1
    return 2 if outcome.is_interrupted else 0


def _progress(outcome: object, count: int) -> tuple[AbstractContextManager[object], Callable[[str], None]]:
    """A bar of requests on standard error, when that is a terminal."""
    from rayrig.report.console import error_console

    console = error_console()
    if not console.is_terminal:
        return nullcontext(), lambda told: None
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=count)

    def show(told: str) -> None:
        from rayrig_backends.differential.campaign import Outcome

        assert isinstance(outcome, Outcome)
        open_ones = len(outcome.unexplained)
        bar.update(task, completed=outcome.requests, description=f"{open_ones} differences; {told}")

    return bar, show


def _stories_of(path: Path) -> list[Story]:
    """Of a report: the shortest of each difference. Raises `InputError`."""
    from rayrig_backends.differential.json_files import read_json
    from rayrig_backends.differential.steps import Story
    from rayrig_core.errors import InputError

    report = read_json(path)
    if not isinstance(report, dict):
        raise InputError("no report of an earlier run", where=str(path))
    found = [*(report.get("unexplained") or ()), *(report.get("explained") or ()), *(report.get("unsteady") or ())]
    if not all(isinstance(entry, dict) and isinstance(entry.get("story"), dict) for entry in found):
        raise InputError("no report of an earlier run", where=str(path))
    return [Story.of_json(entry.get("shrunk") or entry["story"]) for entry in found]
