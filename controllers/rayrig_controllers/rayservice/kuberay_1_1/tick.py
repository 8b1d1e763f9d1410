"""One pass over one RayService of KubeRay 1.1: what was read, the status as it becomes, how a failure is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.rayservice.goal import Goal, Goals
from rayrig_controllers.rayservice.memory import DeletionSchedule, SubmittedConfigs
from rayrig_controllers.rayservice.status import ServiceStatus, Slot
from rayrig_controllers.reconciler import ReconcileError, Request
from rayrig_controllers.releases import KUBERAY_1_1
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_SERVICE
from rayrig_core.timestamps import rfc3339
from rayrig_core.trace import Kind

# serviceStatus
RUNNING = "Running"
RESTARTING = "Restarting"
WAIT_FOR_SERVE = "WaitForServeDeploymentReady"
FAILED_TO_GET_CLUSTER = "FailedToGetOrCreateRayCluster"
FAILED_TO_GET_SERVE_STATUS = "FailedToGetServeDeploymentStatus"
FAILED_TO_UPDATE_SERVICE = "FailedToUpdateService"
FAILED_TO_UPDATE_LABEL = "FailedToUpdateServingPodLabel"


@dataclass(slots=True)
class Memory:
    """All that outlives a pass. Submitted configurations are never dropped for want of room."""

    configs: SubmittedConfigs = field(default_factory=lambda: SubmittedConfigs(None))
    deletions: DeletionSchedule = field(default_factory=DeletionSchedule)
    goals: Goals = field(default_factory=lambda: Goals(KUBERAY_1_1))
    #: What was last logged about each RayService.
    logged: dict[Request, str] = field(default_factory=dict)


class Tick:
    """`service` is the object as last read or written; `status` the working copy; `before` what the pass began with."""

    __slots__ = ("before", "context", "goal", "memory", "request", "service", "spec", "status")

    def __init__(self, context: ControllerContext, memory: Memory, request: Request, service: JsonObject) -> None:
        self.context = context
        self.memory = memory
        self.request = request
        self.service = service
        self.spec: JsonObject = service.get("spec") or {}
        self.goal: Goal = memory.goals.of(service)
        self.before = ServiceStatus.from_json(service.get("status"))
        self.status = self.before.working_copy()
        self.status.observed_generation = service["metadata"]["generation"]

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def namespace(self) -> str:
        return self.request.namespace

    def event(self, reason: str, note: str) -> None:
        """A Normal event about the RayService; this release has no others."""
        self.context.recorder.event(self.service, "Normal", reason, note)

    def log(self, text: str) -> None:
        """What the operator only logs: told in the trace when it isn't what was logged before."""
        if self.memory.logged.get(self.request) != text:
            self.memory.logged[self.request] = text
            self.context.runtime.trace.emit(Kind.NOTE, f"rayservices/{self.namespace}/{self.name}", text)

    async def write_status(self) -> None:
        """Write the status as it stands. `lastUpdateTime` is the caller's business. Raises `ApiError`."""
        self.service = await self.context.client.update(
            RAY_SERVICE, {**self.service, "status": self.status.to_json()}, subresource="status"
        )

    async def fail(self, status: str, error: Exception) -> None:
        """Show `error` as `serviceStatus` and event. Raises `ReconcileError` when not even that can be written."""
        self.status.service_status = status
        try:
            await self.write_status()
        except ApiError as second:
            raise ReconcileError(f"combined error: {error} {second}") from second
        self.event(status, str(error))

    async def finish(self) -> None:
        """Write the status, stamped with the time, if it is worth it. Raises `ApiError`."""
        if is_worth_writing(self.before, self.status):
            self.status.last_update_time = rfc3339(self.context.runtime.unix_ns())
            await self.write_status()


def is_worth_writing(before: ServiceStatus, now: ServiceStatus) -> bool:
    """Status word, endpoints, names, statuses and messages count; times of health and the clusters' own statuses don't."""
    return (
        before.service_status != now.service_status
        or before.num_serve_endpoints != now.num_serve_endpoints
        or _what_counts(before.active) != _what_counts(now.active)
        or _what_counts(before.pending) != _what_counts(now.pending)
    )


def _what_counts(slot: Slot) -> tuple[str, dict[str, object]]:
    applications: dict[str, object] = {
        name: (
            app.get("status"),
            app.get("message"),
            {
                deployment: (status.get("status"), status.get("message"))
                for deployment, status in (app.get("serveDeploymentStatuses") or {}).items()
            },
        )
        for name, app in slot.applications.items()
    }
    return slot.cluster, applications
