"""`metadata.managedFields`: an entry per manager, operation and subresource (K8-031)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes.apply.fields import FieldSet, Path, from_fields_v1, leaves, to_fields_v1
from rayrig_fakes.kubernetes.apply.topology import Topology

Operation: TypeAlias = Literal["Apply", "Update"]

#: Owner of what was there before anybody kept account.
BEFORE_FIRST_APPLY = "before-first-apply"

#: Places that are there in an empty object of a built-in kind, so that nobody makes them.
_ALWAYS_THERE: frozenset[Path] = frozenset(
    tuple(f"f:{step}" for step in path.split("."))
    for path in (
        "spec",
        "status",
        "spec.containers",
        "spec.strategy",
        "spec.template",
        "spec.template.metadata",
        "spec.template.spec",
        "spec.template.spec.containers",
        "status.loadBalancer",
    )
)


@dataclass(slots=True)
class Manager:
    """One entry."""

    name: str
    operation: Operation
    api_version: str
    subresource: str = ""
    time: str = ""
    fields: FieldSet = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.name, self.operation, self.api_version, self.subresource


def read(obj: JsonObject) -> list[Manager]:
    found = []
    for entry in obj.get("metadata", {}).get("managedFields") or ():
        found.append(
            Manager(
                entry.get("manager", ""),
                entry.get("operation", "Update"),
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
                entry.get("time", ""),
                from_fields_v1(entry.get("fieldsV1") or {}),
            )
        )
    return found


def write(obj: JsonObject, managers: list[Manager]) -> None:
    """Entries that own nothing are left out; those that apply come first, then the order of time."""
    owning = [manager for manager in managers if manager.fields]
    owning.sort(key=lambda manager: (manager.operation != "Apply", manager.time, manager.name))
    entries: list[JsonObject] = []
    for manager in owning:
        entry: JsonObject = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": manager.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(manager.fields),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def one_of(managers: list[Manager], wanted: Manager) -> Manager:
    """The entry with the identity of `wanted`, which is added when there is none."""
    for manager in managers:
        if manager.identity == wanted.identity:
            return manager
    managers.append(wanted)
    return wanted


def record_update(
    obj: JsonObject,
    old: JsonObject | None,
    topology: Topology,
    manager: Manager,
    unix_ns: int,
    *,
    custom: bool,
) -> None:
    """Account for a create (`old` is None) or an update that is no apply."""
    before = leaves(old, topology, places=True) if old is not None else {}
    after = leaves(obj, topology, places=True)
    absent = object()
    changed = {path: None for path, value in after.items() if before.get(path, absent) != value}
    if not custom:
        changed = {path: None for path in changed if path not in _ALWAYS_THERE}
    managers = read(old) if old is not None else []
    for each in managers:
        each.fields = {path: None for path in each.fields if path in after and path not in changed}
    if changed:
        entry = one_of(managers, manager)
        entry.fields.update(changed)
        entry.time = rfc3339(unix_ns)
    write(obj, managers)


def everything_before(obj: JsonObject, topology: Topology, api_version: str, unix_ns: int) -> Manager:
    """The account of an object of which none was kept."""
    fields = dict.fromkeys(leaves(obj, topology, places=False))
    return Manager(BEFORE_FIRST_APPLY, "Update", api_version, "", rfc3339(unix_ns), fields)
