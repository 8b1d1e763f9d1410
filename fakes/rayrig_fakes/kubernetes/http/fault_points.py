"""What a fault does to a request, or to an event of a watch, on the wire.

The fault point of a request is (actor, verb, target) as for the in-process client: the actor is the user where there are tokens,
otherwise the client's User-Agent up to `/`; that of an event is (actor, `deliver`, target of the object).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable

from rayrig_core import faultpoints
from rayrig_core.faultpoints import FaultCounter, Reaction
from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.fault_rules import FaultRules
from rayrig_fakes.kubernetes.http.request_info import RequestInfo
from rayrig_fakes.kubernetes.storage.revisions import Change, Changes
from rayrig_fakes.kubernetes.storage.watch import WatchCursor

#: Calls back after so many seconds.
CallLater = Callable[[float, Callable[[], None]], object]


class FaultPoints:
    """Lets faults strike requests and events."""

    __slots__ = ("_call_later", "_counter", "_rules")

    def __init__(self, counter: FaultCounter | None, rules: FaultRules, call_later: CallLater) -> None:
        """Both decide, `rules` first."""
        self._counter = counter
        self._rules = rules
        self._call_later = call_later

    def _strike(self, actor: str, verb: str, target: str) -> Reaction | None:
        reaction = self._rules.strike(actor, verb, target)
        if reaction is None and self._counter is not None:
            reaction = self._counter.pass_through(actor, verb, target)
        return reaction

    def request(self, actor: str, info: RequestInfo, request: HttpRequest) -> Reaction | None:
        return self._strike(actor, info.verb, target_of(info, request.body))

    def watched(self, actor: str, info: RequestInfo, cursor: WatchCursor) -> StruckCursor:
        """The cursor with faults between it and the wire."""
        return StruckCursor(cursor, lambda obj: self._deliver(actor, info, obj), self._call_later)

    def _deliver(self, actor: str, info: RequestInfo, obj: JsonObject) -> Reaction | None:
        meta = obj["metadata"]
        parts = (info.resource, meta.get("namespace", ""), meta.get("name", ""))
        return self._strike(actor, "deliver", "/".join(part for part in parts if part))


def target_of(info: RequestInfo, body: bytes) -> str:
    """Target of the fault point of a request: what is created has its name in the body."""
    if info.verb == "create" and info.resource and not info.name:
        return f"{info.target}/{_name_in(body)}".rstrip("/")
    return info.target


def _name_in(body: bytes) -> str:
    try:
        meta = json.loads(body)["metadata"]
        return str(meta.get("name") or meta.get("generateName") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


class StruckCursor(WatchCursor):
    """A cursor whose events a fault may drop, hold back, or turn into the end of the watch."""

    __slots__ = ("_call_later", "_held", "_inner", "_is_holding", "_strike")

    def __init__(
        self, inner: WatchCursor, strike: Callable[[JsonObject], Reaction | None], call_later: CallLater
    ) -> None:
        self._inner = inner
        self._strike = strike
        self._call_later = call_later
        self._held: deque[Change] = deque()
        self._is_holding = False
        self._ready: Callable[[], None] | None = None
        self.waits_for = 0

    @property
    def closed(self) -> bool:  # type: ignore[override]
        return self._inner.closed

    @property
    def changes(self) -> Changes | None:
        return None

    @property
    def has_initial(self) -> bool:
        return self._inner.has_initial or bool(self._held)

    def take_all(self) -> list[Change]:
        taken: list[Change] = []
        while (change := self.take()) is not None:
            taken.append(change)
        return taken

    def take(self) -> Change | None:
        if self._is_holding:
            return None
        if self._held:
            return self._held.popleft()
        while True:
            delivery = self._inner.take()
            if delivery is None:
                return None
            reaction = self._strike(delivery.object)
            if isinstance(reaction, faultpoints.DropWatchEvent):
                continue
            if isinstance(reaction, faultpoints.CutWatch):
                self._inner.close()
                return None
            if isinstance(reaction, faultpoints.DuplicateWatchEvent):
                self._held.append(delivery)
                return delivery
            if isinstance(reaction, faultpoints.ExpireWatch):
                self._inner.close()
                raise status.expired("too old resource version: injected fault")
            if isinstance(reaction, faultpoints.Delay):
                self._held.append(delivery)
                self._is_holding = True
                self._call_later(reaction.delay_s, self._release)
                return None
            return delivery

    def _release(self) -> None:
        self._is_holding = False
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()

    def call_when_ready(self, ready: Callable[[], None]) -> None:
        if self._is_holding:
            self._ready = ready
        else:
            self._inner.call_when_ready(ready)

    def fail(self, error: status.ApiError) -> None:
        self._inner.fail(error)

    def close(self) -> None:
        self._inner.close()
