"""The taint eviction controller: pods that do not tolerate a NoExecute taint of their node are deleted when their toleration ends.

The timer of a pod starts when it and the taint meet, and no later change of taints or tolerations moves it: it is dropped when all
taints go or are tolerated for ever, and a taint that is not tolerated at all ends it. Of a node that is deleted the timers run on.
Source: kubelet.md 13, KL-077; observed of Kubernetes 1.36.2.
"""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, Task, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_sim.kubernetes.nodes.pods_by_node import PodsByNode
from rayrig_sim.kubernetes.object_cache import ObjectCaches, Part
from rayrig_sim.kubernetes.pod_disruption import DisruptionReason, mark_disrupted
from rayrig_sim.kubernetes.taints import NO_EXECUTE, Taint, taints_of, tolerated, tolerated_for_s, tolerations_of

_MESSAGE = "Taint manager: deleting due to NoExecute taint"


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
        #: The deletion to come, or None when it has come: it is not made twice for the same taints.
        self._timers: dict[str, Task[None] | None] = {}
        self._pods = caches.shared(PodsByNode)
        self._pod_cache.on_change(self._on_pod, Part.SPEC)
        caches.of(NODE).on_change(self._on_node)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        if type_ is WatchType.DELETED:
            self._taints.pop(name, None)
            return
        now = tuple(taint for taint in taints_of(new) if taint.effect == NO_EXECUTE)
        if self._taints.get(name, ()) == now:
            return
        if now:
            self._taints[name] = now
        else:
            self._taints.pop(name, None)
        for pod in self._pods.on(name):
            self._look_at(pod, now)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            self._cancel(new)
            return
        taints = self._taints.get((new.get("spec") or {}).get("nodeName") or "")
        if taints and (old is None or _concerns(old) != _concerns(new)):
            self._look_at(new, taints)

    def _look_at(self, pod: JsonObject, taints: tuple[Taint, ...]) -> None:
        tolerations = tolerations_of(pod)
        limit_s = tolerated_for_s(taints, tolerations)
        if limit_s is None:
            self._cancel(pod)
            return
        if not all(tolerated(taint, tolerations) for taint in taints):
            self._cancel(pod)
        uid = uid_of(pod)
        if uid not in self._timers:
            self._timers[uid] = self._runtime.spawn("taint-eviction-controller", self._evict_after(pod, limit_s))

    def _cancel(self, pod: JsonObject) -> None:
        timer = self._timers.pop(uid_of(pod), None)
        if timer is not None:
            timer.cancel()
            note = f"Cancelling deletion of Pod {namespace_of(pod)}/{name_of(pod)}"
            self._recorder.event(pod, "Normal", "TaintManagerEviction", note)

    async def _evict_after(self, pod: JsonObject, delay_s: float) -> None:
        if delay_s:
            await self._runtime.sleep(delay_s)
        name, namespace, uid = name_of(pod), namespace_of(pod), uid_of(pod)
        self._timers[uid] = None
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


def _concerns(pod: JsonObject) -> tuple[object, object]:
    """What of a pod may change how long it stays."""
    spec = pod.get("spec") or {}
    return spec.get("nodeName"), spec.get("tolerations")
