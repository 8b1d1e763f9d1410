"""The pod garbage collector: pods bound to a node whose object is gone are failed and removed.

A pass each 20 s finds such nodes; after 40 s of quarantine the next pass collects their pods: [40, 80] after the node went. Only
passes in which something can happen are made. Source: kubelet.md 13, KL-078.
"""

from __future__ import annotations

from random import Random

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.nodes.pods_by_node import PodsByNode
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.pod_disruption import DisruptionReason, mark_disrupted

PASS_NS = 20 * NS
QUARANTINE_NS = 40 * NS
_MESSAGE = "PodGC: node no longer exists"


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
        #: Missing nodes: the pass from which on their pods are collected.
        self._due_ns: dict[str, int] = {}
        self._wake = runtime.signal()
        self._nodes.on_change(self._on_node)
        caches.of(POD).on_change(self._on_pod)

    async def run(self) -> None:
        """Collect for ever."""
        runtime = self._runtime
        await self._caches.wait_synced()
        for node in self._pods.nodes():
            self._suspect(node)
        while True:
            self._wake = runtime.signal()
            now = runtime.monotonic_ns()
            due = min(self._due_ns.values(), default=None)
            if due is None:
                await self._wake
                continue
            if due > now and await runtime.wait(self._wake, (due - now) / NS):
                continue
            for node in [node for node, at in self._due_ns.items() if at <= runtime.monotonic_ns()]:
                del self._due_ns[node]
                await self._collect(node)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        if type_ is not WatchType.DELETED:
            self._due_ns.pop(name, None)
        elif self._pods.on(name):
            self._suspect(name)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        node = (new.get("spec") or {}).get("nodeName")
        before = ((old or {}).get("spec") or {}).get("nodeName")
        if node and node != before and self._nodes.synced.is_set:
            self._suspect(node)

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
            phase = (pod.get("status") or {}).get("phase")
            try:
                if phase not in ("Succeeded", "Failed"):
                    await mark_disrupted(
                        self._client, self._runtime, pod, DisruptionReason.POD_GC, _MESSAGE, phase="Failed"
                    )
                await self._client.delete(POD, name_of(pod), namespace_of(pod), grace_period_seconds=0)
            except ApiError:
                continue
