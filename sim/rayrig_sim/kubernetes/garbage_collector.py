"""The garbage collector: objects without owners left are deleted; owners that wait for dependents, or orphan them, are let go.

It follows the resource types it is given, keeps who owns whom by uid, and works only when something was deleted or an object came
whose owner it doesn't know. Source: kubernetes-api.md 7, K8-060.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from rayrig_core.errors import ApiError, Conflict, NotFound
from rayrig_core.objects import JsonObject, is_being_deleted, uid_of
from rayrig_core.ports import KubernetesClient, Preconditions, PropagationPolicy, Runtime, WatchType
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.object_cache import ObjectCaches, Part
from rayrig_sim.kubernetes.ownership import (
    FOREGROUND_FINALIZER,
    ORPHAN_FINALIZER,
    OwnedObject,
    OwnerReference,
    Ownership,
    Step,
    judge,
    without_references,
)

_FIRST_RETRY_NS = 1 * NS


class GarbageCollector:
    """Works in the handlers of its caches; starts an actor per object that is to be looked at."""

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
        """`resources` are all types whose objects may own or be owned; they must be served."""
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._delay = delay
        self._rng = rng
        self._ownership = Ownership()
        self._by_kind: dict[tuple[str, str], ResourceType] = {}
        self._queued: dict[str, None] = {}
        self._dirty: dict[str, None] = {}
        for resource in resources:
            self.follow(resource)

    def follow(self, resource: ResourceType) -> None:
        """One more type whose objects may own or be owned."""
        self._by_kind[resource.api_version, resource.kind] = resource
        parts = Part.OWNERS | Part.FINALIZERS | Part.DELETION
        self._caches.of(resource).on_change(partial(self._on_change, resource), parts)

    def forget(self, resource: ResourceType) -> None:
        """The type is no longer served."""
        self._by_kind.pop((resource.api_version, resource.kind), None)

    # Watching

    def _on_change(
        self,
        resource: ResourceType,
        type_: WatchType,
        old: JsonObject | None,
        new: JsonObject,
        cause: int | None,
    ) -> None:
        if type_ is WatchType.DELETED:
            self._on_gone(uid_of(new))
            return
        if old is not None and uid_of(old) != uid_of(new):
            self._on_gone(uid_of(old))
        node = self._ownership.put(resource, new)
        if node.waits_for_dependents:
            for dependent in list(node.dependents.values()):
                self._look_at(dependent)
            self._look_at(node)
        elif node.orphans_dependents or self._needs_look(node):
            self._look_at(node)

    def _needs_look(self, node: OwnedObject) -> bool:
        for reference in node.owners:
            owner = self._ownership.owner_of(node, reference)
            if owner is None or owner.waits_for_dependents:
                return True
        return False

    def _on_gone(self, uid: str) -> None:
        node = self._ownership.get(uid)
        owners = node.owners if node is not None else ()
        for dependent in self._ownership.remove(uid):
            self._look_at(dependent)
        for reference in owners:
            owner = self._ownership.get(reference.uid)
            if owner is not None and owner.waits_for_dependents:
                self._look_at(owner)

    def _look_at(self, node: OwnedObject) -> None:
        if node.uid in self._queued:
            self._dirty[node.uid] = None
            return
        self._queued[node.uid] = None
        self._runtime.spawn("generic-garbage-collector", self._process(node))

    # Working

    async def _process(self, node: OwnedObject) -> None:
        runtime = self._runtime
        failures = 0
        try:
            while True:
                await runtime.sleep(self._delay.draw_ns(self._rng) / NS)
                await self._caches.wait_synced()
                self._dirty.pop(node.uid, None)
                if self._ownership.get(node.uid) is not node:
                    return
                try:
                    await self._settle(node)
                    failures = 0
                except NotFound:
                    return
                except ApiError as error:
                    if not isinstance(error, Conflict):
                        await runtime.sleep(min(_FIRST_RETRY_NS << failures, 60 * NS) / NS)
                        failures += 1
                    continue
                if node.uid not in self._dirty:
                    return
        finally:
            self._queued.pop(node.uid, None)

    async def _settle(self, node: OwnedObject) -> None:
        if node.waits_for_dependents:
            if not node.blocking_dependents():
                await self._drop_finalizer(node, FOREGROUND_FINALIZER)
            return
        if node.orphans_dependents:
            for dependent in list(node.dependents.values()):
                await self._drop_references(dependent, (node.uid,))
            await self._drop_finalizer(node, ORPHAN_FINALIZER)
            return
        if node.is_deleting:
            return
        owners = [(reference, await self._find_owner(node, reference)) for reference in node.owners]
        verdict = judge(node, owners)
        if verdict.step is Step.KEEP:
            return
        if verdict.step is Step.DROP_REFERENCES:
            await self._drop_references(node, verdict.dead)
            return
        policy: PropagationPolicy = "Foreground" if verdict.step is Step.DELETE_FOREGROUND else "Background"
        if verdict.step is Step.DELETE:
            policy = _policy_of(node)
        await self._client.delete(
            node.resource,
            node.name,
            node.namespace,
            propagation_policy=policy,
            preconditions=Preconditions(uid=node.uid),
        )

    async def _find_owner(self, node: OwnedObject, reference: OwnerReference) -> OwnedObject | None:
        """The owner, asked of the server when it isn't known: it may be of a type that is not followed, or newer than the watch."""
        owner = self._ownership.owner_of(node, reference)
        if owner is not None:
            return owner
        resource = self._by_kind.get((reference.api_version, reference.kind))
        if resource is None:
            # Nobody can tell whether it exists: as with a type that is not served, the object stays.
            return OwnedObject(reference.uid, node.resource, node.namespace, reference.name)
        namespace = node.namespace if resource.namespaced else ""
        if resource.namespaced and not namespace:
            return OwnedObject(reference.uid, resource, "", reference.name)
        try:
            found = await self._client.get(resource, reference.name, namespace)
        except NotFound:
            return None
        if uid_of(found) != reference.uid:
            return None
        return self._ownership.get(reference.uid) or self._ownership.put(resource, found)

    async def _drop_references(self, node: OwnedObject, dead: Sequence[str]) -> None:
        try:
            obj = await self._client.get(node.resource, node.name, node.namespace)
        except NotFound:
            return
        if uid_of(obj) != node.uid:
            return
        left = without_references(obj, dead)
        if len(left) == len(obj["metadata"].get("ownerReferences") or ()):
            return
        body = {
            "metadata": {
                "uid": node.uid,
                "resourceVersion": obj["metadata"]["resourceVersion"],
                "ownerReferences": left or None,
            }
        }
        await self._client.patch(node.resource, node.name, body, node.namespace, patch_type="merge")

    async def _drop_finalizer(self, node: OwnedObject, finalizer: str) -> None:
        obj = await self._client.get(node.resource, node.name, node.namespace)
        if uid_of(obj) != node.uid or not is_being_deleted(obj):
            return
        left = [entry for entry in obj["metadata"].get("finalizers") or () if entry != finalizer]
        body = {
            "metadata": {
                "uid": node.uid,
                "resourceVersion": obj["metadata"]["resourceVersion"],
                "finalizers": left or None,
            }
        }
        await self._client.patch(node.resource, node.name, body, node.namespace, patch_type="merge")


def _policy_of(node: OwnedObject) -> PropagationPolicy:
    """An object that already carries a finalizer of a policy is deleted by that policy."""
    if ORPHAN_FINALIZER in node.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND_FINALIZER in node.finalizers else "Background"
