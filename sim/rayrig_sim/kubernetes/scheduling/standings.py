"""Where nodes stand for pods that ask for the same: which can take one, and how good each is, kept as the cluster changes.

Most pods want room and nothing else, many of them the same room. For those a node's fitness and score depend on that node alone,
but for the default spread of what Services select, which depends on how many of the group are on it. So nodes are kept by score,
and by how many pods of a group they have, each set of nodes as the bits of an integer; the best node is found with a few ANDs, and
is the one that `fit` and `best` would name. Whatever has more to ask is left to these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import log

from rayrig_sim.kubernetes.scheduling.cluster import HOSTNAME, ZONE, ClusterState, NodeState
from rayrig_sim.kubernetes.scheduling.filters import checker
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds
from rayrig_sim.kubernetes.scheduling.requests import Requests
from rayrig_sim.kubernetes.scheduling.scores import DEFAULT_SPREAD, MAX, SPREAD_WEIGHT, load_score
from rayrig_sim.kubernetes.selectors import LabelSelector
from rayrig_sim.kubernetes.taints import PREFER_NO_SCHEDULE, Toleration

#: So many kinds of pods, and groups that are spread, are kept.
_MOST_KINDS = 64
_MOST_GROUPS = 4096

_HOST, _ZONES = DEFAULT_SPREAD


class _Standing:
    """All nodes for one kind of pod: by score, those that can take it."""

    def __init__(self, pod: PodNeeds, cluster: ClusterState) -> None:
        self._check: Callable[[NodeState], object] = checker(pod, cluster)
        self._pod = pod
        self._scores: list[int | None] = []
        #: Nodes of each score, as bits.
        self.by_score: dict[int, int] = {}
        self.feasible = 0
        self.dirty: dict[int, None] = {}
        for index, node in enumerate(cluster.nodes()):
            self._scores.append(None)
            self._look(index, node)

    def refresh(self, nodes: list[NodeState]) -> None:
        for index in self.dirty:
            self._look(index, nodes[index])
        self.dirty.clear()

    def _look(self, index: int, node: NodeState) -> None:
        score = load_score(self._pod, node) if self._check(node) is None else None
        before = self._scores[index]
        if score == before:
            return
        bit = 1 << index
        by_score = self.by_score
        if before is not None:
            left = by_score[before] ^ bit
            if left:
                by_score[before] = left
            else:
                del by_score[before]
        if score is not None:
            by_score[score] = by_score.get(score, 0) | bit
        if (score is None) != (before is None):
            self.feasible ^= bit
        self._scores[index] = score

    def best_of(self, among: int) -> tuple[int, int]:
        """Score and bit of the first of the best; -1 when none of them can take the pod."""
        for score in sorted(self.by_score, reverse=True):
            found = self.by_score[score] & among
            if found:
                return score, found & -found
        return -1, 0


class _PodsByLabel:
    """Pods that take room, with the number of their node, by the labels that groups select by."""

    def __init__(self, nodes: list[NodeState]) -> None:
        self._nodes = nodes
        self._values: dict[str, dict[str, dict[str, tuple[PodNeeds, int]]]] = {}

    def add(self, pod: PodNeeds, index: int) -> None:
        for label, values in self._values.items():
            value = pod.labels.get(label)
            if value is not None:
                values.setdefault(value, {})[pod.uid] = (pod, index)

    def drop(self, pod: PodNeeds) -> None:
        for label, values in self._values.items():
            value = pod.labels.get(label)
            if value is not None:
                pods = values[value]
                del pods[pod.uid]
                if not pods:
                    del values[value]

    def among(self, selector: LabelSelector) -> Iterable[tuple[PodNeeds, int]]:
        """All that the selector may find: those with the rarest of the labels that it wants to be equal to something."""
        wanted = _equal_to(selector)
        if not wanted:
            return [(pod, index) for index, node in enumerate(self._nodes) for pod in node.pods.values()]
        for label in wanted:
            if label not in self._values:
                values = self._values[label] = {}
                for index, node in enumerate(self._nodes):
                    for pod in node.pods.values():
                        value = pod.labels.get(label)
                        if value is not None:
                            values.setdefault(value, {})[pod.uid] = (pod, index)
        return min((self._values[label].get(value, {}) for label, value in wanted.items()), key=len).values()


def _equal_to(selector: LabelSelector) -> dict[str, str]:
    return {one.key: one.values[0] for one in selector.requirements if one.operator == "In" and len(one.values) == 1}


class _Group:
    """How many pods that a selector finds in a namespace are on each node."""

    def __init__(self, namespace: str, selector: LabelSelector, pods: _PodsByLabel, zones: list[str]) -> None:
        self.namespace = namespace
        self.selector = selector
        self._counts: list[int] = [0] * len(zones)
        self._zones = zones
        #: Nodes by how many there are, as bits.
        self.by_count: dict[int, int] = {0: (1 << len(zones)) - 1}
        self.in_zone: dict[str, int] = dict.fromkeys(zones, 0)
        for pod, index in pods.among(selector):
            if self.counts(pod):
                self.add(index, 1)

    def counts(self, pod: PodNeeds) -> bool:
        return pod.namespace == self.namespace and not pod.is_terminating and self.selector.matches(pod.labels)

    def add(self, index: int, by: int) -> None:
        bit, before = 1 << index, self._counts[index]
        now = self._counts[index] = before + by
        by_count = self.by_count
        left = by_count[before] ^ bit
        if left:
            by_count[before] = left
        else:
            del by_count[before]
        by_count[now] = by_count.get(now, 0) | bit
        self.in_zone[self._zones[index]] += by


class Standings:
    """Follows a cluster from its making on."""

    def __init__(self, cluster: ClusterState) -> None:
        self._cluster = cluster
        self._standings: dict[int, tuple[Requests, tuple[Toleration, ...], _Standing]] = {}
        self._alike: dict[object, _Standing] = {}
        self._groups: dict[tuple[str, LabelSelector], _Group] = {}
        #: Groups that count a pod with such labels.
        self._groups_of: dict[tuple[str, tuple[tuple[str, str], ...]], list[_Group]] = {}
        #: Groups by namespace and a label that they want; those that want none equal to something under an empty one.
        self._groups_by: dict[tuple[str, str, str], list[_Group]] = {}
        self._nodes: list[NodeState] = []
        self._pods = _PodsByLabel([])
        self._places: dict[str, int] = {}
        self._zones: list[str] = []
        self._zone_bits: dict[str, int] = {}
        self._is_plain = False
        cluster.on_node = self._on_node
        cluster.on_pod = self._on_pod

    # Changes

    def _on_node(self, name: str) -> None:
        """A node came, went or is another now."""
        self._nodes = []

    def _on_pod(self, pod: PodNeeds, node: str, by: int) -> None:
        """A pod takes room on a node, or no longer does."""
        if not self._nodes:
            return
        index = self._places[node]
        for standing in self._alike.values():
            standing.dirty[index] = None
        if by > 0:
            self._pods.add(pod, index)
        else:
            self._pods.drop(pod)
        if self._groups and not pod.is_terminating:
            key = (pod.namespace, tuple(pod.labels.items()))
            groups = self._groups_of.get(key)
            if groups is None:
                homes = [(pod.namespace, label, value) for label, value in pod.labels.items()]
                near = [each for home in ((pod.namespace, "", ""), *homes) for each in self._groups_by.get(home, ())]
                groups = self._groups_of[key] = [each for each in near if each.counts(pod)]
            for group in groups:
                group.add(index, by)

    def _begin(self) -> None:
        cluster = self._cluster
        self._nodes = cluster.nodes()
        self._places = {node.name: index for index, node in enumerate(self._nodes)}
        self._standings.clear()
        self._alike.clear()
        self._pods = _PodsByLabel(self._nodes)
        self._groups.clear()
        self._groups_by.clear()
        self._groups_of.clear()
        self._zones = [node.labels.get(ZONE, "") for node in self._nodes]
        self._zone_bits = {}
        for index, zone in enumerate(self._zones):
            self._zone_bits[zone] = self._zone_bits.get(zone, 0) | 1 << index
        self._is_plain = not any(
            node.images or HOSTNAME not in node.labels or _has_soft_taint(node) for node in self._nodes
        ) and ("" not in self._zone_bits or len(self._zone_bits) == 1)

    # Deciding

    def best(self, pod: PodNeeds, selector: Callable[[PodNeeds], LabelSelector | None]) -> str:
        """The node to take; empty when there is none, or it takes more to tell. `selector` gives the group that is spread."""
        if self._cluster.with_terms or not _is_plain(pod):
            return ""
        if not self._nodes:
            self._begin()
        if not self._is_plain:
            return ""
        standing = self._standing(pod)
        standing.refresh(self._nodes)
        if not standing.feasible:
            return ""
        wanted = selector(pod)
        if wanted is None:
            _, bit = standing.best_of(standing.feasible)
        elif pod.node_selector or pod.required_terms is not None:
            return ""
        else:
            bit = self._best_spread(standing, self._group(pod, wanted))
        return self._nodes[bit.bit_length() - 1].name

    def _standing(self, pod: PodNeeds) -> _Standing:
        known = self._standings.get(id(pod.requests))
        if known is not None and known[1] is pod.tolerations and not (pod.node_selector or pod.required_terms):
            return known[2]
        asked = pod.requests
        alike = (
            tuple(asked.amounts.items()),
            asked.scored_cpu_m,
            asked.scored_memory,
            pod.tolerations,
            pod.node_selector,
            pod.required_terms,
        )
        found = self._alike.get(alike)
        if found is None:
            if len(self._alike) >= _MOST_KINDS:
                self._alike.clear()
                self._standings.clear()
            found = self._alike[alike] = _Standing(pod, self._cluster)
        if not (pod.node_selector or pod.required_terms):
            if len(self._standings) >= _MOST_GROUPS:
                self._standings.clear()
            self._standings[id(asked)] = (asked, pod.tolerations, found)
        return found

    def _group(self, pod: PodNeeds, selector: LabelSelector) -> _Group:
        key = (pod.namespace, selector)
        found = self._groups.get(key)
        if found is None:
            if len(self._groups) >= _MOST_GROUPS:
                self._groups.clear()
                self._groups_by.clear()
            found = self._groups[key] = _Group(pod.namespace, selector, self._pods, self._zones)
            homes = [(pod.namespace, label, value) for label, value in _equal_to(selector).items()]
            home = min(homes, key=lambda one: len(self._groups_by.get(one, ())), default=(pod.namespace, "", ""))
            self._groups_by.setdefault(home, []).append(found)
            self._groups_of.clear()
        return found

    def _best_spread(self, standing: _Standing, group: _Group) -> int:
        """As the score of the spread has it: fewer of the group on a node and in its zone is better."""
        feasible = standing.feasible
        zones = {zone: bits for zone, bits in self._zone_bits.items() if bits & feasible}
        on_host = log(feasible.bit_count() + 2)
        has_zones = "" not in zones
        in_zone = log(len(zones) + 2)
        places: list[tuple[int, int]] = []
        for count, bits in group.by_count.items():
            if not bits & feasible:
                continue
            for zone, within in zones.items():
                found = bits & within & feasible
                if found:
                    total = 0.0
                    total += count * on_host + (_HOST.max_skew - 1)
                    if has_zones:
                        total += group.in_zone[zone] * in_zone + (_ZONES.max_skew - 1)
                    places.append((round(total), found))
        places.sort()
        least, most = places[0][0], places[-1][0]
        top = max(standing.by_score)
        best, best_bit = -1, 0
        for value, among in places:
            spread = (MAX * (most + least - value) // most if most else MAX) * SPREAD_WEIGHT
            if top + spread < best:
                continue
            score, bit = standing.best_of(among)
            if score + spread > best or (score + spread == best and bit < best_bit):
                best, best_bit = score + spread, bit
        return best_bit


def _is_plain(pod: PodNeeds) -> bool:
    """Wants room on some node, and nothing that hangs on other pods or on what the nodes prefer."""
    return not (
        pod.host_ports
        or pod.spread
        or pod.preferred_terms
        or pod.affinity
        or pod.anti_affinity
        or pod.preferred_affinity
        or pod.preferred_anti_affinity
    )


def _has_soft_taint(node: NodeState) -> bool:
    return any(taint.effect == PREFER_NO_SCHEDULE for taint in node.taints)
