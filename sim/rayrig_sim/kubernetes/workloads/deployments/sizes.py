"""How large the ReplicaSets of a Deployment are to be. Pure: numbers in, numbers out.

Source: Kubernetes, "Deployments" (rolling update, proportional scaling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rayrig_core.objects import JsonObject, name_of
from rayrig_sim.kubernetes.workloads.deployments.annotations import MAXIMUM, number_of
from rayrig_sim.kubernetes.workloads.int_or_percent import amount_of


def size_of(replica_set: JsonObject) -> int:
    """What is asked for."""
    return int(replica_set["spec"].get("replicas", 1))


def reported(replica_sets: Sequence[JsonObject], field: str = "replicas") -> int:
    """The sum of a number in their status."""
    return sum(int((each.get("status") or {}).get(field) or 0) for each in replica_sets)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a Deployment may be from `replicas` while it changes."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def least_available(self) -> int:
        return self.replicas - self.unavailable


def limits_of(deployment: JsonObject) -> Limits:
    spec = deployment["spec"]
    replicas, strategy = int(spec.get("replicas", 1)), spec.get("strategy") or {}
    if strategy.get("type") != "RollingUpdate":
        return Limits(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = amount_of(rolling.get("maxSurge"), replicas, round_up=True)
    unavailable = amount_of(rolling.get("maxUnavailable"), replicas, round_up=False)
    if not surge and not unavailable:
        # Otherwise nothing could ever move.
        unavailable = 1
    return Limits(replicas, surge, min(unavailable, replicas))


def size_of_new(limits: Limits, is_rolling: bool, total: int, size: int) -> int:
    """Of the new ReplicaSet, now of `size`, while all have `total` together."""
    if not is_rolling:
        return limits.replicas
    most = limits.replicas + limits.surge
    if total >= most:
        return size
    return size + min(most - total, limits.replicas - size)


def shrink_old(limits: Limits, new: JsonObject, old: Sequence[JsonObject]) -> tuple[dict[str, int], dict[str, int]]:
    """New sizes of old ReplicaSets (oldest first), by name: after their unhealthy pods are taken, and after healthy ones are."""
    everything = [*old, new]
    new_unavailable = size_of(new) - reported([new], "availableReplicas")
    spare = sum(map(size_of, everything)) - limits.least_available - new_unavailable
    first: dict[str, int] = {}
    if spare <= 0 or not sum(map(size_of, old)):
        return first, {}
    left = spare
    for each in old:
        size, available = size_of(each), reported([each], "availableReplicas")
        if left <= 0:
            break
        if size and size != available:
            taken = min(left, size - available)
            if taken > 0:
                first[name_of(each)] = size - taken
                left -= taken
    second: dict[str, int] = {}
    left = reported(everything, "availableReplicas") - limits.least_available
    for each in old:
        size = first.get(name_of(each), size_of(each))
        if left <= 0:
            break
        taken = min(size, left)
        if taken:
            second[name_of(each)] = size - taken
            left -= taken
    return first, second


def spread(limits: Limits, active: Sequence[JsonObject], status_replicas: int) -> dict[str, int]:
    """Sizes of several ReplicaSets that are there at once when the Deployment is scaled: each in proportion, by name.

    `active` must be sorted, those that come first getting what is left over: the larger, then the newer when it grows, the older
    when it shrinks.
    """
    allowed = limits.replicas + limits.surge if limits.replicas > 0 else 0
    difference = allowed - sum(map(size_of, active))
    sizes: dict[str, int] = {}
    given = 0
    for each in active:
        share = _share(each, limits, status_replicas, difference, given)
        sizes[name_of(each)] = size_of(each) + share
        given += share
    if difference and active:
        first = name_of(active[0])
        sizes[first] = max(0, sizes[first] + difference - given)
    return sizes


def _share(replica_set: JsonObject, limits: Limits, status_replicas: int, difference: int, given: int) -> int:
    size = size_of(replica_set)
    if not size or not difference or difference == given:
        return 0
    if not limits.replicas:
        wanted = -size
    else:
        before = number_of(replica_set, MAXIMUM) or status_replicas
        if not before:
            return 0
        wanted = _rounded(size * (limits.replicas + limits.surge), before) - size
    left = difference - given
    return min(wanted, left) if difference > 0 else max(wanted, left)


def _rounded(numerator: int, denominator: int) -> int:
    """Halves away from zero; both are positive."""
    return (2 * numerator + denominator) // (2 * denominator)
