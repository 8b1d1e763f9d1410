"""What bound pods request together, over time: what an upgrade costs in capacity.

An observer of the store, not an actor: it takes no time and leaves no trace. A pod counts from its binding until it is finished or
gone; its requests are added up as the scheduler adds them.
"""

from __future__ import annotations

from collections.abc import Callable

from rayrig_backends.world import Usage, UsagePoint
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.storage.revisions import Change
from rayrig_fakes.kubernetes.storage.store import Collection
from rayrig_sim.kubernetes.scheduling.requests import Amounts, amounts, pod_requests

_FINISHED = ("Succeeded", "Failed")


def _gpus(amounts_: Amounts) -> int:
    return sum(amount for name, amount in amounts_.items() if name.endswith("gpu"))


class UsageMeter:
    """Follows the collections of pods and nodes from the moment it is made."""

    def __init__(self, now_ns: Callable[[], int], pods: Collection, nodes: Collection) -> None:
        self._now_ns = now_ns
        self._counted: dict[str, tuple[str, Amounts]] = {}
        #: Pods that are counted by node, and what they request together: CPU in thousandths, memory in bytes, GPUs.
        self._pods_on: dict[str, int] = {}
        self._requested = [0, 0, 0]
        self._points: list[UsagePoint] = []
        self._capacity: dict[str, Amounts] = {}
        self._largest = (0, 0, 0, 0)
        for node in nodes.scan():
            self._see_node(node.obj)
        pods.listen(self._pod_changed)
        nodes.listen(self._node_changed)

    def usage(self) -> Usage:
        nodes, cpu, memory, gpus = self._largest
        return Usage(tuple(self._points), nodes, cpu, memory, gpus)

    def _node_changed(self, change: Change | None) -> None:
        if change is not None:
            self._see_node(change.object)

    def _pod_changed(self, change: Change | None) -> None:
        if change is not None:
            self._see_pod(change.key, change.object, change.type == "DELETED")

    def _see_node(self, node: JsonObject) -> None:
        self._capacity[node["metadata"]["name"]] = amounts((node.get("status") or {}).get("capacity"))
        capacity = self._capacity.values()
        now = (
            len(self._capacity),
            sum(one.get("cpu", 0) for one in capacity),
            sum(one.get("memory", 0) for one in capacity),
            sum(_gpus(one) for one in capacity),
        )
        self._largest = max(self._largest, now)

    def _see_pod(self, key: str, pod: JsonObject, is_gone: bool) -> None:
        node = pod["spec"].get("nodeName")
        is_over = is_gone or (pod.get("status") or {}).get("phase") in _FINISHED
        if is_over:
            counted = self._counted.pop(key, None)
            if counted is None:
                return
            self._count(*counted, -1)
        elif node and key not in self._counted:
            self._counted[key] = counted = (node, pod_requests(pod).amounts)
            self._count(*counted, 1)
        else:
            return
        self._add_point()

    def _count(self, node: str, asked: Amounts, sign: int) -> None:
        """One pod more, or with -1 one less."""
        pods = self._pods_on.get(node, 0) + sign
        if pods:
            self._pods_on[node] = pods
        else:
            del self._pods_on[node]
        for index, amount in enumerate((asked.get("cpu", 0), asked.get("memory", 0), _gpus(asked))):
            self._requested[index] += sign * amount

    def _add_point(self) -> None:
        cpu, memory, gpus = self._requested
        point = UsagePoint(
            t_ns=self._now_ns(),
            nodes=len(self._pods_on),
            cpu_millis=cpu,
            memory_bytes=memory,
            gpus=gpus,
            pods=len(self._counted),
        )
        if self._points and self._points[-1].t_ns == point.t_ns:
            self._points[-1] = point
        else:
            self._points.append(point)
