"""RayService of `ray.io/v1`, field by field (kuberay-operator reference, 1.2 and 1.3).

The classes describe the plain JSON objects that the API keeps; the CRD is generated from them.
"""

from typing import Annotated, Required, TypedDict

from rayrig_core.objects import JsonObject
from rayrig_core.resources.raycluster import (
    OLD_VERSION,
    RELEASE_1_1,
    SINCE_1_1,
    V1,
    Conditions,
    ManagedBy,
    RayClusterSpec,
    RayClusterStatus,
    ServiceTemplate,
)
from rayrig_core.resources.schema import Int32, Int64, Time, default, minimum, only_in, required_in


class ClusterUpgradeOptions(TypedDict, total=False):
    """Pace of an incremental upgrade: percentages, seconds, and the class of its Gateway."""

    gatewayClassName: Required[str]
    intervalSeconds: Required[Int32]
    maxSurgePercent: Annotated[Int32, default(100)]
    stepSizePercent: Required[Int32]


class RayServiceUpgradeStrategy(TypedDict, total=False):
    """How a changed `rayClusterConfig` is brought about. `type` is checked by the controller, not by the schema."""

    clusterUpgradeOptions: ClusterUpgradeOptions
    type: str


class RayServiceSpec(TypedDict, total=False):
    """Desired state. The two `…UnhealthySecondThreshold` fields have no effect."""

    deploymentUnhealthySecondThreshold: Int32
    excludeHeadPodFromServeSvc: Annotated[bool, V1]
    managedBy: ManagedBy
    rayClusterConfig: Annotated[RayClusterSpec, required_in("v1")]
    rayClusterDeletionDelaySeconds: Annotated[Int32, minimum(0), V1]
    serveConfigV2: str
    serveService: ServiceTemplate
    serviceUnhealthySecondThreshold: Int32
    suspend: Annotated[bool, V1]
    upgradeStrategy: Annotated[RayServiceUpgradeStrategy, V1]


_BEFORE_1_3 = only_in(OLD_VERSION, RELEASE_1_1)


class ServeDeploymentStatus(TypedDict, total=False):
    """A deployment as the dashboard shows it."""

    healthLastUpdateTime: Annotated[Time, _BEFORE_1_3]
    message: str
    status: str


class AppStatus(TypedDict, total=False):
    """An application as the dashboard shows it."""

    healthLastUpdateTime: Annotated[Time, _BEFORE_1_3]
    message: str
    serveDeploymentStatuses: dict[str, ServeDeploymentStatus]
    status: str


class ServiceSlot(TypedDict, total=False):
    """The active or the pending cluster. The last three fields are used by incremental upgrades only."""

    applicationStatuses: dict[str, AppStatus]
    lastTrafficMigratedTime: Annotated[Time, V1]
    rayClusterName: str
    rayClusterStatus: RayClusterStatus
    targetCapacity: Annotated[Int32, V1]
    trafficRoutedPercent: Annotated[Int32, V1]


class RayServiceStatus(TypedDict, total=False):
    """Observed state (1.3)."""

    activeServiceStatus: ServiceSlot
    conditions: Annotated[Conditions, V1]
    lastUpdateTime: Time
    numServeEndpoints: Annotated[Int32, SINCE_1_1]
    observedGeneration: Int64
    pendingServiceStatus: ServiceSlot
    serviceStatus: str


class RayService(TypedDict, total=False):
    """A RayService object."""

    apiVersion: str
    kind: str
    metadata: JsonObject
    spec: RayServiceSpec
    status: RayServiceStatus
