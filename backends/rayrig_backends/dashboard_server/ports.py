"""Sockets in front of the model's listeners: open for as long as somebody of the model listens there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from rayrig_core.errors import InputError
from rayrig_core.http import HttpFailure, HttpRequest, HttpResponse
from rayrig_fakes.kubernetes.http.connection import EXTENSION, Connection
from rayrig_fakes.kubernetes.http.serving import HttpServer, listening_socket

#: Asks the model, and raises `HttpFailure` when no answer comes.
Ask = Callable[[HttpRequest], Any]
_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class ListenerFace:
    """An ASGI application that hands each request to the model. A connection that breaks there breaks here."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def close(self) -> None:
        """Answers are short: there is nothing to end."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = await _request(scope, receive)
        asking = asyncio.ensure_future(self._ask(request))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return
            answer = asking.result()
        except HttpFailure:
            connection: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)
            if connection is not None:
                await connection.cut()
            return
        finally:
            asking.cancel()
            leaving.cancel()
        await _send(answer, send, is_head=request.method == "HEAD")


async def _request(scope: Any, receive: Any) -> HttpRequest:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return HttpRequest(scope["method"], scope["path"], query, headers, body)


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: HttpResponse, send: Any, *, is_head: bool) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
        if name.lower() not in _HOP_BY_HOP
    ]
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})


class ListenedPort:
    """One port of the loopback interface. `is_listening` says whether the model listens behind it."""

    def __init__(self, port: int, ask: Ask, is_listening: Callable[[], bool]) -> None:
        self.port = port
        self._ask = ask
        self._is_listening = is_listening
        self._server: HttpServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Requests are answered."""
        return self._server is not None and self._server.is_serving

    def follow(self) -> None:
        """Open or close the socket, as the model listens or does not."""
        listens = self._is_listening()
        if listens and self._task is None:
            try:
                self._server = HttpServer(ListenerFace(self._ask), listening_socket(self.port))
            except InputError:
                # The one that is closing still has it.
                return
            self._task = asyncio.get_running_loop().create_task(self._server.serve())
        elif not listens and self._server is not None:
            self._server.stop()
            self._server = None
            if self._task is not None:
                self._task.add_done_callback(self._closed)

    def _closed(self, _: object) -> None:
        self._task = None

    async def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        if self._task is not None:
            await self._task
