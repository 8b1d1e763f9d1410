"""Whether a node takes a pod that was bound to it (`reference/kubelet.md` section 15)."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.objects import JsonObject
from rayrig_sim.kubernetes.scheduling.cluster import NodeState
from rayrig_sim.kubernetes.scheduling.filters import matches_node, ports_conflict
from rayrig_sim.kubernetes.scheduling.needs import NeedsParser, PodNeeds
from rayrig_sim.kubernetes.taints import NO_EXECUTE, tolerated

#: Resources a kubelet knows by itself; others count only when the node has them.
_NATIVE = ("cpu", "memory", "ephemeral-storage")
#: Of all kubelets of this process: their pods come from the same few templates.
_PARSER = NeedsParser()


@dataclass(frozen=True, slots=True)
class PodRejection:
    """The pod is Failed with this reason; `message` is the event's text, the status puts `Pod was rejected: ` before it."""

    reason: str
    message: str


class NodeRoom:
    """What a node has and what the pods it has admitted take of it."""

    def __init__(self) -> None:
        self._state: NodeState | None = None
        #: What the node was described by.
        self._node: JsonObject | None = None
        self._pods: dict[str, PodNeeds] = {}

    def describe(self, node: JsonObject) -> None:
        """Take over the node's labels and allocatable resources as they are now."""
        if node is self._node:
            return
        self._node = node
        if self._state is None:
            self._state = NodeState(node)
            for needs in self._pods.values():
                self._state.add(needs)
        else:
            self._state.describe(node)

    def take(self, pod: JsonObject) -> PodRejection | None:
        """Admit a pod, or say why not. A node that was never described takes every pod."""
        needs = _PARSER.needs(pod)
        if self._state is not None:
            rejection = _check(needs, self._state)
            if rejection is not None:
                return rejection
        self.keep(needs)
        return None

    def keep(self, needs: PodNeeds) -> None:
        """A pod that runs here already, asked or not."""
        self._pods[needs.uid] = needs
        if self._state is not None:
            self._state.add(needs)

    def give_back(self, uid: str) -> None:
        """A pod has ended."""
        if self._pods.pop(uid, None) is not None and self._state is not None:
            self._state.remove(uid)


def _check(needs: PodNeeds, state: NodeState) -> PodRejection | None:
    room = state.allocatable
    if "pods" in room and len(state.pods) + 1 > room["pods"]:
        return _short("pods", 1, len(state.pods), room["pods"])
    for resource, amount in needs.requests.amounts.items() if room else ():
        if resource not in room and resource not in _NATIVE:
            continue
        capacity, used = room.get(resource, 0), state.requested.get(resource, 0)
        if amount > capacity - used:
            return _short(resource, amount, used, capacity)
    if not matches_node(needs, state):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if ports_conflict(needs.host_ports, state.host_ports):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if not all(tolerated(taint, needs.tolerations) for taint in state.taints if taint.effect == NO_EXECUTE):
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _short(resource: str, requested: int, used: int, capacity: int) -> PodRejection:
    text = f"Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
    return PodRejection(f"OutOf{resource}", text)


def _predicate(name: str, why: str) -> PodRejection:
    return PodRejection(name, f"Predicate {name} failed: {why}")
