"""Play kubelet recordings: `python -m tests.conformance.kubelet --cases FOLDER`. Exit code 0 when all hold."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.conformance.kubelet.judge import MORE_RECORDINGS, RECORDINGS, judge
from tests.conformance.verdicts import tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.kubelet", description=__doc__)
    parser.add_argument("--cases", type=Path, help="folder of recorded cases; all there are if left out")
    parser.add_argument("--only", default="", help="names of cases, separated by commas")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the cases that hold, too")
    arguments = parser.parse_args()
    chosen = set(filter(None, arguments.only.split(",")))
    folders = [arguments.cases] if arguments.cases else [RECORDINGS, MORE_RECORDINGS]
    found = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    paths = [path for path in found if not chosen or path.stem in chosen]
    if not paths:
        print(f"{', '.join(map(str, folders))}: no cases there (name a folder of *.json recordings)", file=sys.stderr)
        return 2
    verdicts = ((path.stem, judge(json.loads(path.read_text()))) for path in paths)
    return tell(verdicts, verbose=arguments.verbose)


if __name__ == "__main__":
    sys.exit(main())
