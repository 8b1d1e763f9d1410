"""Exact quantiles of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(ordered: Sequence[int], q: float) -> int:
    """The smallest value of which at least the share `q` is not larger (nearest rank). `ordered` ascends.

    Raises `ValueError` when there is no value or `q` is not within [0, 1].
    """
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q}")
    if not ordered:
        raise ValueError("no values")
    # In integers, because 0.99 * 100 is not 99 in floating point.
    parts_per_billion = round(q * 1_000_000_000)
    rank = -(-parts_per_billion * len(ordered) // 1_000_000_000)
    return ordered[max(rank, 1) - 1]
