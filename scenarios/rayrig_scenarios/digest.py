"""One process of the determinism check: runs scenarios with seeds and tells their digests.

`python -m rayrig_scenarios.digest SCENARIO --seed 7` prints the digest. With `--serve` it takes orders, one JSON object a line, on
its standard input and answers on its standard output, so that a thousand seeds cost one start of Python:

    {"run": "deploy", "seeds": [1, 2]}   →  {"seed": 1, "digest": "…", "events": 1234} for each, or {"seed": 1, "error": "…"}
    {"records": 1, "path": "left.txt"}   →  {"written": 1234}: the events of a run of the last order, one per line
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from rayrig_backends.world import WorldFactory
from rayrig_core.errors import RayrigError
from rayrig_core.trace import Trace
from rayrig_scenarios.language.load import load
from rayrig_scenarios.language.scenario import Scenario
from rayrig_scenarios.runner import run


class Worker:
    """Runs scenarios and keeps the traces of the last order."""

    def __init__(self, world_factory: WorldFactory | None) -> None:
        self._world_factory = world_factory
        self._scenarios: dict[str, Scenario] = {}
        self._traces: dict[int, Trace] = {}

    def begin(self) -> None:
        self._traces.clear()

    def run(self, reference: str, seed: int) -> dict[str, Any]:
        """One run. An error in it is an answer too: it must be the same in both processes."""
        try:
            scenario = self._scenarios.get(reference)
            if scenario is None:
                scenario = self._scenarios[reference] = load(reference)
            result = run(scenario, seed=seed, world_factory=self._world_factory)
        except Exception as error:
            return {"seed": seed, "error": " ".join(f"{type(error).__name__}: {error}".split())}
        self._traces[seed] = result.trace
        return {"seed": seed, "digest": result.digest, "events": len(result.trace), "verdict": result.verdict.value}

    def write_records(self, seed: int, path: Path) -> int:
        """The events of a run, one per line, as the digest takes them."""
        trace = self._traces.get(seed)
        if trace is None:
            path.write_text("", encoding="utf-8")
            return 0
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{record}\n" for record in trace.record_reprs())
        return len(trace)


def world_factory_of(name: str) -> WorldFactory | None:
    """The factory `module:attr`; None for the world in memory."""
    if not name:
        return None
    module, _, attribute = name.partition(":")
    factory: WorldFactory = getattr(importlib.import_module(module), attribute)
    return factory


def serve(worker: Worker, orders: TextIO, answers: TextIO) -> None:
    """Take orders until the input ends."""
    for line in orders:
        order = json.loads(line)
        if "run" in order:
            worker.begin()
            for seed in order["seeds"]:
                print(json.dumps(worker.run(order["run"], seed)), file=answers, flush=True)
        else:
            written = worker.write_records(order["records"], Path(order["path"]))
            print(json.dumps({"written": written}), file=answers, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rayrig_scenarios.digest", description="Digest of a run.")
    parser.add_argument("scenario", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--records", type=Path, default=None, help="write the events there, one per line")
    parser.add_argument("--world", default="", help="factory of another world, module:attr")
    parser.add_argument("--serve", action="store_true", help="take orders on standard input")
    options = parser.parse_args(arguments)
    worker = Worker(world_factory_of(options.world))
    if options.serve:
        # Ctrl-C reaches the whole process group; the parent decides when this process ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # What user code prints must not get into the answers.
        answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        serve(worker, sys.stdin, answers)
        return 0
    try:
        seed = load(options.scenario).seed if options.seed is None else options.seed
    except RayrigError as error:
        print(error, file=sys.stderr)
        return 2
    answer = worker.run(options.scenario, seed)
    if "error" in answer:
        print(answer["error"], file=sys.stderr)
        return 2
    if options.records is not None:
        worker.write_records(seed, options.records)
    print(answer["digest"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
