"""`metadata.managedFields`: an entry per manager, operation and subresource (K8-031)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes.apply.fields import FieldSet, from_fields_v1, to_fields_v1
from rayrig_fakes.kubernetes.apply.topology import Place
from rayrig_fakes.kubernetes.apply.trees import created, differences, minus, plus

Operation: TypeAlias = Literal["Apply", "Update"]

#: Owner of what was there before anybody kept account.
BEFORE_FIRST_APPLY = "before-first-apply"
#: Owner of what too many others had changed.
ANCIENT = "ancient-changes"
_MOST_UPDATERS = 10

#: What admission and allocation fill in after the account was taken: nobody's, unless it was sent.
_ASSIGNED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Job": (
        ("spec", "selector"),
        ("spec", "template", "metadata", "labels"),
        *(
            ("spec", "template", "metadata", "labels", label)
            for label in (
                "batch.kubernetes.io/controller-uid",
                "batch.kubernetes.io/job-name",
                "controller-uid",
                "job-name",
            )
        ),
    ),
    "Namespace": (("spec", "finalizers"),),
    "PersistentVolumeClaim": (("metadata", "finalizers"),),
    "Pod": (("spec", "priority"), ("spec", "preemptionPolicy"), ("spec", "tolerations")),
    "Service": (
        ("spec", "clusterIP"),
        ("spec", "clusterIPs"),
        ("spec", "ipFamilies"),
        ("spec", "ipFamilyPolicy"),
        ("spec", "healthCheckNodePort"),
    ),
}


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
        # Who applies is the same in all versions.
        return self.name, self.operation, "" if self.operation == "Apply" else self.api_version, self.subresource


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
    """Entries that own nothing are left out."""
    entries: list[JsonObject] = []
    for manager in managers:
        if manager.fields:
            entry = _entry(manager, 0, to_fields_v1(manager.fields))
            if manager.time:
                entry["time"] = manager.time
            else:
                # Nothing has changed by it.
                del entry["time"]
            entries.append(entry)
    _put(obj, entries)


def are_managers(sent: Json) -> bool:
    """Whether a list that a client sent is an account at all."""
    return (
        isinstance(sent, list)
        and bool(sent)
        and all(
            isinstance(entry, dict)
            and entry.get("operation") in ("Apply", "Update")
            and entry.get("fieldsType") == "FieldsV1"
            and isinstance(entry.get("fieldsV1"), dict)
            for entry in sent
        )
    )


def one_of(managers: list[Manager], wanted: Manager) -> Manager:
    """The entry with the identity of `wanted`, which is added when there is none."""
    for manager in managers:
        if manager.identity == wanted.identity:
            return manager
    managers.append(wanted)
    return wanted


class KnownFields(Protocol):
    """Remembers what the sender of a spec like this one owns in it."""

    fields: JsonObject | None


def record_create(
    obj: JsonObject,
    sent: Json,
    root: Place,
    manager: Manager,
    unix_ns: int,
    *,
    has_status: bool,
    known: KnownFields | None = None,
) -> None:
    """Account for a create of what was `sent`, which became `obj`. A status that has its own path is nobody's."""
    if known is not None and known.fields is not None:
        fields = created({name: value for name, value in obj.items() if name != "spec"}, root) or {}
        fields["f:spec"] = known.fields
    else:
        fields = _without_assigned(created(obj, root) or {}, obj["kind"], sent)
        if known is not None:
            known.fields = fields.get("f:spec")
    if has_status:
        fields.pop("f:status", None)
    if fields:
        obj["metadata"]["managedFields"] = [_entry(manager, unix_ns, fields)]


def _without_assigned(fields: JsonObject, kind: str, sent: Json) -> JsonObject:
    for path in _ASSIGNED.get(kind, ()):
        if not _is_in(sent, path):
            owned: JsonObject | None = fields
            for name in path:
                owned = owned.get(f"f:{name}") if owned else None
            if owned is not None:
                for name in reversed(path):
                    owned = {f"f:{name}": owned}
                fields = minus(fields, owned) or {}
    return fields


def _is_in(sent: Json, path: tuple[str, ...]) -> bool:
    for name in path:
        sent = sent.get(name) if isinstance(sent, dict) else None
    return sent is not None


def record_update(obj: JsonObject, old: JsonObject, root: Place, manager: Manager, unix_ns: int) -> None:
    """Account for an update of `old` to `obj` that is no apply. Entries that do not change are shared."""
    changed, gone = differences(old, obj, root)
    entries: list[JsonObject] = []
    mine: JsonObject | None = None
    for entry in old["metadata"].get("managedFields") or ():
        before = entry.get("fieldsV1") or {}
        left: JsonObject | None = before
        if changed is not None:
            left = minus(before, changed)
        if gone is not None and left is not None:
            left = minus(left, gone)
        is_mine = changed is not None and _identity(entry) == manager.identity
        if is_mine:
            assert changed is not None
            left = plus(left, changed) if left is not None else changed
        if left:
            kept = entry if left is before else {**entry, "fieldsV1": left}
            if is_mine:
                mine = kept = {**kept, "time": rfc3339(unix_ns)}
            entries.append(kept)
    if changed is not None and mine is None:
        entries.append(_entry(manager, unix_ns, changed))
    _put(obj, _capped(entries))


def _capped(entries: list[JsonObject]) -> list[JsonObject]:
    """At most ten entries of updates: the oldest of one version become one."""
    updates = sorted(
        (entry for entry in entries if entry.get("operation") != "Apply"),
        key=lambda entry: (entry.get("time", ""), entry.get("manager", "")),
    )
    count = len(updates)
    if count <= _MOST_UPDATERS:
        return entries
    kept = list(entries)
    oldest: dict[str, JsonObject] = {}
    for entry in updates:
        if count <= _MOST_UPDATERS:
            break
        version = entry.get("apiVersion", "")
        first = oldest.get(version)
        if first is None:
            oldest[version] = entry
            continue
        merged = plus(first.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
        bucket = {**entry, "manager": ANCIENT, "fieldsV1": merged}
        bucket.pop("subresource", None)
        kept = [bucket if each is first else each for each in kept if each is not entry]
        oldest[version] = bucket
        count -= 1
    return kept


def _entry(manager: Manager, unix_ns: int, fields: JsonObject) -> JsonObject:
    entry: JsonObject = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": rfc3339(unix_ns),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def _identity(entry: JsonObject) -> tuple[str, str, str, str]:
    return (
        entry.get("manager", ""),
        entry.get("operation", "Update"),
        "" if entry.get("operation") == "Apply" else entry.get("apiVersion", ""),
        entry.get("subresource", ""),
    )


def _put(obj: JsonObject, entries: list[JsonObject]) -> None:
    """Those that apply come first, then the order of time."""
    if entries:
        entries.sort(key=_order)
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _order(entry: JsonObject) -> tuple[bool, str, str]:
    return entry.get("operation") != "Apply", entry.get("time", ""), entry.get("manager", "")


def everything_before(obj: JsonObject, root: Place, api_version: str, unix_ns: int) -> Manager:
    """The account of an object of which none was kept."""
    fields = from_fields_v1(created(obj, root) or {})
    return Manager(BEFORE_FIRST_APPLY, "Update", api_version, "", rfc3339(unix_ns), fields)
