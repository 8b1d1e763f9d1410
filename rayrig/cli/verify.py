"""`rayrig verify`: the same run in two processes, and what differs."""

from __future__ import annotations

from pathlib import Path


def verify_command(
    targets: list[str], *, seeds: int, first_seed: int, jobs: int, resume: Path | None, as_json: bool
) -> int:
    """The exit code. Raises `InputError`."""
    import json
    from dataclasses import asdict

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from rayrig.report.console import console, error_console
    from rayrig_scenarios.determinism import SeedOutcome, verify_each
    from rayrig_scenarios.language.load import bundled_scenarios, load

    names = targets or bundled_scenarios()
    for name in names:
        load(name)
    chosen = range(first_seed, first_seed + seeds)
    total: dict[str, int] = dict.fromkeys(names, 0)
    different: list[SeedOutcome] = []
    broken: list[SeedOutcome] = []
    interrupted = False
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=error_console(), transient=True) as progress:
        task = progress.add_task("seeds", total=len(names) * seeds)
        try:
            for outcome in verify_each([(name, chosen) for name in names], pairs=jobs, resume=resume):
                total[outcome.scenario] += 1
                progress.update(task, advance=1, description=outcome.scenario)
                if not outcome.equal:
                    different.append(outcome)
                elif outcome.error:
                    broken.append(outcome)
        except KeyboardInterrupt:
            interrupted = True
    if as_json:
        print(
            json.dumps(
                {
                    "seeds": total,
                    "interrupted": interrupted,
                    "different": [asdict(outcome) for outcome in different],
                    "couldNotRun": [asdict(outcome) for outcome in broken],
                },
                indent=2,
            )
        )
    else:
        out = console()
        for outcome in different:
            out.print(f"{outcome.scenario}, seed {outcome.seed}: the two runs differ")
            if outcome.divergence is not None:
                out.print(f"  first at event {outcome.divergence.index}")
                for line in outcome.divergence.lines():
                    out.print(line, soft_wrap=True)
            elif outcome.error:
                out.print(f"  {outcome.error}", soft_wrap=True)
        for outcome in broken:
            out.print(f"{outcome.scenario}, seed {outcome.seed}: could not run: {outcome.error}", soft_wrap=True)
        for name, count in total.items():
            bad = sum(outcome.scenario == name for outcome in different)
            out.print(f"{name}: {count} seeds, {bad} with differing digests", soft_wrap=True)
        if interrupted:
            hint = (
                f"; go on with --resume {resume}" if resume is not None else "; --resume FILE would keep what is done"
            )
            out.print(f"interrupted{hint}")
    if different:
        return 1
    return 2 if broken or interrupted else 0
