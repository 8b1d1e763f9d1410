"""One of the two servers: over HTTP, with the standard library's client, which sends any path as it stands."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from rayrig_backends.differential.comparing import Answer
from rayrig_core.errors import InputError
from rayrig_core.objects import Json

_TIMEOUT_S = 30.0
#: The managers of fields are named after it, so it is the same on both sides.
USER_AGENT = "rayrig-difference/1"


class Stream(Protocol):
    """An open watch."""

    def events(self) -> list[Json]:
        """Those that came so far."""
        ...

    @property
    def ended(self) -> bool: ...

    def close(self) -> None: ...


class Side(Protocol):
    """A server that answers. `user` is one of `steps.USERS`."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, user: str) -> Answer: ...

    def watch(self, method: str, target: str, headers: Mapping[str, str], user: str) -> tuple[Answer, Stream | None]:
        """The head of the answer, and the stream when it is one."""
        ...

    def wait(self, seconds: float) -> None:
        """Let the server go on with what it does by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server. `url` may have a path, under which the API lies."""

    url: str
    token: str = ""
    #: Of a user without rights; stories of such a user are left out when it is missing on a side.
    reader_token: str = ""
    ca_file: Path | None = None
    insecure: bool = False


class HttpSide:
    """A server behind a socket. One thread at a time may ask."""

    def __init__(self, access: Access) -> None:
        """Raises `InputError` when the URL or the CA file cannot be used."""
        parts = urlsplit(access.url)
        try:
            port = parts.port
        except ValueError:
            raise InputError("not a port", where=access.url) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError("not an http or https URL", where=access.url)
        self._host, self._port, self._prefix = parts.hostname, port, parts.path.rstrip("/")
        self._access = access
        self._context = _trust(access) if parts.scheme == "https" else None
        self._connection: HTTPConnection | None = None
        self._pause = threading.Event()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, user: str) -> Answer:
        for fresh in (False, True):
            # A kept connection may have been closed by the server just now: once more on a new one.
            connection = self._connection if not fresh else None
            had_one = connection is not None
            if connection is None:
                connection = self._connection = self._connect()
            try:
                response = self._send(connection, method, target, headers, body, user)
                content = response.read()
                return Answer(response.status, _headers(response), content)
            except (HTTPException, OSError, ValueError) as problem:
                connection.close()
                self._connection = None
                if not had_one or isinstance(problem, (TimeoutError, ValueError)):
                    return Answer(0, failure=_why(problem))
        raise AssertionError("unreachable")

    def watch(self, method: str, target: str, headers: Mapping[str, str], user: str) -> tuple[Answer, Stream | None]:
        connection = self._connect()
        try:
            response = self._send(connection, method, target, headers, None, user)
            head = Answer(response.status, _headers(response))
            if response.status != 200 or head.header("transfer-encoding") != "chunked":
                content = response.read()
                connection.close()
                return Answer(response.status, _headers(response), content), None
        except (HTTPException, OSError, ValueError) as problem:
            connection.close()
            return Answer(0, failure=_why(problem)), None
        return head, _HttpStream(connection, response)

    def wait(self, seconds: float) -> None:
        self._pause.wait(seconds)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> HTTPConnection:
        if self._context is not None:
            return HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._context)
        return HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        user: str,
    ) -> HTTPResponse:
        sent = {"User-Agent": USER_AGENT, **headers}
        token = {"admin": self._access.token, "reader": self._access.reader_token, "bad": "nobody-has-this-token"}.get(
            user
        )
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection.putrequest(method, self._prefix + target, skip_accept_encoding=True)
        if body is not None:
            sent["Content-Length"] = str(len(body))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse()


@dataclass(slots=True)
class _HttpStream:
    """Reads lines in a thread of its own, until closed."""

    _connection: HTTPConnection
    _response: HTTPResponse
    _events: list[Json] = field(default_factory=list)
    _ended: bool = False
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True, name="watch")
        self._thread.start()

    def _read(self) -> None:
        try:
            while line := self._response.readline():
                try:
                    self._events.append(json.loads(line))
                except ValueError:
                    self._events.append(line.decode("utf-8", "replace"))
        except (HTTPException, OSError, ValueError, AttributeError):
            pass  # Closed here or there: what came is what counts.
        self._ended = True

    def events(self) -> list[Json]:
        return list(self._events)

    @property
    def ended(self) -> bool:
        return self._ended

    def close(self) -> None:
        sock = self._connection.sock
        if sock is not None:
            import socket

            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=2)
        self._response.close()
        self._connection.close()


def _trust(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(access.ca_file) if access.ca_file else None)
    except (OSError, ssl.SSLError) as problem:
        raise InputError(f"cannot use this CA: {problem}", where=str(access.ca_file)) from None
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _headers(response: HTTPResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in response.getheaders())


def _why(problem: Exception) -> str:
    """Without what differs from attempt to attempt."""
    return f"no answer ({type(problem).__name__})"
