"""RayCluster of `ray.io/v1`, field by field (kuberay-operator reference, 1.5 and 1.7).

The classes describe the plain JSON objects that the API keeps; the CRD is generated from them. Fields marked `V1` are neither in
the older `v1alpha1` nor in the `v1` that KubeRay 1.1 had.
"""

from typing import Annotated, Literal, Required, TypedDict

from rayrig_core.objects import JsonObject
from rayrig_core.resources.embedded import CONDITIONS, EGRESS_RULES, INGRESS_RULES, INGRESS_TLS, SERVICE_TEMPLATE
from rayrig_core.resources.labels import MANAGED_BY_MULTIKUEUE, MANAGED_BY_OPERATOR
from rayrig_core.resources.pod_template import (
    ENV_FROM,
    ENV_VAR,
    ENV_VAR_SOURCE,
    POD_TEMPLATE,
    RESOURCES,
    SECURITY_CONTEXT,
    VOLUME_MOUNT,
)
from rayrig_core.resources.schema import (
    Int32,
    Int64,
    Keywords,
    Quantity,
    Time,
    Written,
    array,
    default,
    only_in,
    required_in,
    rules,
)

#: What older schemas are called: of `v1alpha1`, which is served still, and of `v1` as the profile of KubeRay 1.1 has it.
OLD_VERSION, RELEASE_1_1 = "v1alpha1", "v1 of KubeRay 1.1"

V1 = only_in("v1")
SINCE_1_1 = only_in("v1", RELEASE_1_1)
_BEFORE_1_2 = required_in(OLD_VERSION, RELEASE_1_1)

#: Every value `spec.managedBy` may have; only the first lets this controller act.
MANAGERS = (MANAGED_BY_OPERATOR, MANAGED_BY_MULTIKUEUE)

ManagedBy = Annotated[
    str,
    rules(
        ("self == oldSelf", "the managedBy field is immutable"),
        (
            f"self in ['{MANAGERS[0]}', '{MANAGERS[1]}']",
            f"the managedBy field value must be either '{MANAGERS[0]}' or '{MANAGERS[1]}'",
        ),
    ),
    V1,
]

PodTemplate = Annotated[JsonObject, Written(POD_TEMPLATE)]
ServiceTemplate = Annotated[JsonObject, Written(SERVICE_TEMPLATE)]
EnvVars = Annotated[list[JsonObject], Written(array(ENV_VAR))]
ResourceRequirements = Annotated[JsonObject, Written(RESOURCES)]
Conditions = Annotated[list[JsonObject], Written(CONDITIONS)]
EgressRules = Annotated[list[JsonObject], Written(EGRESS_RULES)]
IngressRules = Annotated[list[JsonObject], Written(INGRESS_RULES)]


class IngressOptions(TypedDict, total=False):
    """How the head's Ingress is built (3.13)."""

    host: str
    path: str
    pathType: Literal["Exact", "Prefix", "ImplementationSpecific"]
    tls: Annotated[list[JsonObject], Written(INGRESS_TLS)]


class HeadGroupSpec(TypedDict, total=False):
    """The head pod. The Ray container is the first of the template."""

    enableIngress: bool
    headService: ServiceTemplate
    ingressOptions: Annotated[IngressOptions, V1]
    labels: Annotated[dict[str, str], V1]
    rayStartParams: Annotated[dict[str, str], _BEFORE_1_2]
    resources: Annotated[dict[str, str], V1]
    serviceType: str
    template: Required[PodTemplate]


class ScaleStrategy(TypedDict, total=False):
    """Written by the autoscaler."""

    workersToDelete: list[str]


class WorkerGroupSpec(TypedDict, total=False):
    """A group of like worker pods. `replicas` counts replicas of `numOfHosts` pods each."""

    groupName: Required[str]
    idleTimeoutSeconds: Annotated[Int32, V1]
    labels: Annotated[dict[str, str], V1]
    maxReplicas: Required[Annotated[Int32, default(2**31 - 1)]]
    minReplicas: Required[Annotated[Int32, default(0)]]
    numOfHosts: Annotated[Int32, default(1), SINCE_1_1]
    priority: Annotated[Int32, default(0), V1]
    rayStartParams: Annotated[dict[str, str], _BEFORE_1_2]
    replicas: Annotated[Int32, default(0)]
    resources: Annotated[dict[str, str], V1]
    scaleStrategy: ScaleStrategy
    suspend: Annotated[bool, V1]
    template: Required[PodTemplate]


class AutoscalerOptions(TypedDict, total=False):
    """The autoscaler sidecar and its behaviour."""

    args: Annotated[list[str], V1]
    command: Annotated[list[str], V1]
    env: EnvVars
    envFrom: Annotated[list[JsonObject], Written(array(ENV_FROM))]
    idleTimeoutSeconds: Int32
    image: str
    imagePullPolicy: str
    resources: ResourceRequirements
    securityContext: Annotated[JsonObject, Written(SECURITY_CONTEXT)]
    upscalingMode: Literal["Default", "Aggressive", "Conservative"]
    version: Annotated[Literal["v1", "v2"], V1]
    volumeMounts: Annotated[list[JsonObject], Written(array(VOLUME_MOUNT))]


class RedisCredential(TypedDict, total=False):
    """A value, or where it comes from."""

    value: str
    valueFrom: Annotated[JsonObject, Written(ENV_VAR_SOURCE)]


class GcsStorage(TypedDict, total=False):
    """Where embedded storage of the GCS keeps its data."""

    accessModes: list[str]
    claimName: str
    deletionPolicy: Literal["DeleteWithCluster", "Retain"]
    size: Quantity
    storageClassName: str
    subPath: str


class GcsFaultToleranceOptions(TypedDict, total=False):
    """GCS fault tolerance (3.12)."""

    backend: Annotated[
        Literal["redis", "rocksdb"], rules(("self == oldSelf", "gcsFaultToleranceOptions.backend is immutable"))
    ]
    externalStorageNamespace: str
    redisAddress: str
    redisPassword: RedisCredential
    redisUsername: RedisCredential
    storage: GcsStorage


class AuthOptions(TypedDict, total=False):
    """Token authentication of the Ray cluster (3.14)."""

    enableK8sTokenAuth: bool
    mode: Literal["disabled", "token"]
    secretName: str


class PolicyRules(TypedDict, total=False):
    """Additional rules of one NetworkPolicy."""

    egressRules: EgressRules
    ingressRules: IngressRules


class WorkerGroupPolicyRules(PolicyRules, total=False):
    """Additional rules for one worker group."""

    groupName: Required[str]


class NetworkPolicyOptions(TypedDict, total=False):
    """NetworkPolicies of the cluster (gate RayClusterNetworkPolicy, off by default)."""

    head: PolicyRules
    mode: Annotated[Literal["DenyAll", "DenyAllIngress", "DenyAllEgress"], default("DenyAll")]
    worker: PolicyRules
    workerGroups: Annotated[
        list[WorkerGroupPolicyRules],
        Keywords({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["groupName"]}),
    ]


class CollectorOptions(TypedDict, total=False):
    """The history server's collector sidecar."""

    env: EnvVars
    image: str
    imagePullPolicy: str
    resources: ResourceRequirements


class HistoryServerOptions(TypedDict, total=False):
    """History server (gate RayClusterHistoryServer, off by default)."""

    collectorOptions: CollectorOptions


class TlsOptions(TypedDict, total=False):
    """Mutual TLS by cert-manager (gate RayClusterMTLS, off by default)."""

    enabled: bool


class RayClusterUpgradeStrategy(TypedDict, total=False):
    """What a changed spec does to a RayCluster made by a user (3.10)."""

    type: Literal["Recreate", "None"]


class RayClusterSpec(TypedDict, total=False):
    """Desired state of a RayCluster; also `rayClusterConfig` of a RayService."""

    authOptions: Annotated[AuthOptions, V1]
    autoscalerOptions: AutoscalerOptions
    enableInTreeAutoscaling: bool
    gcsFaultToleranceOptions: Annotated[GcsFaultToleranceOptions, V1]
    headGroupSpec: Required[HeadGroupSpec]
    headServiceAnnotations: dict[str, str]
    historyServerOptions: Annotated[HistoryServerOptions, V1]
    managedBy: ManagedBy
    networkPolicy: Annotated[NetworkPolicyOptions, V1]
    rayVersion: str
    suspend: bool
    tlsOptions: Annotated[TlsOptions, V1]
    upgradeStrategy: Annotated[RayClusterUpgradeStrategy, V1]
    workerGroupSpecs: list[WorkerGroupSpec]


class HeadInfo(TypedDict, total=False):
    """The head pod and head Service as last seen."""

    podIP: str
    podName: Annotated[str, V1]
    serviceIP: str
    serviceName: Annotated[str, V1]


class RayClusterStatus(TypedDict, total=False):
    """Observed state (1.7). Numbers of workers count pods; zeros are left out."""

    availableWorkerReplicas: Int32
    conditions: Annotated[Conditions, V1]
    desiredCPU: Quantity
    desiredGPU: Quantity
    desiredMemory: Quantity
    desiredTPU: Quantity
    desiredWorkerReplicas: Int32
    endpoints: dict[str, str]
    head: HeadInfo
    lastUpdateTime: Annotated[Time, Keywords({"nullable": True})]
    maxWorkerReplicas: Int32
    minWorkerReplicas: Int32
    observedGeneration: Int64
    readyWorkerReplicas: Annotated[Int32, only_in("v1", OLD_VERSION)]
    reason: str
    state: str
    stateTransitionTimes: Annotated[dict[str, Time], V1]


class RayCluster(TypedDict, total=False):
    """A RayCluster object."""

    apiVersion: str
    kind: str
    metadata: JsonObject
    spec: RayClusterSpec
    status: RayClusterStatus
