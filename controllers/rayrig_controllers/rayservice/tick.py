"""One tick of one RayService: what was read, what was found out so far, and the status being worked out."""

from __future__ import annotations

from dataclasses import dataclass, field

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.rayservice.conditions import ROLLBACK_IN_PROGRESS, UPGRADE_IN_PROGRESS, Conditions
from rayrig_controllers.rayservice.goal import Goal, Goals, is_incremental
from rayrig_controllers.rayservice.memory import DeletionSchedule, ParsedAnswers, SubmittedConfigs
from rayrig_controllers.rayservice.status import ServiceStatus, Slot
from rayrig_controllers.reconciler import Request
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_SERVICE
from rayrig_core.timestamps import rfc3339
from rayrig_core.trace import Kind


@dataclass(slots=True)
class Memory:
    """All that outlives a tick."""

    configs: SubmittedConfigs = field(default_factory=SubmittedConfigs)
    deletions: DeletionSchedule = field(default_factory=DeletionSchedule)
    answers: ParsedAnswers = field(default_factory=ParsedAnswers)
    goals: Goals = field(default_factory=Goals)


@dataclass(slots=True)
class ClusterInTick:
    """One slot's cluster. `cluster` is None when there is no such object; the rest comes from its Serve reconcile."""

    slot: Slot
    cluster: JsonObject | None = None
    is_ready: bool = False
    applications: dict[str, JsonObject] = field(default_factory=dict)


class Tick:
    """`service` is the object as last read or written; `status` the working copy; `before` what the tick began with."""

    __slots__ = (
        "active",
        "before",
        "conditions",
        "context",
        "goal",
        "head_service",
        "incremental",
        "memory",
        "now_ns",
        "pending",
        "request",
        "route",
        "serve_service",
        "service",
        "spec",
        "status",
    )

    def __init__(self, context: ControllerContext, memory: Memory, request: Request, service: JsonObject) -> None:
        self.context = context
        self.memory = memory
        self.request = request
        self.service = service
        self.spec: JsonObject = service.get("spec") or {}
        self.goal: Goal = memory.goals.of(service)
        self.incremental = is_incremental(self.spec, context.options)
        self.before = ServiceStatus.from_json(service.get("status"))
        self.status = self.before.working_copy()
        self.now_ns = context.runtime.unix_ns()
        self.conditions = Conditions(self.status.conditions, self.now_ns, self.status.observed_generation)
        self.active = ClusterInTick(self.status.active)
        self.pending = ClusterInTick(self.status.pending)
        #: The two Services, once they were reconciled in this tick.
        self.head_service: JsonObject | None = None
        self.serve_service: JsonObject | None = None
        #: The HTTPRoute, likewise (incremental mode).
        self.route: JsonObject | None = None

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def namespace(self) -> str:
        return self.request.namespace

    @property
    def subject(self) -> str:
        """Name of the RayService in the trace."""
        return f"rayservices/{self.namespace}/{self.name}"

    @property
    def upgrade_in_progress(self) -> bool:
        return self.conditions.is_true(UPGRADE_IN_PROGRESS)

    @property
    def is_rolling_back(self) -> bool:
        return self.conditions.is_true(ROLLBACK_IN_PROGRESS)

    def qualified(self, name: str) -> str:
        """`<namespace>/<name>`, as events name objects."""
        return f"{self.namespace}/{name}"

    def refresh_now(self) -> None:
        """Take the time again, after something that may have taken some."""
        self.now_ns = self.conditions.now_ns = self.context.runtime.unix_ns()

    def observe_generation(self) -> None:
        """`status.observedGeneration` := generation; conditions set from now on carry it."""
        generation = self.service["metadata"]["generation"]
        self.status.observed_generation = self.conditions.observed_generation = generation

    def now_text(self) -> str:
        """The time of the tick as objects carry it."""
        return rfc3339(self.now_ns)

    def replace_slots(self, *, active: Slot | None = None, pending: Slot | None = None) -> None:
        if active is not None:
            self.status.active = self.active.slot = active
        if pending is not None:
            self.status.pending = self.pending.slot = pending

    def normal(self, reason: str, note: str, action: str) -> None:
        """A Normal event about the RayService."""
        self.context.recorder.event(self.service, "Normal", reason, note, action=action)

    def warning(self, reason: str, note: str, action: str) -> None:
        """A Warning event about the RayService."""
        self.context.recorder.event(self.service, "Warning", reason, note, action=action)

    def note(self, detail: str) -> None:
        """A turn worth telling that leaves no other mark in the trace."""
        self.context.runtime.trace.emit(Kind.NOTE, self.subject, detail)

    async def write_status(self) -> None:
        """Write the status as it stands, stamped with the present time. Raises `ApiError`."""
        self.status.last_update_time = rfc3339(self.context.runtime.unix_ns())
        self.service = await self.context.client.update(
            RAY_SERVICE, {**self.service, "status": self.status.to_json()}, subresource="status"
        )

    async def write_status_if_changed(self) -> None:
        gate = self.context.options.gates.ray_service_incremental_upgrade
        if self.status.is_worth_writing(self.before, compares_incremental_fields=gate):
            await self.write_status()
