"""Pods: defaults, what may change, graceful deletion (`kubernetes-api.md` section 3, `kubelet.md` section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.copies import packed
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_pod_spec, qos_class
from rayrig_fakes.kubernetes.kinds.pod_validation import validate_pod_spec
from rayrig_fakes.kubernetes.kinds.pod_warnings import pod_name_warnings, pod_spec_warnings
from rayrig_fakes.kubernetes.status import Cause

TERMINAL_PHASES = ("Succeeded", "Failed")
_TOLERATED_S = 300
_REMEMBERED_SPECS = 256
_DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}

_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


class PodRules(KindRules):
    has_status = True
    has_generation = True
    returns_deleted = True
    graceful = True

    def __init__(self) -> None:
        #: Good specs by what was sent: replicas of one template are defaulted and validated once, and share the result.
        self._admitted: dict[bytes, JsonObject] = {}

    def take_in(self, body: JsonObject, admission: Admission) -> JsonObject:
        spec = body.get("spec")
        if not isinstance(spec, dict) or spec.get("priorityClassName"):
            return self.decode(body, admission)
        sent = packed(spec)
        known = self._admitted.get(sent)
        if known is None:
            obj = self.decode(body, admission)
            # What is not known is to be remarked on each time.
            admission.memo = None if admission.unknown else sent
            return obj
        obj = self.decode({field: value for field, value in body.items() if field != "spec"}, admission)
        obj["spec"] = known
        admission.is_settled = True
        return obj

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        spec = obj.get("spec")
        if spec is None:
            spec = obj["spec"] = {}
        if not admission.is_settled:
            self._admit(obj, spec, admission)
            if admission.memo is not None and not admission.causes:
                if len(self._admitted) >= _REMEMBERED_SPECS:
                    del self._admitted[next(iter(self._admitted))]
                self._admitted[admission.memo] = spec
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        if admission.looks_for_unknown:
            if old is None:
                admission.warnings += pod_name_warnings(obj["metadata"]["name"])
            admission.warnings += pod_spec_warnings(obj["spec"], "spec")

    def _admit(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        default_pod_spec(spec)
        setdefault(spec, enableServiceLinks=True)
        self._prioritise(obj, spec, admission)
        _tolerate(spec)
        admission.causes += validate_pod_spec(spec, "spec")

    def _prioritise(self, obj: JsonObject, spec: JsonObject, admission: Admission) -> None:
        name = spec.get("priorityClassName")
        if not name:
            setdefault(spec, priority=0, preemptionPolicy="PreemptLowerPriority")
            return
        if name in _SYSTEM_PRIORITIES:
            setdefault(spec, priority=_SYSTEM_PRIORITIES[name], preemptionPolicy="PreemptLowerPriority")
            return
        found = admission.lookup("priorityclasses.scheduling.k8s.io", name)
        if found is None:
            pod = str(obj["metadata"].get("name", ""))
            text = f'pods "{pod}" is forbidden: no PriorityClass with name {name} was found'
            raise status.error(403, "Forbidden", text, {"name": pod, "kind": "pods"})
        spec["priority"] = found.get("value", 0)
        spec["preemptionPolicy"] = found.get("preemptionPolicy") or "PreemptLowerPriority"

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
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
        _tolerate(spec)

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        new_status = obj.setdefault("status", {})
        # The QoS class is settled when the pod is created.
        new_status["qosClass"] = old["status"].get("qosClass", "BestEffort")

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj["spec"] == old["spec"]:
            return ()
        causes = validate_pod_spec(obj["spec"], "spec")
        had = old["spec"].get("tolerations") or []
        has = obj["spec"].get("tolerations") or []
        if not all(toleration in has for toleration in had):
            text = "existing toleration can not be modified except its tolerationSeconds"
            if not _same_but_seconds(had, has):
                causes.append(status.forbidden_field("spec.tolerations", text))
        if _fixed_part(obj["spec"]) != _fixed_part(old["spec"]) and not _only_ungated(obj["spec"], old["spec"]):
            causes.append(status.forbidden_field("spec", _IMMUTABLE))
        return causes

    def grace_period(self, obj: JsonObject, asked: int | None) -> int:
        """Not bound, or finished: gone at once (K8-063)."""
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in TERMINAL_PHASES:
            return 0
        if asked is not None:
            return max(0, asked)
        period = obj["spec"].get("terminationGracePeriodSeconds")
        return 30 if period is None else max(1, int(period)) if period < 0 else int(period)


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


def _same_but_seconds(had: list[JsonObject], has: list[JsonObject]) -> bool:
    def identity(toleration: JsonObject) -> JsonObject:
        return {field: value for field, value in toleration.items() if field != "tolerationSeconds"}

    present = [identity(toleration) for toleration in has]
    return all(identity(toleration) in present for toleration in had)


def _fixed_part(spec: JsonObject) -> JsonObject:
    """The spec without what an update may change."""
    free = ("activeDeadlineSeconds", "tolerations", "containers", "initContainers")
    fixed = {field: value for field, value in spec.items() if field not in free}
    for containers in ("containers", "initContainers"):
        fixed[containers] = [
            {field: value for field, value in container.items() if field != "image"}
            for container in spec.get(containers) or ()
        ]
    return fixed


def _only_ungated(spec: JsonObject, old: JsonObject) -> bool:
    """Gates may be taken away, and a gated pod may get node selectors."""
    gates, had = spec.get("schedulingGates") or [], old.get("schedulingGates") or []
    if not had or not all(gate in had for gate in gates):
        return False
    free = ("schedulingGates", "nodeSelector", "affinity")
    new_fixed, old_fixed = _fixed_part(spec), _fixed_part(old)
    return {f: v for f, v in new_fixed.items() if f not in free} == {
        f: v for f, v in old_fixed.items() if f not in free
    }
