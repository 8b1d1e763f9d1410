"""The namespace controller: the contents of a namespace that is being deleted go first, then its finalizer and the namespace.

Source: kubernetes-api.md 7, K8-062.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, condition_of, is_being_deleted, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, Signal, WatchType
from rayrig_core.resource_types import NAMESPACE, ResourceType
from rayrig_core.timestamps import NS, rfc3339
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.object_cache import ObjectCaches

_FINALIZER = "kubernetes"
_FIRST_RETRY_NS = 1 * NS


class NamespaceController:
    """Works in the handlers of its caches; starts an actor per namespace that is being deleted."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        resources: Sequence[ResourceType],
        *,
        delay: Distribution,
        rng: Random,
    ) -> None:
        """`resources` are the types whose objects are deleted with their namespace; cluster-scoped ones are passed over."""
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._resources: list[ResourceType] = []
        self._delay = delay
        self._rng = rng
        #: Namespaces at work, and what tells their actor that something in them is gone.
        self._wakes: dict[str, Signal[None]] = {}
        for resource in resources:
            self.follow(resource)
        caches.of(NAMESPACE).on_change(self._on_namespace)

    def follow(self, resource: ResourceType) -> None:
        """One more type whose objects go with their namespace; a cluster-scoped one is passed over."""
        if resource.namespaced:
            self._resources.append(resource)
            self._caches.of(resource).on_change(partial(self._on_object, resource))

    def forget(self, resource: ResourceType) -> None:
        """The type is no longer served."""
        if resource in self._resources:
            self._resources.remove(resource)

    def _on_namespace(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        if type_ is not WatchType.DELETED and is_being_deleted(new) and name not in self._wakes:
            self._wakes[name] = self._runtime.signal()
            self._runtime.spawn("namespace-controller", self._terminate(name, uid_of(new)))

    def _on_object(
        self, resource: ResourceType, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None
    ) -> None:
        wake = self._wakes.get(namespace_of(new))
        if wake is not None and (type_ is WatchType.DELETED or type_ is WatchType.ADDED):
            wake.set(None)

    async def _terminate(self, name: str, uid: str) -> None:
        failures = 0
        try:
            while True:
                await self._runtime.sleep(self._delay.draw_ns(self._rng) / NS)
                self._wakes[name] = self._runtime.signal()
                try:
                    left = await self._delete_contents(name)
                    namespace = await self._client.get(NAMESPACE, name)
                    if uid_of(namespace) != uid:
                        return
                    if not left:
                        await self._finalize(namespace)
                        return
                    await self._tell(namespace, left)
                    failures = 0
                except NotFound:
                    return
                except ApiError:
                    await self._runtime.sleep(min(_FIRST_RETRY_NS << failures, 60 * NS) / NS)
                    failures += 1
                    continue
                await self._wakes[name]
        finally:
            del self._wakes[name]

    async def _delete_contents(self, name: str) -> list[tuple[ResourceType, list[JsonObject]]]:
        """Ask for everything to be deleted; what is still there."""
        left: list[tuple[ResourceType, list[JsonObject]]] = []
        for resource in self._resources:
            found = (await self._client.list(resource, name)).items
            if not found:
                continue
            if not all(is_being_deleted(obj) for obj in found):
                await self._client.delete_collection(resource, name)
                found = (await self._client.list(resource, name)).items
            if found:
                left.append((resource, found))
        return left

    async def _tell(self, namespace: JsonObject, left: list[tuple[ResourceType, list[JsonObject]]]) -> None:
        remaining = ", ".join(f"{resource} has {len(objects)} resource instances" for resource, objects in left)
        holders: dict[str, int] = {}
        for _, objects in left:
            for obj in objects:
                for finalizer in obj["metadata"].get("finalizers") or ():
                    holders[finalizer] = holders.get(finalizer, 0) + 1
        held = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(holders.items()))
        now = rfc3339(self._runtime.unix_ns())
        conditions = [
            _condition(namespace, "NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "", now),
            _condition(namespace, "NamespaceContentRemaining", True, "SomeResourcesRemain", remaining, now),
            _condition(namespace, "NamespaceFinalizersRemaining", bool(held), "SomeFinalizersRemain", held, now),
        ]
        await self._client.patch(
            NAMESPACE,
            name_of(namespace),
            {"status": {"conditions": conditions}},
            patch_type="merge",
            subresource="status",
        )

    async def _finalize(self, namespace: JsonObject) -> None:
        left = [entry for entry in (namespace.get("spec") or {}).get("finalizers") or () if entry != _FINALIZER]
        namespace["spec"] = {**(namespace.get("spec") or {}), "finalizers": left}
        await self._client.update(NAMESPACE, namespace, subresource="finalize")


_WHEN_FALSE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
_BEFORE_TEXT = {
    "NamespaceContentRemaining": "Some resources are remaining: ",
    "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: ",
}


def _condition(namespace: JsonObject, kind: str, is_true: bool, reason: str, what: str, now: str) -> JsonObject:
    if is_true:
        message = _BEFORE_TEXT.get(kind, "") + what
    else:
        reason, message = _WHEN_FALSE[kind]
    status = "True" if is_true else "False"
    before = condition_of(namespace, kind)
    since = before["lastTransitionTime"] if before is not None and before.get("status") == status else now
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
