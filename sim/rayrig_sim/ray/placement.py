"""Placement groups: which node gets which bundle (PACK, SPREAD, STRICT_PACK, STRICT_SPREAD). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rayrig_sim.ray.resources import Ledger


def place_bundles(ledgers: Sequence[Ledger], bundles: Sequence[Mapping[str, int]], strategy: str) -> list[int] | None:
    """Index of the node for each bundle, or None when there is no room. All or nothing; nothing is taken yet."""
    if strategy in ("PACK", "STRICT_PACK"):
        for index in range(len(ledgers)):
            placed = _fill(ledgers, bundles, [index])
            if placed is not None:
                return placed
        return None if strategy == "STRICT_PACK" else _fill(ledgers, bundles, range(len(ledgers)))
    return _spread(ledgers, bundles, is_strict=strategy == "STRICT_SPREAD")


def _fill(ledgers: Sequence[Ledger], bundles: Sequence[Mapping[str, int]], indices: Sequence[int]) -> list[int] | None:
    scratch = [_copy(ledger) for ledger in ledgers]
    placed: list[int] = []
    for bundle in bundles:
        for index in indices:
            if scratch[index].fits(bundle):
                scratch[index].take(bundle)
                placed.append(index)
                break
        else:
            return None
    return placed


def _spread(ledgers: Sequence[Ledger], bundles: Sequence[Mapping[str, int]], *, is_strict: bool) -> list[int] | None:
    scratch = [_copy(ledger) for ledger in ledgers]
    carried = [0] * len(ledgers)
    placed: list[int] = []
    for bundle in bundles:
        order = sorted(range(len(scratch)), key=lambda index: carried[index])
        for index in order:
            if is_strict and carried[index]:
                continue
            if scratch[index].fits(bundle):
                scratch[index].take(bundle)
                carried[index] += 1
                placed.append(index)
                break
        else:
            return None
    return placed


def _copy(ledger: Ledger) -> Ledger:
    copy = Ledger({})
    copy.total = ledger.total
    copy.available = dict(ledger.available)
    return copy
