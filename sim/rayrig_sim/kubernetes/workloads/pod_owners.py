"""Which workload a change of a pod concerns: its controller, or for a pod without one every workload whose selector finds it."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.objects import JsonObject, controller_of, key_of, labels_of, namespace_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD, ResourceType
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.selectors import LabelSelector, label_selector


class PodOwners:
    """Calls `touch` with the key of the workload and the cause. Follows workloads of one type and what they control."""

    def __init__(
        self,
        caches: ObjectCaches,
        owner_type: ResourceType,
        touch: Callable[[Key, int | None], None],
        dependents: ResourceType = POD,
    ) -> None:
        self._kind = owner_type.kind
        self._group = owner_type.group
        self._touch = touch
        self._selectors: dict[str, dict[Key, LabelSelector]] = {}
        caches.of(owner_type).on_change(self._on_owner)
        caches.of(dependents).on_change(self._on_dependent, controlled_by=owner_type.kind)

    def _on_owner(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        if type_ is WatchType.DELETED:
            self._selectors.get(key[0], {}).pop(key, None)
        elif old is None or old["spec"].get("selector") != new["spec"].get("selector"):
            self._selectors.setdefault(key[0], {})[key] = label_selector(new["spec"].get("selector"))

    def _on_dependent(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        references = new["metadata"].get("ownerReferences")
        has_same = old is None or old["metadata"].get("ownerReferences") is references
        if has_same and references and len(references) == 1 and references[0].get("controller"):
            # Nearly always.
            if references[0]["kind"] == self._kind and self._is_of_group(references[0]):
                self._touch((namespace_of(new), references[0]["name"]), cause)
            return
        owner = self._owner_key(new)
        before = self._owner_key(old) if old is not None and not has_same else owner
        if before is not None and before != owner:
            self._touch(before, cause)
        if owner is not None:
            self._touch(owner, cause)
        elif controller_of(new) is None and type_ is not WatchType.DELETED:
            if old is not None and labels_of(old) == labels_of(new) and controller_of(old) is None:
                return
            labels = labels_of(new)
            for key, selector in self._selectors.get(namespace_of(new), {}).items():
                if selector.matches(labels):
                    self._touch(key, cause)

    def _is_of_group(self, reference: JsonObject) -> bool:
        return bool(reference["apiVersion"].rpartition("/")[0] == self._group)

    def _owner_key(self, obj: JsonObject) -> Key | None:
        owner = controller_of(obj)
        if owner is None or owner["kind"] != self._kind or not self._is_of_group(owner):
            return None
        return namespace_of(obj), owner["name"]
