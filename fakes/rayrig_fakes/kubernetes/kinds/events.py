"""Events: one object in two shapes, core/v1 (as it is stored) and events.k8s.io/v1 (`kubernetes-api.md` section 12; K8-080)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import each
from rayrig_fakes.kubernetes.names import path_segment
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause

#: Field of events.k8s.io/v1, and of core/v1.
_NAMES = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)
_REQUIRED = ("reportingController", "reportingInstance", "action", "reason")
_FIXED = ("regarding", "reason", "action", "type", "reportingController", "reportingInstance", "eventTime")


class CoreEventRules(KindRules):
    standard_finalizers = False
    name_rule = staticmethod(path_segment)
    looks = Looks(1, 1, 0)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        self._default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self._default(obj)

    def _default(self, obj: JsonObject) -> None:
        setdefault(obj, involvedObject={}, source={}, reportingComponent="", reportingInstance="")
        for field in ("eventTime", "firstTimestamp", "lastTimestamp"):
            obj.setdefault(field, None)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = self._new_problems(obj) if obj.get("eventTime") else []
        about, namespace = obj["involvedObject"].get("namespace") or "", obj["metadata"].get("namespace", "")
        # Cluster-scoped objects have their events in `default` or in none.
        if about == namespace or (not about and namespace in ("default", "kube-system", "")):
            return causes
        return [*causes, status.invalid_value("involvedObject.namespace", about, "does not match event.namespace")]

    def _new_problems(self, obj: JsonObject) -> list[Cause]:
        """An event with an exact time is one of the new kind, and has to say who did what."""
        causes: list[Cause] = []
        reporter = obj.get("reportingComponent") or ""
        if not reporter:
            causes.append(status.required("reportingComponent"))
        causes += each("reportingComponent", reporter, qualified_name(reporter))
        for field, most in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
            value = obj.get(field) or ""
            if not value:
                causes.append(status.required(field))
            elif len(value) > most:
                causes.append(status.invalid_value(field, "", f"can have at most {most} characters"))
        if len(obj.get("message") or "") > 1024:
            causes.append(status.invalid_value("message", "", "can have at most 1024 characters"))
        return causes


class EventRules(KindRules):
    """events.k8s.io/v1: what core/v1 leaves open is required here."""

    serves_stored_form = False
    reports_group = False
    standard_finalizers = False
    name_rule = staticmethod(path_segment)
    looks = Looks(1, 1, 0)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        setdefault(obj, regarding={}, deprecatedSource={})
        for field in ("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
            obj.setdefault(field, None)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        if not obj.get("eventTime"):
            # An event that came through core/v1 has none, and may go on without.
            if obj.get("deprecatedFirstTimestamp"):
                return ()
            return [status.required("eventTime")]
        causes = [status.required(field) for field in _REQUIRED if not obj.get(field)]
        if obj.get("type") not in ("Normal", "Warning"):
            causes.append(status.invalid_value("type", "", f"has invalid value: {obj.get('type', '')}"))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return [
            status.invalid_value(field, obj.get(field), "field is immutable")
            for field in _FIXED
            if obj.get(field) != old.get(field)
        ]

    def stored_form(self, obj: JsonObject) -> JsonObject:
        for name, core_name in _NAMES:
            if name in obj:
                obj[core_name] = obj.pop(name)
        setdefault(obj, involvedObject={}, source={}, reportingComponent="", reportingInstance="")
        obj["apiVersion"] = "v1"
        return obj

    def served_form(self, obj: JsonObject) -> JsonObject:
        shown = dict(obj)
        for name, core_name in _NAMES:
            if core_name in shown:
                shown[name] = shown.pop(core_name)
        for field in ("reportingController", "reportingInstance"):
            if not shown.get(field):
                shown.pop(field, None)
        shown["apiVersion"] = "events.k8s.io/v1"
        return shown
