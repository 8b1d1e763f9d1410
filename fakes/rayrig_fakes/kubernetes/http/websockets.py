"""WebSockets (RFC 6455) on a connection that was taken over, and the channels that Kubernetes sends over one.

Only what a server needs: no extensions, messages of at most 1 MiB, pings answered.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence

from rayrig_fakes.kubernetes.http.connection import Connection

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_LARGEST = 1 << 20
_UNREAD = 256
NORMAL, TOO_BIG, PROTOCOL_ERROR = 1000, 1009, 1002


def handshake(key: str, subprotocol: str) -> bytes:
    """The answer that ends HTTP on this connection."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept,
    ]
    if subprotocol:
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode("latin-1"))
    return b"\r\n".join([*lines, b"", b""])


def chosen(offered: Sequence[str], known: Sequence[str]) -> str:
    """The first of the client's that is known; empty when none is."""
    return next((each for each in offered if each in known), "")


class WebSocket(asyncio.Protocol):
    """The server's side of one. Messages are read with `receive`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before = connection.take_over(self)
        self._data = bytearray()
        self._parts: list[bytes] = []
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_UNREAD)
        self._is_closed = False
        self._lost = asyncio.Event()

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        self._data += data
        while not self._is_closed and self._frame():
            pass

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        if isinstance(self._before, asyncio.Protocol):
            self._before.connection_lost(exc)
        self._lost.set()

    # Frames

    def _frame(self) -> bool:
        """Take one frame from what has come; whether there was a whole one."""
        data = self._data
        if len(data) < 2:
            return False
        is_last, code = bool(data[0] & 0x80), data[0] & 0x0F
        masked, size, at = bool(data[1] & 0x80), data[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return False
            size = int.from_bytes(data[at : at + width], "big")
            at += width
        if not masked or data[0] & 0x70:
            self.close(PROTOCOL_ERROR)
            return False
        if size > _LARGEST or sum(map(len, self._parts)) + size > _LARGEST:
            self.close(TOO_BIG)
            return False
        if len(data) < at + 4 + size:
            return False
        mask, payload = data[at : at + 4], bytes(data[at + 4 : at + 4 + size])
        del data[: at + 4 + size]
        self._took(code, is_last, _unmasked(payload, bytes(mask)))
        return True

    def _took(self, code: int, is_last: bool, payload: bytes) -> None:
        if code == _PING:
            self._write(_PONG, payload)
        elif code == _CLOSE:
            if not self._is_closed:
                self._write(_CLOSE, payload[:2])
            self._end()
        elif code in (0, _TEXT, _BINARY):
            self._parts.append(payload)
            if is_last:
                message, self._parts = b"".join(self._parts), []
                try:
                    self._messages.put_nowait(message)
                except asyncio.QueueFull:
                    self.close(TOO_BIG)

    def _write(self, code: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | code])
        if size < 126:
            head += bytes([size])
        elif size < 1 << 16:
            head += b"\x7e" + size.to_bytes(2, "big")
        else:
            head += b"\x7f" + size.to_bytes(8, "big")
        if not self._connection.is_closing:
            self._connection.write(head + payload)

    def _end(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            while self._messages.full():
                self._messages.get_nowait()
            self._messages.put_nowait(None)

    # What its user calls

    def begin(self, handshake_: bytes) -> None:
        self._connection.write(handshake_)

    async def receive(self) -> bytes | None:
        """The next message; None when there will be no more."""
        return await self._messages.get()

    def send(self, payload: bytes, *, is_text: bool = False) -> None:
        self._write(_TEXT if is_text else _BINARY, payload)

    def close(self, code: int = NORMAL) -> None:
        """Say goodbye and close the connection."""
        if not self._is_closed:
            self._write(_CLOSE, code.to_bytes(2, "big"))
            self._end()
        self._connection.close()

    async def lost(self) -> None:
        """Returns when the connection is gone, and whoever had it before knows."""
        await self._lost.wait()


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if not payload:
        return b""
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


class Channels:
    """Messages of several streams over one WebSocket, each with the number of its channel in front."""

    def __init__(self, socket: WebSocket, subprotocol: str) -> None:
        self._socket = socket
        self._is_text = subprotocol.startswith("base64.") or (subprotocol.startswith("v") and "base64" in subprotocol)

    async def receive(self) -> tuple[int, bytes] | None:
        """Channel and data; None at the end."""
        while True:
            message = await self._socket.receive()
            if message is None:
                return None
            if not message:
                continue
            if not self._is_text:
                return message[0], message[1:]
            try:
                return int(message[:1]), base64.b64decode(message[1:])
            except ValueError:
                continue

    def send(self, channel: int, data: bytes) -> None:
        if self._is_text:
            self._socket.send(str(channel).encode() + base64.b64encode(data), is_text=True)
        else:
            self._socket.send(bytes([channel]) + data)
