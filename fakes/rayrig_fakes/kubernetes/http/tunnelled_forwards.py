"""Port-forwards as kubectl asks for them: SPDY in a WebSocket (`SPDY/3.1+portforward.k8s.io`), two streams for each connection.

Source: Kubernetes, KEP-4006. A pair of streams, `error` and `data`, has a request id in common, and the port in its headers.
"""

from __future__ import annotations

import asyncio

from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_fakes.kubernetes.http.port_forwards import HttpTunnel, refused
from rayrig_fakes.kubernetes.http.spdy import Ended, NotSpdy, Opened, Received, SpdyConnection
from rayrig_fakes.kubernetes.http.upgrades import Messages, RawSession

SUBPROTOCOL = "SPDY/3.1+portforward.k8s.io"


def session(pod: JsonObject, http: HttpClient | None) -> RawSession:
    """Forward until the client goes."""

    async def forward(messages: Messages) -> None:
        await _Forwards(pod, http, messages).run()

    return forward


class _Forwards:
    """All connections of one port-forward."""

    def __init__(self, pod: JsonObject, http: HttpClient | None, messages: Messages) -> None:
        self._pod = pod
        self._http = http
        self._messages = messages
        self._spdy = SpdyConnection()
        #: Streams for errors that have no stream for data yet, by request id.
        self._error_streams: dict[str, int] = {}
        #: What comes on streams for data; None at its end.
        self._incoming: dict[int, asyncio.Queue[bytes | None]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            while (message := await self._messages.receive()) is not None:
                for event in self._spdy.take(message):
                    self._happened(event)
                if self._spdy.pongs:
                    self._messages.send(bytes(self._spdy.pongs))
                    self._spdy.pongs.clear()
        except NotSpdy:
            return
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _happened(self, event: Opened | Received | Ended) -> None:
        if isinstance(event, Opened):
            self._messages.send(self._spdy.reply(event.stream))
            headers = event.headers
            request, port = headers.get("requestid", ""), headers.get("port", "")
            if headers.get("streamtype") == "error":
                self._error_streams[request] = event.stream
            elif port.isdecimal() and request in self._error_streams:
                incoming = self._incoming[event.stream] = asyncio.Queue()
                error_stream = self._error_streams.pop(request)
                connection = self._connection(int(port), event.stream, error_stream, incoming)
                self._tasks[event.stream] = asyncio.create_task(connection)
        elif event.stream in self._incoming:
            self._incoming[event.stream].put_nowait(event.data if isinstance(event, Received) else None)

    async def _connection(
        self, port: int, stream: int, error_stream: int, incoming: asyncio.Queue[bytes | None]
    ) -> None:
        spdy, send = self._spdy, self._messages.send
        tunnel = HttpTunnel((self._pod.get("status") or {}).get("podIP") or "", port, self._http)
        try:
            while not tunnel.is_over and (data := await incoming.get()) is not None:
                for answer in await tunnel.take(data):
                    send(spdy.data(stream, answer))
        except HttpFailure as failure:
            send(spdy.data(error_stream, refused(self._pod, port, failure).encode()))
        del self._incoming[stream], self._tasks[stream]
        send(spdy.end(stream) + spdy.end(error_stream))
