"""Who owns whom, by uid: the garbage collector's picture of all objects, and what follows from it. Pure.

Source: kubernetes-api.md 7, K8-060.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.resource_types import ResourceType

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
_NOBODY: Mapping[str, OwnedObject] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OwnerReference:
    uid: str
    kind: str
    api_version: str
    name: str
    blocks: bool


@dataclass(slots=True, eq=False)
class OwnedObject:
    """One object as far as ownership goes. `dependents` are the objects that name it as an owner, by uid."""

    uid: str
    resource: ResourceType
    namespace: str
    name: str
    owners: tuple[OwnerReference, ...] = ()
    is_deleting: bool = False
    finalizers: tuple[str, ...] = ()
    dependents: Mapping[str, OwnedObject] = field(default_factory=lambda: _NOBODY)

    @property
    def waits_for_dependents(self) -> bool:
        return self.is_deleting and FOREGROUND_FINALIZER in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.is_deleting and ORPHAN_FINALIZER in self.finalizers

    def blocking_dependents(self) -> list[OwnedObject]:
        """Dependents that must be gone before this one may go."""
        return [
            other
            for other in self.dependents.values()
            if any(owner.uid == self.uid and owner.blocks for owner in other.owners)
        ]


class Step(Enum):
    """What to do about an object that has owners."""

    KEEP = "an owner is there"
    DROP_REFERENCES = "an owner is there, references to others are to go"
    DELETE = "no owner is left"
    DELETE_FOREGROUND = "its owner waits for it, and it has dependents of its own"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`dead` are the uids of references to remove."""

    step: Step
    dead: tuple[str, ...] = ()


class Ownership:
    """All objects by uid, owners first or last."""

    def __init__(self) -> None:
        self._objects: dict[str, OwnedObject] = {}
        self._dependents_of: dict[str, dict[str, OwnedObject]] = {}
        #: What was last said of owners, by the uid of the first: the pods of a ReplicaSet all say the same.
        self._said: dict[str, tuple[list[JsonObject], tuple[OwnerReference, ...]]] = {}

    def get(self, uid: str) -> OwnedObject | None:
        return self._objects.get(uid)

    def put(self, resource: ResourceType, obj: JsonObject) -> OwnedObject:
        """An object was seen, or changed."""
        uid = uid_of(obj)
        meta = obj["metadata"]
        node = self._objects.get(uid)
        if node is None:
            node = self._objects[uid] = OwnedObject(uid, resource, namespace_of(obj), name_of(obj))
            node.dependents = self._dependents_of.get(uid, _NOBODY)
        owners = self._owners(meta.get("ownerReferences"))
        if owners != node.owners:
            for owner in node.owners:
                self._drop_dependent(owner.uid, uid)
            for owner in owners:
                self._add_dependent(owner.uid, node)
            node.owners = owners
        node.is_deleting = bool(meta.get("deletionTimestamp"))
        node.finalizers = tuple(meta.get("finalizers") or ())
        return node

    def remove(self, uid: str) -> list[OwnedObject]:
        """An object is gone; its dependents."""
        node = self._objects.pop(uid, None)
        if node is None:
            return []
        for owner in node.owners:
            self._drop_dependent(owner.uid, uid)
        dependents = list(node.dependents.values())
        if not dependents:
            self._forget_owner(uid)
        return dependents

    def _owners(self, references: list[JsonObject] | None) -> tuple[OwnerReference, ...]:
        if not references:
            return ()
        first = references[0].get("uid", "")
        said = self._said.get(first)
        if said is None or (said[0] is not references and said[0] != references):
            said = self._said[first] = references, tuple(map(_owner_reference, references))
        return said[1]

    def _add_dependent(self, owner_uid: str, node: OwnedObject) -> None:
        dependents = self._dependents_of.get(owner_uid)
        if dependents is None:
            dependents = self._dependents_of[owner_uid] = {}
            owner = self._objects.get(owner_uid)
            if owner is not None:
                owner.dependents = dependents
        dependents[node.uid] = node

    def _drop_dependent(self, owner_uid: str, uid: str) -> None:
        dependents = self._dependents_of.get(owner_uid)
        if dependents is not None:
            dependents.pop(uid, None)
            if not dependents and owner_uid not in self._objects:
                self._forget_owner(owner_uid)

    def _forget_owner(self, uid: str) -> None:
        self._dependents_of.pop(uid, None)
        self._said.pop(uid, None)

    def owner_of(self, node: OwnedObject, reference: OwnerReference) -> OwnedObject | None:
        """The owner, when it is known, is what the reference says, and is where the dependent may name it: in its own namespace, or
        in none at all."""
        owner = self._objects.get(reference.uid)
        if owner is None or (owner.namespace and owner.namespace != node.namespace):
            return None
        kind, group = owner.resource.kind, reference.api_version.rpartition("/")[0]
        return owner if (kind, owner.resource.group, owner.name) == (reference.kind, group, reference.name) else None


def _owner_reference(reference: JsonObject) -> OwnerReference:
    return OwnerReference(
        reference.get("uid", ""),
        reference.get("kind", ""),
        reference.get("apiVersion", ""),
        reference.get("name", ""),
        bool(reference.get("blockOwnerDeletion")),
    )


def judge(node: OwnedObject, owners: Sequence[tuple[OwnerReference, OwnedObject | None]]) -> Verdict:
    """What follows for an object from its owners, each as it is or None when it is absent."""
    dead = tuple(reference.uid for reference, owner in owners if owner is None)
    waiting = tuple(reference.uid for reference, owner in owners if owner is not None and owner.waits_for_dependents)
    alive = len(owners) - len(dead) - len(waiting)
    if not owners:
        return Verdict(Step.KEEP)
    if alive:
        gone = dead + waiting
        return Verdict(Step.DROP_REFERENCES, gone) if gone else Verdict(Step.KEEP)
    if waiting and node.dependents:
        return Verdict(Step.DELETE_FOREGROUND)
    return Verdict(Step.DELETE)


def without_references(obj: JsonObject, dead: Sequence[str]) -> list[JsonObject]:
    """The ownerReferences of an object less those to `dead`."""
    return [entry for entry in obj["metadata"].get("ownerReferences") or () if entry.get("uid") not in dead]
