"""The command line: `rayrig run`, `rayrig verify`, `rayrig list`, `rayrig kube`, `rayrig kube-diff`.

What lives here: parsing of arguments, one call, printing, exit codes. What does not: anything that decides (`rayrig_scenarios`) or
draws tables (`rayrig.report`). Commands import what they need when they run, so that `--help` is quick.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

#: Exit codes: every expectation held; some did not; it cannot be told (bad input, interrupted, cut short).
HELD, BROKEN, UNKNOWN = 0, 1, 2
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
#: What typer makes of Ctrl-C.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit codes: 0 held, 1 broken, 2 could not run; input that cannot be used is one line on stderr."""
    # pydantic would look through every installed distribution for plugins, and find none that concerns scenarios.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Imports make much that stays and hardly any garbage: looking for it every 700 objects takes a tenth of their time.
    gc.set_threshold(max(gc.get_threshold()[0], _OBJECTS_BETWEEN_COLLECTIONS), *gc.get_threshold()[1:])
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["kube"]:
        return _run_kube(words[1:])
    import typer

    from rayrig.cli.app import UsageError, app
    from rayrig_core.errors import InputError

    try:
        code = app(arguments, prog_name="rayrig", standalone_mode=False)
    except InputError as error:
        print(f"rayrig: {_one_line(str(error))}", file=sys.stderr)
        return UNKNOWN
    except UsageError as error:
        print(f"rayrig: {_told(error)}", file=sys.stderr)
        return UNKNOWN
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        from rayrig.report.console import forget_output

        forget_output()
        return UNKNOWN
    except Exception:
        return _defect()
    if code == _INTERRUPTED:
        # Before there was a run to report on.
        print("rayrig: interrupted", file=sys.stderr)
        return UNKNOWN
    return code if isinstance(code, int) else HELD


def _run_kube(arguments: Sequence[str]) -> int:
    """Without typer, whose import takes as long as all that the server does until it is ready."""
    from rayrig.cli.kube import kube_command
    from rayrig_core.errors import InputError

    try:
        return kube_command(arguments)
    except InputError as error:
        print(f"rayrig: {_one_line(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        print("rayrig: interrupted", file=sys.stderr)
    except Exception:
        return _defect()
    return UNKNOWN


def _defect() -> int:
    import traceback

    traceback.print_exc()
    print(
        "rayrig: this is a defect of rayrig, not of your input; please report it with the lines above",
        file=sys.stderr,
    )
    return UNKNOWN


def _told(error: Any) -> str:
    """What is wrong with the arguments, in one line, and where they are explained."""
    command = error.ctx.command_path if error.ctx is not None else "rayrig"
    return f"{_one_line(error.format_message()).rstrip('.')} (see `{command} --help`)"


def _one_line(text: str) -> str:
    """What a file holds may be quoted in an error; line ends and control characters of it stay out of the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
