"""The pod garbage collector: pods that nobody will end any more are failed and removed.

Those are the pods of a node whose object is gone, pods being deleted that never got a node, and pods being deleted on a node that
is not ready and tainted out-of-service. A pass each 20 s finds them; a missing node has 40 s of quarantine, after which the next
pass collects its pods: [40, 80] after the node went. Only passes in which something can happen are made. Source: kubelet.md 13,
KL-078; observed of Kubernetes 1.36.2.
"""

from __future__ import annotations

from random import Random

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, condition_of, is_being_deleted, key_of, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.nodes.pods_by_node import PodsByNode
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches, Part
from rayrig_sim.kubernetes.pod_disruption import DisruptionReason, mark_disrupted
from rayrig_sim.kubernetes.taints import taints_of

PASS_NS = 20 * NS
QUARANTINE_NS = 40 * NS
_MESSAGE = "PodGC: node no longer exists"
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class PodGarbageCollector:
    """`run` is its actor."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, *, rng: Random) -> None:
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._rng = rng
        self._phase_ns = rng.randrange(PASS_NS)
        self._nodes = caches.of(NODE)
        self._pods = caches.shared(PodsByNode)
        self._out_of_service: dict[str, None] = {}
        #: Missing nodes: the pass from which on their pods are collected.
        self._due_ns: dict[str, int] = {}
        #: Pods being deleted that the pass at that moment collects.
        self._stuck: dict[Key, int] = {}
        self._wake = runtime.signal()
        self._nodes.on_change(self._on_node)
        self._all_pods = caches.of(POD)
        self._all_pods.on_change(self._on_pod, Part.SPEC | Part.STATUS | Part.DELETION)

    async def run(self) -> None:
        """Collect for ever."""
        runtime = self._runtime
        await self._caches.wait_synced()
        for node in self._pods.nodes():
            self._suspect(node)
        while True:
            self._wake = runtime.signal()
            now = runtime.monotonic_ns()
            due = min((*self._due_ns.values(), *self._stuck.values()), default=None)
            if due is None:
                await self._wake
                continue
            if due > now and await runtime.wait(self._wake, (due - now) / NS):
                continue
            for node in [node for node, at in self._due_ns.items() if at <= runtime.monotonic_ns()]:
                del self._due_ns[node]
                await self._collect(node)
            for key in [key for key, at in self._stuck.items() if at <= runtime.monotonic_ns()]:
                del self._stuck[key]
                pod = self._all_pods.get(key[1], key[0])
                if pod is not None and self._is_stuck(pod):
                    await self._remove(pod)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        self._out_of_service.pop(name, None)
        if type_ is not WatchType.DELETED:
            self._due_ns.pop(name, None)
            if _is_out_of_service(new):
                self._out_of_service[name] = None
                for pod in self._pods.on(name):
                    self._look_for_stuck(pod)
        elif self._pods.on(name):
            self._suspect(name)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            self._stuck.pop(key_of(new), None)
        elif "deletionTimestamp" in new["metadata"]:
            self._look_for_stuck(new)
        was, spec = old.get("spec") if old is not None else None, new.get("spec")
        if was is spec:
            return
        node = (spec or {}).get("nodeName")
        if node and node != (was or {}).get("nodeName") and self._nodes.synced.is_set:
            self._suspect(node)

    def _look_for_stuck(self, pod: JsonObject) -> None:
        if self._is_stuck(pod) and key_of(pod) not in self._stuck:
            now = self._runtime.monotonic_ns()
            self._stuck[key_of(pod)] = now + (self._phase_ns - now) % PASS_NS
            self._wake.set(None)

    def _is_stuck(self, pod: JsonObject) -> bool:
        """It is being deleted, and no kubelet will see to that. Once it is failed with no grace left, nothing more can be done."""
        node = (pod.get("spec") or {}).get("nodeName")
        if (node and node not in self._out_of_service) or not is_being_deleted(pod):
            return False
        return not _has_ended(pod) or pod["metadata"].get("deletionGracePeriodSeconds") != 0

    async def _remove(self, pod: JsonObject) -> None:
        name, namespace = name_of(pod), namespace_of(pod)
        try:
            if not _has_ended(pod):
                await self._client.patch(POD, name, {"status": {"phase": "Failed"}}, namespace, subresource="status")
            await self._client.delete(POD, name, namespace, grace_period_seconds=0)
        except ApiError:
            return

    def _suspect(self, node: str) -> None:
        if self._nodes.get(node) is not None or node in self._due_ns:
            return
        now = self._runtime.monotonic_ns()
        found = now + (self._phase_ns - now) % PASS_NS
        # Whether the pass exactly one quarantine later is in time hangs on which of two clocks is ahead.
        self._due_ns[node] = found + QUARANTINE_NS + self._rng.randrange(2) * PASS_NS
        self._wake.set(None)

    async def _collect(self, node: str) -> None:
        try:
            await self._client.get(NODE, node)
            return
        except NotFound:
            pass
        except ApiError:
            self._suspect(node)
            return
        for pod in self._pods.on(node):
            try:
                if not _has_ended(pod):
                    await mark_disrupted(
                        self._client, self._runtime, pod, DisruptionReason.POD_GC, _MESSAGE, phase="Failed"
                    )
                await self._client.delete(POD, name_of(pod), namespace_of(pod), grace_period_seconds=0)
            except ApiError:
                continue


def _has_ended(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_out_of_service(node: JsonObject) -> bool:
    if not any(taint.key == _OUT_OF_SERVICE for taint in taints_of(node)):
        return False
    ready = condition_of(node, "Ready")
    return ready is None or ready.get("status") != "True"
