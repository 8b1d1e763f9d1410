"""How a point that a fault may strike is named and passed.

Every await on a port is a fault point: (actor, verb, object, how many times this actor has done that). A `FaultPlan` is data that
says which points are struck and how; a port asks it through `FaultInjector.strike` and carries out the reaction it gets. The set of
reactions is closed on purpose: each port knows what each of them means, or refuses it by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class FaultPoint:
    """One passing of a port. `nth` counts from 1 per (actor, verb, target)."""

    actor: str
    verb: str
    target: str
    nth: int


@dataclass(frozen=True, slots=True)
class Delay:
    """The call takes this much longer."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class ErrorBefore:
    """The call fails with this code and has no effect."""

    code: int
    reason: str
    message: str = "injected fault"
    #: Told to the caller as the time after which to try again; 0 says nothing.
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class LostReply:
    """The call has its effect, but the caller sees a failure."""

    code: int = 504
    reason: str = "Timeout"
    message: str = "injected fault: the reply was lost"


@dataclass(frozen=True, slots=True)
class CrashBefore:
    """The calling actor dies before the call has an effect."""


@dataclass(frozen=True, slots=True)
class CrashAfter:
    """The calling actor dies after the effect, before it sees the answer."""


@dataclass(frozen=True, slots=True)
class StaleRead:
    """A get or list is answered from an older state, as by a cache that lags: as it was `lag_s` seconds ago, or (0) before the last
    `changes` of that resource. Never from before what the server remembers. Other calls are left alone."""

    changes: int = 1
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DropWatchEvent:
    """The watch event is never delivered."""


@dataclass(frozen=True, slots=True)
class DuplicateWatchEvent:
    """The watch event is delivered twice."""


@dataclass(frozen=True, slots=True)
class CutWatch:
    """The watch ends without a word, as when the connection breaks; the event is not delivered."""


@dataclass(frozen=True, slots=True)
class ExpireWatch:
    """The watch ends with 410 and must be opened anew."""


Reaction: TypeAlias = (
    Delay
    | ErrorBefore
    | LostReply
    | CrashBefore
    | CrashAfter
    | StaleRead
    | DropWatchEvent
    | DuplicateWatchEvent
    | CutWatch
    | ExpireWatch
)


class Faults(Protocol):
    """What a port asks at each passing."""

    def pass_through(self, actor: str, verb: str, target: str) -> Reaction | None: ...


class FaultInjector(Protocol):
    """Decides at each fault point. Must be deterministic: same points in, same reactions out."""

    def strike(self, point: FaultPoint) -> Reaction | None: ...


class FaultCounter:
    """Numbers the passings of each point for an injector."""

    __slots__ = ("_injector", "_seen")

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector
        self._seen: dict[tuple[str, str, str], int] = {}

    def pass_through(self, actor: str, verb: str, target: str) -> Reaction | None:
        key = (actor, verb, target)
        nth = self._seen.get(key, 0) + 1
        self._seen[key] = nth
        return self._injector.strike(FaultPoint(actor, verb, target, nth))
