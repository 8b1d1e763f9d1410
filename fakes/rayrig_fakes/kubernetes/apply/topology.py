"""How the parts of an object merge: field by field, item by item, or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.patch.merge_keys import merge_keys, merges_as_set

#: `atomic`: owned and replaced whole; `set`: by value; `map`: by key fields.
ListKind: TypeAlias = Literal["atomic", "set", "map"]


class Topology(Protocol):
    """What is known of one place in an object."""

    @property
    def is_atomic(self) -> bool:
        """An object here is owned and replaced as a whole."""
        ...

    @property
    def list_kind(self) -> ListKind: ...

    @property
    def keys(self) -> Mapping[str, object]:
        """Key fields of a list of kind `map`, with the value that an absent one stands for (None: must be there)."""
        ...

    def field(self, name: str) -> Topology: ...

    def item(self) -> Topology: ...


# Built-in kinds

#: Lists with more than the one key that strategic merge goes by.
_FULL_KEYS: dict[str, dict[str, object]] = {
    "containerPort": {"containerPort": None, "protocol": "TCP"},
    "port": {"port": None, "protocol": "TCP"},
    "topologyKey": {"topologyKey": None, "whenUnsatisfiable": None},
}
_ATOMIC_FIELDS = frozenset(
    ("selector", "nodeSelector", "fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "ownerReferences[]")
)


@dataclass(frozen=True, slots=True)
class BuiltinTopology:
    """By the path from the root of a kind."""

    kind: str
    path: str = ""

    @property
    def is_atomic(self) -> bool:
        return self.path.rpartition(".")[2] in _ATOMIC_FIELDS

    @property
    def list_kind(self) -> ListKind:
        if merges_as_set(self.path):
            return "set"
        return "map" if self._plain in merge_keys(self.kind) else "atomic"

    @property
    def _plain(self) -> str:
        return self.path.replace("[]", "")

    @property
    def keys(self) -> Mapping[str, object]:
        key = merge_keys(self.kind)[self._plain]
        return _FULL_KEYS.get(key, {key: None})

    def field(self, name: str) -> Topology:
        return BuiltinTopology(self.kind, f"{self.path}.{name}" if self.path else name)

    def item(self) -> Topology:
        return BuiltinTopology(self.kind, f"{self.path}[]")


# Custom resources


@dataclass(frozen=True, slots=True)
class SchemaTopology:
    """By the schema; where it says nothing, maps are granular and lists atomic."""

    schema: JsonObject

    @property
    def is_atomic(self) -> bool:
        return self.schema.get("x-kubernetes-map-type") == "atomic"

    @property
    def list_kind(self) -> ListKind:
        kind = self.schema.get("x-kubernetes-list-type")
        return kind if kind in ("set", "map") else "atomic"

    @property
    def keys(self) -> Mapping[str, object]:
        properties = (self.schema.get("items") or {}).get("properties") or {}
        names = self.schema.get("x-kubernetes-list-map-keys") or ()
        return {name: (properties.get(name) or {}).get("default") for name in names}

    def field(self, name: str) -> Topology:
        found = (self.schema.get("properties") or {}).get(name)
        if found is None:
            additional = self.schema.get("additionalProperties")
            found = additional if isinstance(additional, dict) else {}
        return SchemaTopology(found)

    def item(self) -> Topology:
        found = self.schema.get("items")
        return SchemaTopology(found if isinstance(found, dict) else {})


@dataclass(frozen=True, slots=True)
class CustomTopology:
    """Root of a custom resource: its metadata merges as everybody's does."""

    schema: JsonObject
    is_atomic: bool = False
    list_kind: ListKind = "atomic"

    @property
    def keys(self) -> Mapping[str, object]:
        return {}

    def field(self, name: str) -> Topology:
        if name == "metadata":
            return _metadata()
        return SchemaTopology(self.schema).field(name)

    def item(self) -> Topology:
        return self


@lru_cache(maxsize=1)
def _metadata() -> Topology:
    return BuiltinTopology("", "metadata")
