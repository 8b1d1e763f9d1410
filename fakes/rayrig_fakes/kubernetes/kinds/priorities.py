"""PriorityClasses: defaults, what may not change, and which is the default of pods."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import one_of
from rayrig_fakes.kubernetes.status import Cause

_POLICIES = ("PreemptLowerPriority", "Never")
_HIGHEST = 1_000_000_000
#: The server's own, above what users may have.
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


class PriorityClassRules(KindRules):
    has_generation = True

    def __init__(self) -> None:
        #: For pods that name none.
        self.default: JsonObject | None = None

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        setdefault(obj, preemptionPolicy="PreemptLowerPriority")

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        setdefault(obj, preemptionPolicy="PreemptLowerPriority")

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        name, value = str(obj["metadata"].get("name", "")), obj.get("value", 0)
        causes = one_of("preemptionPolicy", obj.get("preemptionPolicy"), _POLICIES)
        if name.startswith("system-"):
            if _SYSTEM.get(name) != value:
                text = "priority class names with 'system-' prefix are reserved for system use only. error: "
                if name in _SYSTEM:
                    text += f"value of {name} PriorityClass must be {_SYSTEM[name]}"
                else:
                    text += f"{name} is not a known system priority class"
                causes.append(status.forbidden_field("metadata.name", text))
        elif value > _HIGHEST:
            text = f"maximum allowed value of a user defined priority is {_HIGHEST}"
            causes.append(status.forbidden_field("value", text))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = []
        if obj.get("value", 0) != old.get("value", 0):
            causes.append(status.forbidden_field("value", "may not be changed in an update."))
        if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
            causes.append(status.invalid_value("preemptionPolicy", obj.get("preemptionPolicy"), "field is immutable"))
        return causes

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        return False

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        if obj.get("globalDefault"):
            self.default = obj
        elif self.default is not None and self.default["metadata"]["name"] == obj["metadata"]["name"]:
            self.default = None

    def after_removal(self, obj: JsonObject) -> None:
        if self.default is not None and self.default["metadata"]["name"] == obj["metadata"]["name"]:
            self.default = None
