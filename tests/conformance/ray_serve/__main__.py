"""Play Ray Serve recordings: `python -m tests.conformance.ray_serve --cases FOLDER`. Exit code 0 when all hold."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from rayrig_core.objects import JsonObject
from tests.conformance.ray_serve.judge import RECORDINGS, SEEDS, judge


def _chosen(arguments: argparse.Namespace) -> Iterable[JsonObject]:
    names, areas = (set(filter(None, text.split(","))) for text in (arguments.only, arguments.area))
    cases = [json.loads(path.read_text()) for path in sorted(arguments.cases.glob("*.json"))]
    cases.sort(key=lambda case: (case.get("order", 50), case["id"]))
    return [case for case in cases if (not names or case["id"] in names) and (not areas or case["area"] in areas)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.ray_serve", description=__doc__)
    parser.add_argument("--cases", type=Path, default=RECORDINGS, help="folder of recorded cases")
    parser.add_argument("--only", default="", help="ids of cases, separated by commas")
    parser.add_argument("--area", default="", help="areas, separated by commas")
    parser.add_argument("--seed", type=int, help="seed of the worlds; without it a few are tried")
    parser.add_argument(
        "--timing", type=float, help="also fail waits slower or faster than this factor, give or take 1 s"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name the cases that hold, too")
    arguments = parser.parse_args()
    cases = _chosen(arguments)
    if not cases:
        print(f"{arguments.cases}: no such cases there (name a folder of *.json recordings)", file=sys.stderr)
        return 2
    seeds = SEEDS if arguments.seed is None else (arguments.seed,)
    tallies: dict[str, list[int]] = {}
    for case in cases:
        tally = tallies.setdefault(case["area"], [0, 0])
        notes = {step["n"]: step.get("note") or step["op"] for step in case["steps"]}
        results = judge(case, seeds=seeds, timing=arguments.timing)
        for number, differences in results.items():
            tally[bool(differences)] += 1
            if differences:
                print(f"FAIL {case['id']} step {number}: {notes[number]}")
                for line in differences[:12]:
                    print(f"    {line}")
        if arguments.verbose and not any(results.values()):
            print(f"ok   {case['id']}")
    for area, (passed, failed) in tallies.items():
        print(f"{area:14} {passed:4} passed, {failed} failed")
    passed, failed = (sum(column) for column in zip(*tallies.values(), strict=True))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
