"""Kinds that keep pods of a template running: defaults, selectors, what may change (`kubernetes-api.md`; K8-079)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.checks import (
    amount_problems,
    each,
    label_without_dots,
    labels_problems,
    not_negative,
    selector_problems,
    selects,
    shown_selector,
)
from rayrig_fakes.kubernetes.kinds.claims import claim_spec_problems
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_validation import validate_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_warnings import template_warnings
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE, annotation_problems
from rayrig_fakes.kubernetes.status import Cause

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class TemplateRules(KindRules):
    """What all kinds with a pod template have in common."""

    has_status = True
    has_generation = True
    kind: ClassVar[str] = ""
    #: Path of the template.
    template: ClassVar[str] = "spec.template"

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        self.default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self.default(obj)

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}), self.kind)

    def template_of(self, obj: JsonObject) -> JsonObject:
        template: JsonObject = obj["spec"]["template"]
        return template

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if not admission.looks_for_unknown:
            return
        if old is None:
            admission.warnings += self.name_warnings(obj["metadata"]["name"])
        if old is None or self.template_of(obj) != self.template_of(old):
            admission.warnings += template_warnings(self.template_of(obj), self.template)

    def name_warnings(self, name: str) -> list[str]:
        return []


def pod_names_warnings(name: str) -> list[str]:
    """Of objects whose pods are named after them."""
    problems = label_without_dots(name)
    if not problems:
        return []
    text = (
        "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
    )
    return [f"metadata.name: {text}: [{' '.join(problems)}]"]


def template_problems(template: JsonObject, field: str) -> list[Cause]:
    """What is wrong with a pod template as such."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    causes = labels_problems(meta.get("labels") or {}, f"{field}.labels")
    causes += annotation_problems(meta.get("annotations") or {}, f"{field}.annotations")
    causes += validate_pod_spec(spec, f"{field}.spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        causes.append(status.forbidden_field(f"{field}.spec.ephemeralContainers", text))
    return causes


def mismatch(labels: JsonObject | None) -> Cause:
    """The selector does not find the pods of the template, which have these labels."""
    shown = labels and dict(sorted(labels.items()))
    return status.invalid_value("spec.template.metadata.labels", shown, "`selector` does not match template `labels`")


class WorkloadRules(TemplateRules):
    """Pods that always run, found by a label selector."""

    #: As it is called in refusals; the kind whose pods they are.
    word: ClassVar[str] = ""
    owner: ClassVar[str] = ""
    #: What is said of a selector that is no good, None when nothing.
    bad_selector: ClassVar[str | None] = "invalid label selector"
    requires_selector: ClassVar[bool] = True
    #: What its status counts, beside all replicas.
    counts: ClassVar[tuple[str, ...]] = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        for field in ("replicas", "minReadySeconds"):
            causes += not_negative(f"spec.{field}", spec.get(field))
        causes += self._selector_problems(spec)
        template = self.validated_template(obj)
        causes += template_problems(template, "spec.template")
        pod = template.get("spec") or {}
        policy = pod.get("restartPolicy")
        if policy != "Always":
            causes.append(status.not_supported("spec.template.spec.restartPolicy", policy, ["Always"]))
        if pod.get("activeDeadlineSeconds") is not None:
            text = f"activeDeadlineSeconds in {self.owner or self.kind} is not Supported"
            causes.append(status.forbidden_field("spec.template.spec.activeDeadlineSeconds", text))
        return causes

    def validated_template(self, obj: JsonObject) -> JsonObject:
        return self.template_of(obj)

    def _selector_problems(self, spec: JsonObject) -> list[Cause]:
        selector = spec.get("selector")
        labels = (spec["template"].get("metadata") or {}).get("labels")
        causes = selector_problems(selector, "spec.selector")
        if selector is None:
            if self.requires_selector:
                causes.append(status.required("spec.selector"))
        elif causes:
            if self.bad_selector is not None:
                causes.append(status.invalid_value("spec.selector", shown_selector(selector), self.bad_selector))
            return causes
        elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
            text = f"empty selector is invalid for {self.word}"
            return [status.invalid_value("spec.selector", shown_selector(selector), text)]
        if not selects(selector, labels or {}):
            causes.append(mismatch(labels))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        selector = obj["spec"].get("selector")
        if selector == old["spec"].get("selector"):
            return ()
        return [status.invalid_value("spec.selector", shown_selector(selector), IMMUTABLE)]

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return replica_status_problems(obj.get("status") or {}, old.get("status") or {}, self.counts)


def replica_status_problems(new: JsonObject, old: JsonObject, counts: tuple[str, ...]) -> list[Cause]:
    """Counts that are negative, or greater than what they are part of."""
    causes: list[Cause] = []
    for name in ("replicas", *counts, "unavailableReplicas", "terminatingReplicas", "observedGeneration"):
        causes += not_negative(f"status.{name}", new.get(name))
    collisions, had = new.get("collisionCount"), old.get("collisionCount")
    causes += not_negative("status.collisionCount", collisions)
    if had is not None and collisions is None:
        causes.append(status.invalid_value("status.collisionCount", None, "cannot be decremented"))
    elif collisions is not None and had is not None and collisions < had:
        causes.append(status.invalid_value("status.collisionCount", collisions, "cannot be decremented"))
    total = new.get("replicas") or 0
    for name in counts:
        value = new.get(name) or 0
        if value > total:
            causes.append(status.invalid_value(f"status.{name}", value, "cannot be greater than status.replicas"))
    available, ready = new.get("availableReplicas") or 0, new.get("readyReplicas") or 0
    if available > ready:
        text = "cannot be greater than readyReplicas"
        causes.append(status.invalid_value("status.availableReplicas", available, text))
    return causes


class DeploymentRules(WorkloadRules):
    kind, word, owner = "Deployment", "deployment", "ReplicaSet"
    counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    status_metadata = ("annotations", "finalizers", "ownerReferences")

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        # Annotations go on to ReplicaSets, so they count.
        annotations, had = obj["metadata"].get("annotations"), old["metadata"].get("annotations")
        return super().spec_changed(obj, old) or annotations != had

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = spec.setdefault("strategy", {})
        setdefault(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            setdefault(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
        setdefault(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = [
            *super().validate(obj, admission),
            *not_negative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"]),
        ]
        deadline, ready = spec["progressDeadlineSeconds"], spec.get("minReadySeconds") or 0
        causes += not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= ready:
            text = "must be greater than minReadySeconds"
            causes.append(status.invalid_value("spec.progressDeadlineSeconds", deadline, text))
        return causes + self._strategy_problems(spec["strategy"])

    def _strategy_problems(self, strategy: JsonObject) -> list[Cause]:
        kind, rolling, at = strategy["type"], strategy.get("rollingUpdate") or {}, "spec.strategy"
        if kind == "Recreate":
            if strategy.get("rollingUpdate") is None:
                return []
            text = "may not be specified when strategy `type` is 'Recreate'"
            return [status.forbidden_field(f"{at}.rollingUpdate", text)]
        if kind != "RollingUpdate":
            shown = {"Type": kind, "RollingUpdate": strategy.get("rollingUpdate")}
            return [status.not_supported(at, shown, ["Recreate", "RollingUpdate"])]
        least, most = rolling["maxUnavailable"], rolling["maxSurge"]
        causes = amount_problems(least, f"{at}.rollingUpdate.maxUnavailable")
        causes += amount_problems(most, f"{at}.rollingUpdate.maxSurge")
        if _is_nothing(least) and _is_nothing(most):
            text = "may not be 0 when `maxSurge` is 0"
            causes.append(status.invalid_value(f"{at}.rollingUpdate.maxUnavailable", least, text))
        return causes + no_more_than_all(least, f"{at}.rollingUpdate.maxUnavailable")

    def name_warnings(self, name: str) -> list[str]:
        return pod_names_warnings(name)


def _is_nothing(value: Json) -> bool:
    """No pods, as a number or as a percentage."""
    if isinstance(value, int):
        return value == 0
    digits = str(value).removesuffix("%")
    return digits.isdigit() and int(digits) == 0


def no_more_than_all(value: Json, field: str) -> list[Cause]:
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit() and int(value[:-1]) > 100:
        return [status.invalid_value(field, value, "must not be greater than 100%")]
    return []


class ReplicaSetRules(WorkloadRules):
    kind, word = "ReplicaSet", "deployment"

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        setdefault(obj["spec"], replicas=1)

    def name_warnings(self, name: str) -> list[str]:
        return pod_names_warnings(name)


class StatefulSetRules(WorkloadRules):
    kind, word = "StatefulSet", "statefulset"
    counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    bad_selector = ""
    name_rule = staticmethod(label_without_dots)
    _CHANGEABLE = (
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    )

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        setdefault(spec, podManagementPolicy="OrderedReady", replicas=1, revisionHistoryLimit=10)
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            setdefault(rolling, partition=0)
            # Not taken as long as the feature is off.
            rolling.pop("maxUnavailable", None)
        retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for when in ("whenDeleted", "whenScaled"):
            if not retention.get(when):
                retention[when] = "Retain"
        for claim in spec.get("volumeClaimTemplates") or ():
            claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
            setdefault(claim.setdefault("spec", {}), volumeMode="Filesystem")
            claim["status"] = {"phase": "Pending"}

    def validated_template(self, obj: JsonObject) -> JsonObject:
        """Claims give volumes to the pods."""
        template, claims = self.template_of(obj), obj["spec"].get("volumeClaimTemplates") or ()
        if not claims:
            return template
        names = [(claim.get("metadata") or {}).get("name") or "" for claim in claims]
        volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
        volumes += [volume for volume in template["spec"].get("volumes") or () if volume.get("name") not in names]
        return {**template, "spec": {**template["spec"], "volumes": volumes}}

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = list(super().validate(obj, admission))
        policy = spec["podManagementPolicy"]
        if policy not in ("OrderedReady", "Parallel"):
            text = "must be 'OrderedReady' or 'Parallel'"
            causes.append(status.invalid_value("spec.podManagementPolicy", policy, text))
        strategy, at = spec["updateStrategy"], "spec.updateStrategy"
        rolling = strategy.get("rollingUpdate")
        shown = rolling and {"Partition": rolling.get("partition"), "MaxUnavailable": rolling.get("maxUnavailable")}
        if strategy["type"] == "RollingUpdate":
            causes += not_negative(f"{at}.rollingUpdate.partition", (rolling or {}).get("partition"))
        elif strategy["type"] == "OnDelete":
            if rolling is not None:
                text = "only allowed for updateStrategy 'RollingUpdate'"
                causes.append(status.invalid_value(f"{at}.rollingUpdate", shown, text))
        else:
            text = "must be 'RollingUpdate' or 'OnDelete'"
            causes.append(status.invalid_value(at, {"Type": strategy["type"], "RollingUpdate": shown}, text))
        for when, value in spec["persistentVolumeClaimRetentionPolicy"].items():
            if value not in ("Retain", "Delete"):
                field = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
                causes.append(status.not_supported(field, value, ["Retain", "Delete"]))
        causes += not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
        name = spec.get("serviceName")
        if name:
            causes += each("spec.serviceName", name, dns_label(name))
        # Labels of the template are looked at twice.
        labels = (spec["template"].get("metadata") or {}).get("labels") or {}
        causes += labels_problems(labels, "spec.template.labels")
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            causes += claim_spec_problems(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        def fixed(spec: JsonObject) -> JsonObject:
            return {field: value for field, value in spec.items() if field not in self._CHANGEABLE}

        if fixed(obj["spec"]) == fixed(old["spec"]):
            return ()
        *most, last = self._CHANGEABLE
        listed = ", ".join(f"'{field}'" for field in most)
        text = f"updates to statefulset spec for fields other than {listed} and '{last}' are forbidden"
        return [status.forbidden_field("spec", text)]

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        super().warn(obj, old, admission)
        if admission.looks_for_unknown and obj["spec"]["revisionHistoryLimit"] < 0:
            text = "a negative value retains all historical revisions; a value >= 0 is recommended"
            admission.warnings.append(f"spec.revisionHistoryLimit: {text}")


class DaemonSetRules(WorkloadRules):
    kind, word = "DaemonSet", "daemonset"
    bad_selector = None
    requires_selector = False

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        self._note_generation(obj, 1)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        had = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
        changed = self.template_of(obj) != self.template_of(old)
        self._note_generation(obj, (int(had) if had.isdigit() else 1) + changed)

    def _note_generation(self, obj: JsonObject, generation: int) -> None:
        annotations = dict(obj["metadata"].get("annotations") or {})
        annotations[_TEMPLATE_GENERATION] = str(generation)
        obj["metadata"]["annotations"] = annotations

    def default(self, obj: JsonObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            setdefault(rolling, maxUnavailable=1)
        if strategy.get("rollingUpdate") is not None:
            setdefault(strategy["rollingUpdate"], maxSurge=0)
        setdefault(spec, revisionHistoryLimit=10)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = [
            *super().validate(obj, admission),
            *not_negative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"]),
        ]
        strategy, at = spec["updateStrategy"], "spec.updateStrategy"
        if strategy["type"] == "OnDelete":
            return causes
        rolling = strategy.get("rollingUpdate")
        if strategy["type"] != "RollingUpdate":
            shown = {"Type": strategy["type"], "RollingUpdate": rolling}
            return [*causes, status.not_supported(at, shown, ["RollingUpdate", "OnDelete"])]
        least, most = rolling["maxUnavailable"], rolling["maxSurge"]
        for name, value in (("maxUnavailable", least), ("maxSurge", most)):
            causes += amount_problems(value, f"{at}.rollingUpdate.{name}")
            causes += no_more_than_all(value, f"{at}.rollingUpdate.{name}")
        if _is_nothing(least) and _is_nothing(most):
            text = "cannot be 0 when maxSurge is 0"
            causes.append(status.required(f"{at}.rollingUpdate.maxUnavailable", text))
        elif _is_something(least) and _is_something(most):
            text = "may not be set when maxUnavailable is non-zero"
            causes.append(status.invalid_value(f"{at}.rollingUpdate.maxSurge", most, text))
        return causes

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for name, value in (obj.get("status") or {}).items():
            if isinstance(value, int):
                causes += not_negative(f"status.{name}", value)
        return causes


def _is_something(value: Json) -> bool:
    digits = str(value).removesuffix("%")
    return digits.isdigit() and int(digits) > 0


class ReplicationControllerRules(TemplateRules):
    kind = "ReplicationController"

    def default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        setdefault(spec, replicas=1)
        template = spec.get("template")
        if template is None:
            return
        super().default(obj)
        labels = (template.get("metadata") or {}).get("labels")
        if labels:
            if not spec.get("selector"):
                spec["selector"] = dict(labels)
            if not obj["metadata"].get("labels"):
                obj["metadata"]["labels"] = dict(labels)

    def template_of(self, obj: JsonObject) -> JsonObject:
        return obj["spec"].get("template") or {}

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes = labels_problems({}, "metadata.labels")
        for field in ("minReadySeconds", "replicas"):
            causes += not_negative(f"spec.{field}", spec.get(field))
        selector, template = spec.get("selector") or {}, spec.get("template")
        if not selector:
            causes.append(status.required("spec.selector"))
        if template is None:
            return [*causes, status.required("spec.template")]
        labels = (template.get("metadata") or {}).get("labels")
        if not all((labels or {}).get(key) == value for key, value in selector.items()):
            causes.append(mismatch(labels))
        causes += template_problems(template, "spec.template")
        pod = template.get("spec") or {}
        if pod.get("restartPolicy") != "Always":
            at = "spec.template.spec.restartPolicy"
            causes.append(status.not_supported(at, pod.get("restartPolicy"), ["Always"]))
        if pod.get("activeDeadlineSeconds") is not None:
            text = "activeDeadlineSeconds in ReplicationController is not Supported"
            causes.append(status.forbidden_field("spec.template.spec.activeDeadlineSeconds", text))
        return causes

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
        return replica_status_problems(obj.get("status") or {}, old.get("status") or {}, counts)

    def name_warnings(self, name: str) -> list[str]:
        return pod_names_warnings(name)


class PodTemplateRules(TemplateRules):
    has_status = False
    kind = "PodTemplate"
    template = "template"

    def default(self, obj: JsonObject) -> None:
        template = obj.setdefault("template", {})
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}), self.kind)

    def template_of(self, obj: JsonObject) -> JsonObject:
        template: JsonObject = obj["template"]
        return template

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        return obj.get("template") != old.get("template")

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        return template_problems(obj["template"], "template")
