"""Which changes wake a controller: predicates and the mapping from a changed object to requests (kuberay-operator 0.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rayrig_controllers.reconciler import Request
from rayrig_core.objects import JsonObject, annotations_of, controller_of, labels_of, name_of, namespace_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import ResourceType

#: (object before, object now) -> does this update count?
Predicate: TypeAlias = Callable[[JsonObject, JsonObject], bool]


def generation_or_metadata_changed(before: JsonObject, now: JsonObject) -> bool:
    """Generation, labels or annotations changed. A status write changes none of them."""
    return (
        before["metadata"].get("generation") != now["metadata"].get("generation")
        or labels_of(before) != labels_of(now)
        or annotations_of(before) != annotations_of(now)
    )


def generation_changed(before: JsonObject, now: JsonObject) -> bool:
    return bool(before["metadata"].get("generation") != now["metadata"].get("generation"))


@dataclass(frozen=True, slots=True)
class Watch:
    """A resource whose changes wake a controller. `owner` None: the object itself is reconciled."""

    resource: ResourceType
    owner: ResourceType | None = None
    predicate: Predicate | None = None
    #: The server may have no such resource, and then there is nothing to watch.
    is_optional: bool = False

    def requests(self, kind: WatchType, before: JsonObject | None, now: JsonObject | None) -> list[Request]:
        """The keys an event wakes: creations and deletions always, updates that pass the predicate."""
        if kind is WatchType.MODIFIED and self.predicate and before and now and not self.predicate(before, now):
            return []
        if self.owner is None:
            obj = now or before
            return [] if obj is None else [Request(namespace_of(obj), name_of(obj))]
        found: list[Request] = []
        for obj in (before, now):
            request = self._owner_request(obj)
            if request is not None and request not in found:
                found.append(request)
        return found

    def _owner_request(self, obj: JsonObject | None) -> Request | None:
        reference = controller_of(obj) if obj is not None else None
        if obj is None or reference is None or self.owner is None or reference.get("kind") != self.owner.kind:
            return None
        # The version may differ (v1alpha1), the group may not.
        if str(reference.get("apiVersion", "")).rpartition("/")[0] != self.owner.group:
            return None
        return Request(namespace_of(obj), reference["name"])


def reconciles(resource: ResourceType, predicate: Predicate = generation_or_metadata_changed) -> Watch:
    """The controller's own resource."""
    return Watch(resource, None, predicate)


def owns(resource: ResourceType, owner: ResourceType) -> Watch:
    """Objects whose controller reference names an `owner`; any change wakes it."""
    return Watch(resource, owner)
