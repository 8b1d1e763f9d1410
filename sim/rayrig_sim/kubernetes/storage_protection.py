"""Claims in use by a pod that has a node, and volumes that are bound, are not removed until they are free.

The API server gives each a finalizer; here it is taken off. Source: Kubernetes, "Persistent Volumes" (storage object in use
protection).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, is_being_deleted, key_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, ResourceType
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import NO_PART, Key, ObjectCaches


class _Protection:
    """Takes a finalizer off objects of one type that are being deleted, once `is_free` says so."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        component: str,
        resource: ResourceType,
        finalizer: str,
        is_free: Callable[[JsonObject], Awaitable[bool]],
    ) -> None:
        self._client = client
        self._resource = resource
        self._finalizer = finalizer
        self._is_free = is_free
        self._cache = caches.of(resource)
        self.work = KeyedWork(runtime, caches, component, self._sync)
        self._cache.on_change(self._on_change)

    def _on_change(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is not WatchType.DELETED and self._holds(new):
            self.work.touch(key_of(new), cause)

    def _holds(self, obj: JsonObject) -> bool:
        return is_being_deleted(obj) and self._finalizer in (obj["metadata"].get("finalizers") or ())

    async def _sync(self, key: Key) -> None:
        cached = self._cache.get(key[1], key[0])
        if cached is None or not self._holds(cached) or not await self._is_free(cached):
            return
        try:
            current = await self._client.get(self._resource, key[1], key[0])
            if self._holds(current):
                metadata = dict(current["metadata"])
                metadata["finalizers"] = [each for each in metadata["finalizers"] if each != self._finalizer]
                await self._client.update(self._resource, {**current, "metadata": metadata})
        except NotFound:
            return


class ClaimProtection:
    """Works in the handlers of its caches."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        self._client = client
        self._pods = caches.of(POD)
        self._protection = _Protection(
            runtime,
            client,
            caches,
            "pvc-protection-controller",
            PERSISTENT_VOLUME_CLAIM,
            "kubernetes.io/pvc-protection",
            self._is_free,
        )
        self._pods.on_change(self._on_pod, NO_PART)

    async def _is_free(self, claim: JsonObject) -> bool:
        key = key_of(claim)
        if _is_used(key, self._pods):
            return False
        # A cache may not know yet.
        return not _is_used(key, (await self._client.list(POD, key[0])).items)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            for key in _claims_of(new):
                self._protection.work.touch(key, cause)


class VolumeProtection:
    """Works in the handlers of its cache."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        self._protection = _Protection(
            runtime,
            client,
            caches,
            "pv-protection-controller",
            PERSISTENT_VOLUME,
            "kubernetes.io/pv-protection",
            _is_not_bound,
        )


async def _is_not_bound(volume: JsonObject) -> bool:
    return (volume.get("status") or {}).get("phase") != "Bound"


def _is_used(claim: Key, pods: Iterable[JsonObject]) -> bool:
    return any((pod.get("spec") or {}).get("nodeName") and claim in _claims_of(pod) for pod in pods)


def _claims_of(pod: JsonObject) -> list[Key]:
    namespace = namespace_of(pod)
    return [
        (namespace, volume["persistentVolumeClaim"].get("claimName") or "")
        for volume in (pod.get("spec") or {}).get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]
