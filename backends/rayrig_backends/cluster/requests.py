"""HTTP requests from actors: sent with httpx in a task of their own, and what can go wrong in the port's words."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

import httpx

from rayrig_core.http import Failure, HttpFailure

T = TypeVar("T")

if find_spec("sniffio") is None:
    # httpcore imports it for each request. Where it is not installed, the search for it takes as long as all the rest.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


async def in_own_task(coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result. An actor is stopped by an exception that httpx does not know; its task, stopped in asyncio's way, closes its
    connection properly.
    """
    task = asyncio.get_running_loop().create_task(coroutine)
    try:
        return await task
    except BaseException:
        task.cancel()
        raise


@contextmanager
def as_http_failure() -> Iterator[None]:
    """Turns httpx' errors, and the end of the time, into `HttpFailure`."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        raise HttpFailure(Failure.TIMEOUT, str(error)) from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise HttpFailure(_failure(error), str(error)) from error


def _failure(error: BaseException) -> Failure:
    if not isinstance(error, httpx.ConnectError):
        return Failure.RESET
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return Failure.UNRESOLVED
        if isinstance(cause, ssl.SSLError):
            return Failure.RESET
        if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return Failure.UNREACHABLE
        cause = cause.__cause__ or cause.__context__
    return Failure.REFUSED
