"""The words for a pod that no node takes (kubelet.md 14.1)."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_sim.kubernetes.scheduling.filters import Rejection

NO_NODES = "no nodes available to schedule pods"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER_PREEMPTS = "not eligible due to preemptionPolicy=Never."
VICTIM_TERMINATING = "not eligible due to a terminating pod on the nominated node."


def counted(total: int, reasons: Iterable[str]) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`: equal reasons counted, sorted as texts."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{total} nodes are available: {', '.join(parts)}."


def refused_message(total: int, reason: str) -> str:
    """The pod was refused before any node was looked at; preemption then finds nothing noted of the nodes, and says so."""
    return f"0/{total} nodes are available: {reason}. not found"


def unschedulable_message(total: int, rejections: Iterable[Rejection], preemption: str) -> str:
    """The whole message. `preemption` is empty when victims were found."""
    if total == 0:
        return NO_NODES
    text = counted(total, (reason for rejection in rejections for reason in rejection.reasons))
    return f"{text} no new claims to deallocate, preemption: {preemption}" if preemption else text
