"""The protocols at which real and simulated systems meet.

Controllers, kubelets, schedulers and every other actor await only what they are handed here; they import neither asyncio nor simpy,
httpx, time, random, uuid or a Kubernetes client. In simulation what they await yields simpy events, on a real cluster asyncio
futures; an actor cannot tell which. Every await is an interleaving point: others may run there and a fault may strike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from rayrig_core.http import HttpResponse
from rayrig_core.idle import Recurrence, Turn
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_core.trace import Trace

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PatchType = Literal["json", "merge", "strategic", "apply"]
PropagationPolicy = Literal["Background", "Foreground", "Orphan"]


class Clock(Protocol):
    """Time, virtual or real."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since the run began."""
        ...

    def unix_ns(self) -> int:
        """Nanoseconds since the Unix epoch, for timestamps in objects."""
        ...

    def sleep(self, duration_s: float) -> Awaitable[None]:
        """Continue after `duration_s` seconds."""
        ...


class Signal(Protocol[T]):
    """Happens once; whoever awaits it gets its value. Awaiting one that has happened returns at once."""

    def set(self, value: T) -> None:
        """Let it happen. A second call does nothing."""
        ...

    @property
    def is_set(self) -> bool: ...

    def __await__(self) -> Generator[Any, Any, T]: ...


class Task(Protocol[T_co]):
    """A running actor. Awaiting it waits for its end and gives its result (None when it was cancelled)."""

    name: str

    @property
    def is_done(self) -> bool: ...

    def cancel(self) -> None:
        """Raise `Cancelled` at the await where the actor is. Nothing when it has ended."""
        ...

    def __await__(self) -> Generator[Any, Any, T_co | None]: ...


class Cancelled(BaseException):
    """Raised inside an actor that is being stopped. Actors let it pass."""


class Runtime(Clock, Protocol):
    """Starts actors and lets them wait. Carries the trace and the cause of what the current actor does."""

    trace: Trace

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Start an actor. An exception that leaves it ends the whole run, loudly."""
        ...

    def when(self, happened: Awaitable[T], name: str, react: Callable[[T], None]) -> None:
        """Call `react` with the value of a signal, or when a sleep of this runtime is over, as an actor of that name would. For
        one that is waited for everywhere and does little: this costs less than an actor. Nobody can cancel it."""
        ...

    def bell(self, react: Callable[[], None]) -> Callable[[], None]:
        """Rung by a call of what is given back, it lets the current actor `react` soon, while that actor waits for something else;
        not once the actor has ended. For what happens again and again: this costs less than an actor that goes on each time."""
        ...

    def signal(self) -> Signal[Any]: ...

    def wait(self, signal: Signal[Any], timeout_s: float) -> Awaitable[bool]:
        """True when the signal happened within `timeout_s`, False when the time passed first."""
        ...

    def do_between(self, before_s: float, action: Callable[[], T], after_s: float) -> Awaitable[T]:
        """Continue after `before_s` and then `after_s` seconds, with what `action` gave or raised, which the current actor does in
        between; not at all, when it is cancelled before."""
        ...

    def rest(self, duration_s: float, recurrence: Recurrence, wake: Signal[Any] | None = None) -> Awaitable[object]:
        """Continue after `duration_s` seconds, or when `wake` happens, to take a turn as `recurrence` describes it. Turns that it
        lets be passed over may be: then this ends later."""
        ...

    @property
    def turn(self) -> Turn | None:
        """Where the current actor's calls note what could be repeated; None where nobody asked, or nothing is ever passed over."""
        ...

    @turn.setter
    def turn(self, turn: Turn | None) -> None: ...

    @property
    def cause(self) -> int | None:
        """Sequence number of the trace event the current actor is acting on; set it when taking up new work."""
        ...

    @cause.setter
    def cause(self, seq: int | None) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Answer to a list. The items belong to the caller."""

    items: list[JsonObject]
    resource_version: str
    continue_token: str = ""


class WatchType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class Watched(Protocol):
    """One event of a watch. `object` is shared and must not be changed; `cause` is the trace event of the write."""

    @property
    def type(self) -> WatchType: ...

    @property
    def object(self) -> JsonObject: ...

    @property
    def cause(self) -> int | None: ...


class WatchEvent(NamedTuple):
    """An event of a watch that is nothing else."""

    type: WatchType
    object: JsonObject
    cause: int | None = None


class WatchStream(Protocol):
    """An open watch."""

    async def next(self) -> Watched:
        """The next event. Raises `Gone` when the history is lost and `StopAsyncIteration` when the server closed the watch."""
        ...

    async def deliver(self, handle: Callable[[Watched], None]) -> None:
        """Hand every event to `handle` as the current actor, until the server closes the watch. Raises `Gone`."""
        with suppress(StopAsyncIteration):
            while True:
                handle(await self.next())

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Preconditions:
    """A write happens only if these still hold (409 otherwise)."""

    uid: str | None = None
    resource_version: str | None = None


class KubernetesClient(Protocol):
    """The verbs of the Kubernetes API. All raise `ApiError` subclasses (`rayrig_core.errors`); results belong to the caller."""

    async def get(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject: ...

    async def list(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        """All namespaces when `namespace` is empty."""
        ...

    async def create(
        self, resource: ResourceType, obj: JsonObject, namespace: str = "", *, dry_run: bool = False
    ) -> JsonObject: ...

    async def update(
        self, resource: ResourceType, obj: JsonObject, *, subresource: str = "", dry_run: bool = False
    ) -> JsonObject:
        """Replace. `metadata.resourceVersion`, when given, must be the current one (`Conflict` otherwise)."""
        ...

    async def patch(
        self,
        resource: ResourceType,
        name: str,
        patch: Json,
        namespace: str = "",
        *,
        patch_type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> JsonObject: ...

    async def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str = "",
        *,
        propagation_policy: PropagationPolicy | None = None,
        grace_period_seconds: int | None = None,
        preconditions: Preconditions | None = None,
    ) -> JsonObject:
        """The object (still there, terminating) or a Status (gone)."""
        ...

    async def delete_collection(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None: ...

    async def create_subresource(
        self, resource: ResourceType, name: str, subresource: str, body: JsonObject, namespace: str = ""
    ) -> JsonObject:
        """POST to a subresource: `pods/binding`, `pods/eviction`."""
        ...

    async def watch(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> WatchStream:
        """Events after `resource_version`; with none, the present objects as ADDED first."""
        ...


class HttpClient(Protocol):
    """HTTP as a pod or an operator in the cluster would do it: names of Services and pod IPs resolve."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        """Raises `HttpFailure` when no answer came."""
        ...


class EventRecorder(Protocol):
    """Kubernetes Events about an object, aggregated as the recorder of that component does."""

    def event(
        self,
        regarding: JsonObject,
        type_: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        action: str = "",
    ) -> None: ...


class ServeInstance(Protocol):
    """What the dashboard agent sees of the Serve instance of one Ray cluster (`reference/ray-serve.md` section 2)."""

    @property
    def is_running(self) -> bool:
        """False before the first deploy and after a delete: there is no controller."""
        ...

    def details(self, sources: Sequence[str] = ("declarative", "imperative")) -> JsonObject:
        """Body of GET /api/serve/applications/. Shared: not to be changed; the same object as long as nothing changed.

        Raises `ServeUnavailable` when there is a controller that does not answer.
        """
        ...

    async def answering(self) -> None:
        """Returns when a controller that is being started or restarted is there; otherwise at once."""
        ...

    async def deploy(self, config: JsonObject) -> None:
        """Hand a validated `ServeDeploySchema` document (as JSON) to the controller, starting it when there is none.

        Returns when the controller has it, which takes seconds when Serve, its proxies included, must be started first. It is
        carried out even when the caller doesn't wait for it. Raises `ServeStartFailed`, `ServeUnavailable`.
        """
        ...

    async def shutdown(self) -> None:
        """Delete all applications and end the instance; returns when all is gone."""
        ...

    def scale(self, app: str, deployment: str, num_replicas: int) -> None:
        """Set the target of one deployment (external scaler).

        Raises `KeyError` for an unknown application or deployment, `ServeRefused` with the text of a refusal, `ServeUnavailable`.
        """
        ...


class RayClusterView(Protocol):
    """What a head's dashboard knows of its Ray cluster besides Serve."""

    @property
    def session_name(self) -> str: ...

    def gcs_health(self) -> str:
        """Why the GCS is not healthy; empty when it is."""
        ...

    def total_resources(self) -> dict[str, float]:
        """Logical resources of all nodes."""
        ...

    def available_resources(self) -> dict[str, float]: ...

    def demand(self) -> list[JsonObject]:
        """Resource shapes that wait for room."""
        ...

    def node_states(self) -> list[JsonObject]:
        """One entry per node: `node_id`, `node_ip`, `node_name`, `is_head_node`, `state`, `resources_total`, `labels`."""
        ...

    def actor_states(self) -> list[JsonObject]:
        """One entry per living or waiting actor: `actor_id`, `class_name`, `state`, `job_id`, `name`, `node_id`, `pid`,
        `ray_namespace`.
        """
        ...

    def host_names(self) -> list[str]:
        """Of the nodes' machines."""
        ...
