"""RayService status as the controller works on it, between two JSON forms, and when it is worth writing (1.3, 2.14)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rayrig_core.objects import JsonObject

#: What an absent cluster's status serialises to.
EMPTY_CLUSTER_STATUS: JsonObject = {
    "desiredCPU": "0",
    "desiredGPU": "0",
    "desiredMemory": "0",
    "desiredTPU": "0",
    "head": {},
}


def cluster_status(cluster: JsonObject | None) -> JsonObject:
    """The status of a RayCluster as a slot carries it. Shared with the cluster object."""
    status = cluster.get("status") if cluster is not None else None
    if not status:
        return EMPTY_CLUSTER_STATUS
    return status if "head" in status and "desiredTPU" in status else {**EMPTY_CLUSTER_STATUS, **status}


@dataclass(slots=True)
class Slot:
    """The active or the pending cluster: name, copies of what was last seen, and the numbers of an incremental upgrade."""

    cluster: str = ""
    cluster_status: JsonObject = field(default_factory=lambda: EMPTY_CLUSTER_STATUS)
    applications: dict[str, JsonObject] = field(default_factory=dict)
    #: Percent; None is unset, which differs from 0.
    target_capacity: int | None = None
    traffic_percent: int | None = None
    last_traffic_migrated: str | None = None

    @classmethod
    def from_json(cls, slot: JsonObject) -> Slot:
        return cls(
            slot.get("rayClusterName") or "",
            slot.get("rayClusterStatus") or EMPTY_CLUSTER_STATUS,
            slot.get("applicationStatuses") or {},
            slot.get("targetCapacity"),
            slot.get("trafficRoutedPercent"),
            slot.get("lastTrafficMigratedTime"),
        )

    def to_json(self) -> JsonObject:
        slot: JsonObject = {}
        if self.applications:
            slot["applicationStatuses"] = self.applications
        if self.last_traffic_migrated is not None:
            slot["lastTrafficMigratedTime"] = self.last_traffic_migrated
        if self.cluster:
            slot["rayClusterName"] = self.cluster
        slot["rayClusterStatus"] = self.cluster_status
        if self.target_capacity is not None:
            slot["targetCapacity"] = self.target_capacity
        if self.traffic_percent is not None:
            slot["trafficRoutedPercent"] = self.traffic_percent
        return slot

    @property
    def has_incremental_fields(self) -> bool:
        return (
            self.target_capacity is not None
            or self.traffic_percent is not None
            or self.last_traffic_migrated is not None
        )

    def differs(self, other: Slot) -> bool:
        """The cluster's own status doesn't count: it can be stale for ever."""
        return self.cluster != other.cluster or self.applications != other.applications


@dataclass(slots=True)
class ServiceStatus:
    """The whole status. `to_json` leaves zero values out, as the API shows it."""

    active: Slot = field(default_factory=Slot)
    pending: Slot = field(default_factory=Slot)
    conditions: list[JsonObject] = field(default_factory=list)
    service_status: str = ""
    num_serve_endpoints: int = 0
    observed_generation: int = 0
    last_update_time: str = ""

    @classmethod
    def from_json(cls, status: JsonObject | None) -> ServiceStatus:
        if not status:
            return cls()
        return cls(
            Slot.from_json(status.get("activeServiceStatus") or {}),
            Slot.from_json(status.get("pendingServiceStatus") or {}),
            status.get("conditions") or [],
            status.get("serviceStatus") or "",
            status.get("numServeEndpoints") or 0,
            status.get("observedGeneration") or 0,
            status.get("lastUpdateTime") or "",
        )

    def to_json(self) -> JsonObject:
        status: JsonObject = {"activeServiceStatus": self.active.to_json()}
        if self.conditions:
            status["conditions"] = self.conditions
        if self.last_update_time:
            status["lastUpdateTime"] = self.last_update_time
        if self.num_serve_endpoints:
            status["numServeEndpoints"] = self.num_serve_endpoints
        if self.observed_generation:
            status["observedGeneration"] = self.observed_generation
        status["pendingServiceStatus"] = self.pending.to_json()
        if self.service_status:
            status["serviceStatus"] = self.service_status
        return status

    def working_copy(self) -> ServiceStatus:
        """A copy whose slots and condition list can be changed."""
        return replace(
            self, active=replace(self.active), pending=replace(self.pending), conditions=list(self.conditions)
        )

    def is_worth_writing(self, before: ServiceStatus, *, compares_incremental_fields: bool) -> bool:
        """Whether the operator would write it.

        The incremental fields are compared by identity there (2.14, H1): once one is set, every comparison finds a difference.
        """
        return (
            self.service_status != before.service_status
            or self.num_serve_endpoints != before.num_serve_endpoints
            or self.conditions != before.conditions
            or self.active.differs(before.active)
            or self.pending.differs(before.pending)
            or (
                compares_incremental_fields
                and (
                    self.active.has_incremental_fields
                    or self.pending.has_incremental_fields
                    or before.active.has_incremental_fields
                    or before.pending.has_incremental_fields
                )
            )
        )
