"""Events of the group events.k8s.io, as the scheduler records them (`reference/kubelet.md` section 16).

An event is created with `eventTime` and without a count. When the same happens again (all but note and time equal, also the
revision of the object) it becomes a series, which is written once; further repetitions are only counted. A series ends when
nothing was added to it for six minutes.
Recording is synchronous; an actor that lives as long as there is something to write writes.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from rayrig_core.errors import ApiError
from rayrig_core.event_names import EventNames, event_subject
from rayrig_core.objects import JsonObject, Vouched, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import EVENT
from rayrig_core.timestamps import NS, rfc3339_micro
from rayrig_core.trace import Kind

_SERIES_ENDS_NS = 360 * NS
_MOST_SERIES = 4096
#: (kind, namespace, name, uid, resourceVersion) of what it is about, type, reason, action.
_Key = tuple[tuple[str, str, str, str, str], str, str, str]


class _Waiting(NamedTuple):
    """An event on its way, in little room: a busy scheduler is thousands ahead of what is written."""

    series: _Series
    number: int
    now_ns: int
    key: _Key
    api_version: str
    note: str
    seq: int


class _Series:
    __slots__ = ("count", "last_ns", "name")

    def __init__(self, name: str, last_ns: int) -> None:
        self.name = name
        self.count = 1
        self.last_ns = last_ns


class SeriesEventRecorder:
    """Port `EventRecorder` for one reporting controller."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, *, controller: str, instance: str = "") -> None:
        self._runtime = runtime
        self._client = client
        self._controller = controller
        self._instance = instance or f"{controller}-0"
        self._series: dict[_Key, _Series] = {}
        self._queue: deque[_Waiting] = deque()
        self._sending = False
        self._names = EventNames(controller)

    def event(
        self, regarding: JsonObject, type_: Literal["Normal", "Warning"], reason: str, note: str, *, action: str = ""
    ) -> None:
        """Record that `reason` happened to `regarding` (an object with `kind`, `apiVersion` and `metadata`)."""
        runtime = self._runtime
        now_ns = runtime.unix_ns()
        kind, namespace, name = str(regarding.get("kind", "")), namespace_of(regarding), name_of(regarding)
        revision = str(regarding["metadata"].get("resourceVersion", ""))
        key: _Key = ((kind, namespace, name, uid_of(regarding), revision), type_, reason, action)
        series = self._series.pop(key, None)
        if series is not None and now_ns - series.last_ns > _SERIES_ENDS_NS:
            series = None
        if series is None:
            series = _Series(self._names.next(name, now_ns), now_ns)
        else:
            series.count += 1
            series.last_ns = now_ns
        if len(self._series) >= _MOST_SERIES:
            del self._series[next(iter(self._series))]
        self._series[key] = series
        if series.count > 2:
            return
        seq = runtime.trace.emit(Kind.EVENT, event_subject(regarding), type_, reason, note, series.count)
        self._queue.append(_Waiting(series, series.count, now_ns, key, str(regarding.get("apiVersion", "")), note, seq))
        if not self._sending:
            self._sending = True
            runtime.spawn(f"events/{self._controller}", self._send())

    def _new(self, waiting: _Waiting) -> JsonObject:
        (kind, namespace, name, uid, revision), type_, reason, action = waiting.key
        about: JsonObject = {"kind": kind, "apiVersion": waiting.api_version}
        for field, value in (("name", name), ("namespace", namespace), ("uid", uid), ("resourceVersion", revision)):
            if value:
                about[field] = value
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": namespace or "default", "name": waiting.series.name},
            "eventTime": rfc3339_micro(waiting.now_ns),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action or reason,
            "reason": reason,
            "regarding": about,
            "note": waiting.note,
            "type": type_,
        }

    async def _send(self) -> None:
        try:
            while self._queue:
                waiting = self._queue.popleft()
                namespace = waiting.key[0][1] or "default"
                self._runtime.cause = waiting.seq
                try:
                    if waiting.number > 1:
                        times = {"count": waiting.number, "lastObservedTime": rfc3339_micro(waiting.now_ns)}
                        body: JsonObject = {"series": times}
                        await self._client.patch(EVENT, waiting.series.name, body, namespace, patch_type="merge")
                    else:
                        await self._client.create(EVENT, Vouched(self._new(waiting)), namespace)
                except ApiError:
                    continue
        finally:
            self._sending = False
