"""An open watch over HTTP: one line of JSON per event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from rayrig_backends.cluster.requests import as_http_failure
from rayrig_core.errors import ApiError, api_error
from rayrig_core.http import HttpFailure
from rayrig_core.ports import WatchEvent, WatchStream, WatchType

#: So many events wait for a slow reader; then the server has to.
_BUFFERED = 1_000
_ENDED = object()


class HttpWatchStream(WatchStream):
    """Port `WatchStream`. A task of its own reads ahead; it ends with `close`."""

    def __init__(
        self, client: httpx.AsyncClient, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue(_BUFFERED)
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._reader = loop.create_task(self._read(client, path, query, headers))

    async def opened(self) -> None:
        """Returns when the server has begun to answer. Raises `ApiError` when it refuses, `HttpFailure` when it does not answer."""
        try:
            await self._opened
        except BaseException:
            self.close()
            raise

    async def next(self) -> WatchEvent:
        event = await self._events.get()
        if isinstance(event, WatchEvent):
            return event
        self._events.put_nowait(event)
        if event is _ENDED:
            raise StopAsyncIteration
        raise event

    def close(self) -> None:
        self._reader.cancel()

    async def _read(
        self, client: httpx.AsyncClient, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        end: Any = _ENDED
        try:
            with as_http_failure():
                async with client.stream("GET", path, params=query, headers=headers, timeout=_PATIENT) as answer:
                    if answer.status_code != httpx.codes.OK:
                        raise api_error(status_of(answer.status_code, await answer.aread()))
                    self._opened.set_result(None)
                    async for line in _lines(answer.aiter_bytes()):
                        await self._events.put(_event(line))
        except (ApiError, HttpFailure) as error:
            if not self._opened.done():
                self._opened.set_exception(error)
                return
            # A connection that breaks off is a watch that ended; what the server said against it is an error.
            end = error if isinstance(error, ApiError) else _ENDED
        finally:
            if not self._opened.done():
                self._opened.cancel()
        await self._events.put(end)


#: A watch is silent for as long as nothing happens.
_PATIENT = httpx.Timeout(30.0, read=None)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Only line feeds end a line: JSON text may hold other characters that Python takes for line ends."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _event(line: bytes) -> WatchEvent:
    """Raises `ApiError` for an event of type ERROR, `HttpFailure`'s kin for what is no event."""
    try:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind != "ERROR":
            return WatchEvent(WatchType(kind), obj)
    except (ValueError, KeyError, TypeError):
        raise api_error(status_of(500, line)) from None
    raise api_error(obj)


def status_of(code: int, body: bytes) -> dict[str, Any]:
    """The Status of a refusal. A proxy's page and the like become one, as client-go makes it."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return {"code": code, **status}
    text = body.decode(errors="replace").strip()
    message = f"the server responded with the status code {code}: {text[:2048]}" if text else f"status code {code}"
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Gone", 429: "TooManyRequests"}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reasons.get(code, "InternalError" if code >= 500 else ""),
        "code": code,
    }
