"""HorizontalPodAutoscalers, in two versions: defaults, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import POSITIVE, each, one_of, selector_problems
from rayrig_fakes.kubernetes.names import path_segment
from rayrig_fakes.kubernetes.status import Cause

AUTOSCALER = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
AUTOSCALER_V1 = ResourceType("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler")

_METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGET_TYPES = ("Utilization", "Value", "AverageValue")
_DEFAULT_METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
]
#: Policies of a behaviour that is asked for without saying which.
_DEFAULT_SCALING: dict[str, JsonObject] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
}


class AutoscalerRules(KindRules):
    has_status = True

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        self.default(obj.setdefault("spec", {}))

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self.default(obj.setdefault("spec", {}))

    def default(self, spec: JsonObject) -> None:
        setdefault(spec, minReplicas=1)
        if not spec.get("metrics"):
            spec["metrics"] = copy_json({"metrics": _DEFAULT_METRICS})["metrics"]
        behavior = spec.get("behavior")
        if behavior is not None:
            for way, defaults in _DEFAULT_SCALING.items():
                setdefault(behavior.setdefault(way, {}), **copy_json(defaults))

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        return autoscaler_problems(obj["spec"])


def autoscaler_problems(spec: JsonObject) -> list[Cause]:
    """Of a spec in v2."""
    causes: list[Cause] = []
    least, most, metrics = spec.get("minReplicas"), spec.get("maxReplicas") or 0, spec.get("metrics") or []
    if least is not None and least < 1:
        text = "must be greater than or equal to 1"
        causes.append(status.invalid_value("spec.minReplicas", least, text))
    if most == 0:
        causes.append(status.required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        causes.append(status.invalid_value("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        text = "must be greater than or equal to `minReplicas`"
        causes.append(status.invalid_value("spec.maxReplicas", most, text))
    causes += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef", needs_group=True)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(status.forbidden_field("spec.metrics", text))
    for index, metric in enumerate(metrics):
        causes += _metric(metric, f"spec.metrics[{index}]")
    for way in _DEFAULT_SCALING:
        rules = (spec.get("behavior") or {}).get(way)
        if rules is not None:
            causes += _scaling(rules, f"spec.behavior.{way}")
    return causes


def _reference(reference: JsonObject, field: str, *, needs_group: bool) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("kind", "name"):
        value = reference.get(part) or ""
        causes += each(f"{field}.{part}", value, path_segment(value)) if value else [status.required(f"{field}.{part}")]
    version = reference.get("apiVersion") or ""
    if needs_group and "/" not in version:
        text = "apiVersion must specify API group"
        causes.append(status.invalid_value(f"{field}.apiVersion", version, text))
    return causes


def _metric(metric: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    kind = metric.get("type") or ""
    if not kind:
        causes.append(status.required(f"{field}.type", "must specify a metric source type"))
    if kind not in _METRIC_TYPES:
        # Said twice.
        return causes + [status.not_supported(f"{field}.type", kind, _METRIC_TYPES)] * 2
    own = _SOURCES[kind]
    for other in _SOURCES.values():
        if other != own and metric.get(other) is not None:
            text = "must populate the given metric source only"
            causes.append(status.forbidden_field(f"{field}.{other}", text))
    source, at = metric.get(own), f"{field}.{own}"
    if source is None:
        return [*causes, status.required(at, "must populate information for the given metric source")]
    target = source.get("target") or {}
    causes += _target(target, f"{at}.target")
    if kind in ("Resource", "ContainerResource"):
        return causes + _resource_metric(source, target, at)
    causes += _metric_name(source.get("metric") or {}, f"{at}.metric")
    average, value = target.get("averageValue"), target.get("value")
    if kind == "Pods":
        if average is None or parse_quantity(average) <= 0:
            text = "must specify a positive target averageValue"
            causes.append(status.required(f"{at}.target.averageValue", text))
    elif average is None and value is None:
        text = "must set either a target value for metric or a per-pod target"
        causes.append(status.required(f"{at}.target.averageValue", text))
    elif kind == "External" and average is not None and value is not None:
        text = "may not set both a target value for metric and a per-pod target"
        causes.append(status.forbidden_field(f"{at}.target.value", text))
    if kind == "Object":
        causes += _reference(source.get("describedObject") or {}, f"{at}.describedObject", needs_group=False)
    return causes


def _metric_name(metric: JsonObject, field: str) -> list[Cause]:
    name = metric.get("name") or ""
    if not name:
        return [status.required(f"{field}.name", "must specify a metric name")]
    return each(f"{field}.name", name, path_segment(name)) + selector_problems(
        metric.get("selector"), f"{field}.selector"
    )


def _resource_metric(source: JsonObject, target: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    if not source.get("name"):
        causes.append(status.required(f"{field}.name", "must specify a resource name"))
    use, average, at = (
        target.get("averageUtilization"),
        target.get("averageValue"),
        f"{field}.target.averageUtilization",
    )
    if use is None and average is None:
        causes.append(status.required(at, "must set either a target raw value or a target utilization"))
    elif use is not None and average is not None:
        text = "may not set both a target raw value and a target utilization"
        causes.append(status.forbidden_field(f"{field}.target.averageValue", text))
    return causes


def _target(target: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    kind, use = target.get("type") or "", target.get("averageUtilization")
    if not kind:
        causes.append(status.required(f"{field}.type", "must specify a metric target type"))
    if kind not in _TARGET_TYPES:
        text = "must be either Utilization, Value, or AverageValue"
        causes.append(status.invalid_value(f"{field}.type", kind, text))
    if use is not None and use < 1:
        causes.append(status.invalid_value(f"{field}.averageUtilization", use, "must be greater than 0"))
    for part in ("averageValue", "value"):
        amount = target.get(part)
        if amount is not None and parse_quantity(amount) <= 0:
            causes.append(status.invalid_value(f"{field}.{part}", amount, "must be positive"))
    return causes


def _scaling(rules: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    window = rules.get("stabilizationWindowSeconds")
    at = f"{field}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        causes.append(status.invalid_value(at, window, "must be greater than or equal to zero"))
    elif window is not None and window > 3600:
        causes.append(status.invalid_value(at, window, "must be less than or equal to 3600"))
    causes += one_of(f"{field}.selectPolicy", rules.get("selectPolicy"), ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or []
    if not policies:
        causes.append(status.required(f"{field}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        here = f"{field}.policies[{index}]"
        causes += one_of(f"{here}.type", policy.get("type") or "", ("Percent", "Pods"))
        value, period = policy.get("value") or 0, policy.get("periodSeconds") or 0
        if value <= 0:
            causes.append(status.invalid_value(f"{here}.value", value, POSITIVE))
        if period <= 0:
            causes.append(status.invalid_value(f"{here}.periodSeconds", period, POSITIVE))
        elif period > 1800:
            causes.append(status.invalid_value(f"{here}.periodSeconds", period, "must be less than or equal to 1800"))
    return causes


class AutoscalerV1Rules(AutoscalerRules):
    """autoscaling/v1 of what is stored as autoscaling/v2: a target for the use of cpu is all it can say of metrics."""

    serves_stored_form = False

    def default(self, spec: JsonObject) -> None:
        setdefault(spec, minReplicas=1, targetCPUUtilizationPercentage=80)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        return autoscaler_problems(self.stored_form(obj)["spec"])

    def stored_form(self, obj: JsonObject) -> JsonObject:
        spec = dict(obj.get("spec") or {})
        percentage = spec.pop("targetCPUUtilizationPercentage", None)
        if percentage is not None:
            target = {"type": "Utilization", "averageUtilization": percentage}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        return {**obj, "apiVersion": AUTOSCALER.api_version, "spec": spec}

    def served_form(self, obj: JsonObject) -> JsonObject:
        spec = dict(obj.get("spec") or {})
        for metric in spec.pop("metrics", None) or ():
            resource = metric.get("resource") or {}
            target = resource.get("target") or {}
            if resource.get("name") == "cpu" and target.get("averageUtilization") is not None:
                spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
        spec.pop("behavior", None)
        shown = {**obj, "apiVersion": AUTOSCALER_V1.api_version, "spec": spec}
        state = obj.get("status")
        if isinstance(state, dict):
            shown["status"] = {
                name: value for name, value in state.items() if name not in ("conditions", "currentMetrics")
            }
        return shown
