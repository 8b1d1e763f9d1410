"""The scheduler's picture of the cluster: nodes, what is taken of them, and their pods, counting those it has just assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_sim.kubernetes.scheduling.needs import HostPort, PodNeeds
from rayrig_sim.kubernetes.scheduling.requests import Amounts, amounts
from rayrig_sim.kubernetes.taints import Taint, taints_of

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


class NodeState:
    """One node: its object, what it has (`allocatable`), what its pods ask for (`requested`), and the pods."""

    __slots__ = (
        "allocatable",
        "host_ports",
        "images",
        "is_unschedulable",
        "labels",
        "name",
        "pods",
        "requested",
        "scored_cpu_m",
        "scored_memory",
        "taints",
    )

    def __init__(self, node: JsonObject) -> None:
        self.requested: Amounts = {}
        self.scored_cpu_m = 0
        self.scored_memory = 0
        self.host_ports: dict[HostPort, int] = {}
        self.pods: dict[str, PodNeeds] = {}
        self.describe(node)

    def describe(self, node: JsonObject) -> None:
        """Take over the object; pods stay."""
        self.name = name_of(node)
        self.labels = labels_of(node)
        self.taints: tuple[Taint, ...] = taints_of(node)
        self.is_unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
        status = node.get("status") or {}
        self.allocatable = amounts(status.get("allocatable"))
        self.images: dict[str, int] = {
            name: int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }

    def add(self, pod: PodNeeds) -> None:
        if pod.uid in self.pods:
            self.remove(pod.uid)
        self.pods[pod.uid] = pod
        requested = self.requested
        for name, amount in pod.requests.amounts.items():
            requested[name] = requested.get(name, 0) + amount
        self.scored_cpu_m += pod.requests.scored_cpu_m
        self.scored_memory += pod.requests.scored_memory
        for port in pod.host_ports:
            self.host_ports[port] = self.host_ports.get(port, 0) + 1

    def remove(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        if pod is None:
            return
        for name, amount in pod.requests.amounts.items():
            self.requested[name] -= amount
        self.scored_cpu_m -= pod.requests.scored_cpu_m
        self.scored_memory -= pod.requests.scored_memory
        for port in pod.host_ports:
            left = self.host_ports[port] - 1
            if left:
                self.host_ports[port] = left
            else:
                del self.host_ports[port]

    def free(self, resource: str) -> int:
        return self.allocatable.get(resource, 0) - self.requested.get(resource, 0)


class ClusterState:
    """Nodes in the order in which the scheduler lists them (by addition, zones taking turns) and pods on them."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeState] = {}
        self._ordered: list[NodeState] | None = None
        self._homes: dict[str, str] = {}
        self._waiting: dict[str, dict[str, PodNeeds]] = {}
        #: Pods that carry affinity or anti-affinity of their own, by uid, and where: few, and asked about for every pod.
        self.with_terms: dict[str, str] = {}
        #: Told of a node that came, went or changed, and of a pod that takes room on a known node (1) or gives it back (-1).
        self.on_node: Callable[[str], None] = lambda name: None
        self.on_pod: Callable[[PodNeeds, str, int], None] = lambda pod, node, by: None

    def __len__(self) -> int:
        return len(self._nodes)

    def nodes(self) -> list[NodeState]:
        """Do not change the list."""
        if self._ordered is None:
            self._ordered = list(_zones_in_turn(list(self._nodes.values())))
        return self._ordered

    def node(self, name: str) -> NodeState | None:
        return self._nodes.get(name)

    def put_node(self, node: JsonObject) -> None:
        name = name_of(node)
        self.on_node(name)
        state = self._nodes.get(name)
        if state is None:
            state = self._nodes[name] = NodeState(node)
            self._ordered = None
            for pod in self._waiting.pop(name, {}).values():
                state.add(pod)
        else:
            zone = zone_of(state)
            state.describe(node)
            if zone_of(state) != zone:
                self._ordered = None

    def remove_node(self, name: str) -> None:
        state = self._nodes.pop(name, None)
        self.on_node(name)
        if state is not None:
            self._ordered = None
            if state.pods:
                self._waiting[name] = dict(state.pods)

    def put_pod(self, pod: PodNeeds, node_name: str) -> None:
        """The pod takes room on that node, by binding or by assumption. A node not known yet gets it when it comes."""
        if self._homes.get(pod.uid, node_name) != node_name:
            self.remove_pod(pod.uid)
        self._homes[pod.uid] = node_name
        state = self._nodes.get(node_name)
        if state is None:
            self._waiting.setdefault(node_name, {})[pod.uid] = pod
        else:
            before = state.pods.get(pod.uid)
            state.add(pod)
            if before is not None:
                self.on_pod(before, node_name, -1)
            self.on_pod(pod, node_name, 1)
        if pod.affinity or pod.anti_affinity or pod.preferred_affinity or pod.preferred_anti_affinity:
            self.with_terms[pod.uid] = node_name

    def remove_pod(self, uid: str) -> None:
        node_name = self._homes.pop(uid, None)
        if node_name is None:
            return
        self.with_terms.pop(uid, None)
        state = self._nodes.get(node_name)
        if state is not None:
            before = state.pods.get(uid)
            state.remove(uid)
            if before is not None:
                self.on_pod(before, node_name, -1)
        else:
            self._waiting.get(node_name, {}).pop(uid, None)

    def home_of(self, uid: str) -> str | None:
        """The node on which that pod takes room."""
        return self._homes.get(uid)


def zone_of(node: NodeState) -> tuple[str, str]:
    return (node.labels.get(REGION, ""), node.labels.get(ZONE, ""))


def _zones_in_turn(nodes: list[NodeState]) -> Iterator[NodeState]:
    by_zone: dict[tuple[str, str], list[NodeState]] = {}
    for node in nodes:
        by_zone.setdefault(zone_of(node), []).append(node)
    queues = list(by_zone.values())
    if len(queues) == 1:
        yield from nodes
        return
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if turn < len(queue):
                yield queue[turn]
