"""Requests of several traffic sources added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rayrig_backends.world import FATES
from rayrig_sim.traffic.accounting import Accounting


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
