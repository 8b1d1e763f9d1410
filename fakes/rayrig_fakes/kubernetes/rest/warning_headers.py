"""Warning headers: each text once, and no more of them than clients are to be troubled with (K8-018).

As the real server: once the texts together pass 4,096 characters, each is cut to 256 and the rest are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

_ALL_CHARACTERS = 4096
_EACH_CHARACTERS = 256


def warning_headers(texts: Sequence[str]) -> tuple[str, ...]:
    """Values of Warning headers. A text with control characters cannot be sent and is left out."""
    if not texts:
        return ()
    found = list(dict.fromkeys(text for text in texts if text and not _has_control(text)))
    if sum(map(len, found)) > _ALL_CHARACTERS:
        found = _cut(found)
    return tuple(f"299 - {_quoted(text)}" for text in found)


def _cut(texts: list[str]) -> list[str]:
    kept: list[str] = []
    written = 0
    for text in texts:
        if written >= _ALL_CHARACTERS:
            break
        kept.append(text[:_EACH_CHARACTERS])
        written += len(kept[-1])
    return kept


def _has_control(text: str) -> bool:
    return any(letter < " " or letter == "\x7f" for letter in text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
