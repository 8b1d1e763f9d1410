"""Which application a path belongs to: longest prefix at a path boundary (`reference/ray-serve.md` 6.4)."""

from __future__ import annotations

from collections.abc import Iterable


def matches(prefix: str, path: str) -> bool:
    """Equal, or followed by `/`, which may be the prefix's own last character."""
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/")


def match_route(prefixes: Iterable[str], path: str) -> str | None:
    """The longest prefix that matches; None means 404."""
    best: str | None = None
    for prefix in prefixes:
        if matches(prefix, path) and (best is None or len(prefix) > len(best)):
            best = prefix
    return best
