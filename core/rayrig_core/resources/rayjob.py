"""RayJob of `ray.io/v1`, field by field (kuberay-apiserver reference, 9).

The classes describe the plain JSON objects that the API keeps; the CRD is generated from them. No controller of ours acts on them.
"""

from typing import Annotated, Literal, Required, TypedDict

from rayrig_core.objects import JsonObject
from rayrig_core.resources.raycluster import (
    OLD_VERSION,
    V1,
    ManagedBy,
    PodTemplate,
    RayClusterSpec,
    RayClusterStatus,
)
from rayrig_core.resources.schema import (
    Int32,
    Int64,
    Keywords,
    Time,
    Written,
    default,
    minimum,
    required_in,
    rules,
)

Number = Annotated[float, Written({"type": "number"})]
DeletionPolicyType = Literal["DeleteCluster", "DeleteWorkers", "DeleteSelf", "DeleteNone"]


class DeletionPolicy(TypedDict, total=False):
    """What goes when a job ends in one way (older form)."""

    policy: DeletionPolicyType


class _Condition(TypedDict, total=False):
    jobDeploymentStatus: Literal["Failed"]
    jobStatus: Literal["SUCCEEDED", "FAILED"]
    ttlSeconds: Annotated[Int32, default(0), minimum(0)]


DeletionCondition = Annotated[
    _Condition,
    rules(
        (
            "!(has(self.jobStatus) && has(self.jobDeploymentStatus))",
            "JobStatus and JobDeploymentStatus cannot be used together within the same deletion condition.",
        ),
        (
            "has(self.jobStatus) || has(self.jobDeploymentStatus)",
            "the deletion condition requires either the JobStatus or the JobDeploymentStatus field.",
        ),
    ),
]


class DeletionRule(TypedDict, total=False):
    """What goes, and when."""

    condition: Required[DeletionCondition]
    policy: Required[DeletionPolicyType]


class _DeletionStrategy(TypedDict, total=False):
    deletionRules: Annotated[list[DeletionRule], Keywords({"minItems": 1, "x-kubernetes-list-type": "atomic"})]
    onFailure: DeletionPolicy
    onSuccess: DeletionPolicy


DeletionStrategy = Annotated[
    _DeletionStrategy,
    rules(
        (
            "!((has(self.onSuccess) || has(self.onFailure)) && has(self.deletionRules))",
            "legacy policies (onSuccess/onFailure) and deletionRules cannot be used together within the same deletionStrategy",
        ),
        (
            "((has(self.onSuccess) && has(self.onFailure)) || has(self.deletionRules))",
            "deletionStrategy requires either BOTH onSuccess and onFailure, OR the deletionRules field (cannot be empty)",
        ),
    ),
    V1,
]


class SubmitterConfig(TypedDict, total=False):
    """Of the Kubernetes Job that submits."""

    backoffLimit: Int32


class RayJobSpec(TypedDict, total=False):
    """Desired state: a cluster of its own or a selector of one, and what to run there."""

    activeDeadlineSeconds: Annotated[Int32, V1]
    backoffLimit: Annotated[Int32, default(0), V1]
    clusterSelector: dict[str, str]
    deletionStrategy: DeletionStrategy
    entrypoint: Annotated[str, required_in(OLD_VERSION)]
    entrypointNumCpus: Number
    entrypointNumGpus: Number
    entrypointResources: str
    jobId: str
    managedBy: ManagedBy
    metadata: dict[str, str]
    preRunningDeadlineSeconds: Annotated[Int32, minimum(1), V1]
    rayClusterSpec: RayClusterSpec
    runtimeEnvYAML: str
    shutdownAfterJobFinishes: bool
    submissionMode: Annotated[str, default("K8sJobMode"), V1]
    submitterConfig: Annotated[SubmitterConfig, V1]
    submitterPodTemplate: PodTemplate
    suspend: bool
    ttlSecondsAfterFinished: Annotated[Int32, default(0)]


class RayJobInfo(TypedDict, total=False):
    """When the job ran, as Ray tells."""

    endTime: Time
    startTime: Time


class RayJobStatus(TypedDict, total=False):
    """Observed state."""

    dashboardURL: str
    endTime: Time
    failed: Annotated[Int32, default(0), V1]
    jobDeploymentStatus: str
    jobId: str
    jobStatus: str
    jobStatusCheckFailureStartTime: Annotated[Time, V1]
    message: str
    observedGeneration: Int64
    rayClusterName: str
    rayClusterStatus: RayClusterStatus
    rayJobInfo: Annotated[RayJobInfo, V1]
    reason: Annotated[str, V1]
    startTime: Time
    succeeded: Annotated[Int32, default(0), V1]


class RayJob(TypedDict, total=False):
    """A RayJob object."""

    apiVersion: str
    kind: str
    metadata: JsonObject
    spec: RayJobSpec
    status: RayJobStatus
