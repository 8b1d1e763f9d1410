"""The ASGI application: identity, permission, fault point, then the HTTP-shaped face, for each request."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs

from rayrig_core import faultpoints
from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import FaultCounter, Reaction
from rayrig_core.http import HttpRequest
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.authorization.impersonation import impersonated
from rayrig_fakes.kubernetes.client import struck
from rayrig_fakes.kubernetes.fault_rules import FaultRules
from rayrig_fakes.kubernetes.http.audit import STARTED, AuditLog, Exchange
from rayrig_fakes.kubernetes.http.compression import compressed
from rayrig_fakes.kubernetes.http.connection import EXTENSION, Connection
from rayrig_fakes.kubernetes.http.fault_points import FaultPoints, StruckCursor
from rayrig_fakes.kubernetes.http.future_versions import handled
from rayrig_fakes.kubernetes.http.request_info import RequestInfo, request_info
from rayrig_fakes.kubernetes.http.upgrades import Upgrade
from rayrig_fakes.kubernetes.http.watch_streams import Receive, Send, WatchStreams
from rayrig_fakes.kubernetes.identity import AlwaysAllow, Authorizer, UserInfo, check
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, Response, bookmark_line, handle
from rayrig_fakes.kubernetes.rest.log_streams import LogStream
from rayrig_fakes.kubernetes.rest.requests import BODY_LIMIT, JSON, PROTOBUF
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.tokens import Tokens

_log = logging.getLogger("rayrig.kubernetes")
_NO_QUERY: dict[str, list[str]] = {}
_WITHOUT_BODY = ("GET", "HEAD")
#: Every answer that says nothing else of it.
_CACHE_CONTROL = (b"cache-control", b"no-cache, private")
#: Paths that the HTTP-shaped face alone does not answer.
_BEYOND = re.compile(r"^/rayrig/|/proxy(?:/|$)|/(?:exec|attach|portforward)$")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
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
        http: HttpClient | None = None,
    ) -> None:
        """Without `tokens` everyone is the administrator; what users may do is for the server's authorizer to decide; `faults`
        are asked at each request and each event of a watch, after those in `self.faults`; `http` reaches what the model serves
        at the addresses of pods, for proxies and port-forwards."""
        self.server = server
        self.tokens = tokens or Tokens()
        self.http = http
        #: Clients' certificates were checked: they say who somebody is.
        self.knows_certificates = False
        #: Faults that can be set at any time.
        self.faults = FaultRules(server.state.now_unix_ns)
        self.faults.on_change = self._faults_changed
        self.audit = AuditLog(_prefix(server))
        self._planned = faults
        self._watches: dict[WatchResponse, tuple[str, RequestInfo]] = {}
        self._faults: FaultPoints | None = None
        self.streams = WatchStreams(rng, lambda watch: bookmark_line(server, cast(WatchResponse, watch)))
        self._faults_changed()

    def close(self) -> None:
        """End all watches."""
        self.streams.close()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        request = await _request(scope, receive)
        if request is None:
            return
        client = scope.get("client")
        now = self.server.state.now_unix_ns
        exchange = Exchange(request, self.audit.next_id(), now(), client[0] if client else "")
        if self.knows_certificates:
            exchange.user = _certified((scope.get("extensions") or {}).get(EXTENSION))
        in_protobuf = _takes_protobuf_only(request.headers.get("accept", ""))
        if in_protobuf:
            request = self._asking_for_json(request)
        try:
            answer = await self._answer(request, exchange)
        except _CutConnection:
            exchange.ended_ns = now()
            self.audit.record(exchange)
            connection = (scope.get("extensions") or {}).get(EXTENSION)
            if connection is None:
                # Ending without an answer makes the server close the connection.
                raise
            await connection.cut()
            return
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            answer = _refusal(status.error(500, "InternalError", f"Internal error occurred: {error}"))
        exchange.code = answer.status
        exchange.ended_ns = now()
        if not isinstance(answer, ApiResponse):
            await self._go_on(answer, exchange, (scope.get("extensions") or {}).get(EXTENSION), receive, send)
            return
        if not request.path.startswith("/rayrig/"):
            exchange.answer = answer.body
            self.audit.record(exchange)
        if in_protobuf:
            answer = _to_protobuf(answer)
        body, encoding = compressed(request.path, request.headers.get("accept-encoding", ""), answer)
        headers = _encoded(answer.headers) + encoding
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _go_on(
        self,
        answer: WatchResponse | LogStream | Upgrade,
        exchange: Exchange,
        connection: Connection | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve an answer that goes on until it ends or the client has gone."""
        self.audit.record(replace(exchange, stage=STARTED))
        try:
            if isinstance(answer, Upgrade):
                await answer.serve(connection)
            else:
                await self.streams.serve(answer, _encoded(answer.headers), receive, send, connection)
        finally:
            if isinstance(answer, WatchResponse):
                self._watches.pop(answer, None)
            exchange.ended_ns = self.server.state.now_unix_ns()
            self.audit.record(exchange)

    async def _answer(self, request: HttpRequest, exchange: Exchange) -> Response | Upgrade:
        try:
            user = exchange.user = exchange.user or self.tokens.user_of(request.headers.get("authorization", ""))
            if _is_in_protobuf(request):
                request = _from_protobuf(request)
            authorizer = self.server.state.authorizer
            if not _IMPERSONATION.isdisjoint(request.headers):
                wanted = request_info(request.method, request.path, request.query)
                user = exchange.impersonated = impersonated(authorizer, user, request.headers, wanted)
            is_open = isinstance(authorizer, AlwaysAllow)
            is_plain = _BEYOND.search(request.path) is None
            if is_open and is_plain and self._faults is None:
                return self._noted(await handled(self.server, request, user), user, request)
            info = request_info(request.method, request.path, request.query)
            if not is_open:
                check(authorizer, user, info)
                if not is_plain:
                    _check_stream(authorizer, user, info)
            if not is_plain and request.path.startswith("/rayrig/"):
                # Most servers are never asked.
                from rayrig_fakes.kubernetes.http.administration import Administration

                return Administration(self.server, self.faults, self.audit).answer(request)
            if self._faults is not None:
                return await self._struck(self._faults, user, info, request, exchange)
            if is_plain:
                return self._noted(await handled(self.server, request, user), user, request)
            return await self._beyond(request, user, None)
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

    async def _beyond(
        self, request: HttpRequest, user: UserInfo, stale: faultpoints.StaleRead | None
    ) -> Response | Upgrade:
        """Subresources whose answer lies beyond the API server: what runs in pods, and what listens there."""
        from rayrig_fakes.kubernetes.http.beyond import ask

        found = await ask(self.server, request, self.http, self.audit.count)
        return found if found is not None else handle(self.server, request, user, stale)

    # Faults

    def _actor(self, user: UserInfo, request: HttpRequest) -> str:
        return request.headers.get("user-agent", "").partition("/")[0] if self.tokens.is_open else user.name

    def _noted(self, answer: Response, user: UserInfo, request: HttpRequest) -> Response:
        """A watch is remembered, for faults that are set while it is open."""
        if isinstance(answer, WatchResponse):
            info = request_info(request.method, request.path, request.query)
            self._watches[answer] = (self._actor(user, request), info)
        return answer

    def _faults_changed(self) -> None:
        """Requests and events pass the fault points only while something may strike them."""
        if self._planned is None and not len(self.faults):
            self._faults = None
            return
        if self._faults is None:
            self._faults = FaultPoints(self._planned, self.faults, _call_later)
        for watch, (actor, info) in self._watches.items():
            if not isinstance(watch.cursor, StruckCursor):
                watch.cursor = self._faults.watched(actor, info, watch.cursor)

    async def _struck(
        self, faults: FaultPoints, user: UserInfo, info: RequestInfo, request: HttpRequest, exchange: Exchange
    ) -> Response | Upgrade:
        actor = self._actor(user, request)
        reaction = faults.request(actor, info, request)
        exchange.fault = type(reaction).__name__ if reaction is not None else ""
        _before(reaction)
        if isinstance(reaction, faultpoints.Delay):
            await asyncio.sleep(reaction.delay_s)
        stale = reaction if isinstance(reaction, faultpoints.StaleRead) else None
        if _BEYOND.search(request.path) is None:
            answer: Response | Upgrade = await handled(self.server, request, user, stale)
        else:
            answer = await self._beyond(request, user, stale)
        if isinstance(answer, WatchResponse):
            self._watches[answer] = (actor, info)
            answer.cursor = faults.watched(actor, info, answer.cursor)
            if isinstance(reaction, faultpoints.ExpireWatch):
                answer.cursor.fail(status.expired("too old resource version: injected fault"))
        if isinstance(reaction, faultpoints.LostReply):
            raise status.error(reaction.code, reaction.reason, reaction.message)
        if isinstance(reaction, faultpoints.CrashAfter):
            raise _CutConnection
        return answer


def _check_stream(authorizer: Authorizer, user: UserInfo, info: RequestInfo) -> None:
    """A stream to a container needs the permission to create, also when it begins with a GET. Raises `ApiError` 403."""
    if info.verb != "get" or info.subresource not in ("exec", "attach", "portforward"):
        return
    decision = authorizer.authorize(user, replace(info, verb="create"))
    if not decision.allowed:
        raise status.forbidden(POD, info.name, decision.reason)


def _certified(connection: Connection | None) -> UserInfo | None:
    subject = connection.subject() if connection is not None else None
    if subject is None or not subject[0]:
        return None
    name, groups = subject
    return UserInfo(name, groups=tuple(groups))


def _prefix(server: ApiServer) -> str:
    """As unlike another server's as its uids are."""
    found = server.state.lookup("namespaces", "kube-system")
    return str(found["metadata"]["uid"])[:8] if found is not None else "00000000"


class _CutConnection(Exception):
    """The answer is lost with the connection."""


def _before(reaction: Reaction | None) -> None:
    if isinstance(reaction, faultpoints.ErrorBefore):
        raise struck(reaction)
    if isinstance(reaction, faultpoints.CrashBefore):
        raise _CutConnection


def _call_later(delay_s: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, callback)


def _takes_protobuf_only(accept: str) -> bool:
    return accept.startswith(PROTOBUF) and all(part.strip().startswith(PROTOBUF) for part in accept.split(","))


def _to_protobuf(answer: ApiResponse) -> ApiResponse:
    """As it is when it has no protobuf form (text, discovery)."""
    from rayrig_fakes.kubernetes.protobuf.encoding import encode

    if answer.content_type != JSON or not answer.body:
        return answer
    body = encode(answer.json())
    return answer if body is None else replace(answer, body=body, content_type=PROTOBUF)


def _refusal(refused: ApiError) -> ApiResponse:
    body = json.dumps(refused.status, separators=(",", ":"), ensure_ascii=False).encode()
    retry_after = (refused.status.get("details") or {}).get("retryAfterSeconds")
    return ApiResponse(refused.code, body, extra=(("retry-after", str(retry_after)),) if retry_after else ())


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
    query = _query(raw_query) if raw_query else _NO_QUERY
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


def _is_in_protobuf(request: HttpRequest) -> bool:
    """No patch is."""
    if not request.body or request.method == "PATCH":
        return False
    return request.headers.get("content-type", "").startswith(PROTOBUF)


def _query(raw: bytes) -> dict[str, list[str]]:
    """Parameters by name. Those that cannot be read are left out, as the real server does."""
    text = raw.decode("latin-1")
    if ";" in text or "%" in text:
        text = "&".join(part for part in text.split("&") if ";" not in part and not _BAD_ESCAPE.search(part))
    return parse_qs(text, keep_blank_values=True)


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
