"""Play operator recordings: `python -m tests.conformance.operator --cases FOLDER`. Exit code 0 when all hold, 1 otherwise."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.operator.judge import RECORDINGS, cases_in, judge, load
from tests.conformance.verdicts import tell


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.operator", description=__doc__)
    parser.add_argument("--cases", type=Path, default=RECORDINGS, help="folder of recorded cases, or one case")
    parser.add_argument("--only", default="", help="names of cases, separated by commas")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the cases that hold, too")
    arguments = parser.parse_args(argv)
    chosen = set(filter(None, arguments.only.split(",")))
    folder: Path = arguments.cases
    paths = [folder] if folder.is_file() else cases_in(folder)
    paths = [path for path in paths if not chosen or path.stem in chosen]
    if not paths:
        print(f"{folder}: no cases there (name a folder of *.json recordings)", file=sys.stderr)
        return 2
    return tell(map(_verdict, paths), verbose=arguments.verbose)


def _verdict(path: Path) -> tuple[str, list[str]]:
    case = load(path)
    name = f"{case['area']}/{case['name']}"
    try:
        return name, [str(difference) for difference in judge(case)]
    except Exception as error:  # A case that ends the world must not keep the others from being played.
        return name, [f"the world ended: {type(error).__name__}: {error}"]


if __name__ == "__main__":
    sys.exit(main())
