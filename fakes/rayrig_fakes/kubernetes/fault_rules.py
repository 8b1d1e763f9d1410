"""Faults that are set while a server runs: which calls and events they strike, how, and how often (K8-058, K8-084).

Written as JSON, as `/rayrig/faults` takes and shows them:

    {"kind": "error", "verb": "create", "resource": "pods", "count": 3, "code": 503, "retryAfter": 2}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from rayrig_core import faultpoints
from rayrig_core.faultpoints import Faults, Reaction
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.durations import format_go_duration, parse_seconds_or_duration
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

DELIVER = "deliver"
_TEXTS = ("actor", "verb", "resource", "namespace", "name", "subresource", "reason", "message")
_COUNTS = ("count", "skip", "code", "retryAfter", "changes")
_DURATIONS = ("duration", "delay", "lag")


class FaultWords(NamedTuple):
    """What a kind of fault does, and what it takes beside what all take."""

    doc: str
    fields: tuple[str, ...] = ()


KINDS: Mapping[str, FaultWords] = MappingProxyType(
    {
        "error": FaultWords("the request fails and has no effect", ("code", "reason", "message", "retryAfter")),
        "error-after-effect": FaultWords("it has its effect, and fails all the same", ("code", "reason", "message")),
        "delay": FaultWords("it takes so much longer", ("delay",)),
        "stale-read": FaultWords("a get or list is answered from an older state", ("changes", "lag")),
        "drop-request": FaultWords("the connection ends, nothing happened"),
        "drop-answer": FaultWords("the connection ends after the effect"),
        "drop-event": FaultWords("an event of a watch is never sent"),
        "duplicate-event": FaultWords("it is sent twice"),
        "delay-event": FaultWords("it is held back, with those behind it", ("delay",)),
        "cut-watch": FaultWords("the watch ends in place of the event"),
        "expire-watch": FaultWords("a watch begins with 410"),
    }
)
_COMMON = ("kind", "actor", "verb", "resource", "namespace", "name", "subresource", "count", "skip", "duration")
_EVENTS = ("drop-event", "duplicate-event", "delay-event", "cut-watch")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(slots=True)
class FaultRule:
    """One fault. Empty texts match everything; `name` may hold `*`; `left` counts down, None is without end.

    `spec` is how it was written.
    """

    id: int
    reaction: Reaction
    spec: JsonObject
    actor: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    skip: int = 0
    left: int | None = None
    until_unix_ns: int | None = None
    struck: int = 0
    on_events: bool = field(default=False)

    def matches(self, actor: str, verb: str, target: str) -> bool:
        """`target` is `plural/namespace/name[/subresource]`, without what does not apply, or a path."""
        if self.on_events != (verb == DELIVER):
            return False
        if self.actor and not fnmatchcase(actor, self.actor):
            return False
        if self.verb and not self.on_events and verb != self.verb:
            return False
        if isinstance(self.reaction, faultpoints.StaleRead) and verb not in ("get", "list"):
            return False
        if isinstance(self.reaction, faultpoints.ExpireWatch) and verb != "watch":
            return False
        parts = target.split("/")
        if self.resource and parts[0] != self.resource:
            return False
        if self.subresource and parts[-1] != self.subresource:
            return False
        if self.namespace and (len(parts) < 2 or parts[1] != self.namespace):
            return False
        return not self.name or any(fnmatchcase(part, self.name) for part in parts[1:])

    def as_json(self) -> JsonObject:
        shown: JsonObject = {"id": self.id, **self.spec, "struck": self.struck}
        if self.left is not None:
            shown["left"] = self.left
        return shown


class FaultRules:
    """The faults of one server. Of those that match, the oldest strikes."""

    __slots__ = ("_next", "_now_unix_ns", "_rules", "on_change")

    def __init__(self, now_unix_ns: Callable[[], int]) -> None:
        self._now_unix_ns = now_unix_ns
        self._rules: list[FaultRule] = []
        self._next = 1
        #: Called when there are rules for the first time, or none any more.
        self.on_change: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, spec: Json) -> FaultRule:
        """Raises `ApiError` 400 and 422 for what is no fault."""
        rule = _rule(self._next, spec, self._now_unix_ns())
        self._next += 1
        self._rules.append(rule)
        self.on_change()
        return rule

    def all(self) -> list[FaultRule]:
        """In the order in which they were set; those whose time is over are gone."""
        self._expire()
        return list(self._rules)

    def find(self, id_: int) -> FaultRule | None:
        return next((rule for rule in self.all() if rule.id == id_), None)

    def remove(self, rule: FaultRule) -> None:
        self._rules.remove(rule)
        self.on_change()

    def clear(self) -> None:
        self._rules.clear()
        self.on_change()

    def _expire(self) -> None:
        now = self._now_unix_ns()
        over = [rule for rule in self._rules if rule.until_unix_ns is not None and rule.until_unix_ns <= now]
        for rule in over:
            self.remove(rule)

    def strike(self, actor: str, verb: str, target: str, *, named_only: bool = False) -> Reaction | None:
        """What happens to this call or event. `named_only`: only if a rule names this actor."""
        if not self._rules:
            return None
        self._expire()
        for rule in self._rules:
            if (named_only and not rule.actor) or not rule.matches(actor, verb, target):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.left == 0:
                continue
            if rule.left is not None:
                rule.left -= 1
            rule.struck += 1
            return rule.reaction
        return None


class InsiderFaults:
    """For actors inside the server, such as its controllers: struck only when a rule names them."""

    __slots__ = ("_planned", "_rules")

    def __init__(self, rules: FaultRules, planned: Faults | None = None) -> None:
        """`planned` are asked when no rule strikes."""
        self._rules = rules
        self._planned = planned

    def pass_through(self, actor: str, verb: str, target: str) -> Reaction | None:
        reaction = self._rules.strike(actor, verb, target, named_only=True)
        if reaction is None and self._planned is not None:
            reaction = self._planned.pass_through(actor, verb, target)
        return reaction


# JSON


def _rule(id_: int, spec: Json, now_unix_ns: int) -> FaultRule:
    if not isinstance(spec, dict):
        raise status.bad_request("a fault is a JSON object")
    causes: list[Cause] = []
    kind = spec.get("kind")
    if kind is None:
        causes.append(status.required("kind"))
    elif kind not in KINDS:
        causes.append(status.not_supported("kind", kind, list(KINDS)))
    known = (*_COMMON, *(KINDS[str(kind)].fields if kind in KINDS else ()))
    durations: dict[str, int] = {}
    for name, value in spec.items():
        if kind in KINDS and name not in known:
            causes.append(status.forbidden_field(name, f"a fault of kind {kind} has: {', '.join(known)}"))
        elif name in _TEXTS and not isinstance(value, str):
            causes.append(status.wrong_type(name, value, "must be a string"))
        elif name in _COUNTS and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            causes.append(status.invalid_value(name, value, "must be a whole number, 0 or more"))
        elif name in _DURATIONS:
            try:
                durations[name] = parse_seconds_or_duration(str(value))
            except ValueError:
                causes.append(status.invalid_value(name, value, "must be a duration such as 500ms or 30s"))
    if kind in ("delay", "delay-event") and "delay" not in spec:
        causes.append(status.required("delay"))
    code = spec.get("code")
    if isinstance(code, int) and not 400 <= code <= 599:
        causes.append(status.invalid_value("code", code, "must be between 400 and 599, inclusive"))
    if causes:
        raise status.invalid("Fault", "", "", causes)
    lasts = durations.get("duration")
    return FaultRule(
        id_,
        _reaction(str(kind), spec, durations),
        {**spec, **{name: format_go_duration(value) for name, value in durations.items()}},
        **{name: spec.get(name, "") for name in ("actor", "verb", "resource", "namespace", "name", "subresource")},
        skip=spec.get("skip", 0),
        left=spec.get("count"),
        until_unix_ns=now_unix_ns + lasts if lasts is not None else None,
        on_events=kind in _EVENTS or spec.get("verb") == DELIVER,
    )


def _reaction(kind: str, spec: JsonObject, durations: dict[str, int]) -> Reaction:
    if kind in ("error", "error-after-effect"):
        code = spec.get("code", 500 if kind == "error" else 504)
        reason = spec.get("reason", _REASONS.get(code, ""))
        message = spec.get("message", "injected fault")
        if kind == "error":
            return faultpoints.ErrorBefore(code, reason, message, spec.get("retryAfter", 0))
        return faultpoints.LostReply(code, reason, message)
    if kind in ("delay", "delay-event"):
        return faultpoints.Delay(durations["delay"] / NS)
    if kind == "stale-read":
        return faultpoints.StaleRead(max(1, spec.get("changes", 1)), durations.get("lag", 0) / NS)
    return _PLAIN[kind]


_PLAIN: dict[str, Reaction] = {
    "drop-request": faultpoints.CrashBefore(),
    "drop-answer": faultpoints.CrashAfter(),
    "drop-event": faultpoints.DropWatchEvent(),
    "duplicate-event": faultpoints.DuplicateWatchEvent(),
    "cut-watch": faultpoints.CutWatch(),
    "expire-watch": faultpoints.ExpireWatch(),
}
