"""The namespace controller: what is in a namespace that is being deleted goes first, its pods before all else; then its finalizer.

Five conditions tell what is left. Source: kubernetes-api.md 7, K8-062; Kubernetes, "Namespaces" (ordered deletion).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeAlias

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, condition_of, is_being_deleted, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, Signal, WatchType
from rayrig_core.resource_types import NAMESPACE, POD, ResourceType
from rayrig_core.timestamps import NS, rfc3339
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.object_cache import ObjectCaches, Part

_FINALIZER = "kubernetes"
_FIRST_RETRY_NS = 1 * NS
_Left: TypeAlias = list[tuple[ResourceType, list[JsonObject]]]


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
            self._caches.of(resource).on_change(self._on_object, Part.FINALIZERS)

    def forget(self, resource: ResourceType) -> None:
        """The type is no longer served."""
        if resource in self._resources:
            self._resources.remove(resource)

    def _on_namespace(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        name = name_of(new)
        if type_ is not WatchType.DELETED and is_being_deleted(new) and name not in self._wakes:
            self._wakes[name] = self._runtime.signal()
            self._runtime.spawn("namespace-controller", self._terminate(name, uid_of(new)))

    def _on_object(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        wake = self._wakes.get(namespace_of(new))
        if wake is not None:
            wake.set(None)

    async def _terminate(self, name: str, uid: str) -> None:
        failures = 0
        try:
            while True:
                await self._runtime.sleep(self._delay.draw_ns(self._rng) / NS)
                self._wakes[name] = self._runtime.signal()
                try:
                    pods, left = await self._delete_contents(name)
                    namespace = await self._client.get(NAMESPACE, name)
                    if uid_of(namespace) != uid or not is_being_deleted(namespace):
                        return
                    namespace = await self._tell(namespace, left)
                    if not pods and not left:
                        await self._finalize(namespace)
                        return
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

    async def _delete_contents(self, name: str) -> tuple[_Left, _Left]:
        """Ask for everything to be deleted; the pods and the rest that are still there.

        As long as there are pods nothing else is touched, and the conditions do not speak of them.
        """
        pods = await self._delete_all(name, [each for each in self._resources if each == POD])
        rest = [] if pods else await self._delete_all(name, [each for each in self._resources if each != POD])
        return pods, rest

    async def _delete_all(self, name: str, resources: Sequence[ResourceType]) -> _Left:
        left: _Left = []
        for resource in resources:
            found = (await self._client.list(resource, name)).items
            if not found:
                continue
            if not all(is_being_deleted(obj) for obj in found):
                await self._client.delete_collection(resource, name)
                found = (await self._client.list(resource, name)).items
            if found:
                left.append((resource, found))
        return left

    async def _tell(self, namespace: JsonObject, left: _Left) -> JsonObject:
        """Bring the conditions up to date; the namespace as it is then."""
        remaining = sorted(f"{each.plural}.{each.group} has {len(found)} resource instances" for each, found in left)
        holders: dict[str, int] = {}
        for _, objects in left:
            for obj in objects:
                for finalizer in _finalizers_of(obj):
                    holders[finalizer] = holders.get(finalizer, 0) + 1
        held = sorted(f"{finalizer} in {count} resource instances" for finalizer, count in holders.items())
        problems = {
            "NamespaceContentRemaining": ("SomeResourcesRemain", "Some resources are remaining: ", remaining),
            "NamespaceFinalizersRemaining": (
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: ",
                held,
            ),
        }
        now = rfc3339(self._runtime.unix_ns())
        conditions: list[JsonObject] = []
        for kind, (reason, message) in _WHEN_FALSE.items():
            value = "False"
            if kind in problems and problems[kind][2]:
                reason, message = problems[kind][0], problems[kind][1] + ", ".join(problems[kind][2])
                value = "True"
            before = condition_of(namespace, kind)
            since = now
            if before is not None and before.get("status") == value:
                since = before.get("lastTransitionTime") or now
            conditions.append(
                {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
            )
        status = {**(namespace.get("status") or {}), "conditions": conditions}
        if status == namespace.get("status"):
            return namespace
        return await self._client.update(NAMESPACE, {**namespace, "status": status}, subresource="status")

    async def _finalize(self, namespace: JsonObject) -> None:
        left = [entry for entry in (namespace.get("spec") or {}).get("finalizers") or () if entry != _FINALIZER]
        body = {**namespace, "spec": {**(namespace.get("spec") or {}), "finalizers": left}}
        await self._client.update(NAMESPACE, body, subresource="finalize")


#: The conditions in their order, with reason and message of when nothing is wrong.
_WHEN_FALSE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


def _finalizers_of(obj: JsonObject) -> list[str]:
    return obj["metadata"].get("finalizers") or []
