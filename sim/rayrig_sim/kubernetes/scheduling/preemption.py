"""Whom to evict so that a pod of higher priority fits (kubelet.md 14.3), or the words for why nobody is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rayrig_core.objects import JsonObject, condition_of, namespace_of
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
from rayrig_sim.kubernetes.selectors import label_selector

#: Makes every priority count for more than none at all.
_PRIORITY_OFFSET = 1 << 31


@dataclass(frozen=True, slots=True)
class Eviction:
    """The pods to evict, and the node this makes room on. `violations` counts those that a budget protects."""

    node: str
    victims: tuple[PodNeeds, ...]
    violations: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is asked beyond the scheduler's picture: a pod's object, and the PodDisruptionBudgets there are."""

    object_of: Callable[[PodNeeds], JsonObject | None]
    budgets: Sequence[JsonObject]

    def started(self, pod: PodNeeds) -> str:
        """Since when it runs; empty for one that no kubelet has told of yet."""
        status = (self.object_of(pod) or {}).get("status") or {}
        return status.get("startTime") or ""

    def is_evicted(self, pod: PodNeeds) -> bool:
        """It is on its way out to make room."""
        if not pod.is_terminating:
            return False
        target = condition_of(self.object_of(pod) or {}, "DisruptionTarget")
        return target is not None and target["status"] == "True" and target.get("reason") == "PreemptionByScheduler"


def plan_preemption(
    pod: PodNeeds,
    cluster: ClusterState,
    rejections: dict[str, Rejection],
    around: Surroundings,
    nominated: str = "",
) -> Eviction | str:
    """Whom to evict, or the preemption part of the message. `nominated` is the node that an earlier attempt made room on."""
    if not pod.can_preempt:
        return NEVER_PREEMPTS
    refusal = rejections.get(nominated)
    home = cluster.node(nominated) if refusal is not None and refusal.can_preempt else None
    if home is not None and any(o.priority < pod.priority and around.is_evicted(o) for o in home.pods.values()):
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
        outcome = _victims(pod, cluster, node, around)
        if isinstance(outcome, Eviction):
            candidates.append(outcome)
        else:
            words.extend(outcome)
    if candidates:
        least = min(map(_cost, candidates))
        best = [eviction for eviction in candidates if _cost(eviction) == least]
        return max(best, key=lambda eviction: _first_start(eviction, around))
    return counted(len(cluster), words)


def _victims(pod: PodNeeds, cluster: ClusterState, node: NodeState, around: Surroundings) -> Eviction | list[str]:
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
        protected, free = _by_protection(_by_importance(lower, around), around.budgets)
        violations = 0
        for other in (*protected, *free):
            node.add(other)
            if checker(pod, cluster)(node) is None:
                gone.remove(other)
            else:
                node.remove(other.uid)
                victims.append(other)
                violations += other in protected
        return Eviction(node.name, tuple(victims), violations)
    finally:
        for other in gone:
            node.add(other)


def _by_importance(pods: list[PodNeeds], around: Surroundings) -> list[PodNeeds]:
    """By priority; of equals the one that has run longer comes first, and of those that do not run yet the last to come."""
    starts = {pod.uid: around.started(pod) for pod in pods}
    running = [pod for pod in pods if starts[pod.uid]]
    waiting = [pod for pod in pods if not starts[pod.uid]]
    running.sort(key=lambda pod: starts[pod.uid])
    return sorted((*running, *reversed(waiting)), key=lambda pod: -pod.priority)


def _by_protection(pods: list[PodNeeds], budgets: Sequence[JsonObject]) -> tuple[list[PodNeeds], list[PodNeeds]]:
    """Those whose eviction would go beyond a budget, and the others."""
    rules = [(budget, label_selector((budget.get("spec") or {}).get("selector"))) for budget in budgets]
    left = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in budgets]
    protected: list[PodNeeds] = []
    free: list[PodNeeds] = []
    for pod in pods:
        is_protected = False
        for index, (budget, selector) in enumerate(rules):
            if namespace_of(budget) != pod.namespace or not selector.requirements or not selector.matches(pod.labels):
                continue
            if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            left[index] -= 1
            is_protected = is_protected or left[index] < 0
        (protected if is_protected else free).append(pod)
    return protected, free


def _cost(eviction: Eviction) -> tuple[int, int, int, int]:
    priorities = [victim.priority for victim in eviction.victims]
    total = sum(priority + _PRIORITY_OFFSET for priority in priorities)
    return (eviction.violations, max(priorities, default=0), total, len(priorities))


def _first_start(eviction: Eviction, around: Surroundings) -> tuple[bool, str]:
    """When the first of the highest victims began: later is better, and not at all is later still."""
    top = max(victim.priority for victim in eviction.victims)
    starts = [around.started(victim) for victim in eviction.victims if victim.priority == top]
    known = [start for start in starts if start]
    return (not known, min(known, default=""))
