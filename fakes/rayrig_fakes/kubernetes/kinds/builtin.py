"""What every server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayrig_core import resource_types as rt
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kind_rules import KindRules
from rayrig_fakes.kubernetes.kinds.bindings import Bindings
from rayrig_fakes.kubernetes.kinds.budgets import BudgetRules
from rayrig_fakes.kubernetes.kinds.crds import CrdRules
from rayrig_fakes.kubernetes.kinds.endpoints import EndpointSliceRules, EndpointsRules
from rayrig_fakes.kubernetes.kinds.events import CoreEventRules, EventRules
from rayrig_fakes.kubernetes.kinds.further import (
    AUTOSCALER,
    AUTOSCALER_V1,
    FURTHER,
    AutoscalerRules,
    AutoscalerV1Rules,
    plain_rules,
)
from rayrig_fakes.kubernetes.kinds.jobs import CronJobRules, JobRules
from rayrig_fakes.kubernetes.kinds.nodes import NodeRules
from rayrig_fakes.kubernetes.kinds.plain import (
    ConfigMapRules,
    LeaseRules,
    NamespaceRules,
    PlainRules,
)
from rayrig_fakes.kubernetes.kinds.pods import PodRules
from rayrig_fakes.kubernetes.kinds.priorities import PriorityClassRules
from rayrig_fakes.kubernetes.kinds.rbac import BindingRules, ClusterRoleRules, RoleRules
from rayrig_fakes.kubernetes.kinds.reviews import ReviewRules
from rayrig_fakes.kubernetes.kinds.secrets import SecretRules
from rayrig_fakes.kubernetes.kinds.services import ServiceRules
from rayrig_fakes.kubernetes.kinds.volumes import ClaimRules, StorageClassRules, VolumeRules
from rayrig_fakes.kubernetes.kinds.workloads import (
    DaemonSetRules,
    DeploymentRules,
    PodTemplateRules,
    ReplicaSetRules,
    ReplicationControllerRules,
    StatefulSetRules,
)
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


_EVENT_FIELDS = selectable(
    *(
        f"involvedObject.{part}"
        for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    ),
    "reason",
    "reportingComponent",
    "source",
    "type",
)


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
        NodeRules(),
        "no",
        subresources=("proxy",),
        fields=selectable("spec.unschedulable", spec_unschedulable="false"),
    )
    priorities = PriorityClassRules()
    add(
        rt.POD,
        PodRules(priorities),
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
        ServiceRules(),
        "svc",
        subresources=("proxy",),
        fields=selectable("spec.clusterIP", "spec.type"),
        categories=everything,
    )
    add(rt.CONFIG_MAP, ConfigMapRules(), "cm")
    add(rt.SECRET, SecretRules(), fields=selectable("type"))
    add(rt.SERVICE_ACCOUNT, PlainRules(), "sa", subresources=("token",))
    add(rt.PERSISTENT_VOLUME_CLAIM, ClaimRules(), "pvc")
    add(
        rt.ENDPOINTS,
        EndpointsRules(),
        "ep",
        warning="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    )
    add(rt.LEASE, LeaseRules())
    add(rt.ENDPOINT_SLICE, EndpointSliceRules())
    add(rt.INGRESS, PlainRules(has_status=True, has_generation=True), "ing")
    add(rt.NETWORK_POLICY, PlainRules(has_generation=True), "netpol")
    add(rt.ROLE, RoleRules())
    add(rt.ROLE_BINDING, BindingRules(("Role", "ClusterRole")))
    add(ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False), ClusterRoleRules(state))
    add(
        ResourceType("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False),
        BindingRules(("ClusterRole",)),
    )
    add(
        rt.POD_DISRUPTION_BUDGET,
        BudgetRules(),
        "pdb",
    )
    add(rt.PRIORITY_CLASS, priorities, "pc")
    add(
        rt.DEPLOYMENT,
        DeploymentRules(),
        "deploy",
        subresources=("scale",),
        categories=everything,
    )
    add(
        ResourceType("apps", "v1", "replicasets", "ReplicaSet"),
        ReplicaSetRules(),
        "rs",
        subresources=("scale",),
        categories=everything,
    )
    add(
        ResourceType("apps", "v1", "statefulsets", "StatefulSet"),
        StatefulSetRules(),
        "sts",
        subresources=("scale",),
        categories=everything,
    )
    add(ResourceType("apps", "v1", "daemonsets", "DaemonSet"), DaemonSetRules(), "ds", categories=everything)
    add(
        ResourceType("batch", "v1", "cronjobs", "CronJob"),
        CronJobRules(),
        "cj",
        categories=everything,
    )
    add(ResourceType("", "v1", "persistentvolumes", "PersistentVolume", False), VolumeRules(), "pv")
    add(ResourceType("storage.k8s.io", "v1", "storageclasses", "StorageClass", False), StorageClassRules(), "sc")
    add(ResourceType("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False), PlainRules())
    add(ResourceType("", "v1", "resourcequotas", "ResourceQuota"), PlainRules(has_status=True), "quota")
    add(ResourceType("", "v1", "podtemplates", "PodTemplate"), PodTemplateRules())
    add(
        ResourceType("", "v1", "replicationcontrollers", "ReplicationController"),
        ReplicationControllerRules(),
        "rc",
        subresources=("scale",),
        categories=everything,
    )
    add(ResourceType("", "v1", "limitranges", "LimitRange"), PlainRules(), "limits")
    add(rt.JOB, JobRules(), categories=everything)
    add(rt.CUSTOM_RESOURCE_DEFINITION, CrdRules(state), "crd", "crds", categories=("api-extensions",))
    add(rt.CORE_EVENT, CoreEventRules(), "ev", fields=_EVENT_FIELDS)
    add(
        rt.EVENT,
        EventRules(),
        "ev",
        storage="events",
        fields=selectable("reason", "type", "regarding.kind", "regarding.name"),
    )
    for kind in FURTHER:
        add(
            kind.type,
            plain_rules(kind),
            *kind.short_names.split(),
            subresources=tuple(kind.subresources.split()),
            categories=tuple(kind.categories.split()),
        )
    autoscaler = AUTOSCALER.group_resource
    add(AUTOSCALER, AutoscalerRules(has_status=True), "hpa", categories=everything, storage=autoscaler)
    add(AUTOSCALER_V1, AutoscalerV1Rules(has_status=True), "hpa", categories=everything, storage=autoscaler)
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
