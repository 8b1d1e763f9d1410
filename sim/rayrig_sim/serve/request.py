"""What an ingress gets as a request, and how what it returns becomes an HTTP answer (`reference/ray-serve.md` 6,
golden/ray-serve S06).
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from rayrig_core.http import HttpRequest, HttpResponse

#: Parsed bodies are kept up to this size: traffic sends the same few again and again.
_KEPT_BYTES = 1024


@lru_cache(maxsize=1024)
def _parsed(body: bytes) -> bytes:
    """A JSON body, packed, so that each reader unpacks an object of its own."""
    return marshal.dumps(json.loads(body))


class UserRequest:
    """What user code of any API sees of an HTTP request."""

    __slots__ = ("_http",)

    def __init__(self, http: HttpRequest) -> None:
        self._http = http

    @property
    def method(self) -> str:
        return self._http.method

    @property
    def path(self) -> str:
        return self._http.path

    @property
    def headers(self) -> Mapping[str, str]:
        return self._http.headers


class ServeRequest(UserRequest):
    """The request as user code sees it, in the shape of Starlette's: `await request.json()`, `await request.body()`."""

    __slots__ = ("route_prefix",)

    def __init__(self, http: HttpRequest, route_prefix: str = "") -> None:
        self._http = http
        self.route_prefix = route_prefix

    async def body(self) -> bytes:
        return self._http.body

    async def json(self) -> Any:
        """Raises `ValueError` when the body is no JSON."""
        body = self._http.body
        return marshal.loads(_parsed(body)) if len(body) <= _KEPT_BYTES else json.loads(body)

    @property
    def query_params(self) -> dict[str, str]:
        """Last value of each name."""
        return {name: values[-1] for name, values in self._http.query.items() if values}

    async def form(self) -> dict[str, str]:
        """Body as an URL-encoded form."""
        return dict(parse_qsl(self._http.body.decode(), keep_blank_values=True))


def to_response(value: Any) -> HttpResponse:
    """A returned text becomes `text/plain`, an `HttpResponse` stays, bytes stay bytes, anything else becomes JSON.

    Raises `TypeError` when it cannot be JSON.
    """
    if isinstance(value, HttpResponse):
        return value
    if isinstance(value, str):
        return HttpResponse.text(200, value)
    if isinstance(value, bytes):
        return HttpResponse(200, value)
    return HttpResponse(200, json.dumps(value, separators=(",", ":")).encode(), {"content-type": "application/json"})
