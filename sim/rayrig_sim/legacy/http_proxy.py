"""The HTTP proxy of the early API: exact paths, the methods of an endpoint, and the internal paths (ray-serve.md 13.1, SV-148)."""

from __future__ import annotations

import json
from collections.abc import Callable
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_sim.legacy.backend import WorkersKeepDying
from rayrig_sim.legacy.endpoints import Endpoints
from rayrig_sim.legacy.flask_request import FlaskRequest
from rayrig_sim.legacy.queries import Query

if TYPE_CHECKING:
    from rayrig_sim.kernel import Kernel

_ROUTES = "/-/routes"
_METHOD_HEADER = "x-serve-call-method"
_SHARD_HEADER = "x-serve-shard-key"
_SLO_ARGUMENTS = ("relative_slo_ms", "absolute_slo_ms")


class HttpProxy:
    """Who listens on port 8000 (`rayrig_sim.network.Listener`). `send` brings a query to its endpoint."""

    def __init__(self, kernel: Kernel, endpoints: Endpoints, send: Callable[[str, Query], None]) -> None:
        self._kernel = kernel
        self._endpoints = endpoints
        self._send = send

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer, when a worker has it."""
        path = request.path
        if path.startswith("/-/"):
            return HttpResponse.of_json(200, self._endpoints.routes()) if path == _ROUTES else _unknown(path)
        endpoint = self._endpoints.at(path)
        if endpoint is None:
            return _unknown(path)
        if request.method not in endpoint.methods:
            text = f"Methods {request.method} not allowed. Avaiable HTTP methods are {list(endpoint.methods)}."
            return HttpResponse.text(405, text)
        asked = FlaskRequest(request)
        for name in _SLO_ARGUMENTS:
            if name in asked.args and not _is_number(asked.args[name]):
                return HttpResponse.text(400, f"Invalid SLO: {name} is no number.")
        query = Query(
            self._kernel.signal(),
            asked,
            is_web=True,
            method=request.headers.get(_METHOD_HEADER, "__call__"),
            shard_key=request.headers.get(_SHARD_HEADER),
        )
        self._send(endpoint.name, query)
        ok, value = await query.done
        return _answer(value) if ok else _failed(value)


def _unknown(path: str) -> HttpResponse:
    return HttpResponse.text(404, f"Path {path} not found. Please ping http://.../-/routes for routing table")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _answer(value: Any) -> HttpResponse:
    """Text stays text; what JSON can hold becomes JSON."""
    if isinstance(value, HttpResponse):
        return value
    if isinstance(value, bytes):
        return HttpResponse(200, value)
    if isinstance(value, str):
        return HttpResponse.text(200, value)
    try:
        body = json.dumps(value).encode()
    except (TypeError, ValueError) as error:
        return _failed(error)
    return HttpResponse(200, body, {"content-type": "application/json"})


def _failed(error: BaseException) -> HttpResponse:
    if isinstance(error, WorkersKeepDying):
        return HttpResponse.text(500, f"Internal Error. {error}")
    return HttpResponse.text(500, f"Internal Error. Traceback: {''.join(format_exception_only(error)).strip()}")
