"""Events of the core group, correlated as every client-go component does it (`reference/kubelet.md` section 16).

Recording is synchronous and never waits: what is to be written goes to a queue, and an actor that lives as long as the queue is not
empty writes it. An event is the same as an earlier one when all but the time is equal: it then raises `count` on that object. From
the tenth message on that differs only in text within ten minutes, events are joined into one. One source may write 25 events of one
type about one object, then one each five minutes; what is not written is counted all the same.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

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
#: Event objects that are remembered.
_CACHE_SIZE = 4096

#: kind, namespace, name and uid of what events are about, and their type.
_About = tuple[str, str, str, str, str]


class _Written:
    """One Event object: what it says, its name, and how often that happened, also when that was not written."""

    __slots__ = ("count", "field_path", "first", "name", "note")

    def __init__(self, field_path: str, note: str | None, name: str, first: str) -> None:
        self.field_path = field_path
        #: None for the one that stands for many.
        self.note = note
        self.name = name
        self.first = first
        self.count = 0


class _Similar:
    """Events of one reason: the messages within the joining window, oldest first, and what was written of them."""

    __slots__ = ("last_ns", "messages", "reason", "written")

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.messages: tuple[str, ...] = ()
        self.last_ns = 0
        self.written: tuple[_Written, ...] = ()

    def are_many_with(self, message: str, now_ns: int) -> bool:
        """Take one more in; whether they are to be joined."""
        messages = self.messages if now_ns - self.last_ns <= _JOIN_WINDOW_NS else ()
        self.last_ns = now_ns
        if message not in messages:
            messages = (*messages, message)
        are_many = len(messages) >= _JOIN_AFTER
        self.messages = messages[1:] if are_many else messages
        return are_many


class _Said:
    """What was said about one object in events of one type, by reason, and what may be said yet: a token bucket in whole
    nanoseconds, of which an event costs `_REFILL_NS`."""

    __slots__ = ("filled_ns", "similar", "tokens_ns")

    def __init__(self) -> None:
        self.similar: tuple[_Similar, ...] = ()
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

    @property
    def size(self) -> int:
        return sum(len(similar.written) for similar in self.similar)


class CoreEventRecorder:
    """Port `EventRecorder` for one component (`source.component`) on one host (`source.host`, empty for controllers)."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, *, component: str, host: str = "") -> None:
        self._runtime = runtime
        self._client = client
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._component, self._host = component, host
        self._names = EventNames(f"{component}/{host}")
        #: Those of which nothing was said for the longest are first.
        self._said: dict[_About, _Said] = {}
        #: Event objects that are remembered in it.
        self._size = 0
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
        namespace, name, uid = namespace_of(regarding), name_of(regarding), uid_of(regarding)
        about = (kind, namespace, name, uid, type_)
        said = self._said.pop(about, None) or _Said()
        self._said[about] = said
        for similar in said.similar:
            if similar.reason == reason:
                break
        else:
            similar = _Similar(reason)
            said.similar = (*said.similar, similar)
        joined = similar.are_many_with(note, now_ns)
        wanted = None if joined else note
        for written in similar.written:
            if written.note == wanted and written.field_path == field_path:
                break
        else:
            written = _Written(field_path, wanted, self._names.next(name, now_ns), rfc3339(now_ns))
            similar.written = (*similar.written, written)
            self._size += 1
            if self._size > _CACHE_SIZE:
                self._size -= self._said.pop(next(iter(self._said))).size
        written.count += 1
        if not said.take(now_ns):
            return

        message = JOINED_PREFIX + note if joined else note
        seq = runtime.trace.emit(Kind.EVENT, event_subject(regarding), type_, reason, message, written.count)
        involved: JsonObject = {"kind": kind, "apiVersion": regarding.get("apiVersion", ""), "name": name}
        if namespace:
            involved["namespace"] = namespace
        if uid:
            involved["uid"] = uid
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
        self._said.clear()
        self._size = 0

    def forget_about(self, regarding: JsonObject) -> None:
        """Nothing will be said about this object any more: it is gone."""
        who = (str(regarding.get("kind", "")), namespace_of(regarding), name_of(regarding), uid_of(regarding))
        for type_ in ("Normal", "Warning"):
            said = self._said.pop((*who, type_), None)
            if said is not None:
                self._size -= said.size

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
