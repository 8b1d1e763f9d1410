"""Requests of several traffic sources added up, and quantiles of their latencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rayrig_backends.world import FATES, Accounting

_OK = "ok"


def total(accountings: Iterable[Accounting]) -> Accounting:
    """All of them as one."""
    sent = in_flight = 0
    fates: dict[str, int] = {}
    causes: dict[tuple[str, str], int] = {}
    by_class: dict[tuple[str, str], int] = {}
    latencies: list[int] = []
    for one in accountings:
        sent += one.sent
        in_flight += one.in_flight
        for fate, count in one.fates.items():
            fates[fate] = fates.get(fate, 0) + count
        for cause, count in one.causes.items():
            causes[cause] = causes.get(cause, 0) + count
        for pair, count in one.by_class.items():
            by_class[pair] = by_class.get(pair, 0) + count
        latencies += one.latencies_ns
    ordered = {fate: fates[fate] for fate in FATES if fate in fates}
    return Accounting(sent, in_flight, ordered, causes, by_class, tuple(latencies))


def failed(accounting: Accounting) -> int:
    """Requests whose fate is not `ok`; those under way have none yet."""
    return sum(count for fate, count in accounting.fates.items() if fate != _OK)


def quantile_ns(latencies_ns: Sequence[int], q: float) -> int | None:
    """The smallest latency that at least the share `q` of requests do not exceed (nearest rank); None without any."""
    if not latencies_ns:
        return None
    ordered = sorted(latencies_ns)
    # Ceiling in exact arithmetic on millionths, so that 0.99 of 100 is the 99th.
    rank = -(-len(ordered) * round(q * 1_000_000) // 1_000_000)
    return ordered[max(rank, 1) - 1]
