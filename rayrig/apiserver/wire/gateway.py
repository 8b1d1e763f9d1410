"""From an HTTP exchange to a call and back, as gRPC's HTTP gateway does it (`reference/kuberay-apiserver.md` sections 1 to 3)."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qs

from rayrig.apiserver.wire.call_counts import CallCounts
from rayrig.apiserver.wire.decoding import decode
from rayrig.apiserver.wire.encoding import encode
from rayrig.apiserver.wire.errors import CallError, Code
from rayrig.apiserver.wire.messages import Message
from rayrig.apiserver.wire.queries import decode_query
from rayrig.apiserver.wire.routes import Match, Route, Routes
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Runtime

_log = logging.getLogger("rayrig.apiserver")
_JSON = {"content-type": "application/json"}
#: The gateway hands on what type the call's own reply had.
_REPLY = {**_JSON, "grpc-metadata-content-type": "application/grpc"}


class Gateway:
    """Answers every request: what no route takes with 404 or 501."""

    def __init__(self, runtime: Runtime, routes: Routes, *, timeout_s: float) -> None:
        """`timeout_s`: how long a call may take."""
        self._runtime = runtime
        self._routes = routes
        self._timeout_s = timeout_s
        self.counts = CallCounts(route.rpc for route in routes.all)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        try:
            match = self._routes.find(request)
            call = _request_of(match, request)
            reply = await self._call(match.route, call)
            body = encode(match.route.reply, reply)
        except CallError as error:
            return _failed(error)
        return HttpResponse(200, body, _REPLY)

    async def _call(self, route: Route, request: JsonObject) -> JsonObject:
        """Raises `CallError`, and what is wrong with a handler."""
        number = self.counts.started(route.rpc)
        runtime = self._runtime
        done = runtime.signal()

        async def work() -> None:
            try:
                done.set(await route.handler(request))
            except Exception as error:
                done.set(error)

        task = runtime.spawn(f"apiserver/{route.rpc}", work())
        if await runtime.wait(done, self._timeout_s):
            outcome: Any = await done
        else:
            task.cancel()
            outcome = CallError(Code.DEADLINE_EXCEEDED, "context deadline exceeded")
        if not isinstance(outcome, Exception):
            self.counts.ended(route.rpc)
            reply: JsonObject = outcome
            return reply
        code = outcome.code if isinstance(outcome, CallError) else Code.INTERNAL
        self.counts.ended(route.rpc, code)
        _log.info("call %d: %s: %s", number, route.rpc, outcome)
        raise outcome


def _request_of(match: Match, request: HttpRequest) -> JsonObject:
    """The request message. Raises `CallError` 3."""
    route = match.route
    fields = route.request.by_spelling
    bound: JsonObject = {}
    if route.body:
        field = fields[route.body]
        assert isinstance(field.kind, Message)
        # What was read as a form is gone.
        bound[field.json_name] = decode(field.kind, b"" if match.takes_form else request.body)
    query = request.query
    if match.takes_form:
        # The form's values of a name come before the query's.
        query = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
        for name, values in request.query.items():
            query.setdefault(name, []).extend(values)
    path = {fields[name].json_name: value for name, value in match.path_fields.items()}
    found = decode_query(route.request, {*bound, *path}, query) if query else {}
    return {**found, **bound, **{name: value for name, value in path.items() if value}}


def _failed(error: CallError) -> HttpResponse:
    body = json.dumps({"code": int(error.code), "message": error.message}, separators=(",", ":"), ensure_ascii=False)
    return HttpResponse(error.http_status, body.encode(errors="replace"), _JSON)
