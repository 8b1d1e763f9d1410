"""Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs: defaults and selectors (`kubernetes-api.md`; K8-079)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_validation import validate_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_warnings import template_warnings
from rayrig_fakes.kubernetes.status import Cause


class WorkloadRules(KindRules):
    """Kinds that keep a pod template at `spec.template`."""

    has_status = True
    has_generation = True

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        obj["status"] = {}
        self._default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        keep(obj, old, "status")
        self._default(obj)

    def _default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        default_pod_spec(template.setdefault("spec", {}), self._kind)
        if self._kind != "DaemonSet" and self._kind != "Job":
            setdefault(spec, replicas=1)
        if self._kind == "Deployment":
            strategy = spec.setdefault("strategy", {})
            setdefault(strategy, type="RollingUpdate")
            if strategy["type"] == "RollingUpdate":
                rolling = strategy.setdefault("rollingUpdate", {})
                setdefault(rolling, maxUnavailable="25%", maxSurge="25%")
            setdefault(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        elif self._kind == "Job":
            setdefault(spec, parallelism=1, completions=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        template = spec["template"]
        causes = validate_pod_spec(template["spec"], "spec.template.spec")
        policy, at = template["spec"].get("restartPolicy"), "spec.template.spec.restartPolicy"
        if self._kind == "Job":
            if policy == "Always":
                causes.append(status.required(at, 'valid values: "OnFailure", "Never"'))
            return causes
        if policy != "Always":
            causes.append(status.not_supported(at, policy, ["Always"]))
        selector = spec.get("selector")
        if not selector:
            causes.append(status.required("spec.selector"))
        else:
            labels = (template.get("metadata") or {}).get("labels") or {}
            wanted = selector.get("matchLabels") or {}
            if any(labels.get(key) != value for key, value in wanted.items()):
                text = "`selector` does not match template `labels`"
                causes.append(status.invalid_value("spec.template.metadata.labels", labels, text))
        return causes

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if admission.looks_for_unknown:
            admission.warnings += template_warnings(obj["spec"]["template"], "spec.template")

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        selector = obj["spec"].get("selector")
        if self._kind == "Job" or selector == old["spec"].get("selector"):
            return ()
        return [status.invalid_value("spec.selector", selector, "field is immutable")]
