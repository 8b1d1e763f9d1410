"""Requests of several traffic sources added up, and quantiles of their latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rayrig_backends.world import FATES
from rayrig_sim.traffic.accounting import Accounting

_OK = "ok"


def total(accountings: Iterable[Accounting]) -> Accounting:
    """All of them as one. Latencies and failures are no longer in the order of their end."""
    result = Accounting()
    fates: Counter[str] = Counter()
    for one in accountings:
        result.sent += one.sent
        result.in_flight += one.in_flight
        fates.update(one.fates)
        result.causes.update(one.causes)
        result.by_class.update(one.by_class)
        result.by_app.update(one.by_app)
        result.by_pod.update(one.by_pod)
        result.latencies_ns.extend(one.latencies_ns)
        result.ended_ns.extend(one.ended_ns)
        result.failures.extend(one.failures)
    result.fates.update({fate: fates[fate] for fate in FATES if fate in fates})
    return result


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
