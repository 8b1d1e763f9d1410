"""Built-in kinds that are stored as they come: served so that clients find them, with no behaviour behind."""

from __future__ import annotations

from typing import NamedTuple

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, setdefault
from rayrig_fakes.kubernetes.kinds.plain import PlainRules

_NETWORKING, _STORAGE, _DEVICES = "networking.k8s.io", "storage.k8s.io", "resource.k8s.io"
_ADMISSION, _FLOW = "admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io"
AUTOSCALER = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
AUTOSCALER_V1 = ResourceType("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler")


class Plain(NamedTuple):
    """What is to be known of such a kind. Words are separated by blanks."""

    type: ResourceType
    has_status: bool = False
    has_generation: bool = False
    short_names: str = ""
    categories: str = ""
    subresources: str = ""


FURTHER: tuple[Plain, ...] = (
    Plain(ResourceType("apps", "v1", "controllerrevisions", "ControllerRevision")),
    Plain(ResourceType(_NETWORKING, "v1", "ipaddresses", "IPAddress", False), has_generation=True, short_names="ip"),
    Plain(ResourceType(_NETWORKING, "v1", "servicecidrs", "ServiceCIDR", False), True, True),
    Plain(ResourceType(_STORAGE, "v1", "csidrivers", "CSIDriver", False), has_generation=True),
    Plain(ResourceType(_STORAGE, "v1", "csinodes", "CSINode", False)),
    Plain(ResourceType(_STORAGE, "v1", "csistoragecapacities", "CSIStorageCapacity")),
    Plain(ResourceType(_STORAGE, "v1", "volumeattachments", "VolumeAttachment", False), True),
    Plain(
        ResourceType(_STORAGE, "v1", "volumeattributesclasses", "VolumeAttributesClass", False),
        has_generation=True,
        short_names="vac",
    ),
    Plain(
        ResourceType(_ADMISSION, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False),
        has_generation=True,
        categories="api-extensions",
    ),
    Plain(
        ResourceType(_ADMISSION, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False),
        has_generation=True,
        categories="api-extensions",
    ),
    Plain(
        ResourceType(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False),
        True,
        True,
        categories="api-extensions",
    ),
    Plain(
        ResourceType(_ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False),
        has_generation=True,
        categories="api-extensions",
    ),
    Plain(
        ResourceType("apiregistration.k8s.io", "v1", "apiservices", "APIService", False),
        True,
        categories="api-extensions",
    ),
    Plain(
        ResourceType("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False),
        True,
        short_names="csr",
    ),
    Plain(ResourceType(_FLOW, "v1", "flowschemas", "FlowSchema", False), True, True),
    Plain(ResourceType(_FLOW, "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", False), True, True),
    Plain(ResourceType("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False)),
    Plain(ResourceType(_DEVICES, "v1", "deviceclasses", "DeviceClass", False), has_generation=True),
    Plain(ResourceType(_DEVICES, "v1", "resourceclaims", "ResourceClaim"), True),
    Plain(ResourceType(_DEVICES, "v1", "resourceclaimtemplates", "ResourceClaimTemplate")),
    Plain(ResourceType(_DEVICES, "v1", "resourceslices", "ResourceSlice", False), has_generation=True),
)


class AutoscalerRules(PlainRules):
    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        super().before_create(obj, admission)
        _default(obj)

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_update(obj, old, admission)
        _default(obj)


def _default(obj: JsonObject) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict):
        setdefault(spec, minReplicas=1)


class AutoscalerV1Rules(AutoscalerRules):
    """autoscaling/v1 of what is stored as autoscaling/v2: a target for the use of cpu is all it can say of metrics."""

    serves_stored_form = False

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


def plain_rules(kind: Plain) -> KindRules:
    return PlainRules(has_status=kind.has_status, has_generation=kind.has_generation)
