"""Open watches as chunked streams.

Nothing is buffered per watcher but what the socket holds: a stream takes events from the log only when the socket takes bytes, so
a slow watcher falls behind in the log, and one that falls out of it gets the 410 event and the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from random import Random
from typing import Any, TypeAlias

from rayrig_fakes.kubernetes.log_streams import StreamResponse

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

#: A stream without timeoutSeconds ends after a random time between these (kubernetes-api.md 5).
_LIMITS_S = (1800.0, 3600.0)
_BOOKMARK_EVERY_S = 60.0
_CHUNK_BYTES = 64 * 1024
#: However long sending took, nobody waits longer than this for the next event.
_LONGEST_PAUSE_S = 0.05


class Wakeups:
    """Wakes watchers together. After sending took some time, the next round begins no sooner than that much later.

    So an event reaches an idle server's watchers at once, and under load writers keep at least half of the time, whatever the
    number of watchers: events come in larger chunks instead.
    """

    __slots__ = ("_is_planned", "_loop", "_next_s", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []
        self._is_planned = False
        self._next_s = 0.0

    def add(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the next round."""
        self._waiting.append(wake)
        if not self._is_planned:
            self._is_planned = True
            self._loop.call_at(self._next_s, self._round)

    def _round(self) -> None:
        began_s = self._loop.time()
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()
        # Runs after the first step of everyone who was woken: callbacks are processed in order.
        self._loop.call_soon(self._stepped, began_s)

    def _stepped(self, began_s: float) -> None:
        # What was written is sent at the end of this turn of the loop.
        self._loop.call_soon(self._ended, began_s)

    def _ended(self, began_s: float) -> None:
        now_s = self._loop.time()
        self._next_s = now_s + min(now_s - began_s, _LONGEST_PAUSE_S)
        self._is_planned = bool(self._waiting)
        if self._is_planned:
            self._loop.call_at(self._next_s, self._round)


class WatchStreams:
    """All open streams of one server."""

    def __init__(self, rng: Random, bookmark_line: Callable[[StreamResponse], bytes]) -> None:
        """`rng` draws the length of streams that ask for none; `bookmark_line` makes a BOOKMARK event of now."""
        self._rng = rng
        self._bookmark_line = bookmark_line
        self._open: dict[_Stream, None] = {}
        self._wakeups: Wakeups | None = None
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End all streams, and every later one after what is there."""
        self._is_closing = True
        for stream in list(self._open):
            stream.end()

    async def serve(
        self, watch: StreamResponse, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
    ) -> None:
        """Returns when the stream has ended or the client has gone."""
        loop = asyncio.get_running_loop()
        if self._wakeups is None:
            self._wakeups = Wakeups(loop)
        limit_s = watch.timeout_s if watch.timeout_s is not None else self._rng.uniform(*_LIMITS_S)
        stream = _Stream(watch, loop, self._wakeups, self._bookmark_line)
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
        wakeups: Wakeups,
        bookmark_line: Callable[[StreamResponse], bytes],
    ) -> None:
        self._watch = watch
        self._loop = loop
        self._wakeups = wakeups
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
                chunk = self._chunk()
                if self._bookmark_due and not chunk:
                    self._bookmark_due = False
                    bookmarks = loop.call_later(_BOOKMARK_EVERY_S, self._time_for_bookmark)
                    chunk = self._bookmark_line(watch)
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    if len(chunk) >= _CHUNK_BYTES:
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
        self._wakeups.add(self._wake)

    def _chunk(self) -> bytes:
        lines: list[bytes] = []
        size = 0
        for line in self._watch.lines():
            lines.append(line)
            size += len(line)
            if size >= _CHUNK_BYTES:
                break
        return b"".join(lines)

    async def _listen(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._gone()
                return
