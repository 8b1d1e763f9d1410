"""Compare decision tables: `python -m tests.conformance.serve_decisions --cases FOLDER`. Exit code 0 when all hold."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.conformance.serve_decisions.judge import RECORDINGS, judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.serve_decisions", description=__doc__)
    parser.add_argument("--cases", type=Path, default=RECORDINGS, help="folder of tables")
    parser.add_argument("--only", default="", help="names of tables, separated by commas")
    arguments = parser.parse_args()
    chosen = set(filter(None, arguments.only.split(",")))
    paths = [path for path in sorted(arguments.cases.glob("*.json")) if not chosen or path.stem in chosen]
    if not paths:
        print(f"{arguments.cases}: no tables there (name a folder of *.json files)", file=sys.stderr)
        return 2
    tallies: dict[str, tuple[int, int]] = {}
    for path in paths:
        cases = json.loads(path.read_text())["cases"]
        failed = 0
        for case in cases:
            lines = judge(path.stem, case)
            if lines:
                failed += 1
                print(f"FAIL {case['id']}")
                for line in lines:
                    print(f"    {line}")
        tallies[path.stem] = (len(cases) - failed, failed)
    for name, (passed, failed) in tallies.items():
        print(f"{name:24} {passed:5} passed, {failed} failed")
    passed, failed = (sum(column) for column in zip(*tallies.values(), strict=True))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
