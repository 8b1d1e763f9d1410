"""ResourceQuotas and LimitRanges: defaults, and what is wrong with them. Nothing here keeps anybody from asking for more."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import qualified_name
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules
from rayrig_fakes.kubernetes.kinds.checks import each
from rayrig_fakes.kubernetes.kinds.container_resources import (
    KNOWN_RESOURCES,
    amount_problems_of,
    container_resource_name,
)
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, Looks
from rayrig_fakes.kubernetes.status import Cause

_SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def quota_resource_problems(name: str, field: str) -> list[Cause]:
    causes = each(field, name, qualified_name(name))
    if "/" not in name:
        huge = name.startswith(("hugepages-", "requests.hugepages-"))
        if not causes and name not in KNOWN_RESOURCES and not huge:
            text = "must be a standard resource type or fully qualified"
            causes.append(status.invalid_value(field, name, text))
        if name not in KNOWN_RESOURCES and not huge:
            causes.append(status.invalid_value(field, name, "must be a standard resource for quota"))
    return causes


class QuotaRules(KindRules):
    has_status = True

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes = _quota_amounts(spec.get("hard") or {}, "spec.hard")
        scopes = spec.get("scopes") or []
        if any(scope not in _SCOPES for scope in scopes):
            causes += [
                status.invalid_value("spec.scopes", scopes, "unsupported scope")
                for scope in scopes
                if scope not in _SCOPES
            ]
        if "BestEffort" in scopes:
            text = "unsupported scope applied to resource"
            causes += [
                status.invalid_value("spec.scopes", scopes, text) for name in spec.get("hard") or () if name != "pods"
            ]
        for pair in _OPPOSITES:
            if all(scope in scopes for scope in pair):
                causes.append(status.invalid_value("spec.scopes", scopes, "conflicting scopes"))
        for expression in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
            causes += _scope_expression(expression, "spec.scopeSelector.matchExpressions")
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        scopes, had = (obj.get("spec") or {}).get("scopes") or [], (old.get("spec") or {}).get("scopes") or []
        if sorted(scopes) == sorted(had):
            return ()
        return [status.invalid_value("spec.scopes", scopes, IMMUTABLE)]

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for part in ("hard", "used"):
            causes += _quota_amounts((obj.get("status") or {}).get(part) or {}, f"status.{part}")
        return causes


def _quota_amounts(amounts: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, value in amounts.items():
        at = f"{field}[{name}]"
        causes += quota_resource_problems(name, at) + amount_problems_of(name, value, at)
    return causes


def _scope_expression(expression: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    scope, operator = expression.get("scopeName") or "", expression.get("operator") or ""
    values = expression.get("values") or []
    if scope not in _SCOPES:
        causes.append(status.invalid_value(f"{field}.scopeName", scope, "unsupported scope"))
    if operator not in _OPERATORS:
        causes.append(status.invalid_value(f"{field}.operator", operator, "not a valid selector operator"))
    elif operator in ("In", "NotIn") and not values:
        text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        causes.append(status.required(f"{field}.values", text))
    elif operator in ("Exists", "DoesNotExist") and values:
        text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        causes.append(status.invalid_value(f"{field}.values", values, text))
    return causes


class LimitRangeRules(KindRules):
    looks = Looks(1, 2, 1)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        meta = obj["metadata"]
        if not meta.get("name") and not meta.get("generateName"):
            # The one kind that is given a name when it has none.
            meta["name"] = meta["uid"]
        for item in obj.setdefault("spec", {}).get("limits") or ():
            if item.get("type") != "Container":
                continue
            for part, source in (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")):
                for name, value in (item.get(source) or {}).items():
                    item.setdefault(part, {}).setdefault(name, value)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        self.before_create(obj, admission)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        kinds: list[str] = []
        for index, item in enumerate(obj["spec"].get("limits") or ()):
            at, kind = f"spec.limits[{index}]", item.get("type") or ""
            wrong = each(f"{at}.type", kind, qualified_name(kind))
            if not wrong and "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
                text = "must be a standard limit type or fully qualified"
                wrong.append(status.invalid_value(f"{at}.type", kind, text))
            causes += wrong
            if kind in kinds:
                causes.append(status.duplicate(f"{at}.type", kind))
            kinds.append(kind)
            causes += _limit_problems(item, kind, at)
        return causes


def _limit_problems(item: JsonObject, kind: str, field: str) -> list[Cause]:
    causes: list[Cause] = []
    amounts = {part: item.get(part) or {} for part in _BOUNDS}
    for part, values in amounts.items():
        if kind == "Container":
            for name in values:
                causes += container_resource_name(name, f"{field}.{part}[{name}]")
    if kind == "Pod":
        for part in ("default", "defaultRequest"):
            if item.get(part):
                text = "may not be specified when `type` is 'Pod'"
                causes.append(status.forbidden_field(f"{field}.{part}", text))
    if kind == "PersistentVolumeClaim" and "storage" not in amounts["min"] and "storage" not in amounts["max"]:
        text = "either minimum or maximum storage value is required, but neither was provided"
        causes.append(status.required(f"{field}.limits", text))
    for name in dict.fromkeys(name for values in amounts.values() for name in values):
        causes += _compare({part: values.get(name) for part, values in amounts.items()}, name, field)
    return causes


#: (which field, its value, what it is called, what it must not be below or above, what that is called, which way).
_ORDER = (
    ("min", "min", "min value", "max", "max value"),
    ("defaultRequest", "min", "min value", "defaultRequest", "default request value"),
    ("defaultRequest", "defaultRequest", "default request value", "max", "max value"),
    ("default", "min", "min value", "default", "default value"),
    ("default", "default", "default value", "max", "max value"),
    ("defaultRequest", "defaultRequest", "default request value", "default", "default limit value"),
)


def _compare(values: dict[str, str | None], name: str, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for part, lower, lower_word, upper, upper_word in _ORDER:
        low, high = values[lower], values[upper]
        if low is None or high is None or parse_quantity(low) <= parse_quantity(high):
            continue
        shown = {("defaultRequest", "min"): high, ("default", "default"): high}.get((part, lower), low)
        text = f"{lower_word} {low} is greater than {upper_word} {high}"
        causes.append(status.invalid_value(f"{field}.{part}[{name}]", shown, text))
    ratio = values["maxLimitRequestRatio"]
    if ratio is not None and parse_quantity(ratio) < 1:
        at = f"{field}.maxLimitRequestRatio[{name}]"
        causes.append(status.invalid_value(at, ratio, f"ratio {ratio} is less than 1"))
    return causes
