"""Which changes may help a pod that fitted nowhere (kubelet.md 14.2): everything else leaves it asleep."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_sim.kubernetes.scheduling.cluster import NodeState
from rayrig_sim.kubernetes.scheduling.filters import (
    Filter,
    fits_when_empty,
    matches_labels,
    matches_node,
    ports_conflict,
    tolerates_taints,
)
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds, PodTerm
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
    return any(_gains_by(filter_, entry.needs, before, now, node) for filter_ in entry.refused_by)


def _gains_by(filter_: Filter, needs: PodNeeds, before: NodeFacts, now: NodeFacts, node: NodeState) -> bool:
    if filter_ is Filter.RESOURCES:
        asked = (*needs.requests.amounts, "pods")
        grown = any(now.allocatable.get(name, 0) > before.allocatable.get(name, 0) for name in asked)
        return grown and fits_when_empty(needs, node)
    if filter_ is Filter.TAINTS:
        return tolerates_taints(now.taints, needs.tolerations) and not tolerates_taints(
            before.taints, needs.tolerations
        )
    if filter_ is Filter.UNSCHEDULABLE:
        return before.is_unschedulable and not now.is_unschedulable
    if filter_ is Filter.NODE_AFFINITY:
        return matches_labels(needs, node.name, now.labels) and not matches_labels(needs, node.name, before.labels)
    if filter_ is Filter.PODS:
        return any(
            term.topology_key in now.labels and before.labels.get(term.topology_key) != now.labels[term.topology_key]
            for term in needs.affinity
        ) or any(
            term.topology_key in before.labels and before.labels[term.topology_key] != now.labels.get(term.topology_key)
            for term in needs.anti_affinity
        )
    if filter_ is Filter.SPREAD:
        keys = [constraint.topology_key for constraint in needs.spread if constraint.hard]
        was_domain, is_domain = (all(key in labels for key in keys) for labels in (before.labels, now.labels))
        moved = any(before.labels.get(key) != now.labels.get(key) for key in keys)
        return was_domain != is_domain or (is_domain and (moved or before.taints != now.taints))
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
    """A pod was bound."""
    return any(_touches_pods(filter_, entry.needs, came, freed=False) for filter_ in entry.refused_by)


def relabelled_pod_helps(entry: QueuedPod, before: PodNeeds, now: PodNeeds) -> bool:
    """The labels of a pod on a node changed."""
    needs = entry.needs
    for filter_ in entry.refused_by:
        if filter_ is Filter.PODS:
            comes = _match_all(needs.affinity, now) and not _match_all(needs.affinity, before)
            goes = _match_all(needs.anti_affinity, before) and not _match_all(needs.anti_affinity, now)
            if comes or goes:
                return True
        elif filter_ is Filter.SPREAD and _counts_for(needs, before) != _counts_for(needs, now):
            return True
    return False


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
        return any(_counts_for(needs, other))
    if filter_ is Filter.PODS:
        if freed:
            return _match_all(needs.anti_affinity, other) or _match_all(other.anti_affinity, needs)
        return _match_all(needs.affinity, other)
    return False


def _match_all(terms: tuple[PodTerm, ...], other: PodNeeds) -> bool:
    """Only a pod that all of the terms name is taken to matter."""
    return bool(terms) and all(term.matches(other.namespace, other.labels) for term in terms)


def _counts_for(needs: PodNeeds, other: PodNeeds) -> list[bool]:
    """For which of the hard spread constraints the other pod counts."""
    return [
        other.namespace == needs.namespace and constraint.selector.matches(other.labels)
        for constraint in needs.spread
        if constraint.hard
    ]
