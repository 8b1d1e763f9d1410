"""The command line: `rayrig run`, `rayrig verify`, `rayrig list`.

What lives here: parsing of arguments, one call, printing, exit codes. What does not: anything that decides (`rayrig_scenarios`) or
draws tables (`rayrig.report`). Commands import what they need when they run, so that `--help` is quick.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. Exit codes: 0 held, 1 broken, 2 could not run; input that cannot be used is one line on stderr."""
    from rayrig.cli.app import app
    from rayrig_core.errors import InputError

    try:
        app()
    except InputError as error:
        print(f"rayrig: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        sys.stderr.close()
        sys.exit(0)
