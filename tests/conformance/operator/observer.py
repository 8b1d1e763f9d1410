"""What a watcher of the API sees: objects by kind in their order of appearance, and when something last changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import ResourceType

#: (what happened, kind, object)
Listener: TypeAlias = Callable[[WatchType, str, JsonObject], None]


class Observer:
    """Follows some resources of one namespace. Objects are shared: not to be changed."""

    def __init__(self, runtime: Runtime, namespace: str) -> None:
        self._runtime = runtime
        self._namespace = namespace
        self._objects: dict[str, dict[str, JsonObject]] = {}
        self._rank: dict[str, int] = {}
        self.appeared: list[tuple[str, JsonObject]] = []
        self.listeners: list[Listener] = []
        #: Events seen so far, and when the last one that is no Event came (None: none yet).
        self.seen = 0
        self.changed_ns: int | None = None

    def start(self, client: KubernetesClient, resources: tuple[ResourceType, ...]) -> None:
        for resource in resources:
            self._runtime.spawn(f"observer/{resource.plural}", self._follow(client, resource))

    async def _follow(self, client: KubernetesClient, resource: ResourceType) -> None:
        stream = await client.watch(resource)
        while True:
            event = await stream.next()
            if event.type is not WatchType.BOOKMARK and namespace_of(event.object) == self._namespace:
                self._take(event.type, resource.kind, event.object)

    def _take(self, change: WatchType, kind: str, obj: JsonObject) -> None:
        present = self._objects.setdefault(kind, {})
        if change is WatchType.DELETED:
            present.pop(name_of(obj), None)
        else:
            if uid_of(obj) not in self._rank:
                self._rank[uid_of(obj)] = len(self._rank)
                self.appeared.append((kind, obj))
            present[name_of(obj)] = obj
        self.seen += 1
        if kind != "Event":
            self.changed_ns = self._runtime.unix_ns()
        for listener in self.listeners:
            listener(change, kind, obj)

    def get(self, kind: str, name: str) -> JsonObject | None:
        return self._objects.get(kind, {}).get(name)

    def list(self, kind: str) -> list[JsonObject]:
        """Present objects, oldest first."""
        return sorted(self._objects.get(kind, {}).values(), key=lambda obj: self._rank[uid_of(obj)])
