"""PodDisruptionBudgets: what may be asked, and which pods one speaks of (`kubernetes-api.md` section 12; K8-064)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules
from rayrig_fakes.kubernetes.kinds.checks import selector_problems
from rayrig_fakes.kubernetes.names import path_segment
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause

_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


class BudgetRules(KindRules):
    standard_finalizers = False
    name_rule = staticmethod(path_segment)
    looks = Looks(1, 1, 0)
    status_looks = Looks(1, 1, 0)
    has_status = True
    has_generation = True
    unconditional_update = False

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        obj.setdefault("spec", {})
        obj["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        causes: list[Cause] = []
        if least is not None and most is not None:
            shown = {
                "MinAvailable": least,
                "Selector": spec.get("selector"),
                "MaxUnavailable": most,
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            }
            causes.append(status.invalid_value("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
        for name, value in (("minAvailable", least), ("maxUnavailable", most)):
            if value is not None:
                causes += _amount_problems(value, f"spec.{name}")
        causes += selector_problems(spec.get("selector"), "spec.selector")
        policy = spec.get("unhealthyPodEvictionPolicy")
        if policy is not None and policy not in _POLICIES:
            causes.append(status.not_supported("spec.unhealthyPodEvictionPolicy", policy, _POLICIES))
        return causes

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        counts = obj.get("status") or {}
        return [
            status.invalid_value(f"status.{name}", counts[name], "must be greater than or equal to 0")
            for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
            if counts.get(name) is not None and counts[name] < 0
        ]


def _amount_problems(value: Json, field: str) -> list[Cause]:
    if isinstance(value, int):
        return [] if value >= 0 else [status.invalid_value(field, value, "must be greater than or equal to 0")]
    if not _PERCENT.fullmatch(str(value)):
        return [status.invalid_value(field, value, _PERCENT_TEXT)]
    if int(value[:-1]) > 100:
        return [status.invalid_value(field, value, "must not be greater than 100%")]
    return []


def selects(budget: JsonObject, labels: JsonObject) -> bool:
    """Whether a pod with these labels is under the budget. A selector that is absent selects nothing, an empty one everything."""
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        key, values = each.get("key"), each.get("values") or ()
        holds = {
            "In": labels.get(key) in values and key in labels,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }.get(str(each.get("operator")), False)
        if not holds:
            return False
    return True
