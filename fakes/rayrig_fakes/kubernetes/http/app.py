"""The ASGI application: identity, permission, fault point, then the HTTP-shaped face, for each request."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs

from rayrig_core import faultpoints
from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import FaultCounter, Reaction
from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.authorization.impersonation import impersonated
from rayrig_fakes.kubernetes.handler import ApiResponse, Response, bookmark_line
from rayrig_fakes.kubernetes.http.compression import compressed
from rayrig_fakes.kubernetes.http.connection import EXTENSION
from rayrig_fakes.kubernetes.http.fault_points import FaultPoints
from rayrig_fakes.kubernetes.http.future_versions import handled
from rayrig_fakes.kubernetes.http.request_info import RequestInfo, request_info
from rayrig_fakes.kubernetes.http.watch_streams import Receive, Send, WatchStreams
from rayrig_fakes.kubernetes.identity import AlwaysAllow, UserInfo, check
from rayrig_fakes.kubernetes.requests import BODY_LIMIT, JSON, PROTOBUF
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.tokens import Tokens
from rayrig_fakes.kubernetes.watch_response import WatchResponse

_log = logging.getLogger("rayrig.kubernetes")
_NO_QUERY: dict[str, list[str]] = {}
_WITHOUT_BODY = ("GET", "HEAD")
#: Every answer that says nothing else of it.
_CACHE_CONTROL = (b"cache-control", b"no-cache, private")
_IMPERSONATION = frozenset(("impersonate-user", "impersonate-group", "impersonate-uid"))


class KubernetesApp:
    """An ASGI 3 application. To be used from one event loop."""

    def __init__(
        self,
        server: ApiServer,
        rng: Random,
        *,
        tokens: Tokens | None = None,
        faults: FaultCounter | None = None,
    ) -> None:
        """Without `tokens` everyone is the administrator; what users may do is for the server's authorizer to decide; `faults` are
        asked at each request and each event of a watch."""
        self.server = server
        self.tokens = tokens or Tokens()
        self.streams = WatchStreams(rng, lambda watch: bookmark_line(server, cast(WatchResponse, watch)))
        self._faults = FaultPoints(faults, _call_later) if faults is not None else None

    def close(self) -> None:
        """End all watches."""
        self.streams.close()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        request = await _request(scope, receive)
        if request is None:
            return
        in_protobuf = _takes_protobuf_only(request.headers.get("accept", ""))
        if in_protobuf:
            request = self._asking_for_json(request)
        try:
            answer = await self._answer(request)
        except _CutConnection:
            # Ending without an answer makes the server close the connection.
            raise
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            answer = _refusal(status.error(500, "InternalError", f"Internal error occurred: {error}"))
        if not isinstance(answer, ApiResponse):
            connection = (scope.get("extensions") or {}).get(EXTENSION)
            await self.streams.serve(answer, _encoded(answer.headers), receive, send, connection)
            return
        if in_protobuf:
            answer = _to_protobuf(answer)
        body, encoding = compressed(request.path, request.headers.get("accept-encoding", ""), answer)
        headers = _encoded(answer.headers) + encoding
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, request: HttpRequest) -> Response:
        try:
            user = self.tokens.user_of(request.headers.get("authorization", ""))
            if request.path.startswith("/rayrig/"):
                return self._administer(request)
            if request.body and request.headers.get("content-type", "").startswith(PROTOBUF):
                request = _from_protobuf(request)
            authorizer = self.server.state.authorizer
            if not _IMPERSONATION.isdisjoint(request.headers):
                user = impersonated(authorizer, user, request.headers)
            is_open = isinstance(authorizer, AlwaysAllow)
            if is_open and self._faults is None:
                return await handled(self.server, request, user)
            info = request_info(request.method, request.path, request.query)
            if not is_open:
                check(authorizer, user, info)
            if self._faults is None:
                return await handled(self.server, request, user)
            return await self._struck(self._faults, user, info, request)
        except ApiError as refused:
            return _refusal(refused)

    def _asking_for_json(self, request: HttpRequest) -> HttpRequest:
        """The same from a client that takes JSON, where the answer has a protobuf form; otherwise as it is, to be refused."""
        from rayrig_fakes.kubernetes.protobuf.table import message_of

        info = request_info(request.method, request.path, request.query)
        served = self.server.state.registry.at(info.group, info.version, info.resource) if info.resource else None
        if info.verb == "watch" or served is None or message_of(served.type.api_version, served.type.kind) is None:
            return request
        return replace(request, headers={**request.headers, "accept": JSON})

    # Faults

    async def _struck(self, faults: FaultPoints, user: UserInfo, info: RequestInfo, request: HttpRequest) -> Response:
        actor = request.headers.get("user-agent", "").partition("/")[0] if self.tokens.is_open else user.name
        reaction = faults.request(actor, info, request)
        _before(reaction)
        if isinstance(reaction, faultpoints.Delay):
            await asyncio.sleep(reaction.delay_s)
        answer = await handled(self.server, request, user)
        if isinstance(answer, WatchResponse):
            answer.cursor = faults.watched(actor, info, answer.cursor)
            if isinstance(reaction, faultpoints.ExpireWatch):
                answer.cursor.fail(status.expired("too old resource version: injected fault"))
        if isinstance(reaction, faultpoints.LostReply):
            raise status.error(reaction.code, reaction.reason, reaction.message)
        if isinstance(reaction, faultpoints.CrashAfter):
            raise _CutConnection
        return answer

    # What only a fake has

    def _administer(self, request: HttpRequest) -> ApiResponse:
        if request.path != "/rayrig/compact":
            raise status.unknown_resource()
        if request.method != "POST":
            raise status.method_not_allowed()
        text = (request.query.get("revision") or [""])[0]
        if text and not text.isdecimal():
            raise status.bad_request(f'revision: Invalid value: "{text}": must be a number')
        revision = int(text) if text else self.server.revision
        if revision > self.server.revision:
            raise status.bad_request(
                f"revision: {revision} is not reached yet; the present one is {self.server.revision}"
            )
        self.server.compact(revision)
        return ApiResponse(200, json.dumps({"compacted": revision}).encode())


class _CutConnection(Exception):
    """The answer is lost with the connection."""


def _before(reaction: Reaction | None) -> None:
    if isinstance(reaction, faultpoints.ErrorBefore):
        raise status.error(reaction.code, reaction.reason, reaction.message)
    if isinstance(reaction, faultpoints.CrashBefore):
        raise _CutConnection


def _call_later(delay_s: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, callback)


def _takes_protobuf_only(accept: str) -> bool:
    return accept.startswith(PROTOBUF) and all(part.strip().startswith(PROTOBUF) for part in accept.split(","))


def _to_protobuf(answer: ApiResponse) -> ApiResponse:
    """As it is when it has no protobuf form (text, discovery)."""
    from rayrig_fakes.kubernetes.protobuf.encoding import encode

    if answer.content_type != JSON:
        return answer
    body = encode(answer.json())
    return answer if body is None else replace(answer, body=body, content_type=PROTOBUF)


def _refusal(refused: ApiError) -> ApiResponse:
    return ApiResponse(refused.code, json.dumps(refused.status, separators=(",", ":"), ensure_ascii=False).encode())


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    encoded = [(name.encode("latin-1"), value.encode("utf-8", "replace")) for name, value in headers]
    if not any(name == "cache-control" for name, _ in headers):
        encoded.append(_CACHE_CONTROL)
    return encoded


def _joined(sent: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Values of a header that comes more than once, separated by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _request(scope: MutableMapping[str, Any], receive: Receive) -> HttpRequest | None:
    """None when the client went before it had sent everything."""
    method: str = scope["method"]
    raw_query: bytes = scope["query_string"]
    query = parse_qs(raw_query.decode("latin-1"), keep_blank_values=True) if raw_query else _NO_QUERY
    sent = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent}
    if len(headers) < len(sent):
        headers = _joined(sent)
    body = b""
    if method not in _WITHOUT_BODY:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            # What is beyond the limit is not read: the answer is 413 whatever it says.
            if not message.get("more_body", False) or len(body) > BODY_LIMIT:
                break
    return HttpRequest(method, scope["path"], query, headers, body)


def _from_protobuf(request: HttpRequest) -> HttpRequest:
    """The same with a JSON body; as it is when its kind has no protobuf form. Raises `ApiError` 400."""
    from rayrig_fakes.kubernetes.protobuf.decoding import Undecodable, decode

    try:
        body = decode(request.body)
    except Undecodable as problem:
        raise status.bad_request(f"the object provided is unrecognized: {problem}") from None
    if body is None:
        return request
    return replace(request, headers={**request.headers, "content-type": JSON}, body=json.dumps(body).encode())
