"""Whether a node's kubelet is alive, as the node lifecycle controller can tell: the renewals of its Lease.

In simulation nobody writes a lease each ten seconds: `VirtualHeartbeats` knows when each kubelet stopped and computes the renewal
that would have been the last. `LeaseHeartbeats` reads real leases. What the controller does with either is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rayrig_core.errors import AlreadyExists, ApiError, Conflict
from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import LEASE
from rayrig_core.timestamps import NS, rfc3339_micro
from rayrig_sim.kubernetes.object_cache import ObjectCaches

LEASE_NAMESPACE = "kube-node-lease"
#: kubelet.md 2: renewed each 10 s, duration 40 s.
RENEWAL_NS = 10 * NS
LEASE_DURATION_S = 40


class NodeLiveness(Protocol):
    """The last sign of life of each node."""

    def last_renewal_ns(self, node: str) -> int | None:
        """Monotonic time of the last renewal up to now; None when there never was one."""
        ...

    def is_renewing(self, node: str) -> bool:
        """True when the next renewal is sure to come by itself, so that nobody need look until `on_change` tells."""
        ...

    def on_change(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the node's name when it begins or ceases to renew, or, where that is not known, with each renewal."""
        ...


class VirtualHeartbeats:
    """Renewals that are computed, not written. A node renews each 10 s from its start until it is stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._started_ns: dict[str, int] = {}
        self._stopped_ns: dict[str, int] = {}
        self._handlers: list[Callable[[str], None]] = []

    def start(self, node: str) -> None:
        """The kubelet comes up, or comes back: it renews at once. Nothing when it is up."""
        if node in self._started_ns and node not in self._stopped_ns:
            return
        self._started_ns[node] = self._runtime.monotonic_ns()
        self._stopped_ns.pop(node, None)
        self._tell(node)

    def stop(self, node: str) -> None:
        """The kubelet falls silent. Nothing when it is silent."""
        if node in self._started_ns and node not in self._stopped_ns:
            self._stopped_ns[node] = self._runtime.monotonic_ns()
            self._tell(node)

    def last_renewal_ns(self, node: str) -> int | None:
        started = self._started_ns.get(node)
        if started is None:
            return None
        until = self._stopped_ns.get(node, self._runtime.monotonic_ns())
        return started + (until - started) // RENEWAL_NS * RENEWAL_NS

    def is_renewing(self, node: str) -> bool:
        return node in self._started_ns and node not in self._stopped_ns

    def on_change(self, handler: Callable[[str], None]) -> None:
        self._handlers.append(handler)

    def _tell(self, node: str) -> None:
        for handler in self._handlers:
            handler(node)


class LeaseHeartbeats:
    """Renewals read from Leases."""

    def __init__(self, runtime: Runtime, caches: ObjectCaches) -> None:
        self._runtime = runtime
        self._seen_ns: dict[str, int] = {}
        self._handlers: list[Callable[[str], None]] = []
        caches.of(LEASE).on_change(self._on_lease)

    def last_renewal_ns(self, node: str) -> int | None:
        return self._seen_ns.get(node)

    def is_renewing(self, node: str) -> bool:
        return False

    def on_change(self, handler: Callable[[str], None]) -> None:
        self._handlers.append(handler)

    def _on_lease(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if namespace_of(new) != LEASE_NAMESPACE or type_ is WatchType.DELETED:
            return
        renewed = (new.get("spec") or {}).get("renewTime")
        if old is not None and (old.get("spec") or {}).get("renewTime") == renewed:
            return
        node = name_of(new)
        self._seen_ns[node] = self._runtime.monotonic_ns()
        for handler in self._handlers:
            handler(node)


async def renew_lease(runtime: Runtime, client: KubernetesClient, node: str, node_uid: str = "") -> None:
    """Write a node's Lease each 10 s for ever, for clusters where somebody reads it: an actor's body."""
    while True:
        spec: JsonObject = {
            "holderIdentity": node,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": rfc3339_micro(runtime.unix_ns()),
        }
        try:
            await client.patch(LEASE, node, {"spec": spec}, LEASE_NAMESPACE, patch_type="merge")
        except ApiError as missing:
            if missing.code == 404:
                meta: JsonObject = {"name": node, "namespace": LEASE_NAMESPACE}
                if node_uid:
                    meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid}]
                lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
                try:
                    await client.create(LEASE, lease, LEASE_NAMESPACE)
                except (AlreadyExists, Conflict):
                    continue
        await runtime.sleep(RENEWAL_NS / NS)
