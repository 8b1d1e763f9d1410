"""Whom to evict so that a pod of higher priority fits (kubelet.md 14.3), or the words for why nobody is."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_sim.kubernetes.scheduling.cluster import ClusterState, NodeState
from rayrig_sim.kubernetes.scheduling.filters import Rejection, checker
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds
from rayrig_sim.kubernetes.scheduling.reasons import (
    NEVER_PREEMPTS,
    NO_VICTIMS,
    NOT_HELPFUL,
    VICTIM_TERMINATING,
    counted,
)


@dataclass(frozen=True, slots=True)
class Eviction:
    """The pods to evict, and the node this makes room on."""

    node: str
    victims: tuple[PodNeeds, ...]


def plan_preemption(
    pod: PodNeeds, cluster: ClusterState, rejections: dict[str, Rejection], nominated: str = ""
) -> Eviction | str:
    """Whom to evict, or the preemption part of the message. `nominated` is the node that an earlier attempt made room on."""
    if not pod.can_preempt:
        return NEVER_PREEMPTS
    home = cluster.node(nominated) if nominated else None
    if home is not None and any(other.is_terminating and other.priority < pod.priority for other in home.pods.values()):
        return VICTIM_TERMINATING
    candidates: list[Eviction] = []
    words: list[str] = []
    for node in cluster.nodes():
        rejection = rejections.get(node.name)
        if rejection is None:
            continue
        if not rejection.can_preempt:
            words.append(NOT_HELPFUL)
            continue
        outcome = _victims(pod, cluster, node)
        if isinstance(outcome, tuple):
            candidates.append(Eviction(node.name, outcome))
        else:
            words.extend(outcome)
    if candidates:
        return min(candidates, key=_cost)
    return counted(len(cluster), words)


def _victims(pod: PodNeeds, cluster: ClusterState, node: NodeState) -> tuple[PodNeeds, ...] | list[str]:
    """Fewest and lowest pods that must go from this node, or why their going would not help."""
    lower = [other for other in node.pods.values() if other.priority < pod.priority]
    if not lower:
        return [NO_VICTIMS]
    # Tried on the real picture and put back: a copy of a node with its counters would cost more than this.
    for other in lower:
        node.remove(other.uid)
    gone = list(lower)
    try:
        rejection = checker(pod, cluster)(node)
        if rejection is not None:
            return list(rejection.reasons)
        victims: list[PodNeeds] = []
        for other in sorted(lower, key=lambda lesser: -lesser.priority):
            node.add(other)
            if checker(pod, cluster)(node) is None:
                gone.remove(other)
            else:
                node.remove(other.uid)
                victims.append(other)
        return tuple(victims)
    finally:
        for other in gone:
            node.add(other)


def _cost(eviction: Eviction) -> tuple[int, int, int]:
    priorities = [victim.priority for victim in eviction.victims]
    return (max(priorities, default=0), sum(priorities), len(priorities))
