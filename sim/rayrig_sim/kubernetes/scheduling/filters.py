"""Which nodes can take a pod. Filters run in the scheduler's order; the first to refuse a node speaks for it (kubelet.md 14.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rayrig_sim.kubernetes.scheduling.cluster import ClusterState, NodeState
from rayrig_sim.kubernetes.scheduling.needs import HostPort, PodNeeds, PodTerm, SpreadConstraint
from rayrig_sim.kubernetes.taints import (
    NO_EXECUTE,
    NO_SCHEDULE,
    UNSCHEDULABLE,
    Taint,
    Toleration,
    tolerated,
)


class Filter(Enum):
    """Who refused a node; decides which later changes are worth another attempt."""

    UNSCHEDULABLE = "NodeUnschedulable"
    TAINTS = "TaintToleration"
    NODE_AFFINITY = "NodeAffinity"
    PORTS = "NodePorts"
    RESOURCES = "NodeResourcesFit"
    SPREAD = "PodTopologySpread"
    PODS = "InterPodAffinity"
    VOLUMES = "VolumeBinding"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One node refused. `can_preempt` tells whether the removal of pods could change it."""

    filter: Filter
    reasons: tuple[str, ...]
    can_preempt: bool


_CORDONED = Rejection(Filter.UNSCHEDULABLE, ("node(s) were unschedulable",), False)
_TAINTED = Rejection(Filter.TAINTS, ("node(s) had untolerated taint(s)",), False)
_WRONG_NODE = Rejection(Filter.NODE_AFFINITY, ("node(s) didn't match Pod's node affinity/selector",), False)
_NOT_NAMED = Rejection(Filter.NODE_AFFINITY, ("node(s) didn't satisfy plugin(s) [NodeAffinity]",), False)
_PORTS_TAKEN = Rejection(Filter.PORTS, ("node(s) didn't have free ports for the requested pod ports",), True)
_SKEWED = Rejection(Filter.SPREAD, ("node(s) didn't match pod topology spread constraints",), True)
_NO_TOPOLOGY = Rejection(
    Filter.SPREAD, ("node(s) didn't match pod topology spread constraints (missing required label)",), False
)
_NOT_NEAR = Rejection(Filter.PODS, ("node(s) didn't match pod affinity rules",), False)
_TOO_NEAR = Rejection(Filter.PODS, ("node(s) didn't match pod anti-affinity rules",), True)
_NOT_WANTED = Rejection(Filter.PODS, ("node(s) didn't satisfy existing pods anti-affinity rules",), True)

_UNSCHEDULABLE_TAINT = Taint(UNSCHEDULABLE, "", NO_SCHEDULE)

Check = Callable[[NodeState], "Rejection | None"]


@dataclass(frozen=True, slots=True)
class Fit:
    """Outcome for all nodes: those that can take the pod, in list order, and why each other cannot."""

    feasible: list[NodeState]
    rejections: dict[str, Rejection]


def fit(pod: PodNeeds, cluster: ClusterState) -> Fit:
    """Run all filters on all nodes."""
    check = checker(pod, cluster)
    feasible: list[NodeState] = []
    rejections: dict[str, Rejection] = {}
    for node in cluster.nodes():
        rejection = check(node)
        if rejection is None:
            feasible.append(node)
        else:
            rejections[node.name] = rejection
    return Fit(feasible, rejections)


def checker(pod: PodNeeds, cluster: ClusterState) -> Check:
    """A function that filters one node for this pod. What depends on other nodes is counted now, once."""
    tolerations = pod.tolerations
    wants_nodes = bool(pod.node_selector) or pod.required_terms is not None
    named = _named_nodes(pod)
    among_pods = [part for part in (_spread_check(pod, cluster), _pods_check(pod, cluster)) if part is not None]

    def check(node: NodeState) -> Rejection | None:
        if named is not None and node.name not in named:
            return _NOT_NAMED
        if node.is_unschedulable and not tolerated(_UNSCHEDULABLE_TAINT, tolerations):
            return _CORDONED
        if node.taints and not tolerates_taints(node.taints, tolerations):
            return _TAINTED
        if wants_nodes and not matches_node(pod, node):
            return _WRONG_NODE
        if pod.host_ports and node.host_ports and ports_conflict(pod.host_ports, node.host_ports):
            return _PORTS_TAKEN
        short = _resources(pod, node)
        if short is not None:
            return short
        for part in among_pods:
            rejection = part(node)
            if rejection is not None:
                return rejection
        return None

    return check


def tolerates_taints(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> bool:
    """Whether no NoSchedule or NoExecute taint stands in the way."""
    return all(tolerated(taint, tolerations) for taint in taints if taint.effect in (NO_SCHEDULE, NO_EXECUTE))


def _named_nodes(pod: PodNeeds) -> dict[str, None] | None:
    """The only nodes that required affinity names, each term some: no other is looked at. None when any may do."""
    if not pod.required_terms:
        return None
    named: dict[str, None] = {}
    for term in pod.required_terms:
        values = [field.values for field in term.fields if field.key == "metadata.name" and field.operator == "In"]
        if not values:
            return None
        named.update((name, None) for name in values[0] if all(name in others for others in values))
    return named


def matches_node(pod: PodNeeds, node: NodeState) -> bool:
    """nodeSelector and required node affinity."""
    return matches_labels(pod, node.name, node.labels)


def matches_labels(pod: PodNeeds, name: str, labels: dict[str, str]) -> bool:
    """As `matches_node`, for a node of that name if it had these labels."""
    for requirement in pod.node_selector:
        if not requirement.matches(labels):
            return False
    terms = pod.required_terms
    return terms is None or any(term.matches(name, labels) for term in terms)


def ports_conflict(wanted: tuple[HostPort, ...], taken: dict[HostPort, int]) -> bool:
    for protocol, address, number in wanted:
        for other_protocol, other_address, other_number in taken:
            if (
                number == other_number
                and protocol == other_protocol
                and (address == other_address or "0.0.0.0" in (address, other_address))
            ):
                return True
    return False


def fits_when_empty(pod: PodNeeds, node: NodeState) -> bool:
    """Whether the node has enough of everything, its pods left aside."""
    allocatable = node.allocatable
    return all(amount <= allocatable.get(name, 0) for name, amount in pod.requests.amounts.items())


def _resources(pod: PodNeeds, node: NodeState) -> Rejection | None:
    allocatable, requested = node.allocatable, node.requested
    reasons: list[str] = []
    can_preempt = True
    if len(node.pods) + 1 > allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for name, amount in pod.requests.amounts.items():
        has = allocatable.get(name, 0)
        if amount > has - requested.get(name, 0):
            reasons.append(f"Insufficient {name}")
            if amount > has:
                can_preempt = False
    return Rejection(Filter.RESOURCES, tuple(reasons), can_preempt) if reasons else None


# Topology spread


def _spread_check(pod: PodNeeds, cluster: ClusterState) -> Check | None:
    hard = [constraint for constraint in pod.spread if constraint.hard]
    if not hard:
        return None
    counted = [(constraint, count_domains(pod, constraint, hard, cluster)) for constraint in hard]
    floors = [
        0 if len(domains) < constraint.min_domains else min(domains.values(), default=0)
        for constraint, domains in counted
    ]

    def check(node: NodeState) -> Rejection | None:
        for (constraint, domains), floor in zip(counted, floors, strict=True):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return _NO_TOPOLOGY
            own = 1 if constraint.selector.matches(pod.labels) else 0
            if domains.get(value, 0) + own - floor > constraint.max_skew:
                return _SKEWED
        return None

    return check


def count_domains(
    pod: PodNeeds, constraint: SpreadConstraint, together: list[SpreadConstraint], cluster: ClusterState
) -> dict[str, int]:
    """Matching pods per value of the topology key, over the nodes that count for the constraint."""
    domains: dict[str, int] = {}
    for node in cluster.nodes():
        labels = node.labels
        if any(other.topology_key not in labels for other in together):
            continue
        if constraint.honor_affinity and not matches_node(pod, node):
            continue
        if constraint.honor_taints and not tolerates_taints(node.taints, pod.tolerations):
            continue
        value = labels[constraint.topology_key]
        domains[value] = domains.get(value, 0) + count_matching(node, pod.namespace, constraint)
    return domains


def count_matching(node: NodeState, namespace: str, constraint: SpreadConstraint) -> int:
    selector = constraint.selector
    return sum(
        1
        for other in node.pods.values()
        if other.namespace == namespace and not other.is_terminating and selector.matches(other.labels)
    )


# Affinity between pods

_Domain = tuple[str, str]


def _pods_check(pod: PodNeeds, cluster: ClusterState) -> Check | None:
    unwanted = _refused_domains(pod, cluster)
    if not (pod.affinity or pod.anti_affinity or unwanted):
        return None
    near = _domains_of(pod.affinity, cluster, all_terms=True) if pod.affinity else {}
    far = _domains_of(pod.anti_affinity, cluster, all_terms=False) if pod.anti_affinity else {}
    # The first pod of a group that wants to be near its own kind may go anywhere.
    is_first = bool(pod.affinity) and not near and all(term.matches(pod.namespace, pod.labels) for term in pod.affinity)

    def check(node: NodeState) -> Rejection | None:
        labels = node.labels
        for term in pod.affinity:
            value = labels.get(term.topology_key)
            if value is None or not (is_first or (term.topology_key, value) in near):
                return _NOT_NEAR
        for term in pod.anti_affinity:
            value = labels.get(term.topology_key)
            if value is not None and (term.topology_key, value) in far:
                return _TOO_NEAR
        for key, value in unwanted:
            if labels.get(key) == value:
                return _NOT_WANTED
        return None

    return check


def _refused_domains(pod: PodNeeds, cluster: ClusterState) -> dict[_Domain, None]:
    """Domains where pods are whose own anti-affinity names this pod."""
    refused: dict[_Domain, None] = {}
    for uid, node_name in cluster.with_terms.items():
        node = cluster.node(node_name)
        if node is None or uid not in node.pods:
            continue
        for term in node.pods[uid].anti_affinity:
            value = node.labels.get(term.topology_key)
            if value is not None and term.matches(pod.namespace, pod.labels):
                refused[(term.topology_key, value)] = None
    return refused


def _domains_of(terms: tuple[PodTerm, ...], cluster: ClusterState, *, all_terms: bool) -> dict[_Domain, None]:
    """Domains of the pods that match all of the terms, or each domain of a pod that matches one."""
    found: dict[_Domain, None] = {}
    for node in cluster.nodes():
        for other in node.pods.values():
            matching = [term for term in terms if term.matches(other.namespace, other.labels)]
            if not matching or (all_terms and len(matching) < len(terms)):
                continue
            for term in matching:
                value = node.labels.get(term.topology_key)
                if value is not None:
                    found[(term.topology_key, value)] = None
    return found
