"""Play recorded exchanges with a KubeRay API server: `python -m tests.conformance.apiserver --cases FOLDER`.

Exit code 0 when all hold, 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.apiserver.judge import RECORDINGS, judge, load
from tests.conformance.verdicts import tell


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.apiserver", description=__doc__)
    parser.add_argument("--cases", type=Path, default=RECORDINGS, help="folder of recorded cases, or one case")
    parser.add_argument("--only", default="", help="names of cases, separated by commas")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the cases that hold, too")
    arguments = parser.parse_args(argv)
    chosen = set(filter(None, arguments.only.split(",")))
    cases = [case for case in load(arguments.cases) if not chosen or case["name"] in chosen]
    if not cases:
        print(f"{arguments.cases}: no cases there (name a folder of *.json recordings)", file=sys.stderr)
        return 2
    verdicts = ((case["name"], [line[:600] for line in judge(case)]) for case in cases)
    return tell(verdicts, verbose=arguments.verbose)


if __name__ == "__main__":
    sys.exit(main())
