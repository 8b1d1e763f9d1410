"""What a scenario asks of a world, and the values it hands over: nodes, application behaviour, traffic, usage.

`World` is the one interface between scenarios and worlds. `rayrig_backends.memory` implements it on virtual time; a backend that
cannot do a thing refuses it with an `InputError` naming the thing. All durations are seconds, all instants nanoseconds since the
run began.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from rayrig_backends.record import Record
from rayrig_core.objects import Json, JsonObject
from rayrig_core.ports import HttpClient, KubernetesClient, Runtime, Task
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.feature_gates import DEFAULT_GATES, FeatureGates
from rayrig_core.trace import Trace
from rayrig_sim.calibration import Calibration, Distribution
from rayrig_sim.kernel import START_UNIX_NS
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule
from rayrig_sim.traffic.accounting import Accounting
from rayrig_sim.traffic.requests import Fate, RequestClass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Nodes to have at the start: `count` of them, named `<prefix>-0`, `<prefix>-1`, …; a single one is named `prefix` plain if
    `exact_name`. `extended` holds resources such as `nvidia.com/gpu` or `google.com/tpu`; `taints` as in a Node object."""

    prefix: str = "node"
    count: int = 1
    cpu: str = "16"
    memory: str = "64Gi"
    pods: int = 110
    extended: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[JsonObject, ...] = ()
    exact_name: bool = False

    def names(self) -> tuple[str, ...]:
        if self.exact_name and self.count == 1:
            return (self.prefix,)
        return tuple(f"{self.prefix}-{index}" for index in range(self.count))


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """How the application at `import_path` behaves. What is None stays as the world's registry or calibration has it.

    `result` is what a request is answered with (JSON) when `has_result`; `handler` is a Python object given by the user
    (`module:attr`), in the form `rayrig_sim.serve` registers; it wins over `latency` and `result`. `startup` is the time a replica
    takes to start; `fails_with`, when not empty, is the error its constructor raises.
    """

    import_path: str
    latency: Distribution | None = None
    result: Json = None
    has_result: bool = False
    handler: Any = None
    startup: Distribution | None = None
    fails_with: str = ""


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """All that a world is built from: equal specs give equal runs.

    `elide_idle`: turns of actors that nobody would notice are passed over (docs/design/idle-time.md); off or on, runs are equal.
    """

    seed: int = 0
    nodes: tuple[NodeSpec, ...] = (NodeSpec(),)
    profile: str = "v1.7.0"
    calibration: Calibration = field(default_factory=Calibration)
    applications: tuple[ApplicationSpec, ...] = ()
    scripts: tuple[ScriptRule, ...] = ()
    #: The operator's.
    gates: FeatureGates = DEFAULT_GATES
    reconcile_concurrency: int = 1
    elide_idle: bool = True
    #: When the run begins.
    start_unix_ns: int = START_UNIX_NS


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """Requests to one Service, or through one `gateway` (then `service` is empty).

    Exactly one of `rate_per_s` (open loop: sent whatever comes back) and `clients` (closed loop: each client sends the
    next request when the last is answered, after `think_s`).

    `keep_alive` reuses connections, each pinned to the pod it was opened to, for at most `connection_age_s` when that is given;
    without it every request opens its own. `arrival`
    is even spacing or a Poisson process (open loop only).
    """

    name: str
    service: str
    namespace: str = "default"
    port: int = 8000
    classes: tuple[RequestClass, ...] = (RequestClass(),)
    rate_per_s: float | None = None
    clients: int | None = None
    think_s: float = 0.0
    arrival: Literal["even", "poisson"] = "even"
    keep_alive: bool = True
    connection_age_s: float | None = None
    timeout_s: float = 30.0
    gateway: str = ""


#: Every fate a request can have; "ok" is the only one that is no failure.
FATES = tuple(fate.value for fate in Fate)


class Traffic(Protocol):
    """One source of requests, made by `World.traffic`; it sends nothing until started."""

    spec: TrafficSpec

    def start(self) -> None:
        """Begin to send. May be called again after a stop."""
        ...

    def stop(self) -> None:
        """Send no more. Requests under way go on to their fate."""
        ...

    async def settled(self) -> None:
        """Wait until, after a stop, every request has its fate (at most `timeout_s`)."""
        ...

    def accounting(self) -> Accounting: ...


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """What pods that are bound and not finished request together, from `t_ns` until the next point. `nodes`: nodes that carry at
    least one such pod. CPU in thousandths, memory in bytes."""

    t_ns: int
    nodes: int
    cpu_millis: int
    memory_bytes: int
    gpus: int
    pods: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources over time, a point for each change, and what the nodes have in all (at the largest)."""

    points: tuple[UsagePoint, ...] = ()
    capacity_nodes: int = 0
    capacity_cpu_millis: int = 0
    capacity_memory_bytes: int = 0
    capacity_gpus: int = 0

    def peak(self, field_name: Literal["nodes", "cpu_millis", "memory_bytes", "gpus", "pods"]) -> int:
        return max((getattr(point, field_name) for point in self.points), default=0)


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """Objects of a kind as `kubectl get` prints them: the columns that are not only for wide output, and a row for each object."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class World(Protocol):
    """A cluster with the KubeRay operator on it, and a clock."""

    @property
    def runtime(self) -> Runtime: ...

    @property
    def trace(self) -> Trace: ...

    def client(self, actor: str) -> KubernetesClient:
        """A client of the API server whose calls are attributed to `actor`."""
        ...

    def http(self, source: str) -> HttpClient:
        """HTTP from inside the cluster: `http://<service>.<namespace>:<port>/` and pod IPs resolve."""
        ...

    def add_nodes(self, nodes: NodeSpec) -> tuple[str, ...]:
        """Nodes join now; their names."""
        ...

    def script(self, rule: ScriptRule) -> None:
        """Containers of pods that start from now on play this, before what was said earlier."""
        ...

    def start(self) -> None:
        """Start kubelets, scheduler, operator and all other actors. Once; time still stands at 0."""
        ...

    def traffic(self, spec: TrafficSpec) -> Traffic:
        """A source of requests. Raises `InputError` when the name is taken."""
        ...

    async def fault(self, kind: str, **params: Any) -> str:
        """Let a fault of `rayrig_backends.faults.FAULTS` strike, with parameters as `faults.checked` returns them. Answers what was
        struck, in a few words. Faults with a `duration` end by themselves. Raises `InputError` when the target does not exist."""
        ...

    def objects(self, resource: ResourceType, namespace: str = "") -> list[JsonObject]:
        """The objects as they are now, ordered by namespace and name. Shared: not to be changed. No trace, no time."""
        ...

    def object_table(self, resource: ResourceType, namespace: str = "") -> ObjectTable:
        """The same objects with their printer columns."""
        ...

    def usage(self) -> Usage: ...

    def why_unready(self, pod: JsonObject) -> str:
        """The verdict on a pod that is not ready, in one line; empty when it is. `rayrig_scenarios.why` tells what is behind it."""
        ...

    def logs(self, pod: str, namespace: str, container: str = "", *, previous: bool = False) -> str:
        """What `kubectl logs` would show of a container, of the only one without a name, or of its run before the last restart.

        Raises `ApiError` with the API server's words.
        """
        ...

    def record(self) -> Record:
        """What became of pods, nodes and Ray's objects so far, and what probes got."""
        ...

    def run_until(self, task: Task[Any]) -> None:
        """Let time pass until the task has ended. Raises what an actor let escape."""
        ...

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Start an actor of the caller's own (`runtime.spawn`)."""
        ...


WorldFactory = Callable[[WorldSpec], World]
