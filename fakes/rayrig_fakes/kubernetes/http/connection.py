"""The socket below a response: for streams that many clients get the same bytes of.

ASGI frames each chunk anew for each client and takes a step of a task to hand it over. A stream that has the connection writes
bytes that were framed once.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

#: Where an ASGI scope has it, among its extensions.
EXTENSION = "rayrig.connection"
#: Enough for TLS, too.
_TURNS = 10


class Connection:
    """One client's. What is written is kept until the socket takes it: ask `is_blocked` first."""

    __slots__ = ("_flow", "_transport")

    def __init__(self, transport: Any, flow: Any) -> None:
        """`flow` is uvicorn's flow control of the transport."""
        self._transport: asyncio.Transport = transport
        self._flow = flow

    @property
    def is_blocked(self) -> bool:
        """The socket takes no more for now."""
        blocked: bool = self._flow.write_paused
        return blocked

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def subject(self) -> tuple[str, list[str]] | None:
        """Common name and organizations of the client's certificate; None without one."""
        certificate = self._transport.get_extra_info("peercert")
        if not certificate:
            return None
        parts = [pair for group in certificate.get("subject") or () for pair in group]
        names = [value for name, value in parts if name == "commonName"]
        return (names[0] if names else ""), [value for name, value in parts if name == "organizationName"]

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    async def cut(self) -> None:
        """Close without an answer; returns when uvicorn knows, which is told in one of the next turns of the loop."""
        self._transport.abort()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def take_over(self, protocol: asyncio.Protocol) -> asyncio.BaseProtocol:
        """Let another protocol have what comes from now on. Returns the one that had it: it is to be told of the end."""
        before = self._transport.get_protocol()
        self._transport.set_protocol(protocol)
        return before

    async def unblocked(self) -> None:
        """Returns when the socket takes more, or is closed."""
        await self._flow.drain()


class JoiningTransport:
    """A transport that writes the head of a whole response together with its body: one system call and one packet for both."""

    __slots__ = ("_head", "_transport", "_write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(b"\r\n\r\n") and data.startswith(b"HTTP/1.1 ") and b"content-length:" in data:
            self._head = data
            return
        self._write(data)

    def flush(self) -> None:
        """No body follows."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def protocol() -> Any:
    """uvicorn's HTTP protocol, with limits for requests that are not whole, and with the connection in each scope."""
    from rayrig_fakes.kubernetes.http.request_limits import LimitedProtocol

    class Protocol(LimitedProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self._joining = joining = JoiningTransport(transport)
            super().connection_made(cast(asyncio.Transport, joining))
            self._extensions = {EXTENSION: Connection(joining, self.flow)}

        def on_response_complete(self) -> None:
            # A HEAD request's answer has no body.
            self._joining.flush()
            super().on_response_complete()

        def _unsupported_upgrade_warning(self) -> None:
            """Whether an upgrade is taken is the application's to say."""

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]

    return Protocol
