"""Play recorded exchanges with an API server: `python -m tests.conformance.kubernetes --cases FOLDER`.

Exit code 0 when all hold.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.conformance.kubernetes.judge import RECORDINGS, judge, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.kubernetes", description=__doc__)
    parser.add_argument("--cases", type=Path, default=RECORDINGS, help="folder with cases/ and perhaps fixtures/")
    parser.add_argument("--area", action="append", default=[], help="this area only; may be repeated")
    parser.add_argument("-v", "--verbose", action="store_true", help="say all that differs, and what was not played")
    options = parser.parse_args()
    cases = [case for case in load(options.cases) if not options.area or case["area"] in options.area]
    if not cases:
        print(f"{options.cases}: no cases there (name a folder with cases/AREA.json)", file=sys.stderr)
        return 2
    by_area: dict[str, Counter[str]] = {}
    for verdict in judge(cases, options.cases):
        by_area.setdefault(verdict.area, Counter())[verdict.outcome] += 1
        if verdict.outcome == "failed" or (options.verbose and verdict.outcome != "passed"):
            print(f"{verdict.outcome.upper()} {verdict.name}")
            for problem in verdict.problems if options.verbose else verdict.problems[:1]:
                print(f"    {problem[:400]}")
    for area, counts in by_area.items():
        print(f"{area:20} " + "  ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    total = sum(by_area.values(), Counter())
    print(", ".join(f"{total[outcome]} {outcome}" for outcome in ("passed", "failed", "not played", "absent")))
    return 1 if total["failed"] or total["not played"] else 0


if __name__ == "__main__":
    sys.exit(main())
