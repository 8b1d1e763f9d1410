"""The API server as an operator on wall time has it: at the pace of a real one.

Which change KubeRay hears of first follows from what takes how long: a write some ten milliseconds, a kubelet's answer to a new
pod two writes and more, KubeRay's own work on a change one or two. So what it writes is back on its watches when it goes on, or
nearly so; kubelets answer while it makes several pods, not while it looks at a RayService; EndpointSlices follow pods and Services
at once. At a server in memory nothing takes time but the operator's own work. So answers, and what others do to pods, are handed on
later here. Waits are short: where the server itself lags, caches are as stale as KubeRay's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from rayrig_backends.cluster.connection import Connection
from rayrig_backends.cluster.kubernetes_client import HttpKubernetesClient
from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject, is_being_deleted, key_of, namespace_of
from rayrig_core.ports import Watched, WatchStream, WatchType
from rayrig_core.resource_types import ENDPOINT_SLICE, POD, RAY_CLUSTER, RAY_SERVICE, ResourceType

#: A write takes at least so long (recorded: most take 0.01 to 0.02 s), and waits at most so long for its own watch event.
_WRITE_S = 0.015
_ECHO_S = 0.5
#: So much later others' changes of pods are heard of: a kubelet writes twice. EndpointSlices come after the pods they tell of.
_LAGS_S = {POD: 0.02, ENDPOINT_SLICE: 0.002}
#: No event waits longer for the operator.
_PATIENCE_S = 1.0
#: What waits is looked at each millisecond, and three times at least: by then all is read that has come with it.
_LOOK_S = 0.001
_LOOKS = 3

#: Is there work on objects of that type in that namespace, now?
AtWork: TypeAlias = Callable[[ResourceType, str], bool]


class OperatorClient(HttpKubernetesClient):
    """The connections of an operator."""

    def __init__(self, connection: Connection, rng: Random, *, is_at_work: AtWork) -> None:
        super().__init__(connection, rng, user_agent="rayrig-operator")
        self._is_at_work = is_at_work
        #: The open watch of each (apiVersion, kind).
        self._watches: dict[tuple[str, str], PacedWatch] = {}

    async def watch(self, resource: ResourceType, namespace: str = "", **options: str) -> PacedWatch:
        stream = await super().watch(resource, namespace, **options)
        watch = PacedWatch(stream, _LAGS_S.get(resource, 0.0), self._waits_for(resource))
        self._watches[resource.api_version, resource.kind] = watch
        return watch

    def _waits_for(self, resource: ResourceType) -> Callable[[str], bool]:
        """Whether events of a resource have to wait for the operator in a namespace."""
        if resource == POD:
            return lambda namespace: self._is_at_work(RAY_SERVICE, namespace)
        if resource == ENDPOINT_SLICE:
            return lambda namespace: self._is_at_work(RAY_CLUSTER, namespace) or self._has_waiting_pods(namespace)
        return lambda namespace: False

    def _has_waiting_pods(self, namespace: str) -> bool:
        pods = self._watches.get((POD.api_version, POD.kind))
        return pods is not None and pods.has_waiting(namespace)

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        answer = await super()._call(method, path, query, body, content_type)
        watch = self._watches.get((answer.get("apiVersion", ""), answer.get("kind", "")))
        if method == "GET" or watch is None or _revision(answer) == _revision(body):
            return answer
        if method != "POST":
            await watch.echo(_revision(answer))
        await asyncio.sleep(begun_s + _WRITE_S - loop.time())
        if method == "POST":
            # What was made shows just after the answer: of two worker groups of one name the second waits for the first one's pods.
            watch.expect(_revision(answer))
        return answer


@dataclass(slots=True)
class _Arrived:
    event: Watched
    at_s: float
    looks: int = 0
    may_go: bool = False


class PacedWatch(WatchStream):
    """Port `WatchStream`: events are handed on after a lag, and not while their namespace `waits`."""

    def __init__(self, stream: WatchStream, lag_s: float, waits: Callable[[str], bool]) -> None:
        self._stream = stream
        self._lag_s = lag_s
        self._waits = waits
        self._loop = asyncio.get_running_loop()
        self._arrived: list[_Arrived] = []
        #: The newest revision that was handed on, and the operator's own writes among those to come.
        self._newest = 0
        self._awaited: dict[int, asyncio.Future[None]] = {}
        self._end: Exception | None = None
        self._news = asyncio.Event()
        self._reader = self._loop.create_task(self._read())

    async def next(self) -> Watched:
        while True:
            event = self._take()
            if event is not None:
                return event
            if self._end is not None and not self._arrived:
                raise self._end
            self._news.clear()
            timer = self._loop.call_later(_LOOK_S, self._look) if self._arrived else None
            try:
                await self._news.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def close(self) -> None:
        self._reader.cancel()
        self._stream.close()

    async def echo(self, revision: int) -> None:
        """Returns when that change was handed on, or has not come for some time."""
        heard = self.expect(revision)
        try:
            await asyncio.wait((heard,), timeout=_ECHO_S)
        finally:
            self._awaited.pop(revision, None)

    def expect(self, revision: int) -> asyncio.Future[None]:
        """That change is the operator's own and waits for nothing; done when it was handed on."""
        heard = self._loop.create_future()
        if revision <= self._newest:
            heard.set_result(None)
            return heard
        self._awaited[revision] = heard
        self._news.set()
        return heard

    def has_waiting(self, namespace: str) -> bool:
        """Events of a namespace have not been handed on."""
        return any(namespace_of(each.event.object) == namespace for each in self._arrived)

    def _look(self) -> None:
        for each in self._arrived:
            each.looks += 1
        self._news.set()

    async def _read(self) -> None:
        try:
            while True:
                self._arrived.append(_Arrived(await self._stream.next(), self._loop.time()))
                self._news.set()
        except (StopAsyncIteration, ApiError) as end:
            self._end = end
            self._news.set()

    def _take(self) -> Watched | None:
        """The first event that may go, with its revision noted."""
        # One time for all: or of two that came together the later one could be old enough just when the earlier was not.
        now_s = self._loop.time()
        for place, each in enumerate(self._arrived):
            if self._may_go(each, now_s):
                del self._arrived[place]
                revision = _revision(each.event.object)
                self._newest = max(self._newest, revision)
                heard = self._awaited.pop(revision, None)
                if heard is not None and not heard.done():
                    heard.set_result(None)
                return each.event
        return None

    def _may_go(self, arrived: _Arrived, now_s: float) -> bool:
        if arrived.may_go or not self._lag_s:
            return True
        if arrived.event.type is WatchType.BOOKMARK:
            # It says that all before it has been heard of.
            return arrived is self._arrived[0]
        namespace, _ = key = key_of(arrived.event.object)
        age_s = now_s - arrived.at_s
        if age_s >= _PATIENCE_S:
            return True
        if age_s >= self._lag_s and arrived.looks >= _LOOKS and not self._waits(namespace):
            # With all of its namespace: one pass sees them.
            for each in self._arrived:
                each.may_go |= namespace_of(each.event.object) == namespace
            return True
        # At once: what the operator did itself, and pods that go; with what came of the same object before.
        return any(self._hurries(each.event) and key_of(each.event.object) == key for each in self._arrived)

    def _hurries(self, event: Watched) -> bool:
        if event.type is WatchType.BOOKMARK:
            return False
        return is_being_deleted(event.object) or _revision(event.object) in self._awaited


def _revision(obj: Any) -> int:
    """0 for what has none."""
    text = ((obj or {}).get("metadata") or {}).get("resourceVersion") or ""
    return int(text) if text.isdecimal() else 0
