"""The client reconcilers use: reads come from informer caches, writes go to the API server (controller-runtime's split client).

A resource read for the first time gets an informer then, and the reader waits for its first list; later reads take no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rayrig_controllers.informer import Informer
from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, namespace_of
from rayrig_core.ports import KubernetesClient, PropagationPolicy, Runtime, Task
from rayrig_core.resource_types import ResourceType

_NO_LABELS: dict[str, str] = {}


class InformerCache:
    """The informers of one operator process, one per resource type, shared by its controllers.

    `selectors`: which objects of a resource the operator keeps at all (label selector by resource).
    """

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        *,
        namespace: str = "",
        selectors: Mapping[ResourceType, str] | None = None,
        indexed_labels: Iterable[str] = (),
        actor: str = "operator",
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._namespace = namespace
        self._selectors = dict(selectors or {})
        self._indexed_labels = tuple(indexed_labels)
        self._actor = actor
        self._informers: dict[ResourceType, Informer] = {}
        self._tasks: dict[ResourceType, Task[None]] = {}

    def informer(self, resource: ResourceType, *, is_optional: bool = False) -> Informer:
        """The informer of a resource, started if there is none. An optional one gives up when the server has no such resource."""
        informer = self._informers.get(resource)
        if informer is None:
            informer = self._informers[resource] = Informer(
                self._runtime,
                self._client,
                resource,
                self._namespace,
                self._selectors.get(resource, ""),
                indexed_labels=self._indexed_labels,
                gives_up_when_unserved=is_optional,
            )
            self._tasks[resource] = self._runtime.spawn(f"{self._actor}/informer/{resource}", informer.run())
        return informer

    @property
    def version(self) -> int:
        """Grows with each change in any of them; equal versions of one process show the same objects."""
        return sum(informer.version for informer in self._informers.values()) + len(self._informers)

    def ready(self, resource: ResourceType) -> Informer | None:
        """The informer of a resource if it has its first list."""
        informer = self._informers.get(resource)
        return informer if informer is not None and informer.has_synced and not informer.has_given_up else None

    async def synced(self, resource: ResourceType) -> Informer:
        """The informer of a resource once it has its first list. Raises `NotFound` when the server has no such resource."""
        informer = self.informer(resource, is_optional=True)
        error = await informer.synced
        if error is not None:
            # Forget it, so that the next read looks again: the resource may have been installed meanwhile.
            if self._informers.get(resource) is informer:
                del self._informers[resource], self._tasks[resource]
            raise error
        return informer

    def tasks(self) -> list[Task[None]]:
        """The informers' actors."""
        return list(self._tasks.values())


class CachedClient:
    """What one controller reads and writes with (the write half of port `KubernetesClient`; reads by `find`, `select`, `get`).

    Objects read are shared with the cache: copy (`copy_json`) before changing. `writes` counts attempted writes.
    """

    def __init__(self, cache: InformerCache, client: KubernetesClient) -> None:
        self.cache = cache
        self._live = client
        self.writes = 0
        #: How often the server was turned to, for writes or reads.
        self.calls = 0

    @property
    def live(self) -> KubernetesClient:
        """The server, for reads that must not come from the cache."""
        self.calls += 1
        return self._live

    # Reads, from the cache

    async def find(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject | None:
        """The cached object, or None."""
        return (await self._informer(resource)).get(name, namespace)

    async def select(
        self, resource: ResourceType, namespace: str = "", labels: Mapping[str, str] = _NO_LABELS
    ) -> list[JsonObject]:
        """Cached objects with these labels, in order of first appearance."""
        return (await self._informer(resource)).select(namespace, labels)

    async def get(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject:
        """The cached object. Raises `NotFound`."""
        found = await self.find(resource, name, namespace)
        if found is None:
            # The cache of the real one calls it by its kind.
            kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
            raise NotFound(
                {
                    "kind": "Status",
                    "status": "Failure",
                    "code": 404,
                    "reason": "NotFound",
                    "message": f'{kind} "{name}" not found',
                }
            )
        return found

    async def owned_by(self, resource: ResourceType, uid: str) -> list[JsonObject]:
        """Cached objects whose controller has that uid."""
        return (await self._informer(resource)).owned_by(uid)

    async def _informer(self, resource: ResourceType) -> Informer:
        informer = self.cache.ready(resource)
        return informer if informer is not None else await self.cache.synced(resource)

    # Writes, straight to the server

    async def create(self, resource: ResourceType, obj: JsonObject) -> JsonObject:
        self.writes += 1
        return await self.live.create(resource, obj, namespace_of(obj))

    async def update(self, resource: ResourceType, obj: JsonObject, *, subresource: str = "") -> JsonObject:
        self.writes += 1
        return await self.live.update(resource, obj, subresource=subresource)

    async def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str = "",
        *,
        propagation_policy: PropagationPolicy | None = None,
    ) -> None:
        self.writes += 1
        await self.live.delete(resource, name, namespace, propagation_policy=propagation_policy)

    async def delete_collection(self, resource: ResourceType, namespace: str, *, label_selector: str) -> None:
        self.writes += 1
        await self.live.delete_collection(resource, namespace, label_selector=label_selector)
