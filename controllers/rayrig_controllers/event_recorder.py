"""Kubernetes Events (events.k8s.io/v1) with series, as client-go's recorder makes them (kuberay-operator 0.3.12).

Events of one (regarding with its resourceVersion, type, reason, action) form a series; the note is not part of the identity. The
first is created; the second patches `series.count: 2` onto it; further ones only count in memory until the series is written again:
when it has been quiet for 6 minutes, or at the refresh every 30 minutes (recorded: `count` never passes 2 within minutes, and a
change of the object's resourceVersion begins a new series).
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, NamedTuple

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.event_names import EventNames
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, Task
from rayrig_core.resource_types import EVENT
from rayrig_core.timestamps import NS, rfc3339_micro
from rayrig_core.trace import Kind

#: A series that was quiet for so long is written a last time and forgotten.
FINISH_S = 360
#: Long series are written again so often.
REFRESH_S = 1800
#: Attempts to write an event when no answer comes, and the pause between them.
ATTEMPTS = 12
RETRY_S = 10.0
NOTE_LIMIT = 1024


class _SeriesKey(NamedTuple):
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    type_: str
    reason: str
    action: str


class _Series:
    __slots__ = ("count", "event", "last_ns")

    def __init__(self, event: JsonObject, now_ns: int) -> None:
        self.event = event
        self.count = 1
        self.last_ns = now_ns


class EventRecorder:
    """Port `EventRecorder` of one controller. `event` returns at once; the recorder's own actor writes."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, controller: str, host_name: str) -> None:
        self._runtime = runtime
        self._client = client
        self._controller = controller
        self._instance = f"{controller}-{host_name}"
        self._names = EventNames(self._instance)
        self._series: dict[_SeriesKey, _Series] = {}
        self._waiting: deque[tuple[JsonObject, int]] = deque()
        self._writer: Task[None] | None = None
        self._housekeeper: Task[None] | None = None
        self._refresh_due_ns = 0
        #: How often `event` was called.
        self.recorded = 0

    def event(
        self,
        regarding: JsonObject,
        type_: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        action: str = "",
    ) -> None:
        runtime = self._runtime
        self.recorded += 1
        metadata = regarding["metadata"]
        namespace, name = namespace_of(regarding), name_of(regarding)
        key = _SeriesKey(
            regarding["kind"],
            namespace,
            name,
            metadata.get("uid", ""),
            metadata.get("resourceVersion", ""),
            type_,
            reason,
            action,
        )
        now_ns = runtime.unix_ns()
        series = self._series.get(key)
        count = 1 if series is None else series.count + 1
        seq = runtime.trace.emit(
            Kind.EVENT, f"{regarding['kind'].lower()}s/{namespace}/{name}", type_, reason, note, count
        )
        if series is not None:
            series.count, series.last_ns = count, now_ns
            if count == 2:
                self._enqueue(self._with_series(series), seq)
            return
        event: JsonObject = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": self._names.next(name, now_ns), "namespace": namespace or "default"},
            "eventTime": rfc3339_micro(now_ns),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": namespace,
                "name": name,
                "uid": key.uid,
                "resourceVersion": key.resource_version,
            },
            "note": note[:NOTE_LIMIT],
            "type": type_,
        }
        self._series[key] = _Series(event, now_ns)
        self._enqueue(event, seq)
        if self._housekeeper is None or self._housekeeper.is_done:
            self._refresh_due_ns = now_ns + REFRESH_S * NS
            self._housekeeper = runtime.spawn(f"{self._controller}/events/series", self._keep_house())

    def tasks(self) -> list[Task[Any]]:
        """The recorder's actors that are running."""
        return [task for task in (self._writer, self._housekeeper) if task is not None and not task.is_done]

    def _with_series(self, series: _Series) -> JsonObject:
        return {**series.event, "series": {"count": series.count, "lastObservedTime": rfc3339_micro(series.last_ns)}}

    def _enqueue(self, event: JsonObject, seq: int | None) -> None:
        self._waiting.append((event, seq if seq is not None else -1))
        if self._writer is None or self._writer.is_done:
            self._writer = self._runtime.spawn(f"{self._controller}/events", self._write_all())

    async def _write_all(self) -> None:
        while self._waiting:
            event, seq = self._waiting.popleft()
            self._runtime.cause = seq if seq >= 0 else None
            await self._write(event)

    async def _write(self, event: JsonObject) -> None:
        """Create, or patch the series of one that exists. What the server refuses is dropped."""
        metadata = event["metadata"]
        for _ in range(ATTEMPTS):
            try:
                if "series" in event:
                    try:
                        await self._client.patch(
                            EVENT, metadata["name"], {"series": event["series"]}, metadata["namespace"]
                        )
                        return
                    except NotFound:
                        pass
                await self._client.create(EVENT, event, metadata["namespace"])
                return
            except ApiError as error:
                if error.code < 500:
                    return
            except HttpFailure:
                pass
            await self._runtime.sleep(RETRY_S)

    async def _keep_house(self) -> None:
        """Write and forget series that fell quiet; ends when none is left (the next event starts it again)."""
        while self._series:
            await self._runtime.sleep(FINISH_S)
            self._runtime.cause = None
            now_ns = self._runtime.unix_ns()
            is_refresh = now_ns >= self._refresh_due_ns
            if is_refresh:
                self._refresh_due_ns = now_ns + REFRESH_S * NS
            for key, series in list(self._series.items()):
                is_quiet = series.last_ns < now_ns - FINISH_S * NS
                if series.count > 1 and (is_quiet or is_refresh):
                    self._enqueue(self._with_series(series), None)
                if is_quiet:
                    del self._series[key]
