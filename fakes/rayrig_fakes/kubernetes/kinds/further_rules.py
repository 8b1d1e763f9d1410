"""Kinds of administrators: what the server fills in for them, and the little that is checked."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.kubernetes_names import dns_subdomain, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission, setdefault
from rayrig_fakes.kubernetes.kinds.checks import (
    each,
    label_without_dots,
    labels_problems,
    not_negative,
    one_of,
    selector_problems,
)
from rayrig_fakes.kubernetes.kinds.container_resources import container_resource_name
from rayrig_fakes.kubernetes.kinds.plain import PlainRules
from rayrig_fakes.kubernetes.kinds.pod_scheduling import toleration_problems
from rayrig_fakes.kubernetes.objectmeta import IMMUTABLE
from rayrig_fakes.kubernetes.status import Cause

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_REVIEWS = ("v1", "v1beta1")
_CLASS_PROTECTION = "kubernetes.io/vac-protection"


class FilledRules(PlainRules):
    """A kind of which only defaults are known."""

    def fill(self, obj: JsonObject) -> None:
        """The defaults."""

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        self.fill(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        self.fill(obj)


class ControllerRevisionRules(FilledRules):
    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = not_negative("revision", obj.get("revision"))
        data = obj.get("data")
        if data is None:
            causes.append(status.required("data", "data is mandatory"))
        elif not isinstance(data, dict):
            causes.append(status.required("data", "data must be a valid JSON object"))
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj.get("data") == old.get("data"):
            return ()
        return [status.invalid_value("data", obj.get("data"), IMMUTABLE)]


class RuntimeClassRules(FilledRules):
    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        handler = obj.get("handler") or ""
        causes += each("handler", handler, label_without_dots(handler)) if handler else [status.required("handler")]
        for name in (obj.get("overhead") or {}).get("podFixed") or ():
            causes += container_resource_name(name, f"overhead.limits[{name}]")
        scheduling = obj.get("scheduling") or {}
        causes += labels_problems(scheduling.get("nodeSelector") or {}, "scheduling.nodeSelector")
        return causes + toleration_problems(scheduling.get("tolerations") or [], "scheduling.tolerations")

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj.get("handler") == old.get("handler"):
            return ()
        return [status.invalid_value("handler", obj.get("handler"), IMMUTABLE)]


class DriverRules(FilledRules):
    """CSIDrivers."""

    def fill(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        setdefault(spec, attachRequired=True, podInfoOnMount=False, storageCapacity=False)
        setdefault(spec, fsGroupPolicy="ReadWriteOnceWithFSType", requiresRepublish=False, seLinuxMount=False)
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        spec = obj["spec"]
        for mode in spec["volumeLifecycleModes"]:
            causes += one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
        causes += one_of("spec.fsGroupPolicy", spec["fsGroupPolicy"], ("File", "None", "ReadWriteOnceWithFSType"))
        audiences: list[str] = []
        for index, request in enumerate(spec.get("tokenRequests") or ()):
            audience = request.get("audience") or ""
            if audience in audiences:
                causes.append(status.duplicate(f"spec.tokenRequests[{index}].audience", audience))
            audiences.append(audience)
        return causes


class NodeDriverRules(FilledRules):
    """CSINodes."""

    def fill(self, obj: JsonObject) -> None:
        obj.setdefault("spec", {})

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for index, driver in enumerate(obj["spec"].get("drivers") or ()):
            at = f"spec.drivers[{index}]"
            causes += [status.required(f"{at}.{part}") for part in ("name", "nodeID") if not driver.get(part)]
            count = (driver.get("allocatable") or {}).get("count")
            causes += not_negative(f"{at}.allocatable.count", count)
        return causes


class CapacityRules(FilledRules):
    """CSIStorageCapacities."""

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        name = obj.get("storageClassName") or ""
        causes = each("storageClassName", name, dns_subdomain(name))
        causes += selector_problems(obj.get("nodeTopology"), "nodeTopology")
        if str(obj.get("capacity") or "").startswith("-"):
            text = "must be greater than or equal to 0"
            causes.append(status.invalid_value("capacity", obj["capacity"], text))
        return causes


class AttachmentRules(FilledRules):
    """VolumeAttachments."""

    status_metadata = ()

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        if not spec.get("attacher"):
            causes.append(status.required("spec.attacher"))
        source = spec.get("source") or {}
        given = [part for part in ("inlineVolumeSpec", "persistentVolumeName") if source.get(part) is not None]
        if not given:
            text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
            causes.append(status.required("spec.source", text))
        name = spec.get("nodeName") or ""
        return causes + each("spec.nodeName", name, dns_subdomain(name))

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if obj.get("spec") == old.get("spec"):
            return ()
        return [status.invalid_value("spec", obj.get("spec"), IMMUTABLE)]


class AttributesClassRules(FilledRules):
    """VolumeAttributesClasses."""

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if _CLASS_PROTECTION not in finalizers:
            finalizers.append(_CLASS_PROTECTION)

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        driver = obj.get("driverName") or ""
        lower = driver.lower()
        causes = each("driverName", lower, qualified_name(lower)) if driver else [status.required("driverName")]
        if not obj.get("parameters"):
            causes.append(status.required("parameters", "must contain at least one key/value pair"))
        return causes


class WebhookRules(FilledRules):
    """Webhook configurations; nobody calls the webhooks."""

    standard_finalizers = False

    def __init__(self, *, mutating: bool) -> None:
        super().__init__(has_generation=True)
        self._mutating = mutating

    def fill(self, obj: JsonObject) -> None:
        for webhook in obj.get("webhooks") or ():
            setdefault(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
            setdefault(webhook, namespaceSelector={}, objectSelector={})
            if self._mutating:
                setdefault(webhook, reinvocationPolicy="Never")
            for rule in webhook.get("rules") or ():
                setdefault(rule, scope="*")
            service = (webhook.get("clientConfig") or {}).get("service")
            if service is not None:
                setdefault(service, port=443)

    def spec_changed(self, obj: JsonObject, old: JsonObject) -> bool:
        return obj.get("webhooks") != old.get("webhooks")

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        for index, webhook in enumerate(obj.get("webhooks") or ()):
            causes += _webhook(webhook, f"webhooks[{index}]")
        return causes


def _webhook(webhook: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    name = webhook.get("name") or ""
    if len(name.split(".")) < 3:
        text = "should be a domain with at least three segments separated by dots"
        causes.append(status.invalid_value(f"{field}.name", name, text))
    versions, effects, timeout = (
        webhook.get("admissionReviewVersions") or [],
        webhook.get("sideEffects"),
        webhook["timeoutSeconds"],
    )
    listed, at = ", ".join(_REVIEWS), f"{field}.admissionReviewVersions"
    if not versions:
        causes.append(status.required(at, f"must specify one of {listed}"))
    elif not any(version in _REVIEWS for version in versions):
        causes.append(status.invalid_value(at, versions, f"must include at least one of {listed}"))
    if effects is None:
        causes.append(status.required(f"{field}.sideEffects", "must specify one of None, NoneOnDryRun"))
    else:
        causes += one_of(f"{field}.sideEffects", effects, ("None", "NoneOnDryRun"))
    causes += one_of(f"{field}.failurePolicy", webhook["failurePolicy"], ("Fail", "Ignore"))
    causes += one_of(f"{field}.matchPolicy", webhook["matchPolicy"], ("Equivalent", "Exact"))
    if not 1 <= timeout <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        causes.append(status.invalid_value(f"{field}.timeoutSeconds", timeout, text))
    for index, rule in enumerate(webhook.get("rules") or ()):
        here = f"{field}.rules[{index}]"
        for position, operation in enumerate(rule.get("operations") or ()):
            causes += one_of(f"{here}.operations[{position}]", operation, _OPERATIONS)
        causes += [
            status.required(f"{here}.{part}")
            for part in ("operations", "apiGroups", "apiVersions", "resources")
            if not rule.get(part)
        ]
    for part in ("namespaceSelector", "objectSelector"):
        causes += selector_problems(webhook.get(part), f"{field}.{part}")
    config = webhook.get("clientConfig") or {}
    url, at = config.get("url"), f"{field}.clientConfig"
    if (url is None) == (config.get("service") is None):
        causes.append(status.required(at, "exactly one of url or service is required"))
    elif url is not None and not url.startswith("https://"):
        text = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        causes.append(status.invalid_value(f"{at}.url", url.partition(":")[0], text))
    return causes


def _fill_admission_policy(spec: JsonObject) -> None:
    setdefault(spec, failurePolicy="Fail")
    matches = spec.get("matchConstraints")
    if matches is not None:
        setdefault(matches, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        for rule in matches.get("resourceRules") or ():
            setdefault(rule, scope="*")


class AdmissionPolicyRules(FilledRules):
    """ValidatingAdmissionPolicies; nothing is kept from anybody by them."""

    standard_finalizers = False
    status_metadata = ()

    def fill(self, obj: JsonObject) -> None:
        _fill_admission_policy(obj.setdefault("spec", {}))

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        if spec.get("matchConstraints") is None:
            causes.append(status.required("spec.matchConstraints"))
        if not spec.get("validations") and not spec.get("auditAnnotations"):
            text = "validations or auditAnnotations must contain at least one item"
            causes += [status.required(f"spec.{part}", text) for part in ("validations", "auditAnnotations")]
        return causes


class AdmissionPolicyBindingRules(FilledRules):
    standard_finalizers = False

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj.get("spec") or {}
        causes: list[Cause] = []
        if not spec.get("policyName"):
            causes.append(status.required("spec.policyName"))
        if not spec.get("validationActions"):
            causes.append(status.required("spec.validationActions", "at least one validation action is required"))
        return causes


class MutatingPolicyRules(FilledRules):
    """MutatingAdmissionPolicies; nothing is changed by them."""

    standard_finalizers = False

    def fill(self, obj: JsonObject) -> None:
        _fill_admission_policy(obj.setdefault("spec", {}))


class MutatingPolicyBindingRules(FilledRules):
    standard_finalizers = False


class FlowSchemaRules(FilledRules):
    status_metadata = ()

    def fill(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = 1000

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        spec = obj["spec"]
        causes: list[Cause] = []
        precedence = spec["matchingPrecedence"]
        if precedence > 10_000:
            text = "must not be greater than 10000"
            causes.append(status.invalid_value("spec.matchingPrecedence", precedence, text))
        if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
            at = "spec.priorityLevelConfiguration.name"
            causes.append(status.required(at, "must reference a priority level"))
        return causes


class ApiServiceRules(FilledRules):
    def fill(self, obj: JsonObject) -> None:
        service = (obj.get("spec") or {}).get("service")
        if service is not None:
            setdefault(service, port=443)


class ResourceClaimRules(FilledRules):
    status_metadata = ()

    def fill(self, obj: JsonObject) -> None:
        spec = obj.get("spec") or {}
        for request in (spec.get("devices") or {}).get("requests") or ():
            exactly = request.get("exactly")
            if exactly is not None:
                setdefault(exactly, allocationMode="ExactCount")
                if exactly["allocationMode"] == "ExactCount":
                    setdefault(exactly, count=1)
