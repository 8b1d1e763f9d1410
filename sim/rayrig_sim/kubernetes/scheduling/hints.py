"""Which changes may help a pod that fitted nowhere (kubelet.md 14.2): everything else leaves it asleep."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_sim.kubernetes.scheduling.cluster import NodeState
from rayrig_sim.kubernetes.scheduling.filters import (
    Filter,
    fits_when_empty,
    matches_node,
    ports_conflict,
    tolerates_taints,
)
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds
from rayrig_sim.kubernetes.scheduling.queue import QueuedPod
from rayrig_sim.kubernetes.scheduling.requests import Amounts
from rayrig_sim.kubernetes.taints import Taint


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What filters look at in a node, as it was before a change."""

    labels: dict[str, str]
    taints: tuple[Taint, ...]
    is_unschedulable: bool
    allocatable: Amounts

    @classmethod
    def of(cls, node: NodeState) -> NodeFacts:
        return cls(node.labels, node.taints, node.is_unschedulable, node.allocatable)


def new_node_helps(entry: QueuedPod, node: NodeState) -> bool:
    """A node was added: worth a try when the filter that refused the others would not refuse this one for the same reason."""
    return any(_passes(filter_, entry.needs, node) for filter_ in entry.refused_by)


def changed_node_helps(entry: QueuedPod, before: NodeFacts, node: NodeState) -> bool:
    """A node's labels, taints, cordon or allocatable changed."""
    now = NodeFacts.of(node)
    for filter_ in entry.refused_by:
        if filter_ is Filter.RESOURCES:
            grown = any(
                now.allocatable.get(name, 0) > before.allocatable.get(name, 0)
                for name in (*entry.needs.requests.amounts, "pods")
            )
            relevant = grown
        elif filter_ is Filter.TAINTS:
            relevant = now.taints != before.taints
        elif filter_ is Filter.UNSCHEDULABLE:
            relevant = before.is_unschedulable and not now.is_unschedulable
        elif filter_ is Filter.NODE_AFFINITY or filter_ is Filter.PODS:
            relevant = now.labels != before.labels
        elif filter_ is Filter.SPREAD:
            relevant = now.labels != before.labels or now.taints != before.taints
        else:
            relevant = False
        if relevant and _passes(filter_, entry.needs, node):
            return True
    return False


def lost_node_helps(entry: QueuedPod) -> bool:
    """A node went: only a spread over its domain can gain by that."""
    return Filter.SPREAD in entry.refused_by


def freed_pod_helps(entry: QueuedPod, gone: PodNeeds) -> bool:
    """A pod on a node finished or is gone."""
    needs = entry.needs
    for filter_ in entry.refused_by:
        if filter_ is Filter.RESOURCES:
            # Also a pod that asks for nothing frees one of the node's places for pods.
            return True
        if filter_ is Filter.PORTS:
            if ports_conflict(needs.host_ports, dict.fromkeys(gone.host_ports, 1)):
                return True
        elif _touches_pods(filter_, needs, gone, freed=True):
            return True
    return False


def changed_claim_helps(entry: QueuedPod, namespace: str, name: str) -> bool:
    """A claim came, or was bound."""
    needs = entry.needs
    return Filter.VOLUMES in entry.refused_by and needs.namespace == namespace and name in needs.claims


def assigned_pod_helps(entry: QueuedPod, came: PodNeeds) -> bool:
    """A pod was bound, or its labels changed."""
    return any(_touches_pods(filter_, entry.needs, came, freed=False) for filter_ in entry.refused_by)


def _passes(filter_: Filter, needs: PodNeeds, node: NodeState) -> bool:
    if filter_ is Filter.RESOURCES:
        return fits_when_empty(needs, node)
    if filter_ is Filter.TAINTS:
        return tolerates_taints(node.taints, needs.tolerations)
    if filter_ is Filter.UNSCHEDULABLE:
        return not node.is_unschedulable
    if filter_ is Filter.NODE_AFFINITY:
        return matches_node(needs, node)
    return filter_ is not Filter.VOLUMES


def _touches_pods(filter_: Filter, needs: PodNeeds, other: PodNeeds, *, freed: bool) -> bool:
    if filter_ is Filter.SPREAD:
        return other.namespace == needs.namespace and any(
            constraint.selector.matches(other.labels) for constraint in needs.spread
        )
    if filter_ is Filter.PODS:
        if freed:
            return any(term.matches(other.namespace, other.labels) for term in needs.anti_affinity) or any(
                term.matches(needs.namespace, needs.labels) for term in other.anti_affinity
            )
        return any(term.matches(other.namespace, other.labels) for term in needs.affinity)
    return False
