"""Which resources a server serves, and how each is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.selectors import Fields, field_reader

_METADATA_FIELDS: Fields = {
    "metadata.name": lambda obj: str(obj["metadata"].get("name", "")),
    "metadata.namespace": lambda obj: str(obj["metadata"].get("namespace", "")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One resource in one version. Versions of a resource share `storage`."""

    type: ResourceType
    rules: KindRules
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    #: Paths behind an object's name: `status`, `scale`, `binding`, …
    subresources: tuple[str, ...] = ()
    #: All that can be done with it, where that is less than everything.
    verbs: tuple[str, ...] = ()
    #: Collection in the store.
    storage: str = ""
    #: Plural as it shows in the trace: qualified by its group only when two groups have it.
    subject: str = ""
    fields: Fields = field(default_factory=lambda: _METADATA_FIELDS)
    #: Sent with every answer: this version is deprecated.
    warning: str = ""
    #: JSON paths of the scale subresource.
    scale: JsonObject | None = None
    #: Printer columns of a custom resource.
    columns: tuple[JsonObject, ...] = ()

    #: Whether an apiVersion and kind are served at all (set by the registry).
    is_known_kind: Callable[[str, str], bool] = lambda version, kind: False

    def key(self, namespace: str, name: str) -> str:
        return f"{namespace}/{name}" if self.type.namespaced else name

    def subject_of(self, namespace: str, name: str) -> str:
        return f"{self.subject}/{self.key(namespace, name)}"

    def unsupported_field(self, name: str) -> str:
        if self.rules.is_custom:
            return f"field label not supported: {name}"
        if len(self.fields) == len(_METADATA_FIELDS):
            return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        return f"field label not supported: {name}"


def selectable(*paths: str, **defaults: str) -> Fields:
    """The two metadata fields and these paths. `defaults` are values of absent fields, dots written as underscores."""
    fields = dict(_METADATA_FIELDS)
    for path in paths:
        fields[path] = field_reader(path, defaults.get(path.replace(".", "_"), ""))
    return fields


class Registry:
    """Served resources by type and by path."""

    __slots__ = ("_by_path", "_by_type", "_plurals", "documents")

    def __init__(self) -> None:
        self._by_type: dict[ResourceType, Served] = {}
        self._by_path: dict[tuple[str, str], dict[str, Served]] = {}
        self._plurals: dict[str, str] = {}
        #: Descriptions of what is served, as they were last asked for. Forgotten when that changes.
        self.documents: dict[str, bytes] = {}

    def add(self, served: Served) -> Served:
        """Serve a resource, in place of what had its type before. Returns it with storage and subject filled in."""
        kind = served.type
        storage = served.storage or kind.group_resource
        owner = self._plurals.setdefault(kind.plural, storage)
        subject = kind.plural if owner == storage else kind.group_resource
        singular = served.singular or kind.kind.lower()
        complete = replace(served, singular=singular, storage=storage, subject=subject, is_known_kind=self.has_kind)
        self._by_type[kind] = complete
        self.documents.clear()
        self._by_path.setdefault((kind.group, kind.version), {})[kind.plural] = complete
        return complete

    def remove(self, kind: ResourceType) -> None:
        self.documents.clear()
        self._by_type.pop(kind, None)
        in_version = self._by_path.get((kind.group, kind.version), {})
        in_version.pop(kind.plural, None)
        if not in_version:
            self._by_path.pop((kind.group, kind.version), None)

    def find(self, kind: ResourceType) -> Served | None:
        found = self._by_type.get(kind)
        return found if found is not None else self.at(kind.group, kind.version, kind.plural)

    def at(self, group: str, version: str, plural: str) -> Served | None:
        return self._by_path.get((group, version), {}).get(plural)

    def has_group_version(self, group: str, version: str) -> bool:
        return (group, version) in self._by_path

    def is_custom_group(self, group: str, version: str) -> bool:
        """All resources of this group version are custom."""
        return all(served.rules.is_custom for served in self._by_path.get((group, version), {}).values())

    def is_builtin_group(self, group: str) -> bool:
        """Some version of the group is served, and is not custom."""
        return any(found == group and not self.is_custom_group(found, version) for found, version in self._by_path)

    def in_version(self, group: str, version: str) -> list[Served]:
        """In the order they were registered."""
        return list(self._by_path.get((group, version), {}).values())

    def group_versions(self) -> list[tuple[str, str]]:
        return list(self._by_path)

    def of_storage(self, storage: str) -> Iterator[Served]:
        return (served for served in self._by_type.values() if served.storage == storage)

    def has_kind(self, api_version: str, kind: str) -> bool:
        return self.for_object({"apiVersion": api_version, "kind": kind}) is not None

    def for_object(self, obj: JsonObject) -> Served | None:
        """By the object's own apiVersion and kind."""
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        for served in self._by_path.get((group, version), {}).values():
            if served.type.kind == obj.get("kind"):
                return served
        return None

    def __iter__(self) -> Iterator[Served]:
        return iter(self._by_type.values())
