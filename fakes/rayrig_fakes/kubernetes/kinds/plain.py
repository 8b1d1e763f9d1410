"""Kinds with few rules of their own: namespaces, config maps, leases, and those kept as they come."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep
from rayrig_fakes.kubernetes.kinds.checks import config_key, each, label_without_dots
from rayrig_fakes.kubernetes.objectmeta import STANDARD_FINALIZERS, Looks
from rayrig_fakes.kubernetes.status import Cause

_NAMESPACE_FINALIZER = "kubernetes"
_PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")
_DATA_LIMIT = 1024 * 1024


class PlainRules(KindRules):
    """A kind that is stored as it comes."""

    def __init__(
        self, *, has_status: bool = False, has_generation: bool = False, unconditional_update: bool = True
    ) -> None:
        self.has_status = has_status
        self.has_generation = has_generation
        self.unconditional_update = unconditional_update


class NamespaceRules(KindRules):
    looks = Looks(2, 2, 2)
    has_status = True
    name_rule = staticmethod(label_without_dots)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        meta = obj["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}
        finalizers = list((obj.get("spec") or {}).get("finalizers") or ())
        if _NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(_NAMESPACE_FINALIZER)
        obj["spec"] = {"finalizers": finalizers}
        obj["status"] = {"phase": "Active"}

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        keep(obj, old, "status")
        if admission.subresource != "finalize":
            keep(obj, old, "spec")
        meta = obj["metadata"]
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for name in (obj.get("spec") or {}).get("finalizers") or ():
            causes += each("spec.finalizers", name, qualified_name(name))
            if "/" not in name and name not in STANDARD_FINALIZERS:
                text = "name is neither a standard finalizer name nor is it fully qualified"
                causes.append(status.invalid_value("spec.finalizers", name, text))
        return causes

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        phase = (obj.get("status") or {}).get("phase")
        if obj["metadata"].get("deletionTimestamp"):
            wanted, when = "Terminating", "not empty"
        else:
            wanted, when = "Active", "empty"
        if phase == wanted:
            return ()
        text = f"may only be '{wanted}' if `deletionTimestamp` is {when}"
        return [status.invalid_value("status.Phase", phase or "", text)]

    def check_deletion(self, obj: JsonObject) -> None:
        name = obj["metadata"]["name"]
        if name in _PROTECTED_NAMESPACES:
            text = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
            raise status.error(403, "Forbidden", text, {"name": name, "kind": "namespaces"})

    def holds_deletion(self, obj: JsonObject) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def on_deletion_marked(self, obj: JsonObject) -> None:
        obj["metadata"].pop("deletionGracePeriodSeconds", None)
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}


class DataRules(KindRules):
    """ConfigMaps and Secrets."""

    looks = Looks(2, 2, 2)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        size = 0
        binary = obj.get("binaryData") or {}
        for part in ("data", "binaryData"):
            for key, value in (obj.get(part) or {}).items():
                causes += each(f"{part}[{key}]", key, config_key(key))
                if part == "data" and key in binary:
                    text = "duplicate of key present in binaryData"
                    causes.append(status.invalid_value(f"data[{key}]", key, text))
                size += len(value)
        if size > _DATA_LIMIT:
            causes.append(status.too_long("[]", _DATA_LIMIT))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if not old.get("immutable"):
            return ()
        text = "field is immutable when `immutable` is set"
        causes = []
        if not obj.get("immutable"):
            causes.append(status.forbidden_field("immutable", text))
        for part in ("data", "binaryData"):
            if (obj.get(part) or {}) != (old.get(part) or {}):
                causes.append(status.forbidden_field(part, text))
        return causes


class ConfigMapRules(DataRules):
    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        drop_empty(obj, "data", "binaryData")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        drop_empty(obj, "data", "binaryData")


class LeaseRules(KindRules):
    standard_finalizers = False
    looks = Looks(2, 1, 0)
    create_on_update = True

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        # Of coordinated leader election, which is off.
        for field in ("strategy", "preferredHolder"):
            (obj.get("spec") or {}).pop(field, None)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
            value = spec.get(field)
            if value is not None and value < least:
                text = "must be greater than 0" if least else "must be greater than or equal to 0"
                causes.append(status.invalid_value(f"spec.{field}", value, text))
        return causes


def drop_empty(obj: JsonObject, *fields: str) -> None:
    for field in fields:
        if field in obj and not obj[field]:
            del obj[field]
