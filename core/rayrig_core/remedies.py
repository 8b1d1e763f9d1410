"""What to say to someone who wrote a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, words: Iterable[str]) -> str:
    """Remedy for a name that is not known: the nearest known one, or all of them."""
    from difflib import get_close_matches

    known = sorted(words)
    near = get_close_matches(word, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return "known: " + ", ".join(known) if known else "none are known"
