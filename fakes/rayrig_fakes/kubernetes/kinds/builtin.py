"""What every server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayrig_core import resource_types as rt
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.kinds.autoscalers import AUTOSCALER, AUTOSCALER_V1, AutoscalerRules, AutoscalerV1Rules
from rayrig_fakes.kubernetes.kinds.bindings import Bindings
from rayrig_fakes.kubernetes.kinds.further import (
    FURTHER,
    further_rules,
)
from rayrig_fakes.kubernetes.kinds.later import later
from rayrig_fakes.kubernetes.kinds.plain import (
    ConfigMapRules,
    LeaseRules,
    NamespaceRules,
    PlainRules,
)
from rayrig_fakes.kubernetes.kinds.reviews import ReviewRules
from rayrig_fakes.kubernetes.kinds.write_habits import take_on_habits
from rayrig_fakes.kubernetes.registry import Served, selectable
from rayrig_fakes.kubernetes.selectors import Fields

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.state import ServerState

_POD_FIELDS = selectable(
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
    spec_hostNetwork="false",
)


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_CORE_EVENT_FIELDS = selectable(
    *(f"involvedObject.{part}" for part in _REFERENCE), "reason", "reportingComponent", "source", "type"
)
_EVENT_FIELDS = selectable(*(f"regarding.{part}" for part in _REFERENCE), "reason", "reportingController", "type")


def install(state: ServerState) -> None:
    """Register the built-in resources."""

    def add(
        kind: ResourceType,
        rules: KindRules,
        *short: str,
        subresources: tuple[str, ...] = (),
        fields: Fields | None = None,
        categories: tuple[str, ...] = (),
        storage: str = "",
        warning: str = "",
        verbs: tuple[str, ...] = (),
    ) -> None:
        take_on_habits(kind, rules)
        has = (("status",) if rules.has_status else ()) + subresources
        state.registry.add(
            Served(
                kind,
                rules,
                short_names=short,
                subresources=has,
                categories=categories,
                fields=fields if fields is not None else selectable(),
                storage=storage,
                warning=warning,
                verbs=verbs,
            )
        )

    everything = ("all",)
    add(rt.NAMESPACE, NamespaceRules(), "ns", subresources=("finalize",), fields=selectable("status.phase"))
    add(
        rt.NODE,
        later("nodes", "NodeRules", has_status=True),
        "no",
        subresources=("proxy",),
        fields=selectable("spec.unschedulable", spec_unschedulable="false"),
    )
    priorities = later("priorities", "PriorityClassRules")
    add(
        rt.POD,
        later("pods", "PodRules", priorities, has_status=True),
        "po",
        subresources=(
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
        ),
        fields=_POD_FIELDS,
        categories=everything,
    )
    add(
        rt.SERVICE,
        later("services", "ServiceRules", has_status=True),
        "svc",
        subresources=("proxy",),
        fields=selectable("spec.clusterIP", "spec.type"),
        categories=everything,
    )
    add(rt.CONFIG_MAP, ConfigMapRules(), "cm")
    add(rt.SECRET, later("secrets", "SecretRules"), fields=selectable("type"))
    add(rt.SERVICE_ACCOUNT, PlainRules(), "sa", subresources=("token",))
    add(rt.PERSISTENT_VOLUME_CLAIM, later("volumes", "ClaimRules", has_status=True), "pvc")
    add(
        rt.ENDPOINTS,
        later("endpoints", "EndpointsRules"),
        "ep",
        warning="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    )
    add(rt.LEASE, LeaseRules())
    add(rt.ENDPOINT_SLICE, later("endpoints", "EndpointSliceRules"))
    add(rt.INGRESS, later("networking", "IngressRules", has_status=True), "ing")
    add(rt.NETWORK_POLICY, later("networking", "NetworkPolicyRules"), "netpol")
    add(rt.ROLE, later("rbac", "RoleRules"))
    add(rt.ROLE_BINDING, later("rbac", "BindingRules", ("Role", "ClusterRole")))
    add(
        ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False),
        later("rbac", "ClusterRoleRules", state),
    )
    add(
        ResourceType("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False),
        later("rbac", "BindingRules", ("ClusterRole",)),
    )
    add(
        rt.POD_DISRUPTION_BUDGET,
        later("budgets", "BudgetRules", has_status=True),
        "pdb",
    )
    add(rt.PRIORITY_CLASS, priorities, "pc")
    add(
        rt.DEPLOYMENT,
        later("workloads", "DeploymentRules", has_status=True),
        "deploy",
        subresources=("scale",),
        categories=everything,
    )
    add(
        ResourceType("apps", "v1", "replicasets", "ReplicaSet"),
        later("workloads", "ReplicaSetRules", has_status=True),
        "rs",
        subresources=("scale",),
        categories=everything,
    )
    add(
        ResourceType("apps", "v1", "statefulsets", "StatefulSet"),
        later("workloads", "StatefulSetRules", has_status=True),
        "sts",
        subresources=("scale",),
        categories=everything,
    )
    add(
        ResourceType("apps", "v1", "daemonsets", "DaemonSet"),
        later("workloads", "DaemonSetRules", has_status=True),
        "ds",
        categories=everything,
    )
    add(
        ResourceType("batch", "v1", "cronjobs", "CronJob"),
        later("jobs", "CronJobRules", has_status=True),
        "cj",
        categories=everything,
    )
    add(
        ResourceType("", "v1", "persistentvolumes", "PersistentVolume", False),
        later("volumes", "VolumeRules", has_status=True),
        "pv",
    )
    add(
        ResourceType("storage.k8s.io", "v1", "storageclasses", "StorageClass", False),
        later("volumes", "StorageClassRules"),
        "sc",
    )
    add(
        ResourceType("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False),
        later("networking", "IngressClassRules"),
    )
    add(
        ResourceType("", "v1", "resourcequotas", "ResourceQuota"),
        later("quotas", "QuotaRules", has_status=True),
        "quota",
    )
    add(ResourceType("", "v1", "podtemplates", "PodTemplate"), later("workloads", "PodTemplateRules"))
    add(
        ResourceType("", "v1", "replicationcontrollers", "ReplicationController"),
        later("workloads", "ReplicationControllerRules", has_status=True),
        "rc",
        subresources=("scale",),
        categories=everything,
    )
    add(ResourceType("", "v1", "limitranges", "LimitRange"), later("quotas", "LimitRangeRules"), "limits")
    add(rt.JOB, later("jobs", "JobRules", has_status=True), categories=everything)
    add(
        rt.CUSTOM_RESOURCE_DEFINITION,
        later("crds", "CrdRules", state, has_status=True),
        "crd",
        "crds",
        categories=("api-extensions",),
    )
    add(rt.CORE_EVENT, later("events", "CoreEventRules"), "ev", fields=_CORE_EVENT_FIELDS)
    add(rt.EVENT, later("events", "EventRules"), "ev", storage="events", fields=_EVENT_FIELDS)
    for kind in FURTHER:
        add(
            kind.type,
            further_rules(kind),
            *kind.short_names.split(),
            subresources=tuple(kind.subresources.split()),
            categories=tuple(kind.categories.split()),
        )
    autoscaler = AUTOSCALER.group_resource
    add(AUTOSCALER, AutoscalerRules(), "hpa", categories=everything, storage=autoscaler)
    add(AUTOSCALER_V1, AutoscalerV1Rules(), "hpa", categories=everything, storage=autoscaler)
    add(ResourceType("", "v1", "bindings", "Binding"), Bindings(state), verbs=("create",))
    review = ReviewRules(state)
    for review_kind in _REVIEWS:
        add(review_kind, review, verbs=("create",))


_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_REVIEWS = (
    ResourceType(_AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview", False),
    ResourceType(_AUTHENTICATION, "v1", "tokenreviews", "TokenReview", False),
    ResourceType(_AUTHORIZATION, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"),
    ResourceType(_AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ResourceType(_AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    ResourceType(_AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview", False),
)
