"""Custom resources: the rules of one version of one CRD (`kubernetes-api.md` section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.copies import own_copy
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep
from rayrig_fakes.kubernetes.objectmeta import STANDARD_FINALIZERS, Looks
from rayrig_fakes.kubernetes.scale_paths import scale_problems
from rayrig_fakes.kubernetes.schema.changes import unchanged_tolerated
from rayrig_fakes.kubernetes.schema.nodes import SchemaNode, has_embedded, has_rules
from rayrig_fakes.kubernetes.schema.rules import RuleNode, rule_tree
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.decoding import decode

#: Fields every object has; the schema does not speak of them.
_ENVELOPE = ("apiVersion", "kind", "metadata")
_BLOCKING = (
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


class CustomRules(KindRules):
    is_custom = True
    takes_vouched = False
    has_generation = True
    unconditional_update = False
    status_metadata = ()
    standard_finalizers = False
    looks = Looks(2, 1, 0)
    status_looks = Looks(0, 0, 0)

    def __init__(
        self,
        kind: ResourceType,
        schema: JsonObject,
        *,
        storage_version: str,
        has_status: bool,
        scale: JsonObject | None = None,
        changed_at: int = 0,
    ) -> None:
        """`scale`: JSON paths of the scale subresource. `changed_at`: objects written up to this revision were admitted by
        an older schema and are defaulted on reading."""
        self.has_status = has_status
        self.type = kind
        self.schema = schema
        self.scale = scale
        self.root = SchemaNode(schema)
        self._api_version = kind.api_version
        self._storage_version = storage_version
        self._changed_at = changed_at
        self._rules: RuleNode | None = None
        self._rules_read = False
        self._warns = False
        #: What the last look at the rules had against values that are as they were.
        self._tolerated: list[Cause] = []
        self._has_rules: bool | None = None
        self._has_embedded: bool | None = None
        #: Rules of all versions by apiVersion: what was stored in one is defaulted by its schema.
        self.versions: dict[str, CustomRules] = {}
        #: Set when the definition is being deleted: called after each removal of an object.
        self.on_removal: Callable[[], None] | None = None
        self.serves_stored_form = kind.api_version == storage_version and not changed_at

    def decode(self, body: JsonObject, admission: Admission) -> JsonObject:
        meta = body.get("metadata")
        if meta is None:
            obj = own_copy(body)
        else:
            unknown: list[str] = []
            typed = decode(meta, "meta.v1.ObjectMeta", unknown)
            obj = own_copy({field: value for field, value in body.items() if field != "metadata"})
            obj["metadata"] = typed
            admission.unknown += [f"metadata.{field}" for field in unknown]
        if self._has_embedded is None:
            self._has_embedded = has_embedded(self.schema)
        unknown_inside: list[str] = []
        if self._has_embedded:
            self.root.coerce_embedded(obj, unknown_inside)
        if admission.looks_for_unknown:
            admission.unknown += sorted(self.unknown_fields(body)) + unknown_inside
        return obj

    @property
    def storage_version(self) -> str:
        """The apiVersion that objects are stored in."""
        return self._storage_version

    def after_removal(self, obj: JsonObject) -> None:
        if self.on_removal is not None:
            self.on_removal()

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        if self.on_removal is not None:
            name = str(obj["metadata"].get("name", ""))
            why = "create not allowed while custom resource definition is terminating"
            raise status.forbidden(self.type, name, why)
        if self.has_status:
            obj.pop("status", None)
        self._admit(obj, admission, lambda field: True)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        if self.has_status:
            keep(obj, old, "status")
        # Parts that did not change were admitted when they were written.
        self._warns = admission.looks_for_unknown
        first = len(admission.causes)
        self._admit(obj, admission, lambda field: field not in old or obj[field] != old[field])
        if len(admission.causes) > first:
            admission.causes[first:] = unchanged_tolerated(admission.causes[first:], obj, old, self.schema)

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        node = self.root.child("status")
        if node is None or obj.get("status") is None:
            self._admit(obj, admission, lambda field: field == "status")
            return
        # Texts speak of a status as if nothing were around it.
        found: list[Cause] = []
        node.admit(obj["status"], None, found)
        found = unchanged_tolerated(found, obj["status"], old.get("status"), node.schema)
        for cause in found:
            inside = cause.field not in ("", "<nil>")
            at = f"status.{cause.field}" if inside else cause.field or "status"
            admission.causes.append(replace(cause, field=at))

    def _admit(self, obj: JsonObject, admission: Admission, is_new: Callable[[str], bool]) -> None:
        """Prune, default and validate the top-level fields that are new."""
        root, causes = self.root, admission.causes
        envelope = {field: obj.pop(field) for field in _ENVELOPE if field in obj}
        settled = {field: obj.pop(field) for field in list(obj) if not is_new(field)}
        found: list[Cause] = []
        # What is settled is there, so a default for it must not be made, nor is it missing.
        root.admit_fields(obj, settled, found)
        body = dict(obj)
        obj.clear()
        obj.update(envelope)
        obj.update(settled)
        obj.update(body)
        causes += found

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        return scale_problems(obj, self.scale) if self.scale is not None else ()

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        admission.warnings += [cause.text() for cause in self._tolerated]
        had = (old["metadata"].get("finalizers") or ()) if old is not None else ()
        for finalizer in obj["metadata"].get("finalizers") or ():
            if "/" not in finalizer and finalizer not in had and finalizer not in STANDARD_FINALIZERS:
                path = " including a path (/)" if "." in finalizer else ""
                admission.warnings.append(
                    f'metadata.finalizers: "{finalizer}": prefer a domain-qualified finalizer name{path} to avoid '
                    "accidental conflicts with other finalizer writers"
                )

    def block_rules(self, causes: Sequence[Cause]) -> list[Cause]:
        """The remark that CEL rules were left out, when there are rules and something that keeps them from being checked."""
        if not any(cause.reason in _BLOCKING for cause in causes):
            return []
        if self._has_rules is None:
            self._has_rules = has_rules(self.schema)
        return [status.invalid_value("<nil>", None, _UNCHECKED)] if self._has_rules else []

    def check_rules(self, obj: JsonObject, old: JsonObject | None) -> list[Cause]:
        """What the CEL rules say of what is new."""
        if not self._rules_read:
            self._rules, self._rules_read = rule_tree(self.schema), True
        if self._rules is None:
            return []
        causes: list[Cause] = []
        self._tolerated = []
        self._rules.check_root(obj, obj, old, causes, self._tolerated if self._warns else None)
        return causes

    def unknown_fields(self, obj: JsonObject) -> list[str]:
        """Paths of the fields that would be pruned."""
        body = {field: value for field, value in obj.items() if field not in _ENVELOPE}
        return self.root.unknown_fields(body)

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        """Anything outside metadata, and outside status where status is a subresource."""
        left_out = ("metadata", "status") if self.has_status else ("metadata",)
        if obj.get("spec") != old.get("spec"):
            return True
        fields = dict.fromkeys((*obj, *old))
        return any(obj.get(field) != old.get(field) for field in fields if field not in left_out)

    def stored_form(self, obj: JsonObject) -> JsonObject:
        """What is written in another version is cut to the stored version's schema, and filled with its defaults."""
        if self._api_version != self._storage_version:
            stored = self.versions.get(self._storage_version)
            if stored is not None:
                _refilled(obj, stored.root)
        obj["apiVersion"] = self._storage_version
        return obj

    def served_form(self, obj: JsonObject) -> JsonObject:
        if self._changed_at and int(obj["metadata"].get("resourceVersion") or self._changed_at + 1) <= self._changed_at:
            obj = copy_json(obj)
            _refilled(obj, self.versions.get(obj["apiVersion"], self).root)
        if obj["apiVersion"] != self._api_version:
            # What this version's schema does not know is not shown; its defaults are for writing.
            body = {field: copy_json(value) for field, value in obj.items() if field not in _ENVELOPE}
            self.root.prune(body)
            obj = {"apiVersion": self._api_version, "kind": obj["kind"], "metadata": obj["metadata"], **body}
        return obj


def _refilled(obj: JsonObject, root: SchemaNode) -> None:
    """Prune and default in place, in the order of the object."""
    envelope = {field: obj.pop(field) for field in _ENVELOPE if field in obj}
    root.admit_fields(obj, {}, [])
    body = dict(obj)
    obj.clear()
    obj.update(envelope)
    obj.update(body)
