"""Conditions on the world: what a step waits for and what a scenario expects in the end are the same words."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rayrig_backends.world import FATES
from rayrig_core.remedies import closest
from rayrig_core.trace import Kind
from rayrig_scenarios.language.model import Model, OneOf
from rayrig_scenarios.language.paths import Path, parse_path
from rayrig_scenarios.language.units import DurationBound, NumberBound, bad, parse_bound
from rayrig_scenarios.resource_kinds import KINDS
from rayrig_scenarios.rollouts import WORKLOADS


def _known_kind(value: Any) -> Any:
    if isinstance(value, str) and value not in KINDS:
        raise bad(f'no kind is called "{value}"', closest(value, KINDS))
    return value


def _path(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        parse_path(value)
    except ValueError as error:
        raise bad(str(error), "write status.conditions[Ready].status or spec.workerGroupSpecs[0].replicas") from None
    return value


KindName = Annotated[str, BeforeValidator(_known_kind)]
FieldPath = Annotated[str, BeforeValidator(_path)]


class ServiceRef(Model):
    """A RayService by its name. Without a name: the only one."""

    shorthand: ClassVar[str] = "service"

    service: str = ""
    namespace: str = "default"


class ClusterRef(Model):
    """A RayCluster by its name. Without a name: the only one."""

    shorthand: ClassVar[str] = "cluster"

    cluster: str = ""
    namespace: str = "default"


class ObjectRef(Model):
    """An object: `Kind/name`, or kind and name apart."""

    kind: KindName
    name: str
    namespace: str = "default"

    @model_validator(mode="before")
    @classmethod
    def _kind_slash_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            kind, slash, name = value.partition("/")
            if not slash or not name:
                raise bad(f'"{value}" names no object', 'write Kind/name, such as "RayService/fruit-stand"')
            return {"kind": kind, "name": name}
        return value


class WorkloadRef(ObjectRef):
    """An object that has pods."""

    @field_validator("kind")
    @classmethod
    def _has_pods(cls, value: str) -> str:
        if value not in WORKLOADS:
            raise bad(f"a {value} has no pods of its own", "one of: " + ", ".join(WORKLOADS))
        return value


class ConditionOf(Model):
    """An entry of `status.conditions`."""

    kind: KindName = "RayService"
    name: str
    namespace: str = "default"
    type: str
    status: Literal["True", "False", "Unknown"] = "True"
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _status_as_text(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("status"), bool):
            return {**value, "status": str(value["status"])}
        return value


class FieldOf(Model):
    """A field of an object: `equals` (any JSON value), `differs` (it is there, and not this value), `contains` (part of a text,
    entry of a list), `is_` (a bound on a number) or `exists`."""

    kind: KindName = "RayService"
    name: str
    namespace: str = "default"
    path: FieldPath
    equals: Any = None
    differs: Any = None
    contains: Any = None
    is_: NumberBound | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> Self:
        given = self.model_fields_set & {"equals", "differs", "contains", "is_", "exists"}
        if len(given) != 1:
            what = "compares with nothing or with several things"
            raise bad(what, "give one of: equals, differs, contains, is, exists")
        return self

    @property
    def parsed(self) -> Path:
        return parse_path(self.path)


class ApplicationOf(Model):
    """A Serve application as the RayService status shows it for the active (or pending) cluster."""

    service: str = ""
    namespace: str = "default"
    cluster: Literal["active", "pending"] = "active"
    name: str
    status: str


class DeploymentOf(Model):
    """A Serve deployment as the RayService status shows it."""

    service: str = ""
    namespace: str = "default"
    cluster: Literal["active", "pending"] = "active"
    application: str
    name: str
    status: str


class PodsOf(Model):
    """Numbers of pods. Which pods: of a RayService's clusters (`service`, and of them the active or pending one) with a role and
    worker group, or by `labels`. `restarts` are those of all their containers; `reason`: each unready pod's contains it."""

    service: str = ""
    namespace: str = "default"
    cluster: Literal["active", "pending", "any"] = "any"
    role: Literal["head", "worker", ""] = ""
    group: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    total: NumberBound | None = None
    ready: NumberBound | None = None
    unready: NumberBound | None = None
    pending: NumberBound | None = None
    restarts: NumberBound | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _some_number(self) -> Self:
        if all(bound is None for bound in (self.total, self.ready, self.unready, self.pending, self.restarts)):
            raise bad("counts nothing", "give one or more of: total, ready, unready, pending, restarts")
        return self


class EndpointsOf(Model):
    """Endpoints of a Kubernetes Service, as its EndpointSlices have them. `without` is a pod that is not among those.

    `fewest`, `most` and `unavailable` (the time without any) are of ready endpoints over time: from the first one on, or since the
    last change: the last apply, patch, delete, drain or fault.
    """

    name: str
    namespace: str = "default"
    total: NumberBound | None = None
    ready: NumberBound | None = None
    serving: NumberBound | None = None
    terminating: NumberBound | None = None
    without: str = ""
    fewest: NumberBound | None = None
    most: NumberBound | None = None
    unavailable: DurationBound | None = None
    since: Literal["start", "change"] = "start"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set - {"name", "namespace", "since"}:
            some = "total, ready, serving, terminating, without, fewest, most, unavailable"
            raise bad("demands nothing", f"give one or more of: {some}")
        return self


class ObjectsOf(Model):
    """How many objects of a kind there are with these labels."""

    kind: KindName
    namespace: str = "default"
    labels: dict[str, str] = Field(default_factory=dict)
    count: NumberBound


class ClustersOf(Model):
    """Ray clusters of a RayService: `count` now, `peak` at any time, `created` in all, `switches` of the active one."""

    service: str = ""
    namespace: str = "default"
    count: NumberBound | None = None
    peak: NumberBound | None = None
    created: NumberBound | None = None
    switches: NumberBound | None = None

    @model_validator(mode="after")
    def _some_number(self) -> Self:
        if all(bound is None for bound in (self.count, self.peak, self.created, self.switches)):
            raise bad("counts nothing", "give one or more of: count, peak, created, switches")
        return self


class EventOf(Model):
    """A Kubernetes Event: its reason, part of its message, what it is about (`pods/`, `rayservices/default/fruit-stand`).

    Counted from the start of the run, or since the last change: the last apply, patch, delete or fault.
    """

    shorthand: ClassVar[str] = "reason"

    reason: str
    message: str = ""
    about: str = ""
    type: Literal["Normal", "Warning", ""] = ""
    since: Literal["start", "change"] = "start"
    count: NumberBound = Field(default_factory=lambda: parse_bound(">= 1"))


def _fates(value: Any) -> Any:
    if isinstance(value, dict):
        for fate in value:
            if fate not in FATES:
                raise bad(f'no fate of a request is called "{fate}"', closest(str(fate), FATES))
    return value


class RequestsOf(Model):
    """Requests of one traffic, or of all together. `causes` are words of which each must be in some failed request's cause."""

    traffic: str = ""
    sent: NumberBound | None = None
    failed: NumberBound | None = None
    fates: Annotated[dict[str, NumberBound], BeforeValidator(_fates)] = Field(default_factory=dict)
    causes: list[str] = Field(default_factory=list)
    p50: DurationBound | None = None
    p90: DurationBound | None = None
    p99: DurationBound | None = None
    max: DurationBound | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set - {"traffic"}:
            raise bad("demands nothing", "give one or more of: sent, failed, fates, causes, p50, p90, p99, max")
        return self


class PeakOf(Model):
    """The most that was in use at one time: nodes with Ray pods, requested CPUs and GPUs, pods."""

    nodes: NumberBound | None = None
    cpus: NumberBound | None = None
    gpus: NumberBound | None = None
    pods: NumberBound | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise bad("demands nothing", "give one or more of: nodes, cpus, gpus, pods")
        return self


def _known_happening(value: Any) -> Any:
    labels = [kind.label for kind in Kind]
    if isinstance(value, str) and value not in labels:
        raise bad(f'nothing in a trace is called "{value}"', closest(value, labels))
    return value


class HappeningOf(Model):
    """An event of the trace: `what` it is (`serve.deployment`), part of its subject, and values of its data by name.

    Counted from the start of the run, or since the last change: the last apply, patch, delete or fault.
    """

    shorthand: ClassVar[str] = "what"

    what: Annotated[str, BeforeValidator(_known_happening)]
    subject: str = ""
    with_: dict[str, str | int | bool] = Field(default_factory=dict)
    since: Literal["start", "change"] = "start"
    count: NumberBound = Field(default_factory=lambda: parse_bound(">= 1"))

    @model_validator(mode="after")
    def _known_data(self) -> Self:
        fields = next(kind.fields for kind in Kind if kind.label == self.what)
        for name in self.with_:
            if name not in fields:
                raise bad(f'{self.what} has no "{name}"', closest(name, fields))
        return self


class Condition(OneOf):
    """One thing that is so, or not yet."""

    ready: ServiceRef | None = None
    upgrade_started: ServiceRef | None = None
    upgrade_complete: ServiceRef | None = None
    old_cluster_gone: ServiceRef | None = None
    cluster_ready: ClusterRef | None = None
    rolled_out: WorkloadRef | None = None
    gone: ObjectRef | None = None
    condition: ConditionOf | None = None
    field: FieldOf | None = None
    application: ApplicationOf | None = None
    deployment: DeploymentOf | None = None
    objects: ObjectsOf | None = None
    pods: PodsOf | None = None
    endpoints: EndpointsOf | None = None
    clusters: ClustersOf | None = None
    event: EventOf | None = None
    happened: HappeningOf | None = None
    requests: RequestsOf | None = None
    peak: PeakOf | None = None


class Expectation(Condition):
    """What must be so in the end. `name` says it in the scenario's own words."""

    beside: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = ""
    digest: str | None = None
