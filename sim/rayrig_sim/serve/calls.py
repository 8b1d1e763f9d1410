"""One call of a deployment on its way through a router and a replica, and the ways in which it can fail.

A `Call` is also the event that the kernel's queue holds while the call takes its time: at most one of its waits is in
the queue at any moment, so no further object is made per request. What a cancelled call left in the queue does
nothing when its time comes.

A call knows little of where it is: the three protocols here are all of it. Routers, replicas and handles know calls,
not the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from rayrig_sim.serve.identity import DeploymentId


class CallFailed(Exception):
    """A call got no value. `cause` is the trace event that explains it."""

    cause: int | None = None


class DeploymentUnavailable(CallFailed):
    """The deployment failed to deploy and has no replica: nothing will answer."""

    def __init__(self, deployment: DeploymentId, cause: int | None = None) -> None:
        self.deployment, self.cause = deployment, cause
        super().__init__(f"{deployment} is unavailable because it failed to deploy.")


class BackPressure(CallFailed):
    """The handle's queue is full (`max_queued_requests`). `retry_after_s` is what the answer's header says, if
    anything.
    """

    def __init__(self, queued: int, limit: int, status: int = 503, retry_after_s: float | None = None) -> None:
        self.status, self.retry_after_s = status, retry_after_s
        super().__init__(
            f"Request dropped due to backpressure (num_queued_requests={queued}, max_queued_requests={limit})."
        )


class ReplicaDied(CallFailed):
    """The replica's process ended while it worked on the call. Never retried."""

    def __init__(self, reason: str, cause: int | None = None) -> None:
        self.reason, self.cause = reason, cause
        super().__init__(reason)


class TaskFailed(CallFailed):
    """User code let the failure of a call that it had made escape."""

    def __init__(self, failure: CallFailed) -> None:
        self.failure, self.cause = failure, failure.cause
        super().__init__(str(failure))


class CallCancelled(CallFailed):
    """The caller cancelled the call and awaits it all the same."""

    def __init__(self) -> None:
        super().__init__("the request was cancelled")


class Assigner(Protocol):
    """The router of a call."""

    #: Trace event of the last change of the replicas or of the availability.
    cause: int | None

    @property
    def deployment(self) -> DeploymentId: ...

    @property
    def waiting(self) -> Collection[Call]: ...

    def withdraw(self, call: Call, /) -> None:
        """The caller no longer waits."""


class Place(Protocol):
    """The replica of a call as its router sees it: `queue_len` is what the router believes, as of `seen_ns`."""

    queue_len: int
    seen_ns: int
    #: Calls of this router that have left the replica again.
    ended: int


class Worker(Protocol):
    """The replica that works on a call."""

    @property
    def deployment(self) -> str: ...

    def cancel(self, call: Call, /) -> None:
        """The caller left."""


class Call:
    """One call. `service_ns` below zero: the deployment's own distribution decides."""

    __slots__ = (
        "_defused",
        "_ok",
        "_value",
        "callbacks",
        "candidate",
        "children",
        "coroutine",
        "execution",
        "is_done",
        "method",
        "router",
        "service_ns",
        "target",
    )

    #: The multiplexed model it wants; empty when none.
    model_id = ""
    callbacks: Any
    candidate: Place
    #: Where it runs; None while it waits and after its end.
    execution: Worker | None
    #: The router that assigns or has assigned it.
    router: Assigner | None
    #: User code's coroutine while it is suspended, and what it awaits.
    coroutine: Coroutine[Any, Any, Any] | None
    target: Any
    #: Calls that the user code has made, to be cancelled with this one.
    children: list[Call] | None

    def __init__(self, method: str = "__call__", service_ns: int = -1) -> None:
        self._ok = True
        self._value = None
        self.method = method
        self.service_ns = service_ns
        self.execution = None
        self.router = None
        self.coroutine = None
        self.children = None
        self.is_done = False

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the method is called with."""
        raise NotImplementedError

    def finished(self, ok: bool, value: Any) -> None:
        """The end: `value` is the result, or the exception when not `ok`. Called once, never after `cancel`."""
        raise NotImplementedError

    def cancel(self) -> None:
        """The caller no longer wants it: leaves the queue, or its task in the replica is cancelled. `finished` is not
        called.
        """
        if self.is_done:
            return
        self.is_done = True
        if self.execution is not None:
            self.execution.cancel(self)
        elif self.router is not None:
            self.router.withdraw(self)
