"""Serves the application with uvicorn: on a socket of the loopback interface, with a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rayrig_core.errors import InputError
from rayrig_fakes.kubernetes.http.connection import protocol

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
#: uvicorn ticks ten times a second.
_LOOKED_AFTER_EVERY_TICKS = 20


class Application(Protocol):
    """What is served: an ASGI application that can be told to end its long answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def close(self) -> None: ...


def listening_socket(port: int = 0) -> socket.socket:
    """A socket on the loopback interface; port 0 takes any free one. Raises `InputError` when the port is taken, or none."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else "ports end at 65535"
        remedy = "give another --port, or none for any free one"
        raise InputError(f"cannot listen on {LOOPBACK}:{port}: {why}", remedy=remedy) from None
    listener.listen(1024)
    return listener


class HttpServer:
    """uvicorn around the application. `serve` runs it until `stop`."""

    def __init__(
        self,
        app: Application,
        listener: socket.socket,
        *,
        certificate: tuple[Path, Path, Path] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """`certificate`: files in PEM, for https: chain, key, and the authority of clients' certificates. `on_ready` is called
        when requests are answered.

        Raises `InputError` when uvicorn is not installed.
        """
        self.app = app
        self._listener = listener
        scheme = "https" if certificate is not None else "http"
        host, port = listener.getsockname()
        self.port: int = port
        self.url = f"{scheme}://{host}:{port}"
        self._server = _uvicorn_server(app, certificate, on_ready)

    async def serve(self) -> None:
        await self._server.serve(sockets=[self._listener])

    @property
    def is_serving(self) -> bool:
        """Requests are answered."""
        return self._server.started and not self._server.should_exit

    def stop(self) -> None:
        """End all watches, answer what is under way, then let `serve` return."""
        self.app.close()
        self._server.should_exit = True


def _uvicorn_server(
    app: Application, certificate: tuple[Path, Path, Path] | None, on_ready: Callable[[], None] | None
) -> uvicorn.Server:
    try:
        import uvicorn

        from rayrig_fakes.kubernetes.http.request_limits import end_late_connections
    except ImportError:
        raise InputError("uvicorn or httptools is not installed", remedy="pip install 'rayrig[kube]'") from None

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if on_ready is not None:
                on_ready()

        async def on_tick(self, counter: int) -> bool:
            if counter % _LOOKED_AFTER_EVERY_TICKS == 0:
                end_late_connections(self.server_state.connections, asyncio.get_running_loop().time())
            return await super().on_tick(counter)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Signals are whoever runs the loop's.
            yield

    config = uvicorn.Config(
        app,
        http=protocol(),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate[0] if certificate is not None else None,
        ssl_keyfile=certificate[1] if certificate is not None else None,
        ssl_ca_certs=str(certificate[2]) if certificate is not None else None,
        # A certificate is one way to say who one is.
        ssl_cert_reqs=ssl.CERT_OPTIONAL if certificate is not None else ssl.CERT_NONE,
    )
    config.load()
    return Server(config)


def event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
