"""What may differ between kinds, with the behaviour most kinds have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Protocol

from rayrig_core.kubernetes_names import NameRule, dns_subdomain
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.copies import own_copy
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.decoding import decode, zero_field


class Lookup(Protocol):
    """Reads current objects of other kinds; shared, not to be changed."""

    def __call__(self, storage: str, key: str) -> JsonObject | None: ...


@dataclass(slots=True)
class Admission:
    """What rules may know of the server while they work on one write."""

    unix_ns: int
    rng: Random
    lookup: Lookup
    dry_run: bool = False
    subresource: str = ""
    #: What hooks that default and validate in one pass found wrong.
    causes: list[Cause] = field(default_factory=list)
    #: What was sent, for the kind to remember what becomes of it.
    sent: Any = None
    #: What the kind knows of what was sent: that it is good as it was taken in, defaults and all.
    settled: Any = None
    #: Of the kind, in the catalogue of built-in types; "" when it has none.
    type_name: str = ""
    #: Paths of fields that the kind does not have, looked for when `looks_for_unknown` is set.
    unknown: list[str] = field(default_factory=list)
    looks_for_unknown: bool = False
    #: What is read is a configuration to apply: only what it says counts.
    is_partial: bool = False
    #: The caller answers for what would take long to check.
    trusted: bool = False
    #: Texts for Warning headers.
    warnings: list[str] = field(default_factory=list)


class KindRules:
    """Rules of one kind. Hooks change `obj`, which is theirs; `old` is shared and must not be changed."""

    is_custom: ClassVar[bool] = False
    #: What its maker vouches for may be taken without a look.
    takes_vouched: bool = True
    #: Writes to the main path leave `status` alone; writes to `/status` change nothing else.
    has_status: bool = False
    #: `metadata.generation` is kept.
    has_generation: bool = False
    #: A PUT without resourceVersion is taken.
    unconditional_update: bool = True
    #: A PUT to a missing name creates.
    create_on_update: bool = False
    #: Delete answers with the object even when it is gone.
    returns_deleted: bool = False
    #: Deletion takes a grace period into account.
    graceful: bool = False
    #: Metadata fields a write to `/status` takes along.
    status_metadata: tuple[str, ...] = ("labels", "annotations", "finalizers", "ownerReferences")
    #: Finalizers without a `/` must be standard ones.
    standard_finalizers: bool = True
    #: How often updates, and writes to `/status`, look at metadata.
    looks: Looks = Looks()
    status_looks: ClassVar[Looks] = Looks()
    #: Errors name the group of the kind.
    reports_group: bool = True
    name_rule: NameRule = staticmethod(dns_subdomain)

    def decode(self, body: JsonObject, admission: Admission) -> JsonObject:
        """A copy of an object, or of some of its fields, of the right types. Raises `Undecodable`."""
        if not admission.type_name:
            return own_copy(body)
        return decode(body, admission.type_name, admission.unknown, whole=not admission.is_partial)

    def take_in(self, body: JsonObject, admission: Admission) -> JsonObject:
        """As `decode`, of what a client wants to create."""
        return self.decode(body, admission)

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        """Add to the warnings what is allowed but doubtful in an object that was found good."""

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        """Defaults, and what only the server may set."""
        if self.has_status:
            obj.pop("status", None)
            if admission.type_name:
                obj["status"] = zero_field(admission.type_name, "status")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        """Defaults, and what an update does not change."""
        if self.has_status:
            keep(obj, old, "status")

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        """Everything but `status` as it was."""
        status_part, meta = obj.get("status"), obj["metadata"]
        obj.clear()
        obj.update(old)
        obj["metadata"] = dict(old["metadata"])
        for name in self.status_metadata:
            keep(obj["metadata"], meta, name)
        if status_part is None:
            obj.pop("status", None)
        else:
            obj["status"] = status_part

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        """Causes against the object as such, after its metadata was found good."""
        return ()

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        """Causes against the change, beside `validate`."""
        return ()

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return ()

    def block_rules(self, causes: Sequence[Cause]) -> list[Cause]:
        """A remark on rules that could not be checked because of these causes."""
        return []

    def check_rules(self, obj: JsonObject, old: JsonObject | None) -> list[Cause]:
        """Rules that are checked only when everything else is good."""
        return []

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        """Whether generation grows."""
        return obj.get("spec") != old.get("spec")

    def grace_period(self, obj: JsonObject, asked: int | None) -> int:
        """Seconds from the request to the deletion; only for graceful kinds."""
        return 0

    def check_deletion(self, obj: JsonObject) -> None:
        """Raises `ApiError` when objects like this one may not be deleted."""

    def holds_deletion(self, obj: JsonObject) -> bool:
        """Something beside finalizers and grace keeps a deleted object."""
        return False

    def on_deletion_marked(self, obj: JsonObject) -> None:
        """The object, of which only `metadata` may be changed in place, is now being deleted."""

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        """The write is in the store. `old` is None after a create."""

    def after_removal(self, obj: JsonObject) -> None:
        """The object is gone."""

    def after_restore(self, obj: JsonObject) -> None:
        """The object is in the store as a saved state had it. Must not write."""
        self.after_commit(obj, None)

    def stored_form(self, obj: JsonObject) -> JsonObject:
        """From the version the caller wrote to the stored one; may change `obj`."""
        return obj

    def served_form(self, obj: JsonObject) -> JsonObject:
        """From the stored version to this one; must not change `obj`."""
        return obj

    #: True when `served_form` returns its argument.
    serves_stored_form: bool = True


def keep(obj: JsonObject, old: JsonObject, field: str) -> None:
    """Make `obj[field]` what it is in `old`, present or absent."""
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def setdefault(obj: JsonObject, **defaults: Any) -> None:
    """Fill absent (or null) fields."""
    for name, value in defaults.items():
        if obj.get(name) is None:
            obj[name] = value
