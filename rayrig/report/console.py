"""The consoles that everything is printed on."""

from __future__ import annotations

import os
import sys
from functools import cache

from rich.console import Console

#: Columns of output that no terminal shows; `COLUMNS` overrides it.
_PIPE_WIDTH = 140


class _Console(Console):
    """Prints text as it is: brackets are no markup, `:ray:` is no emoji."""

    def on_broken_pipe(self) -> None:
        """The reader (`| head`) has seen enough. The verdict, and with it the exit code, stays what it is."""
        forget_output()


@cache
def console() -> Console:
    """Standard output."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Console(highlight=False, markup=False, emoji=False, width=width)


@cache
def error_console() -> Console:
    """Standard error."""
    return _Console(stderr=True, highlight=False, markup=False, emoji=False)


def forget_output() -> None:
    """From now on standard output goes nowhere, so that nothing fails when it is flushed at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
