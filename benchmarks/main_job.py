"""The main job: the guide's sample service goes through a zero-downtime upgrade with 50 requests a second for five minutes.

    python benchmarks/main_job.py [--runs N] [--cold N] [--scenario NAME] [--json]

In process: median wall time of the run, events and requests per second, and the share of each phase (imports, load, run, report).
Cold: median wall time of `rayrig run NAME` as a new process, with bytecode compiled as after any first run. Processor time is also
given as a ratio to that of a bare simpy loop of as many events, measured in the same minute, so that numbers of different machines
(and of one busy machine at different times) can be compared.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rayrig_scenarios.results import RunResult

WANTED = {"run, in process": "<= 0.5 s", "rayrig run, cold": "<= 1.5 s"}
IMPORTS = (
    "import gc; gc.set_threshold(50_000); "
    "import rayrig.cli.app, rayrig_scenarios.runner, rayrig_backends.memory, rayrig.report.terminal"
)


@dataclass(frozen=True, slots=True)
class Took:
    """Wall time, and processor time of this process and its children: on a busy machine the second is the truer one."""

    wall_s: float
    cpu_s: float


def timed(action: Callable[[], object]) -> Took:
    wall, cpu = time.perf_counter(), cpu_s()
    action()
    return Took(time.perf_counter() - wall, cpu_s() - cpu)


def cpu_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Processes:
    """New processes that find their bytecode compiled, whatever the environment says about writing it."""

    def __init__(self, bytecode: str) -> None:
        self._environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, *arguments: str) -> Took:
        command = [sys.executable, *arguments]
        return timed(lambda: subprocess.run(command, env=self._environment, check=False, stdout=subprocess.DEVNULL))


def bare_simpy(events: int) -> Took:
    """Wall time of as many events as the run's trace has, in a simpy loop that does nothing else: 50 processes that wait."""
    import simpy

    processes = 50

    def waiting(environment: simpy.Environment) -> Generator[simpy.Event, None, None]:
        for _ in range(events // processes):
            yield environment.timeout(1)

    environment = simpy.Environment()
    for _ in range(processes):
        environment.process(waiting(environment))
    return timed(environment.run)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=9, help="runs in process")
    arguments.add_argument("--cold", type=int, default=5, help="runs as a new process")
    arguments.add_argument("--scenario", default="zero-downtime-upgrade")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()

    from rich.console import Console
    from rich.table import Table

    from rayrig.report.terminal import print_result
    from rayrig_scenarios.language.load import load
    from rayrig_scenarios.runner import run

    loads, runs, reports, baselines = [], [], [], []
    result = run(load(given.scenario))
    events = len(result.trace)
    scenario = load(given.scenario)
    again: list[RunResult] = []
    for _ in range(given.runs):
        loads.append(timed(lambda: load(given.scenario)))
        runs.append(timed(lambda: again.append(run(scenario))))
        if again.pop().digest != result.digest:
            sys.exit("two runs of one scenario differ")
        reports.append(timed(lambda: print_result(Console(file=io.StringIO(), width=140), result)))
        baselines.append(bare_simpy(events))
    with TemporaryDirectory() as bytecode:
        processes = Processes(bytecode)
        processes.run("-m", "rayrig", "run", given.scenario)
        cold = [processes.run("-m", "rayrig", "run", given.scenario) for _ in range(given.cold)]
        empty = [processes.run("-c", "pass") for _ in range(given.cold)]
        imports = [processes.run("-c", IMPORTS) for _ in range(given.cold)]
    sent = sum(accounting.sent for accounting in result.requests.values())
    title = f"{given.scenario}: {sent} requests, {events} events, {result.simulated_ns / 1e9:.0f} virtual s"
    rows = {
        "bare simpy": baselines,
        "run, in process": runs,
        "rayrig run, cold": cold,
        "  python itself": empty,
        "  python and imports": imports,
        "  load": loads,
        "  run": runs,
        "  report": reports,
    }
    median = statistics.median(took.wall_s for took in runs)
    if given.json:
        figures = {
            name.strip(): {"wall": middle(one, "wall_s"), "cpu": middle(one, "cpu_s")} for name, one in rows.items()
        }
        print(json.dumps({"title": title, "requests": sent, "events": events, "seconds": figures}, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("what", "wall", "best", "cpu", "of simpy's", "wanted"):
        table.add_column(name, justify="left" if name == "what" else "right", no_wrap=True)
    baseline = middle(baselines, "cpu_s") or 0.01
    for name, took in rows.items():
        if took:
            cpu = middle(took, "cpu_s")
            best = min(one.wall_s for one in took)
            table.add_row(
                name,
                f"{middle(took, 'wall_s'):.3f} s",
                f"{best:.3f} s",
                f"{cpu:.2f} s",
                f"{cpu / baseline:.0f}",
                WANTED.get(name, ""),
            )
    console = Console(highlight=False)
    console.print(title)
    console.print(table)
    console.print(f"{events / median:,.0f} events/s, {sent / median:,.0f} requests/s")


def middle(took: list[Took], what: Literal["wall_s", "cpu_s"]) -> float:
    return statistics.median(one.wall_s if what == "wall_s" else one.cpu_s for one in took)


if __name__ == "__main__":
    main()
