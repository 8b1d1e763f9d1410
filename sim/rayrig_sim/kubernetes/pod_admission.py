"""Whether a node takes a pod that was bound to it (`reference/kubelet.md` section 15)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rayrig_core.objects import JsonObject
from rayrig_sim.kubernetes.scheduling.cluster import NodeState
from rayrig_sim.kubernetes.scheduling.filters import matches_node, ports_conflict
from rayrig_sim.kubernetes.scheduling.needs import pod_needs

#: Resources a kubelet knows by itself; others count only when the node has them.
_NATIVE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class PodRejection:
    """The pod is Failed with this reason; `message` is the event's text, the status puts `Pod was rejected: ` before it."""

    reason: str
    message: str


def admit(pod: JsonObject, node: JsonObject, others: Iterable[JsonObject]) -> PodRejection | None:
    """None when the pod may run on the node beside the `others` that have been admitted and have not ended."""
    needs = pod_needs(pod)
    state = NodeState(node)
    for other in others:
        state.add(pod_needs(other))
    room = state.allocatable
    if "pods" in room and len(state.pods) + 1 > room["pods"]:
        return _short("pods", 1, len(state.pods), room["pods"])
    for resource, amount in needs.requests.amounts.items():
        if resource not in room and resource not in _NATIVE:
            continue
        capacity, used = room.get(resource, 0), state.requested.get(resource, 0)
        if resource not in room and not room:
            continue
        if amount > capacity - used:
            return _short(resource, amount, used, capacity)
    if not matches_node(needs, state):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if ports_conflict(needs.host_ports, state.host_ports):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    return None


def _short(resource: str, requested: int, used: int, capacity: int) -> PodRejection:
    text = f"Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
    return PodRejection(f"OutOf{resource}", text)


def _predicate(name: str, why: str) -> PodRejection:
    return PodRejection(name, f"Predicate {name} failed: {why}")
