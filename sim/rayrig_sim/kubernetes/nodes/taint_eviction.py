"""The taint eviction controller: pods that do not tolerate a NoExecute taint of their node are deleted when their toleration ends.

The timer of a pod starts when it and the taint meet, and is not moved by later changes of other taints; it is dropped when the
taint goes. Source: kubelet.md 13, KL-077.
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, is_being_deleted, name_of, namespace_of, uid_of
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, Task, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.nodes.pods_by_node import PodsByNode
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.pod_disruption import DisruptionReason, mark_disrupted
from rayrig_sim.kubernetes.taints import NO_EXECUTE, Taint, taints_of, tolerated_for_s, tolerations_of

_MESSAGE = "Taint manager: deleting due to NoExecute taint"


@dataclass(slots=True)
class _Timer:
    """A deletion to come. `started_ns` is when pod and taint met."""

    started_ns: int
    due_ns: int
    task: Task[None]


class TaintEvictionController:
    """Works in the handlers of its caches; there is no actor but one for each deletion to come."""

    def __init__(
        self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, recorder: EventRecorder
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._pod_cache = caches.of(POD)
        self._taints: dict[str, tuple[Taint, ...]] = {}
        self._timers: dict[str, _Timer] = {}
        self._pods = caches.shared(PodsByNode)
        self._pod_cache.on_change(self._on_pod)
        caches.of(NODE).on_change(self._on_node)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        before = self._taints.get(name, ())
        gone = type_ is WatchType.DELETED
        now = () if gone else tuple(taint for taint in taints_of(new) if taint.effect == NO_EXECUTE)
        if before == now:
            return
        if now:
            self._taints[name] = now
        else:
            self._taints.pop(name, None)
        for pod in self._pods.on(name):
            self._look_at(pod, now)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        node = (new.get("spec") or {}).get("nodeName")
        if type_ is WatchType.DELETED:
            self._drop(uid_of(new))
        elif node:
            taints = self._taints.get(node)
            if taints or uid_of(new) in self._timers:
                self._look_at(new, taints or ())

    def _look_at(self, pod: JsonObject, taints: tuple[Taint, ...]) -> None:
        uid = uid_of(pod)
        limit_s = tolerated_for_s(taints, tolerations_of(pod)) if taints else None
        timer = self._timers.get(uid)
        if limit_s is None or is_being_deleted(pod):
            if self._drop(uid) and not is_being_deleted(pod):
                note = f"Cancelling deletion of Pod {namespace_of(pod)}/{name_of(pod)}"
                self._recorder.event(pod, "Normal", "TaintManagerEviction", note)
            return
        now = self._runtime.monotonic_ns()
        started = timer.started_ns if timer is not None else now
        due = max(now, started + round(limit_s * NS))
        if timer is not None:
            if timer.due_ns == due or timer.due_ns <= now:
                return
            timer.task.cancel()
        task = self._runtime.spawn("taint-eviction-controller", self._evict_at(pod, due))
        self._timers[uid] = _Timer(started, due, task)

    def _drop(self, uid: str) -> bool:
        timer = self._timers.pop(uid, None)
        if timer is None:
            return False
        if timer.due_ns > self._runtime.monotonic_ns():
            timer.task.cancel()
            return True
        return False

    async def _evict_at(self, pod: JsonObject, due_ns: int) -> None:
        wait_ns = due_ns - self._runtime.monotonic_ns()
        if wait_ns > 0:
            await self._runtime.sleep(wait_ns / NS)
        name, namespace, uid = name_of(pod), namespace_of(pod), uid_of(pod)
        current = self._pod_cache.get(name, namespace)
        if current is None or uid_of(current) != uid:
            return
        note = f"Marking for deletion Pod {namespace}/{name}"
        self._recorder.event(current, "Normal", "TaintManagerEviction", note)
        try:
            await mark_disrupted(self._client, self._runtime, current, DisruptionReason.TAINT, _MESSAGE)
            await self._client.delete(POD, name, namespace)
        except ApiError:
            return
