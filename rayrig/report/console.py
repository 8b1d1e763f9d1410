"""The consoles that everything is printed on."""

from __future__ import annotations

from functools import cache

from rich.console import Console


@cache
def console() -> Console:
    """Standard output. Wide enough for tables when it is no terminal."""
    plain = Console(highlight=False, soft_wrap=False)
    return plain if plain.is_terminal else Console(highlight=False, width=140)


@cache
def error_console() -> Console:
    return Console(stderr=True, highlight=False)
