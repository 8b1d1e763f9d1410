"""The whole state of a server as a value: saved, restored, compared (K8-085)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rayrig_core.errors import InputError
from rayrig_core.objects import Json, JsonObject, copy_json
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.state import ServerState

_FORMAT = "rayrig.kubernetes/v1"
_DEFINITIONS = CUSTOM_RESOURCE_DEFINITION.group_resource
_VERSION = "metadata.resourceVersion"

How: TypeAlias = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two states do not share. `path` is empty when the whole object is there in one of them only."""

    resource: str
    #: `namespace/name`, or `name` of what has no namespace.
    key: str
    how: How
    path: str = ""
    before: Json = None
    after: Json = None

    def __str__(self) -> str:
        where = f"{self.resource} {self.key}" + (f": {self.path}" if self.path else "")
        if not self.path:
            return f"{where} {self.how}"
        if self.how == "changed":
            return f"{where}: {json.dumps(self.before)} became {json.dumps(self.after)}"
        return f"{where} {self.how}: {json.dumps(self.before if self.how == 'removed' else self.after)}"


@dataclass(frozen=True, slots=True)
class SavedState:
    """All objects of a server with their versions, its revision, and where its randomness stands."""

    revision: int
    #: By group-qualified plural, then by key.
    objects: dict[str, dict[str, JsonObject]]
    #: What `random.Random.getstate` gives, with a list for its tuple.
    random: list[Any]

    @classmethod
    def of(cls, server: ApiServer) -> SavedState:
        """The present state. It belongs to the caller."""
        state = server.state
        objects = {
            collection.resource: {
                key: stored.copy() for key, stored in zip(collection.keys(), collection.scan(), strict=True)
            }
            for collection in state.store.collections
            if len(collection)
        }
        version, numbers, gauss = state.rng.getstate()
        return cls(state.store.revision, objects, [version, list(numbers), gauss])

    def restore(self, server: ApiServer) -> None:
        """Make the server hold this state and nothing else; what it draws next is what was drawn next then.

        As after an etcd restore the objects keep their versions and history is lost: open watches end with 410. A server that has
        gone further than the saved revision does not go back, so that no version is given twice.
        """
        state = server.state
        store = state.store
        gone = [(collection.resource, [each.obj for each in collection.scan()]) for collection in store.collections]
        for resource, _ in gone:
            store.collection(resource).replace(())
        # Definitions last: until then the rules of custom resources are found.
        for resource, objects in sorted(gone, key=lambda each: each[0] == _DEFINITIONS):
            for obj in objects:
                _rules(state, resource).after_removal(obj)
        store.revision = self.revision if store.revision <= self.revision else store.revision + 1
        for resource, kept in self.objects.items():
            store.collection(resource).replace((key, copy_json(obj)) for key, obj in kept.items())
        store.compact(store.revision)
        for resource in sorted(self.objects, key=lambda each: each != _DEFINITIONS):
            for stored in store.collection(resource).scan():
                _rules(state, resource).after_restore(stored.obj)
        version, numbers, gauss = self.random
        state.rng.setstate((version, tuple(numbers), gauss))

    def differences(self, later: SavedState, *, ignore: Collection[str] = (_VERSION,)) -> list[Difference]:
        """What `later` has otherwise, ordered by resource, key and path.

        `ignore` are paths into objects (`metadata.resourceVersion`, `status`) that may differ.
        """
        found: list[Difference] = []
        for resource in sorted({**self.objects, **later.objects}):
            before, after = self.objects.get(resource, {}), later.objects.get(resource, {})
            for key in sorted({**before, **after}):
                if key not in after:
                    found.append(Difference(resource, key, "removed", before=before[key]))
                elif key not in before:
                    found.append(Difference(resource, key, "added", after=after[key]))
                else:
                    for how, path, one, other in _compare(before[key], after[key], ""):
                        if not any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in ignore):
                            found.append(Difference(resource, key, how, path, one, other))
        return found

    # As text

    def to_json(self) -> str:
        return json.dumps(
            {"format": _FORMAT, "revision": self.revision, "random": self.random, "objects": self.objects},
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> SavedState:
        """Raises `InputError` for what `to_json` has not written."""
        try:
            read: Any = json.loads(text)
        except ValueError as problem:
            raise InputError(f"no saved state: {problem}") from None
        if not isinstance(read, dict) or read.get("format") != _FORMAT:
            raise InputError(
                f"no saved state: the format is not {_FORMAT}", remedy="give what was saved by this version"
            )
        try:
            return cls(int(read["revision"]), dict(read["objects"]), read["random"])
        except (KeyError, TypeError, ValueError) as problem:
            raise InputError(f"no saved state: {problem!r}") from None


def _rules(state: ServerState, resource: str) -> KindRules:
    """Plain ones for what is not served: a definition that was not established left it behind."""
    served = next(iter(state.registry.of_storage(resource)), None)
    return served.rules if served is not None else KindRules()


def _compare(before: Json, after: Json, path: str) -> Iterator[tuple[How, str, Json, Json]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({**before, **after}):
            below = f"{path}.{name}" if path else name
            if name not in after:
                yield "removed", below, before[name], None
            elif name not in before:
                yield "added", below, None, after[name]
            else:
                yield from _compare(before[name], after[name], below)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            below = f"{path}[{index}]"
            if index >= len(after):
                yield "removed", below, before[index], None
            elif index >= len(before):
                yield "added", below, None, after[index]
            else:
                yield from _compare(before[index], after[index], below)
    elif before != after or type(before) is not type(after):
        yield "changed", path, before, after
