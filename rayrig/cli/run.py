"""`rayrig run`: load, run with a live display, report."""

from __future__ import annotations

import sys
from pathlib import Path


def run_command(target: str, *, seed: int | None, as_json: bool, show_progress: bool, trace_file: Path | None) -> int:
    """The exit code. Raises `InputError`."""
    from rayrig.report.console import console, error_console
    from rayrig_scenarios.language.load import load
    from rayrig_scenarios.runner import run

    scenario = load(target)
    for warning in scenario.warnings:
        print(f"rayrig: {warning}", file=sys.stderr)
    _check_writable(trace_file)
    if show_progress and error_console().is_terminal:
        from rayrig.report.live import LiveProgress

        with LiveProgress(error_console(), scenario.name) as progress:
            result = run(scenario, seed=seed, progress=progress)
    else:
        result = run(scenario, seed=seed)
    if trace_file is not None:
        with trace_file.open("w") as out:
            out.writelines(event.line() + "\n" for event in result.trace)
    if as_json:
        import json

        from rayrig.report.machine import as_json_value

        print(json.dumps(as_json_value(result), indent=2))
    else:
        from rayrig.report.terminal import print_result

        print_result(console(), result)
    return result.exit_code


def _check_writable(path: Path | None) -> None:
    """Before the run, not after it."""
    from rayrig_core.errors import InputError

    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise InputError(
            f"cannot write: {error.strerror}", where=str(path), remedy="give a file in a folder that exists"
        ) from None
