"""A container's log that is followed: an answer that goes on until the container ends or its pod is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.pod_logs import container_status
from rayrig_fakes.kubernetes.pod_streams import container_named
from rayrig_fakes.kubernetes.server import ApiServer


class StreamResponse(Protocol):
    """An answer that comes bit by bit. Whoever serves it pulls lines and keeps the time."""

    timeout_s: float | None
    bookmarks: bool

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def is_ended(self) -> bool: ...
    def lines(self) -> Iterator[bytes]: ...
    def call_when_ready(self, ready: Callable[[], None]) -> None: ...
    def close(self) -> None: ...


class LogStream:
    """What was asked for of a log, then what is written to it, until its container is seen to have ended."""

    __slots__ = ("_begin", "_container", "_cursor", "_logs", "_place", "_timestamps", "_uid", "bookmarks", "timeout_s")

    status = 200

    def __init__(self, server: ApiServer, pod: JsonObject, begin: str, options: LogOptions) -> None:
        """`begin` is the part of the log that is there already. Raises `ApiError` 400."""
        meta = pod["metadata"]
        self.timeout_s: float | None = None
        self.bookmarks = False
        self._logs = server.state.pod_logs
        self._uid: str = meta["uid"]
        self._container = container_named(pod, options.container)
        self._begin = begin
        self._place = self._logs.place(self._uid, self._container)
        self._timestamps = options.timestamps
        call = ApiCall("watch", POD, meta["namespace"], field_selector=f"metadata.name={meta['name']}")
        self._cursor = server.watch(call)

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("content-type", "text/plain")]

    @property
    def is_ended(self) -> bool:
        return self._cursor.closed

    def lines(self) -> Iterator[bytes]:
        begin, self._begin = self._begin, ""
        if begin:
            yield begin.encode()
        has_ended = self._container_has_ended()
        text, self._place = self._logs.after(self._uid, self._container, self._place, timestamps=self._timestamps)
        if text:
            yield text.encode()
        if has_ended:
            self._cursor.close()

    def _container_has_ended(self) -> bool:
        has_ended = False
        while not self._cursor.closed:
            try:
                delivery = self._cursor.take()
            except ApiError:
                return True
            if delivery is None:
                break
            pod = delivery.object
            found = container_status(pod, self._container) or {}
            has_ended = (
                delivery.type == "DELETED"
                or pod["metadata"]["uid"] != self._uid
                or (found.get("state") or {}).get("terminated") is not None
            )
        return has_ended

    def call_when_ready(self, ready: Callable[[], None]) -> None:
        waits = [True]

        def once() -> None:
            if waits:
                waits.clear()
                ready()

        self._cursor.call_when_ready(once)
        self._logs.call_when_more(self._uid, self._container, once)

    def close(self) -> None:
        self._cursor.close()
