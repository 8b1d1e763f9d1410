"""Open watches as chunked streams.

Nothing is buffered per watcher but what the socket holds: a stream takes events from the log only when the socket takes bytes, so
a slow watcher falls behind in the log, and one that falls out of it gets the 410 event and the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from random import Random
from typing import Any, TypeAlias

from rayrig_fakes.kubernetes.http.connection import Connection
from rayrig_fakes.kubernetes.rest.log_streams import StreamResponse
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.storage.event_lines import CHUNK_BYTES, framed

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

#: A stream without timeoutSeconds ends after a random time between these (kubernetes-api.md 5).
_LIMITS_S = (1800.0, 3600.0)
_BOOKMARK_EVERY_S = 60.0


class WatchStreams:
    """All open streams of one server."""

    def __init__(self, rng: Random, bookmark_line: Callable[[StreamResponse], bytes]) -> None:
        """`rng` draws the length of streams that ask for none; `bookmark_line` makes a BOOKMARK event of now."""
        self._rng = rng
        self._bookmark_line = bookmark_line
        self._open: dict[_Stream, None] = {}
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End all streams, and every later one after what is there."""
        self._is_closing = True
        for stream in list(self._open):
            stream.end()

    async def serve(
        self,
        watch: StreamResponse,
        headers: list[tuple[bytes, bytes]],
        receive: Receive,
        send: Send,
        connection: Connection | None = None,
    ) -> None:
        """Returns when the stream has ended or the client has gone. With `connection` events are written there."""
        loop = asyncio.get_running_loop()
        limit_s = watch.timeout_s if watch.timeout_s is not None else self._rng.uniform(*_LIMITS_S)
        stream = _Stream(watch, loop, self._bookmark_line, connection)
        self._open[stream] = None
        try:
            await send({"type": "http.response.start", "status": watch.status, "headers": headers})
            if self._is_closing:
                stream.end()
            await stream.run(limit_s, receive, send)
        finally:
            del self._open[stream]
            watch.close()


class _Stream:
    """One open watch."""

    def __init__(
        self,
        watch: StreamResponse,
        loop: asyncio.AbstractEventLoop,
        bookmark_line: Callable[[StreamResponse], bytes],
        connection: Connection | None = None,
    ) -> None:
        self._watch = watch
        self._loop = loop
        self._connection = connection
        self._bookmark_line = bookmark_line
        self._waiter: asyncio.Future[None] | None = None
        self._is_ending = False
        self._is_gone = False
        self._bookmark_due = False

    def end(self) -> None:
        """End after what can be sent now."""
        self._is_ending = True
        self._wake()

    def _gone(self) -> None:
        self._is_gone = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _time_for_bookmark(self) -> None:
        self._bookmark_due = True
        self._wake()

    async def run(self, limit_s: float, receive: Receive, send: Send) -> None:
        loop, watch = self._loop, self._watch
        timer = loop.call_later(limit_s, self.end)
        listener = loop.create_task(self._listen(receive))
        bookmarks = loop.call_later(_BOOKMARK_EVERY_S, self._time_for_bookmark) if watch.bookmarks else None
        try:
            while not self._is_gone:
                if self._connection is not None and self._connection.is_blocked:
                    await self._connection.unblocked()
                    continue
                chunk = self._chunk()
                if self._bookmark_due and not chunk:
                    self._bookmark_due = False
                    bookmarks = loop.call_later(_BOOKMARK_EVERY_S, self._time_for_bookmark)
                    chunk = self._own_line(self._bookmark_line(watch))
                if chunk:
                    await self._send(chunk, send)
                    if len(chunk) >= CHUNK_BYTES:
                        await asyncio.sleep(0)
                    continue
                if watch.is_ended or self._is_ending:
                    break
                self._waiter = waiter = loop.create_future()
                watch.call_when_ready(self._ready)
                await waiter
            if not self._is_gone:
                last = self._bookmark_line(watch) if watch.bookmarks and not watch.is_ended else b""
                await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            timer.cancel()
            if bookmarks is not None:
                bookmarks.cancel()
            listener.cancel()

    def _ready(self) -> None:
        """There is more. What the socket takes at once is written without waking the stream's task."""
        connection = self._connection
        if connection is None or connection.is_blocked or self._is_ending or self._bookmark_due:
            self._wake()
            return
        try:
            chunk = self._chunk()
        except Exception:
            # It happens again where it ends the stream.
            self._wake()
            return
        if chunk and not connection.is_closing:
            connection.write(chunk)
        if len(chunk) >= CHUNK_BYTES or self._watch.is_ended:
            self._wake()
        else:
            self._watch.call_when_ready(self._ready)

    def _chunk(self) -> bytes:
        """What can be sent now, framed if it goes to the connection."""
        watch, is_framed = self._watch, self._connection is not None
        if isinstance(watch, WatchResponse):
            return watch.chunk(is_framed)
        chunk = b"".join(watch.lines())
        return framed(chunk) if chunk and is_framed else chunk

    def _own_line(self, line: bytes) -> bytes:
        return framed(line) if self._connection is not None else line

    async def _send(self, chunk: bytes, send: Send) -> None:
        if self._connection is None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        elif not self._connection.is_closing:
            self._connection.write(chunk)

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._gone()
                return
