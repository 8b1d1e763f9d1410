"""Connections that end by themselves when their client sends too much before its request has begun, or nothing more.

uvicorn waits for the rest of a request for ever and keeps every header it is sent; a real API server does neither. Its limits:
32 s for the head of a request, a minute for all of it, 1 MiB of headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_WITHIN_S = 32.0
_REQUEST_WITHIN_S = 60.0
_HEAD_BYTES = 1 << 20
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 35\r\n"
    b"connection: close\r\n\r\n431 Request Header Fields Too Large"
)


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's, which knows since when it waits for a request to be whole."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        #: When the request began that is not whole yet (loop time); None between requests.
        self._began_s: float | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._began_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began_s = self.loop.time()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._began_s = None
        super().on_message_complete()

    def end_if_late(self, now_s: float) -> None:
        """Close the connection when the client should have sent the rest of its request by now."""
        if self._began_s is None or self.pipeline:
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            # The answer to the request before is under way: this one has not been waited for yet.
            return
        if now_s - self._began_s > (_HEAD_WITHIN_S if self._in_head else _REQUEST_WITHIN_S):
            self.transport.close()


def end_late_connections(connections: Iterable[Any], now_s: float) -> None:
    """Close those whose clients should have sent the rest of their request by now (loop time)."""
    for connection in list(connections):
        if isinstance(connection, LimitedProtocol):
            connection.end_if_late(now_s)
