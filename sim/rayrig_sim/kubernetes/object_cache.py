"""A local copy of one resource type, kept by list and watch, with handlers: the shared informer of the actors in this room.

Controllers that live in one process share a cache per resource (`ObjectCaches`), as those of a real controller manager do. Handlers
are plain functions called in the order of registration, with the causing trace event set as the actor's cause; they note what is to
be done and wake whoever does it. Nothing here polls: a closed watch is opened again from the last version, a lost history is listed
anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntFlag, auto
from typing import NamedTuple, TypeAlias, TypeVar, cast

from rayrig_core.errors import ApiError, Gone
from rayrig_core.objects import JsonObject, labels_of
from rayrig_core.ports import KubernetesClient, Runtime, Signal, Task, Watched, WatchStream, WatchType
from rayrig_core.resource_types import ResourceType

#: (type, the object before or None, the object now — the last state for DELETED —, trace event of the write).
ChangeHandler: TypeAlias = Callable[[WatchType, JsonObject | None, JsonObject, int | None], None]
Key: TypeAlias = tuple[str, str]
T = TypeVar("T")


class Part(IntFlag):
    """Parts of an object that a handler may ask for."""

    LABELS = auto()
    OWNERS = auto()
    FINALIZERS = auto()
    #: When it is to go, and its grace.
    DELETION = auto()
    SPEC = auto()
    STATUS = auto()


#: A handler that is told only when an object comes or goes.
NO_PART = Part(0)
_ALL_PARTS = sum(Part)

#: Pause before listing again after the API server refused, doubling up to the greatest. Source: client-go's reflector.
_FIRST_RETRY_S = 0.8
_LAST_RETRY_S = 30.0


class _Handler(NamedTuple):
    handler: ChangeHandler
    #: Of `Part`s and of the two bits below.
    mask: int
    controlled_by: str

    def is_concerned(self, changed: int, kind: str) -> bool:
        return bool(self.mask & changed) and (not kind or self.controlled_by in ("", kind))


#: An object comes or goes; it changes, in whatever part.
_COMES_OR_GOES, _CHANGES = 1 << 16, 1 << 17


class ObjectCache:
    """The objects of one resource as last seen. They are shared: change nothing, `copy_json` first."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        resource: ResourceType,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.resource = resource
        self._runtime = runtime
        self._client = client
        self._namespace = namespace
        self._selectors = (label_selector, field_selector)
        self._objects: dict[Key, JsonObject] = {}
        self._handlers: list[_Handler] = []
        #: Who is told of a change, by what changes and the kind that controls the object.
        self._told: dict[tuple[int, str], tuple[ChangeHandler, ...]] = {}
        self._is_choosy = False
        #: By label and value, for the labels somebody selects by.
        self._by_label: dict[str, dict[str, dict[Key, int]]] = {}
        self._numbers: dict[Key, int] = {}
        self._next_number = 0
        self._resource_version = ""
        #: Happens after the first complete list.
        self.synced: Signal[None] = runtime.signal()

    def on_change(self, handler: ChangeHandler, parts: Part | None = None, *, controlled_by: str = "") -> None:
        """Register a handler. Objects already here are handed to it as ADDED at once.

        With `parts` a change of an object (MODIFIED) is told only when one of them differs, or when it is another object by uid.
        With `controlled_by` nothing is told of objects whose one owner, before and after, is a controller of another kind.
        """
        mask = int(parts) | _COMES_OR_GOES if parts is not None else _COMES_OR_GOES | _CHANGES
        self._handlers.append(_Handler(handler, mask, controlled_by))
        self._told.clear()
        if parts is not None or controlled_by:
            self._is_choosy = True
        for obj in list(self._objects.values()):
            handler(WatchType.ADDED, None, obj, None)

    def get(self, name: str, namespace: str = "") -> JsonObject | None:
        return self._objects.get((namespace, name))

    @property
    def version(self) -> int:
        """Of the newest state that is in here; 0 before the first list."""
        return int(self._resource_version or 0)

    def __iter__(self) -> Iterator[JsonObject]:
        """Objects in the order in which they were first seen."""
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    # By label

    def selected(self, namespace: str, wanted: Mapping[str, str]) -> list[JsonObject]:
        """Objects of a namespace that have all these labels, of which there is at least one, in the order in which they were first
        seen. Only those that have the rarest of the labels are looked at."""
        homes = [self._labelled(label).get(value) or {} for label, value in wanted.items()]
        rarest = min(homes, key=len)
        found = [
            (number, key)
            for key, number in rarest.items()
            if key[0] == namespace
            and all(labels_of(self._objects[key]).get(label) == value for label, value in wanted.items())
        ]
        found.sort()
        return [self._objects[key] for _, key in found]

    def _labelled(self, label: str) -> dict[str, dict[Key, int]]:
        """Objects by the value they have for a label, each with its number in the order of the objects; kept from now on."""
        values = self._by_label.get(label)
        if values is None:
            if not self._numbers:
                self._numbers = {key: number for number, key in enumerate(self._objects)}
                self._next_number = len(self._numbers)
            values = self._by_label[label] = {}
            for key, obj in self._objects.items():
                value = labels_of(obj).get(label)
                if value is not None:
                    values.setdefault(value, {})[key] = self._numbers[key]
        return values

    def _keep_labels(self, key: Key, old: JsonObject | None, new: JsonObject | None) -> None:
        """An object is another now, new (`old` is None) or gone (`new` is None)."""
        if old is not None and new is not None and old["metadata"].get("labels") is new["metadata"].get("labels"):
            return
        if old is None:
            self._numbers[key] = self._next_number
            self._next_number += 1
        number = self._numbers[key]
        if new is None:
            del self._numbers[key]
        had, has = labels_of(old) if old is not None else {}, labels_of(new) if new is not None else {}
        if old is not None and new is not None and had == has:
            return
        for label, values in self._by_label.items():
            before, now = had.get(label), has.get(label)
            if before == now:
                continue
            if before is not None:
                objects = values[before]
                del objects[key]
                if not objects:
                    del values[before]
            if now is not None:
                values.setdefault(now, {})[key] = number

    async def run(self) -> None:
        """List and watch for ever. The actor's body."""
        relist = True
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                if relist:
                    await self._list()
                    relist = False
                    retry_s = _FIRST_RETRY_S
                label_selector, field_selector = self._selectors
                stream = await self._client.watch(
                    self.resource,
                    self._namespace,
                    resource_version=self._resource_version,
                    label_selector=label_selector,
                    field_selector=field_selector,
                )
                await self._follow(stream)
            except Gone:
                relist = True
            except ApiError:
                await self._runtime.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                relist = True

    async def _list(self) -> None:
        label_selector, field_selector = self._selectors
        answer = await self._client.list(
            self.resource, self._namespace, label_selector=label_selector, field_selector=field_selector
        )
        # What is there when somebody begins to look is news for whatever made them begin.
        cause = None if self._resource_version else self._runtime.cause
        present: dict[Key, JsonObject] = {}
        for item in answer.items:
            meta = item["metadata"]
            present[(meta.get("namespace", ""), meta["name"])] = item
        for key, old in list(self._objects.items()):
            now = present.get(key)
            if now is None or now["metadata"].get("uid") != old["metadata"].get("uid"):
                del self._objects[key]
                if self._by_label:
                    self._keep_labels(key, old, None)
                self._notify(WatchType.DELETED, old, old, None)
        for key, now in present.items():
            old_or_none = self._objects.get(key)
            self._objects[key] = now
            if self._by_label:
                self._keep_labels(key, old_or_none, now)
            if old_or_none is None:
                self._notify(WatchType.ADDED, None, now, cause)
            elif old_or_none["metadata"].get("resourceVersion") != now["metadata"].get("resourceVersion"):
                self._notify(WatchType.MODIFIED, old_or_none, now, None)
        self._resource_version = answer.resource_version
        self.synced.set(None)

    async def _follow(self, stream: WatchStream) -> None:
        try:
            await stream.deliver(self._take)
        finally:
            stream.close()

    def _take(self, event: Watched) -> None:
        obj, objects = event.object, self._objects
        meta = obj["metadata"]
        self._resource_version = meta.get("resourceVersion", self._resource_version)
        type_, cause = event.type, event.cause
        if type_ is WatchType.BOOKMARK:
            return
        self._runtime.cause = cause
        key = (meta.get("namespace", ""), meta["name"])
        if type_ is WatchType.DELETED:
            old = objects.pop(key, None)
            if old is not None:
                if self._by_label:
                    self._keep_labels(key, old, None)
                self._notify(type_, old, obj, cause)
            return
        old = objects.get(key)
        objects[key] = obj
        if self._by_label:
            self._keep_labels(key, old, obj)
        self._notify(WatchType.ADDED if old is None else WatchType.MODIFIED, old, obj, cause)

    def _notify(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        changed, kind = _COMES_OR_GOES, ""
        if self._is_choosy:
            kind = _controlling_kind(old, new)
            if old is not None and type_ is WatchType.MODIFIED:
                changed = _CHANGES | changed_parts(old, new)
        handlers = self._told.get((changed, kind))
        if handlers is None:
            handlers = self._told[changed, kind] = tuple(
                each.handler for each in self._handlers if each.is_concerned(changed, kind)
            )
        for handler in handlers:
            handler(type_, old, new, cause)


def _controlling_kind(old: JsonObject | None, new: JsonObject) -> str:
    """Of what alone owns an object and controls it, before a change and after it; empty when there is no such thing."""
    references = new["metadata"].get("ownerReferences")
    if not references or len(references) > 1 or not references[0].get("controller"):
        return ""
    before = old["metadata"].get("ownerReferences") if old is not None else references
    return str(references[0]["kind"]) if before is references or before == references else ""


def changed_parts(old: JsonObject, new: JsonObject) -> int:
    """Which `Part`s of an object differ between two revisions; all of them between two objects.

    A status is taken for another one unless it is the very same: statuses seldom come again.
    """
    before, now = old["metadata"], new["metadata"]
    if before.get("uid") != now.get("uid"):
        return _ALL_PARTS
    changed = 0
    for field, part in _METADATA_PARTS:
        was, value = before.get(field), now.get(field)
        if was is not value and was != value:
            changed |= part
    was, value = old.get("spec"), new.get("spec")
    if was is not value and was != value:
        changed |= _SPEC
    if old.get("status") is not new.get("status"):
        changed |= _STATUS
    return changed


# As plain numbers: flags are slow to combine.
_SPEC, _STATUS = int(Part.SPEC), int(Part.STATUS)
_METADATA_PARTS = (
    ("labels", int(Part.LABELS)),
    ("ownerReferences", int(Part.OWNERS)),
    ("finalizers", int(Part.FINALIZERS)),
    ("deletionTimestamp", int(Part.DELETION)),
    ("deletionGracePeriodSeconds", int(Part.DELETION)),
)


class ObjectCaches:
    """The caches that the controllers of one process share, one for each resource type."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, *, component: str) -> None:
        self.component = component
        self._runtime = runtime
        self._client = client
        self._caches: dict[ResourceType, ObjectCache] = {}
        self._actors: dict[ResourceType, Task[None]] = {}
        self._shared: dict[object, object] = {}

    def of(self, resource: ResourceType) -> ObjectCache:
        """The cache of that type; its actor is started with the first call."""
        cache = self._caches.get(resource)
        if cache is None:
            cache = self._caches[resource] = ObjectCache(self._runtime, self._client, resource)
            self._actors[resource] = self._runtime.spawn(f"{self.component}/watch/{resource}", cache.run())
        return cache

    def shared(self, make: Callable[[ObjectCaches], T]) -> T:
        """What `make` made of these caches when it was first asked for: an index that several controllers read."""
        found = self._shared.get(make)
        if found is None:
            found = self._shared[make] = make(self)
        return cast(T, found)

    def drop(self, resource: ResourceType) -> None:
        """End the cache of a type that is no longer served; what waits for its first list goes on."""
        cache = self._caches.pop(resource, None)
        if cache is not None:
            self._actors.pop(resource).cancel()
            cache.synced.set(None)

    async def wait_synced(self) -> None:
        """Continue when every cache asked for so far has its first list."""
        for cache in list(self._caches.values()):
            if not cache.synced.is_set:
                await cache.synced
