"""Pods: defaults, what may change, graceful deletion (`kubernetes-api.md` section 3, `kubelet.md` section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.pod_changes import pod_change_problems, pod_status_problems
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_pod_spec, qos_class
from rayrig_fakes.kubernetes.kinds.pod_parts import POD_PARTS, keep_to_part, validate_part
from rayrig_fakes.kubernetes.kinds.pod_patterns import Patterns, taken_apart
from rayrig_fakes.kubernetes.kinds.pod_validation import validate_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_warnings import has_doubtful_annotations, pod_name_warnings, pod_warnings
from rayrig_fakes.kubernetes.kinds.priorities import PriorityClassRules
from rayrig_fakes.kubernetes.objectmeta import Looks
from rayrig_fakes.kubernetes.status import Cause

TERMINAL_PHASES = ("Succeeded", "Failed")
_TOLERATED_S = 300
_DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}

_OVERHEADS = ("cpu", "memory", "ephemeral-storage")
_NOT_YOURS = (
    "the {} ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass "
    "name"
)


class PodRules(KindRules):
    has_status = True
    has_generation = True
    returns_deleted = True
    graceful = True
    looks = Looks(2, 2, 2)
    status_metadata = ("labels", "annotations", "finalizers")

    def __init__(self, classes: PriorityClassRules) -> None:
        self._classes = classes
        self._patterns = Patterns()

    def take_in(self, body: JsonObject, admission: Admission) -> JsonObject:
        spec = body.get("spec")
        if not isinstance(spec, dict) or self._looks_elsewhere(spec):
            return self.decode(body, admission)
        sent = taken_apart(spec)
        known = self._patterns.find(sent) if sent is not None else None
        if sent is None or known is None:
            obj = self.decode(body, admission)
            # What is not known is to be remarked on each time.
            admission.sent = None if admission.unknown else sent
            return obj
        obj = self.decode({field: value for field, value in body.items() if field != "spec"}, admission)
        obj["spec"] = known.with_words(sent.words)
        admission.settled = known
        return obj

    def _looks_elsewhere(self, spec: JsonObject) -> bool:
        """What becomes of the spec depends on other objects."""
        return bool(spec.get("priorityClassName") or spec.get("runtimeClassName") or self._classes.default is not None)

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        spec = obj.get("spec")
        if spec is None:
            spec = obj["spec"] = {}
        if admission.settled is None:
            self._admit(obj, spec, admission)
            if admission.sent is not None and not admission.causes:
                admission.settled = self._patterns.remember(admission.sent, spec)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": rfc3339(admission.unix_ns),
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        # Updates are frequent and seldom by people: nothing is remarked on there.
        if admission.looks_for_unknown and old is None:
            admission.warnings += pod_name_warnings(obj["metadata"]["name"])
            settled = admission.settled
            if settled is None or has_doubtful_annotations(obj["metadata"]):
                admission.warnings += pod_warnings(obj["metadata"], obj["spec"])
                return
            if settled.warnings is None:
                settled.warnings = tuple(pod_warnings(obj["metadata"], obj["spec"]))
            admission.warnings += settled.warnings

    def _admit(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        default_pod_spec(spec)
        setdefault(spec, enableServiceLinks=True)
        _end_in_time(spec)
        self._prioritise(obj, spec, admission)
        _run_in_class(obj, spec, admission)
        _tolerate(spec)
        if spec.get("ephemeralContainers"):
            admission.causes.append(status.forbidden_field("spec.ephemeralContainers", "cannot be set on create"))
        if spec.get("schedulingGates") and spec.get("nodeName"):
            text = "cannot be set until all schedulingGates have been cleared"
            admission.causes.append(status.forbidden_field("spec.nodeName", text))
        admission.causes += validate_pod_spec(spec, "spec")

    def _prioritise(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        name = spec.get("priorityClassName") or ""
        priority, policy = 0, "PreemptLowerPriority"
        if name in _SYSTEM_PRIORITIES:
            priority = _SYSTEM_PRIORITIES[name]
        else:
            found = admission.lookup("priorityclasses.scheduling.k8s.io", name) if name else self._classes.default
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
                priority, policy = found.get("value", 0), found.get("preemptionPolicy") or policy
            elif name:
                raise _refused(obj, f"no PriorityClass with name {name} was found")
        given, given_policy = spec.get("priority"), spec.get("preemptionPolicy")
        if given is not None and given != priority:
            raise _refused(obj, _NOT_YOURS.format("integer value of priority", given, priority))
        if given_policy is not None and given_policy != policy:
            raise _refused(obj, _NOT_YOURS.format("string value of PreemptionPolicy", given_policy, policy))
        spec["priority"], spec["preemptionPolicy"] = priority, policy

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        if admission.subresource in POD_PARTS:
            keep_to_part(obj, old, admission)
            return
        keep(obj, old, "status")
        spec = obj.get("spec")
        if spec is None:
            spec = obj["spec"] = {}
        default_pod_spec(spec)
        old_spec = old["spec"]
        # What admission filled in on creation stays when a client sends the object without it.
        for field in ("enableServiceLinks", "priority", "preemptionPolicy", "nodeName"):
            if spec.get(field) is None and field in old_spec:
                spec[field] = old_spec[field]
        _end_in_time(spec)
        _tolerate(spec)

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        new_status = obj.setdefault("status", {})
        setdefault(new_status, qosClass=old["status"].get("qosClass", "BestEffort"))
        if new_status.get("podIP") and not new_status.get("podIPs"):
            new_status["podIPs"] = [{"ip": new_status["podIP"]}]
        elif new_status.get("podIPs"):
            new_status["podIP"] = new_status["podIPs"][0].get("ip", "")

    def validate_status(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        return pod_status_problems(obj["status"], old["status"])

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj["spec"] == old["spec"]:
            return ()
        if admission.subresource in POD_PARTS:
            return validate_part(obj, old, admission)
        return [*validate_pod_spec(obj["spec"], "spec"), *pod_change_problems(obj["spec"], old["spec"])]

    def grace_period(self, obj: JsonObject, asked: int | None) -> int:
        """Not bound, or finished: gone at once (K8-063)."""
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in TERMINAL_PHASES:
            return 0
        if asked is not None:
            return asked if asked >= 0 else 1
        period = obj["spec"].get("terminationGracePeriodSeconds")
        return 30 if period is None else max(1, int(period)) if period < 0 else int(period)


def _refused(obj: JsonObject, why: str) -> ApiError:
    name = str(obj["metadata"].get("name", ""))
    return status.error(403, "Forbidden", f'pods "{name}" is forbidden: {why}', {"name": name, "kind": "pods"})


def _end_in_time(spec: JsonObject) -> None:
    """A negative grace period stands for the shortest."""
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        spec["terminationGracePeriodSeconds"] = 1


def _run_in_class(obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
    """What the pod's RuntimeClass says of overhead and scheduling."""
    name, overhead = spec.get("runtimeClassName"), spec.get("overhead")
    found = admission.lookup("runtimeclasses.node.k8s.io", name) if name else None
    if name and found is None:
        raise _refused(obj, f'pod rejected: RuntimeClass "{name}" not found')
    fixed = ((found or {}).get("overhead") or {}).get("podFixed")
    if overhead and overhead != fixed and all(name in _OVERHEADS for name in overhead):
        text = "Pod Overhead set without corresponding RuntimeClass defined Overhead"
        if fixed:
            text = "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        raise _refused(obj, f"pod rejected: {text}")
    if fixed:
        spec["overhead"] = dict(fixed)
    scheduling = (found or {}).get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **scheduling["nodeSelector"]}
    added = [each for each in scheduling.get("tolerations") or () if each not in (spec.get("tolerations") or ())]
    if added:
        spec["tolerations"] = [*(spec.get("tolerations") or ()), *added]


def _tolerate(spec: JsonObject) -> None:
    """Add the two tolerations of a node that is not ready or not reachable for a while."""
    tolerations = spec.get("tolerations") or []
    missing = [key for key in _DEFAULT_TOLERATIONS if not any(_covers(each, key) for each in tolerations)]
    if missing:
        spec["tolerations"] = tolerations + [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_S}
            for key in missing
        ]


def _covers(toleration: JsonObject, key: str) -> bool:
    return toleration.get("key") in (key, None, "") and toleration.get("effect") in ("NoExecute", None, "")
