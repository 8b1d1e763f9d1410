"""Events of the core group, correlated as every client-go component does it (`reference/kubelet.md` section 16).

Recording is synchronous and never waits: what is to be written goes to a queue, and an actor that lives as long as the queue is not
empty writes it. An event is the same as an earlier one when all but the time is equal: it then raises `count` on that object. From
the tenth message on that differs only in text within ten minutes, events are joined into one. One source may write 25 events of one
type about one object, then one each five minutes; what is not written is counted all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from rayrig_core.errors import AlreadyExists, ApiError, NotFound
from rayrig_core.event_names import EventNames, event_subject
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, Vouched, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime, Task
from rayrig_core.resource_types import CORE_EVENT
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind

EventType = Literal["Normal", "Warning"]
JOINED_PREFIX = "(combined from similar events): "

_JOIN_AFTER = 10
_JOIN_WINDOW_NS = 600 * NS
_BURST = 25
_REFILL_NS = 300 * NS
_CACHE_SIZE = 4096

_V = TypeVar("_V")
#: kind, namespace, name, uid of what an event is about.
_Who = tuple[str, str, str, str]


def _remember(cache: dict[Any, _V], key: Any, make: Callable[[], _V]) -> _V:
    """The entry of a least-recently-used cache, made when absent."""
    value = cache.pop(key, None)
    if value is None:
        value = make()
        if len(cache) >= _CACHE_SIZE:
            del cache[next(iter(cache))]
    cache[key] = value
    return value


class _Written:
    """One Event object: its name and how often it happened, also when that was not written."""

    __slots__ = ("count", "first", "name")

    def __init__(self) -> None:
        self.name = ""
        self.first = ""
        self.count = 0


class _Similar:
    """Messages of one reason about one object within the joining window, oldest first."""

    __slots__ = ("last_ns", "messages")

    def __init__(self) -> None:
        self.messages: tuple[str, ...] = ()
        self.last_ns = 0

    def are_many_with(self, message: str, now_ns: int) -> bool:
        """Take one more in; whether they are to be joined."""
        messages = self.messages if now_ns - self.last_ns <= _JOIN_WINDOW_NS else ()
        self.last_ns = now_ns
        if message not in messages:
            messages = (*messages, message)
        are_many = len(messages) >= _JOIN_AFTER
        self.messages = messages[1:] if are_many else messages
        return are_many


class _Allowance:
    """Token bucket in whole nanoseconds: an event costs `_REFILL_NS`."""

    __slots__ = ("filled_ns", "tokens_ns")

    def __init__(self) -> None:
        self.tokens_ns = _BURST * _REFILL_NS
        self.filled_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        if self.filled_ns is not None:
            self.tokens_ns = min(_BURST * _REFILL_NS, self.tokens_ns + now_ns - self.filled_ns)
        self.filled_ns = now_ns
        if self.tokens_ns < _REFILL_NS:
            return False
        self.tokens_ns -= _REFILL_NS
        return True


class CoreEventRecorder:
    """Port `EventRecorder` for one component (`source.component`) on one host (`source.host`, empty for controllers)."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, *, component: str, host: str = "") -> None:
        self._runtime = runtime
        self._client = client
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._component, self._host = component, host
        self._names = EventNames(f"{component}/{host}")
        self._written: dict[tuple[_Who, str, str, str, str], _Written] = {}
        self._similar: dict[tuple[_Who, str, str], _Similar] = {}
        self._allowances: dict[tuple[_Who, str], _Allowance] = {}
        self._queue: deque[tuple[_Written, JsonObject, int]] = deque()
        self._sender: Task[None] | None = None
        #: How often `event` was called.
        self.recorded = 0

    def event(
        self,
        regarding: JsonObject,
        type_: EventType,
        reason: str,
        note: str,
        *,
        action: str = "",
        field_path: str = "",
    ) -> None:
        """Record that `reason` happened to `regarding` (an object with `kind`, `apiVersion` and `metadata`).

        `field_path` says which part of it, such as `spec.containers{main}`.
        """
        runtime = self._runtime
        self.recorded += 1
        now_ns = runtime.unix_ns()
        kind = str(regarding.get("kind", ""))
        namespace, name = namespace_of(regarding), name_of(regarding)
        who = (kind, namespace, name, uid_of(regarding))

        joined = _remember(self._similar, (who, type_, reason), _Similar).are_many_with(note, now_ns)
        key = (who, field_path, type_, reason, "\0joined" if joined else note)
        written = _remember(self._written, key, _Written)
        written.count += 1
        if not written.name:
            written.name = self._names.next(name, now_ns)
            written.first = rfc3339(now_ns)
        if not _remember(self._allowances, (who, type_), _Allowance).take(now_ns):
            return

        message = JOINED_PREFIX + note if joined else note
        seq = runtime.trace.emit(Kind.EVENT, event_subject(regarding), type_, reason, message, written.count)
        involved: JsonObject = {"kind": kind, "apiVersion": regarding.get("apiVersion", ""), "name": name}
        if namespace:
            involved["namespace"] = namespace
        if who[3]:
            involved["uid"] = who[3]
        resource_version = regarding["metadata"].get("resourceVersion")
        if resource_version:
            involved["resourceVersion"] = resource_version
        if field_path:
            involved["fieldPath"] = field_path
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": written.name, "namespace": namespace or "default"},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": written.first,
            "lastTimestamp": rfc3339(now_ns),
            "count": written.count,
            "type": type_,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
        if action:
            body["action"] = action
        self._queue.append((written, body, seq))
        if self._sender is None:
            name = f"events/{self._component}" + (f"/{self._host}" if self._host else "")
            self._sender = runtime.spawn(name, self._send())

    def tasks(self) -> list[Task[Any]]:
        """The recorder's actor, while there is something to write."""
        return [] if self._sender is None else [self._sender]

    def forget(self) -> None:
        """Begin anew, as a restarted component does: what it wrote before is not counted on."""
        self._written.clear()
        self._similar.clear()
        self._allowances.clear()

    async def _send(self) -> None:
        queue = self._queue
        try:
            while queue:
                written, body, seq = queue.popleft()
                self._runtime.cause = seq
                try:
                    await self._write(written, body)
                except (ApiError, HttpFailure):
                    # A recorder gives up on what the server refuses or does not answer: events are a courtesy.
                    continue
        finally:
            self._sender = None

    async def _write(self, written: _Written, body: JsonObject) -> None:
        namespace = body["metadata"]["namespace"]
        if body["count"] > 1:
            change = {"count": body["count"], "lastTimestamp": body["lastTimestamp"], "message": body["message"]}
            try:
                await self._client.patch(CORE_EVENT, written.name, change, namespace, patch_type="strategic")
                return
            except NotFound:
                pass
        try:
            await self._client.create(CORE_EVENT, Vouched(body), namespace)
        except AlreadyExists:
            written.name = self._names.next(body["involvedObject"]["name"], self._runtime.unix_ns())
            body["metadata"]["name"] = written.name
            await self._client.create(CORE_EVENT, Vouched(body), namespace)
