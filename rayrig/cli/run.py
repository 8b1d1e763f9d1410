"""`rayrig run`: load, run with a live display, report."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayrig_backends.real_ray.local import RealRaySettings
    from rayrig_backends.world import WorldFactory
    from rayrig_scenarios.language.scenario import Scenario
    from rayrig_scenarios.results import RunResult


def run_command(
    target: str,
    *,
    seed: int | None,
    as_json: bool,
    show_progress: bool,
    trace_file: Path | None,
    feature_gates: str = "",
    kuberay: str = "",
    script: Path | None = None,
    real_ray: RealRaySettings | None = None,
) -> int:
    """The exit code. With `real_ray` each RayCluster is such a Ray. Raises `InputError`."""
    from rayrig.cli.last_run import LastRun, remember
    from rayrig_scenarios.language.load import load

    scenario = load(target, script=script, kuberay=kuberay).with_gates(feature_gates)
    for warning in scenario.warnings:
        print(f"rayrig: {warning}", file=sys.stderr)
    _check_writable(trace_file)
    result = perform(scenario, seed, show_progress=show_progress, real_ray=real_ray)
    if trace_file is not None:
        with trace_file.open("w", encoding="utf-8") as out:
            out.writelines(event.line() + "\n" for event in result.trace)
    if real_ray is None:
        remember(LastRun(target, result.seed, feature_gates, str(script or ""), kuberay))
    try:
        _report(result, as_json=as_json)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; the verdict stays what it is.
        from rayrig.report.console import forget_output

        forget_output()
    return result.exit_code


def perform(
    scenario: Scenario, seed: int | None, *, show_progress: bool, real_ray: RealRaySettings | None = None
) -> RunResult:
    """Run it, with a live display if there is a terminal for it."""
    from rayrig_scenarios.runner import run

    factory: WorldFactory | None = None
    if real_ray is not None:
        from rayrig_backends.real_ray.world import RealRayWorld

        factory = partial(RealRayWorld, settings=real_ray)
    if not (show_progress and sys.stderr.isatty()):
        return run(scenario, seed=seed, world_factory=factory)
    from rayrig.report.console import error_console
    from rayrig.report.live import LiveProgress

    with LiveProgress(error_console(), scenario.name) as progress:
        return run(scenario, seed=seed, progress=progress, world_factory=factory)


def _report(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        import json

        from rayrig.report.machine import as_json_value

        print(json.dumps(as_json_value(result), indent=2), flush=True)
        return
    from rayrig.report.console import console
    from rayrig.report.terminal import print_result

    print_result(console(), result)
    sys.stdout.flush()


def _check_writable(path: Path | None) -> None:
    """Before the run, not after it."""
    from rayrig_core.errors import InputError

    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        remedy = (
            "give a file in a folder that exists" if not path.parent.is_dir() else "give a file that can be written"
        )
        raise InputError(f"cannot write: {error.strerror}", where=str(path), remedy=remedy) from None
