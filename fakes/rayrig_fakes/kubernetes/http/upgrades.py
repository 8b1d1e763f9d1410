"""Answers that end HTTP on their connection and go on as a WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rayrig_fakes.kubernetes.http.connection import Connection

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.http.websockets import WebSocket


class MessageChannels(Protocol):
    """Messages of several streams over one WebSocket, each with the number of its channel."""

    async def receive(self) -> tuple[int, bytes] | None: ...
    def send(self, channel: int, data: bytes) -> None: ...


class Messages(Protocol):
    """Messages of one WebSocket as they are; None at the end."""

    async def receive(self) -> bytes | None: ...
    def send(self, payload: bytes) -> None: ...


#: What is done over the channels; the connection is closed when it returns.
Session: TypeAlias = Callable[[MessageChannels], Awaitable[None]]
#: The same for a protocol without channels.
RawSession: TypeAlias = Callable[[Messages], Awaitable[None]]


class Upgrade:
    """A WebSocket with channels, and what is done over it."""

    __slots__ = ("_key", "_session", "subprotocol")

    status = 101

    def __init__(self, key: str, subprotocol: str, session: Session) -> None:
        self._key = key
        self._session = session
        self.subprotocol = subprotocol

    async def _talk(self, socket: WebSocket) -> None:
        from rayrig_fakes.kubernetes.http.websockets import Channels

        await self._session(Channels(socket, self.subprotocol))

    async def serve(self, connection: Connection | None) -> None:
        """Returns when the session is over. Without a `connection` (another ASGI server) there is nothing to take over."""
        if connection is None:
            raise RuntimeError("WebSockets need uvicorn with httptools")
        # Most servers are never asked.
        from rayrig_fakes.kubernetes.http.websockets import WebSocket, handshake

        socket = WebSocket(connection)
        socket.begin(handshake(self._key, self.subprotocol))
        try:
            await self._talk(socket)
        finally:
            socket.close()
            # An answer that was never begun is an error to uvicorn while there is somebody to have it.
            await socket.lost()


class Tunnel(Upgrade):
    """A WebSocket that carries another protocol."""

    __slots__ = ("_carried",)

    def __init__(self, key: str, subprotocol: str, session: RawSession) -> None:
        self._key = key
        self._carried = session
        self.subprotocol = subprotocol

    async def _talk(self, socket: WebSocket) -> None:
        await self._carried(socket)
