"""Requests as Starlette's, ASGI applications, and answers as the proxy sends them (ray-serve.md 9).

Starlette is needed only where user code sees requests.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_sim.serve.request import ServeRequest, to_response

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]

#: In which attribute of a deployment's class `serve.ingress` leaves its ASGI application.
ASGI_APP = "__rayrig_asgi_app__"


def request_of(http: HttpRequest, route_prefix: str) -> Any:
    """Starlette's `Request`; where it is not installed the one of the simulation, which has less."""
    try:
        from starlette.requests import Request
    except ImportError:
        return ServeRequest(http, route_prefix)
    return Request(scope_of(http, route_prefix), receiver(http))


def scope_of(http: HttpRequest, route_prefix: str) -> Message:
    """ASGI's description of the request; the route prefix is its root path."""
    host, _, port = http.headers.get("host", "localhost:8000").partition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": http.method,
        "scheme": "http",
        "path": http.path,
        "raw_path": http.path.encode(),
        "query_string": urlencode(http.query, doseq=True).encode(),
        "root_path": "" if route_prefix == "/" else route_prefix,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in http.headers.items()],
        "client": ("127.0.0.1", 0),
        "server": (host, int(port) if port.isdigit() else 80),
        "state": {},
    }


def receiver(http: HttpRequest) -> Callable[[], Awaitable[Message]]:
    """The body, once; after it nothing comes, as the client waits."""
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if not is_read:
            is_read = True
            return {"type": "http.request", "body": http.body, "more_body": False}
        import asyncio

        await asyncio.get_running_loop().create_future()
        raise AssertionError("the client does not leave by a message: its task is cancelled")

    return receive


async def ask_asgi(app: AsgiApp, http: HttpRequest, route_prefix: str) -> HttpResponse:
    """Run one request through an ASGI application. What it raises after it has answered is for the log."""
    status = 500
    headers: dict[str, str] = {}
    body: list[bytes] = []
    has_started = False

    async def send(message: Message) -> None:
        nonlocal status, has_started
        if message["type"] == "http.response.start":
            has_started = True
            status = message["status"]
            headers.update((name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"])
        elif message["type"] == "http.response.body":
            body.append(bytes(message.get("body", b"")))

    try:
        await app(scope_of(http, route_prefix), receiver(http), send)
    except Exception:
        if not has_started:
            raise
    return HttpResponse(status, b"".join(body), headers)


async def answer_of(value: Any) -> HttpResponse:
    """What an ingress returned, as an HTTP answer; streams are read to their end. Raises what a stream raises, and `TypeError`."""
    if _is_starlette_response(value):
        return await ask_asgi(value, HttpRequest("GET", "/"), "/")
    if is_generator(value):
        return HttpResponse(200, b"".join([_bytes(part) async for part in each_of(value)]))
    return to_response(_plain(value))


def _is_starlette_response(value: Any) -> bool:
    return hasattr(value, "status_code") and hasattr(value, "raw_headers") and callable(value)


def _plain(value: Any) -> Any:
    """Pydantic models and the like become JSON's values, as FastAPI's encoder makes them."""
    if value is None or isinstance(value, (str, bytes, int, float, bool, HttpResponse)):
        return value
    try:
        from fastapi.encoders import jsonable_encoder
    except ImportError:
        dump = getattr(value, "model_dump", None)
        return dump(mode="json") if callable(dump) else value
    return jsonable_encoder(value)


def is_generator(value: Any) -> bool:
    """Of either kind."""
    return inspect.isasyncgen(value) or inspect.isgenerator(value)


async def each_of(values: Any) -> AsyncIterator[Any]:
    """What a generator of either kind yields."""
    if inspect.isasyncgen(values):
        async for value in values:
            yield value
    else:
        found: Iterable[Any] = values
        for value in found:
            yield value


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
