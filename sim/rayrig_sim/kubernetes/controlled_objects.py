"""The objects of one type by who controls them, never older than what this process wrote itself.

A cache lags behind: without its own writes a controller would create a pod twice. So what a write answered is kept here until the
watch has shown it. Source: the expectations of the real controllers serve the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, controller_of, is_being_deleted, key_of, labels_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, WatchType
from rayrig_core.resource_types import ResourceType
from rayrig_sim.kubernetes.object_cache import Key, ObjectCache, ObjectCaches
from rayrig_sim.kubernetes.selectors import LabelSelector

#: Told of an object by its key, as it was before a change and as it is after it; None where it is not there.
Observer: TypeAlias = Callable[[Key, JsonObject | None, JsonObject | None], None]


class ControlledObjects:
    """An index beside a cache. The objects are shared: `copy_json` before a change."""

    def __init__(self, caches: ObjectCaches, resource: ResourceType) -> None:
        self.resource = resource
        self._cache: ObjectCache = caches.of(resource)
        #: Objects as this process wrote them, which the cache has not seen yet.
        self._ahead: dict[Key, JsonObject] = {}
        self._by_owner: dict[str, dict[Key, None]] = {}
        self._orphans: dict[str, dict[Key, None]] = {}
        #: Objects whose removal was answered and not seen yet.
        self._removed: dict[str, None] = {}
        self._observers: list[Observer] = []
        self._cache.on_change(self._on_change)

    def observe(self, observer: Observer) -> None:
        """Call `observer` with each change from now on, whether it was seen or is this process's own."""
        self._observers.append(observer)

    def get(self, key: Key) -> JsonObject | None:
        found = self._ahead.get(key) if self._ahead else None
        if found is None:
            found = self._cache.get(key[1], key[0])
            if found is not None and self._removed and uid_of(found) in self._removed:
                return None
        return found

    def within(self, namespace: str) -> list[JsonObject]:
        """All of a namespace, in the order in which they were seen, then those not seen yet."""
        keys = {key_of(obj): None for obj in self._cache if namespace_of(obj) == namespace}
        keys |= {key: None for key in self._ahead if key[0] == namespace}
        return self._found(keys)

    def of(self, owner_uid: str) -> list[JsonObject]:
        """What is controlled by that object, in the order in which it came."""
        return self._found(self._by_owner.get(owner_uid))

    def orphans(self, namespace: str) -> list[JsonObject]:
        """What nothing controls."""
        return self._found(self._orphans.get(namespace))

    def has_orphans(self, namespace: str) -> bool:
        """Whether there is anything that nothing controls."""
        return namespace in self._orphans

    def _found(self, keys: dict[Key, None] | None) -> list[JsonObject]:
        return [obj for key in keys or () if (obj := self.get(key)) is not None]

    def wrote(self, obj: JsonObject) -> None:
        """A write of this process answered so."""
        version, key = _version(obj), key_of(obj)
        current = self.get(key)
        if version > self._cache.version and (current is None or _version(current) <= version):
            self._ahead[key] = obj
            self._put(key, current, obj)

    def removed(self, obj: JsonObject) -> None:
        """A deletion of this process answered that the object is gone."""
        key, uid = key_of(obj), uid_of(obj)
        known, cached = self.get(key), self._cache.get(key[1], key[0])
        if cached is not None and uid_of(cached) == uid:
            self._removed[uid] = None
        if known is not None and uid_of(known) == uid:
            self._ahead.pop(key, None)
            self._drop(key, known)

    def _on_change(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        current = self._ahead.get(key) if self._ahead else None
        if current is None:
            current = old
            if old is not None and self._removed and uid_of(old) in self._removed:
                # It was dropped when the removal was answered.
                current = None
        if type_ is WatchType.DELETED:
            self._removed.pop(uid_of(new), None)
            if current is not None and uid_of(current) == uid_of(new):
                self._ahead.pop(key, None)
                self._drop(key, current)
        elif self._removed and uid_of(new) in self._removed:
            return
        elif current is None or current is old:
            self._put(key, current, new)
        elif _version(current) <= _version(new):
            del self._ahead[key]
            if _version(current) < _version(new):
                self._put(key, current, new)

    def _put(self, key: Key, before: JsonObject | None, obj: JsonObject) -> None:
        for observer in self._observers:
            observer(key, before, obj)
        if before is not None and same_owners(before, obj):
            return
        owner = controller_of(obj)
        if before is not None:
            had = controller_of(before)
            if (had or {}).get("uid") == (owner or {}).get("uid"):
                return
            self._unlink(key, had)
        if owner is None:
            self._orphans.setdefault(key[0], {})[key] = None
        else:
            self._by_owner.setdefault(owner["uid"], {})[key] = None

    def _drop(self, key: Key, known: JsonObject) -> None:
        self._unlink(key, controller_of(known))
        for observer in self._observers:
            observer(key, known, None)

    def _unlink(self, key: Key, owner: JsonObject | None) -> None:
        index, group = (self._orphans, key[0]) if owner is None else (self._by_owner, owner["uid"])
        members = index.get(group, {})
        members.pop(key, None)
        if not members:
            index.pop(group, None)

    # Adoption

    async def claim(
        self,
        client: KubernetesClient,
        owner: JsonObject,
        owner_type: ResourceType,
        selector: LabelSelector,
        is_wanted: Callable[[JsonObject], bool] = lambda obj: True,
    ) -> list[JsonObject]:
        """What the owner controls now: orphans that its selector finds are adopted, what it no longer finds is released."""
        uid = uid_of(owner)
        claimed: list[JsonObject] = []
        for obj in self.of(uid):
            if selector.matches(labels_of(obj)) and is_wanted(obj):
                claimed.append(obj)
            elif not is_being_deleted(owner):
                body = {"uid": uid_of(obj), "ownerReferences": [{"$patch": "delete", "uid": uid}]}
                await self._relate(client, obj, body)
        if is_being_deleted(owner):
            return claimed
        found = [obj for obj in self.orphans(namespace_of(owner)) if selector.matches(labels_of(obj))]
        found = [obj for obj in found if not is_being_deleted(obj) and is_wanted(obj)]
        if not found:
            return claimed
        # Whether the owner is still there is asked of the server: a cache may not know yet.
        current = await client.get(owner_type, owner["metadata"]["name"], namespace_of(owner))
        if uid_of(current) != uid or is_being_deleted(current):
            return claimed
        for obj in found:
            body = {"uid": uid_of(obj), "ownerReferences": [controller_reference(owner, owner_type)]}
            adopted = await self._relate(client, obj, body)
            if adopted is not None:
                claimed.append(adopted)
        return claimed

    async def _relate(self, client: KubernetesClient, obj: JsonObject, metadata: JsonObject) -> JsonObject | None:
        namespace, name = key_of(obj)
        try:
            patched = await client.patch(self.resource, name, {"metadata": metadata}, namespace, patch_type="strategic")
        except NotFound:
            return None
        except ApiError as refused:
            if refused.code == 422:  # another object of that name by now
                return None
            raise
        self.wrote(patched)
        return patched


def controller_reference(owner: JsonObject, owner_type: ResourceType) -> JsonObject:
    """The ownerReference of an object that `owner` controls."""
    return {
        "apiVersion": owner_type.api_version,
        "kind": owner_type.kind,
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def same_owners(before: JsonObject, now: JsonObject) -> bool:
    """Whether two states of an object share their ownerReferences: nothing has to be compared then."""
    return before["metadata"].get("ownerReferences") is now["metadata"].get("ownerReferences")


def _version(obj: JsonObject) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
