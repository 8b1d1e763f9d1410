"""`python -m tests.conformance.kubernetes --cases FOLDER [-v]`: exit code 0 when every case that can be played holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tests.conformance.kubernetes.player import Player, Verdict, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.kubernetes")
    parser.add_argument("--cases", type=Path, required=True, help="folder with cases/ and fixtures/")
    parser.add_argument("--area", action="append", default=[])
    parser.add_argument("-v", "--verbose", action="store_true", help="say what differs")
    options = parser.parse_args()
    fixtures = [
        definition
        for file in sorted((options.cases / "fixtures").glob("*.json"))
        for definition in json.loads(file.read_text())
    ]
    player = Player(fixtures)
    verdicts: list[Verdict] = []
    for case in load(options.cases):
        if options.area and case["area"] not in options.area:
            continue
        verdict = player.play(case)
        verdicts.append(verdict)
        if verdict.outcome == "failed":
            print(f"FAILED {verdict.name}")
            for problem in verdict.problems if options.verbose else verdict.problems[:1]:
                print(f"    {problem[:400]}")
    by_area: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        by_area.setdefault(verdict.area, Counter())[verdict.outcome] += 1
    for area, counts in by_area.items():
        print(f"{area:20} " + "  ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    total = Counter(verdict.outcome for verdict in verdicts)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['not played']} not played")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
