"""What a controller's reconcile logic looks like to the runtime: a request in, a result or an error out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rayrig_core.errors import RayrigError


class Request(NamedTuple):
    """Which object to reconcile. The reconciler reads the object itself: it may have changed or gone since."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Result:
    """A reconcile without error. `requeue_after_s` in seconds; None (or 0): not before the next watch event."""

    requeue_after_s: float | None = None
    #: Nothing in the decision depended on the time: with the same objects and the same answers, the next reconcile does the same.
    is_settled: bool = False


#: Nothing further to do until something changes.
DONE = Result()


class ReconcileError(RayrigError):
    """The reconcile could not finish; it is tried again after the key's back-off. The text is the error KubeRay would return."""


class ReconcilePanic(RayrigError):
    """Where KubeRay's code panics: the pass ends on the spot, without its status write, and is tried again after the back-off."""


class Reconciler(Protocol):
    """Brings one object closer to what its spec says.

    An exception (`ReconcileError`, `ReconcilePanic`, `ApiError`, `HttpFailure`) re-queues the key with its back-off, whatever
    requeue time it had in mind; a `Result` resets the back-off (kuberay-operator 0.2).
    """

    async def reconcile(self, request: Request) -> Result: ...
