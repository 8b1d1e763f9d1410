"""Which of the nodes that can take a pod is best (kubelet.md 14.4). The first of the best in list order wins.

Each part is worth 0 to 100 times its weight. Parts that are the same for every node are left out, which changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from math import log

from rayrig_sim.kubernetes.scheduling.cluster import HOSTNAME, ZONE, ClusterState, NodeState
from rayrig_sim.kubernetes.scheduling.filters import count_matching, matches_node
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds, PodTerm, SpreadConstraint
from rayrig_sim.kubernetes.selectors import NOTHING, LabelSelector
from rayrig_sim.kubernetes.taints import PREFER_NO_SCHEDULE, tolerated

MAX = 100
TAINT_WEIGHT = 3
AFFINITY_WEIGHT = 2
SPREAD_WEIGHT = 2
PODS_WEIGHT = 2

#: How pods that Services select are spread by default, their selector left open.
DEFAULT_SPREAD = (
    SpreadConstraint(HOSTNAME, 3, NOTHING, False, 1, True, False),
    SpreadConstraint(ZONE, 5, NOTHING, False, 1, True, False),
)

_MIB = 1024 * 1024
#: Image sizes below count nothing, above as much as this, per container.
_IMAGE_MIN, _IMAGE_MAX = 23 * _MIB, 1000 * _MIB
#: An existing pod's required affinity for the new one counts like a preference of this weight.
_REQUIRED_AFFINITY_WEIGHT = 1


def best(
    pod: PodNeeds, feasible: list[NodeState], cluster: ClusterState, spread_selector: LabelSelector | None = None
) -> NodeState:
    """The node to take. `spread_selector` is that of the services that select the pod, for the default spread."""
    if len(feasible) == 1:
        return feasible[0]
    totals = score(pod, feasible, cluster, spread_selector)
    return feasible[max(range(len(feasible)), key=lambda index: (totals[index], -index))]


def score(
    pod: PodNeeds, feasible: list[NodeState], cluster: ClusterState, spread_selector: LabelSelector | None = None
) -> list[int]:
    """Weighted sum for each feasible node."""
    totals = [_least_allocated(pod, node) for node in feasible]
    if pod.requests.amounts:
        _gather(totals, [_balance(pod, node) for node in feasible], 1)
    if any(taint.effect == PREFER_NO_SCHEDULE for node in feasible for taint in node.taints):
        _gather(totals, _avoided_taints(pod, feasible), TAINT_WEIGHT)
    if pod.preferred_terms:
        _gather(totals, _preferred_nodes(pod, feasible), AFFINITY_WEIGHT)
    if pod.images and any(node.images for node in feasible):
        _gather(totals, _images(pod, feasible, cluster), 1)
    soft = _soft_spread(pod, spread_selector)
    if soft:
        _gather(totals, _spread(pod, feasible, cluster, soft), SPREAD_WEIGHT)
    if pod.preferred_affinity or pod.preferred_anti_affinity or cluster.with_terms:
        _gather(totals, _near_pods(pod, feasible, cluster), PODS_WEIGHT)
    return totals


def load_score(pod: PodNeeds, node: NodeState) -> int:
    """What depends on the node's load alone."""
    return _least_allocated(pod, node) + (_balance(pod, node) if pod.requests.amounts else 0)


def _gather(totals: list[int], part: list[int], weight: int) -> None:
    for index, value in enumerate(part):
        totals[index] += value * weight


# Load


def _least_allocated(pod: PodNeeds, node: NodeState) -> int:
    """Mean of the free shares of CPU and memory after placing."""
    total = count = 0
    for has, taken in (
        (node.allocatable.get("cpu", 0), node.scored_cpu_m + pod.requests.scored_cpu_m),
        (node.allocatable.get("memory", 0), node.scored_memory + pod.requests.scored_memory),
    ):
        if has:
            count += 1
            total += (has - taken) * MAX // has if taken <= has else 0
    return total // count if count else 0


def _balance(pod: PodNeeds, node: NodeState) -> int:
    """100 when CPU and memory are used alike after placing, less the further apart they are."""
    asked = pod.requests.amounts
    shares = [
        min(1.0, (node.requested.get(name, 0) + asked.get(name, 0)) / node.allocatable[name])
        for name in ("cpu", "memory")
        if node.allocatable.get(name)
    ]
    apart = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
    return int((1 - apart) * MAX)


# The node's own properties


def _avoided_taints(pod: PodNeeds, feasible: list[NodeState]) -> list[int]:
    tolerations = tuple(t for t in pod.tolerations if t.effect in ("", PREFER_NO_SCHEDULE))
    counts = [
        sum(1 for taint in node.taints if taint.effect == PREFER_NO_SCHEDULE and not tolerated(taint, tolerations))
        for node in feasible
    ]
    most = max(counts)
    return [MAX - MAX * count // most if most else MAX for count in counts]


def _preferred_nodes(pod: PodNeeds, feasible: list[NodeState]) -> list[int]:
    sums = [
        sum(weight for weight, term in pod.preferred_terms if term.matches(node.name, node.labels)) for node in feasible
    ]
    most = max(sums)
    return [MAX * value // most if most else 0 for value in sums]


def _images(pod: PodNeeds, feasible: list[NodeState], cluster: ClusterState) -> list[int]:
    """Images that are there already, each weighed by its size and by how many nodes have it."""
    total = len(cluster)
    spread = {image: sum(1 for node in cluster.nodes() if image in node.images) for image in dict.fromkeys(pod.images)}
    top = _IMAGE_MAX * len(pod.images)
    values: list[int] = []
    for node in feasible:
        size = sum(int(node.images[image] * spread[image] / total) for image in pod.images if image in node.images)
        size = min(max(size, _IMAGE_MIN), top)
        values.append(MAX * (size - _IMAGE_MIN) // (top - _IMAGE_MIN))
    return values


# Spread


def _soft_spread(pod: PodNeeds, selector: LabelSelector | None) -> list[SpreadConstraint]:
    if pod.spread:
        return [constraint for constraint in pod.spread if not constraint.hard]
    if selector is None:
        return []
    return [replace(constraint, selector=selector) for constraint in DEFAULT_SPREAD]


def _spread(
    pod: PodNeeds, feasible: list[NodeState], cluster: ClusterState, constraints: list[SpreadConstraint]
) -> list[int]:
    """Fewer matching pods in the node's domains is better; domains weigh by the logarithm of their number."""
    is_default = not pod.spread
    counts: list[dict[str, int]] = []
    weights: list[float] = []
    eligible = [
        node
        for node in feasible
        if is_default or all(constraint.topology_key in node.labels for constraint in constraints)
    ]
    for constraint in constraints:
        key = constraint.topology_key
        domains = dict.fromkeys((node.labels[key] for node in eligible if key in node.labels), 0)
        weights.append(log((len(eligible) if key == HOSTNAME else len(domains)) + 2))
        if key != HOSTNAME:
            for node in cluster.nodes():
                value = node.labels.get(key)
                if value in domains and (not constraint.honor_affinity or matches_node(pod, node)):
                    domains[value] += count_matching(node, pod.namespace, constraint)
        counts.append(domains)
    raw: list[int | None] = []
    allowed = {node.name for node in eligible}
    for node in feasible:
        if node.name not in allowed:
            raw.append(None)
            continue
        total = 0.0
        for constraint, domains, weight in zip(constraints, counts, weights, strict=True):
            domain = node.labels.get(constraint.topology_key)
            if domain is None:
                continue
            at_host = constraint.topology_key == HOSTNAME
            matching = count_matching(node, pod.namespace, constraint) if at_host else domains[domain]
            total += matching * weight + (constraint.max_skew - 1)
        raw.append(round(total))
    known = [value for value in raw if value is not None]
    least, most = min(known, default=0), max(known, default=0)
    return [0 if value is None else (MAX * (most + least - value) // most if most else MAX) for value in raw]


# Affinity between pods


def _near_pods(pod: PodNeeds, feasible: list[NodeState], cluster: ClusterState) -> list[int]:
    """Preferences of the pod for others, and of others for the pod, by topology domain."""
    domains: dict[tuple[str, str], int] = {}

    def count(term: PodTerm, node: NodeState, weight: int) -> None:
        value = node.labels.get(term.topology_key)
        if value is not None:
            domain = (term.topology_key, value)
            domains[domain] = domains.get(domain, 0) + weight

    if pod.preferred_affinity or pod.preferred_anti_affinity:
        for node in cluster.nodes():
            for other in node.pods.values():
                for term in pod.preferred_affinity:
                    if term.matches(other.namespace, other.labels):
                        count(term, node, term.weight)
                for term in pod.preferred_anti_affinity:
                    if term.matches(other.namespace, other.labels):
                        count(term, node, -term.weight)
    for uid, node_name in cluster.with_terms.items():
        home = cluster.node(node_name)
        if home is None or uid not in home.pods:
            continue
        other = home.pods[uid]
        for terms, factor in ((other.affinity, 0), (other.preferred_affinity, 1), (other.preferred_anti_affinity, -1)):
            for term in terms:
                if term.matches(pod.namespace, pod.labels):
                    count(term, home, factor * term.weight if factor else _REQUIRED_AFFINITY_WEIGHT)
    sums = [
        sum(amount for (key, value), amount in domains.items() if node.labels.get(key) == value) for node in feasible
    ]
    least, most = min(sums), max(sums)
    return [MAX * (value - least) // (most - least) if most > least else 0 for value in sums]
