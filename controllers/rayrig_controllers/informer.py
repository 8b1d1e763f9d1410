"""A cache of one resource type, kept by list and watch, with indexes and handlers (controller-runtime's informer).

What it shows lags behind the API server by as long as the watch takes to deliver, also behind the controller's own writes
(kuberay-operator 0.3.11, 0.3.14). Cached objects are shared and must not be changed: take `copy_json` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from rayrig_core.errors import ApiError, Gone, NotFound
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, controller_of, key_of
from rayrig_core.ports import KubernetesClient, Runtime, Signal, WatchType
from rayrig_core.resource_types import ResourceType
from rayrig_core.trace import Kind

Key: TypeAlias = tuple[str, str]
#: Called with (type, object before, object now): one of them is None for ADDED and DELETED.
Handler: TypeAlias = Callable[[WatchType, JsonObject | None, JsonObject | None], None]

#: Pauses between attempts to list or watch when the server refuses.
FIRST_RETRY_S = 0.8
LAST_RETRY_S = 30.0

_NO_OBJECTS: dict[Key, JsonObject] = {}
_NO_LABELS: dict[str, str] = {}

#: Stands for the uid of the controller where an index otherwise has a label key.
_OWNER = ""


class Informer:
    """Shared, read-only cache of the objects of a resource, in order of first appearance.

    `indexed_labels`: label keys for which `select` need not look at every object.
    """

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        resource: ResourceType,
        namespace: str = "",
        label_selector: str = "",
        *,
        indexed_labels: Iterable[str] = (),
        gives_up_when_unserved: bool = False,
    ) -> None:
        self.resource = resource
        self.synced: Signal[ApiError | None] = runtime.signal()
        self._runtime = runtime
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._indexed_labels = tuple(indexed_labels)
        self._gives_up_when_unserved = gives_up_when_unserved
        self._objects: dict[Key, JsonObject] = {}
        self.has_given_up = False
        #: Grows with each change of what is read here.
        self.version = 0
        self._indexes: dict[tuple[str, str], dict[Key, JsonObject]] = {}
        self._handlers: list[Handler] = []

    # Reading

    @property
    def has_synced(self) -> bool:
        """The first list has arrived."""
        return self.synced.is_set

    def get(self, name: str, namespace: str = "") -> JsonObject | None:
        return self._objects.get((namespace, name))

    def select(self, namespace: str = "", labels: Mapping[str, str] = _NO_LABELS) -> list[JsonObject]:
        """Objects with these labels, in all namespaces when `namespace` is empty."""
        found: Mapping[Key, JsonObject] = self._objects
        for key in self._indexed_labels:
            if key in labels:
                found = self._indexes.get((key, labels[key]), _NO_OBJECTS)
                break
        wanted = labels.items()
        result = []
        for (its_namespace, _), obj in found.items():
            if namespace and its_namespace != namespace:
                continue
            if wanted:
                has = obj["metadata"].get("labels") or _NO_LABELS
                if any(has.get(key) != value for key, value in wanted):
                    continue
            result.append(obj)
        return result

    def owned_by(self, uid: str) -> list[JsonObject]:
        """Objects whose controller has that uid."""
        return list(self._indexes.get((_OWNER, uid), _NO_OBJECTS).values())

    def __len__(self) -> int:
        return len(self._objects)

    # Telling

    def add_handler(self, handler: Handler) -> None:
        """Call `handler` at every change from now on, and at once for each object already here."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(WatchType.ADDED, None, obj)

    # Following

    async def run(self) -> None:
        """The informer's actor: list, watch, list again when the history is lost. Ends only when it is cancelled.

        With `gives_up_when_unserved`, a first list answered 404 (no such resource) ends it, and `synced` carries the error.
        """
        pause_s = FIRST_RETRY_S
        while True:
            try:
                listing = await self._client.list(self.resource, self._namespace, label_selector=self._label_selector)
            except (ApiError, HttpFailure) as error:
                if self._gives_up_when_unserved and not self.has_synced and isinstance(error, NotFound):
                    self.has_given_up = True
                    self.synced.set(error)
                    return
                await self._runtime.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_RETRY_S)
                continue
            pause_s = FIRST_RETRY_S
            self._replace(listing.items)
            self.synced.set(None)
            try:
                await self._follow(listing.resource_version)
            except Gone:
                self._runtime.trace.emit(Kind.NOTE, f"informers/{self.resource}", "watch expired, listing again")

    async def _follow(self, resource_version: str) -> None:
        """Apply watch events for ever; a watch closed by the server is opened anew. Raises `Gone`."""
        runtime, pause_s = self._runtime, FIRST_RETRY_S
        while True:
            opened_ns = runtime.monotonic_ns()
            try:
                stream = await self._client.watch(
                    self.resource,
                    self._namespace,
                    resource_version=resource_version,
                    label_selector=self._label_selector,
                )
                try:
                    while True:
                        event = await stream.next()
                        pause_s = FIRST_RETRY_S
                        obj = event.object
                        resource_version = obj["metadata"].get("resourceVersion") or resource_version
                        if event.type is not WatchType.BOOKMARK:
                            runtime.cause = event.cause
                            self._apply(event.type, obj)
                finally:
                    stream.close()
            except StopAsyncIteration:
                if runtime.monotonic_ns() > opened_ns:
                    continue
                # Closed as soon as opened: treat as a refusal, or this would spin.
                await runtime.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_RETRY_S)
            except Gone:
                raise
            except (ApiError, HttpFailure):
                await runtime.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_RETRY_S)

    def _apply(self, kind: WatchType, obj: JsonObject) -> None:
        key = key_of(obj)
        self.version += 1
        before = self._objects.get(key)
        if kind is WatchType.DELETED:
            if before is None:
                return
            del self._objects[key]
            self._index(key, before, None)
            self._tell(WatchType.DELETED, obj, None)
            return
        self._objects[key] = obj
        self._index(key, before, obj)
        self._tell(WatchType.ADDED if before is None else WatchType.MODIFIED, before, obj)

    def _replace(self, items: list[JsonObject]) -> None:
        """Make the cache what a list said; tell the differences."""
        now = {key_of(obj): obj for obj in items}
        for key, obj in list(self._objects.items()):
            if key not in now:
                self._apply(WatchType.DELETED, obj)
        for key, obj in now.items():
            before = self._objects.get(key)
            if before is None or before["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
                self._apply(WatchType.MODIFIED, obj)

    def _index(self, key: Key, before: JsonObject | None, now: JsonObject | None) -> None:
        new_values = self._index_values(now)
        for value in self._index_values(before):
            if value not in new_values:
                bucket = self._indexes.get(value)
                if bucket is not None:
                    bucket.pop(key, None)
                    if not bucket:
                        del self._indexes[value]
        if now is not None:
            for value in new_values:
                self._indexes.setdefault(value, {})[key] = now

    def _index_values(self, obj: JsonObject | None) -> list[tuple[str, str]]:
        if obj is None:
            return []
        values: list[tuple[str, str]] = []
        if self._indexed_labels:
            labels = obj["metadata"].get("labels") or _NO_LABELS
            values = [(label, labels[label]) for label in self._indexed_labels if label in labels]
        owner = controller_of(obj)
        if owner is not None:
            values.append((_OWNER, owner.get("uid", "")))
        return values

    def _tell(self, kind: WatchType, before: JsonObject | None, now: JsonObject | None) -> None:
        for handler in self._handlers:
            handler(kind, before, now)
