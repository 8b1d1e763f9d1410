"""Built-in kinds with hardly any rules: served so that clients find them, with no behaviour behind."""

from __future__ import annotations

from typing import NamedTuple

from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.kinds.later import later
from rayrig_fakes.kubernetes.kinds.plain import PlainRules
from rayrig_fakes.kubernetes.objectmeta import Looks

_NETWORKING, _STORAGE, _DEVICES = "networking.k8s.io", "storage.k8s.io", "resource.k8s.io"
_ADMISSION, _FLOW = "admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io"

_LOOKED_TWICE = (2, 2, 2)


class Further(NamedTuple):
    """What is to be known of such a kind. Words are separated by blanks."""

    type: ResourceType
    has_status: bool = False
    has_generation: bool = False
    short_names: str = ""
    categories: str = ""
    subresources: str = ""
    #: What is checked and filled in, by the name of its class in `further_rules`; nothing without.
    rules: str = ""
    #: For a class that is made with something else than `has_status` and `has_generation`.
    made_with: tuple[tuple[str, bool], ...] = ()
    looks: tuple[int, int, int] = (2, 1, 1)


FURTHER: tuple[Further, ...] = (
    Further(
        ResourceType("apps", "v1", "controllerrevisions", "ControllerRevision"),
        rules="ControllerRevisionRules",
        looks=(3, 2, 3),
    ),
    Further(ResourceType(_NETWORKING, "v1", "ipaddresses", "IPAddress", False), short_names="ip"),
    Further(ResourceType(_NETWORKING, "v1", "servicecidrs", "ServiceCIDR", False), True),
    Further(ResourceType(_STORAGE, "v1", "csidrivers", "CSIDriver", False), rules="DriverRules"),
    Further(ResourceType(_STORAGE, "v1", "csinodes", "CSINode", False), rules="NodeDriverRules", looks=(1, 2, 1)),
    Further(
        ResourceType(_STORAGE, "v1", "csistoragecapacities", "CSIStorageCapacity"),
        rules="CapacityRules",
        looks=_LOOKED_TWICE,
    ),
    Further(
        ResourceType(_STORAGE, "v1", "volumeattachments", "VolumeAttachment", False),
        True,
        rules="AttachmentRules",
        looks=(1, 2, 1),
    ),
    Further(
        ResourceType(_STORAGE, "v1", "volumeattributesclasses", "VolumeAttributesClass", False),
        short_names="vac",
        rules="AttributesClassRules",
        looks=_LOOKED_TWICE,
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False),
        has_generation=True,
        categories="api-extensions",
        rules="WebhookRules",
        made_with=(("mutating", True),),
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False),
        has_generation=True,
        categories="api-extensions",
        rules="WebhookRules",
        made_with=(("mutating", False),),
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False),
        True,
        True,
        categories="api-extensions",
        rules="AdmissionPolicyRules",
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False),
        has_generation=True,
        categories="api-extensions",
        rules="AdmissionPolicyBindingRules",
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", False),
        has_generation=True,
        categories="api-extensions",
        rules="MutatingPolicyRules",
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType(_ADMISSION, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", False),
        has_generation=True,
        categories="api-extensions",
        rules="MutatingPolicyBindingRules",
        looks=(1, 2, 0),
    ),
    Further(
        ResourceType("apiregistration.k8s.io", "v1", "apiservices", "APIService", False),
        True,
        categories="api-extensions",
        rules="ApiServiceRules",
    ),
    Further(
        ResourceType("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False),
        True,
        short_names="csr",
    ),
    Further(
        ResourceType(_FLOW, "v1", "flowschemas", "FlowSchema", False),
        True,
        True,
        rules="FlowSchemaRules",
        looks=(1, 2, 1),
    ),
    Further(ResourceType(_FLOW, "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", False), True, True),
    Further(
        ResourceType("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False),
        rules="RuntimeClassRules",
        looks=(2, 2, 0),
    ),
    Further(
        ResourceType(_DEVICES, "v1", "deviceclasses", "DeviceClass", False), has_generation=True, looks=_LOOKED_TWICE
    ),
    Further(
        ResourceType(_DEVICES, "v1", "resourceclaims", "ResourceClaim"),
        True,
        rules="ResourceClaimRules",
        looks=_LOOKED_TWICE,
    ),
    Further(ResourceType(_DEVICES, "v1", "resourceclaimtemplates", "ResourceClaimTemplate"), looks=_LOOKED_TWICE),
    Further(ResourceType(_DEVICES, "v1", "resourceslices", "ResourceSlice", False), has_generation=True),
)


def further_rules(kind: Further) -> KindRules:
    features = {"has_status": kind.has_status, "has_generation": kind.has_generation}
    rules: KindRules = PlainRules(**features)
    if kind.rules:
        rules = later("further_rules", kind.rules, has_status=kind.has_status, named=dict(kind.made_with) or features)
    rules.looks = Looks(*kind.looks)
    return rules
