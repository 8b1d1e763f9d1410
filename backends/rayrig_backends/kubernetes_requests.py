"""HTTP of the world in memory for those who also send requests to the API server as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from rayrig_core.errors import ApiError
from rayrig_core.faultpoints import (
    CrashAfter,
    CrashBefore,
    Delay,
    ErrorBefore,
    FaultCounter,
    LostReply,
    Reaction,
    StaleRead,
)
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Cancelled, HttpClient, Runtime
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.http.fault_points import target_of
from rayrig_fakes.kubernetes.http.request_info import request_info
from rayrig_fakes.kubernetes.identity import ADMIN
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, Response, handle
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.status import error
from rayrig_fakes.kubernetes.storage.json_bytes import to_json

_SCHEME = "kubernetes://"


class KubernetesRequests:
    """Port `HttpClient`: URLs of the scheme `kubernetes` are answered by `server`, everything else by `http`.

    Requests to the server are calls of `actor`: they take their time (`latency` gives seconds for a verb), and faults strike them
    where they strike the calls of its client. `from_server` is what the server's proxies reach pods with. Streams are read to their
    end; one that lasts longer than the caller waits is a timeout.
    """

    def __init__(
        self,
        server: ApiServer,
        runtime: Runtime,
        http: HttpClient,
        from_server: HttpClient,
        *,
        actor: str = "",
        latency: Callable[[str], float] = lambda verb: 0.0,
        faults: FaultCounter | None = None,
    ) -> None:
        self._server = server
        self._runtime = runtime
        self._http = http
        self._from_server = from_server
        self._actor = actor
        self._latency = latency
        self._faults = faults
        self._proxied = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        if not url.startswith(_SCHEME):
            return await self._http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)
        path, _, query = url.removeprefix(_SCHEME).partition("?")
        request = HttpRequest.of(method, f"{unquote(path)}?{query}", headers=headers, body=body)
        runtime = self._runtime
        info = request_info(method, request.path, request.query)
        half_s = self._latency(info.verb) / 2
        reaction = self._strike(info.verb, target_of(info, body))
        if isinstance(reaction, Delay):
            await runtime.sleep(min(reaction.delay_s, timeout_s))
            if reaction.delay_s >= timeout_s:
                raise HttpFailure(Failure.TIMEOUT, url)
        await runtime.sleep(half_s)
        answer = await self._struck(request, reaction)
        await runtime.sleep(half_s)
        return await self._whole(answer, timeout_s)

    def _strike(self, verb: str, target: str) -> Reaction | None:
        reaction = self._faults.pass_through(self._actor, verb, target) if self._faults is not None else None
        if reaction is not None:
            self._runtime.trace.emit(Kind.FAULT, target, type(reaction).__name__, f"{self._actor} {verb}")
        return reaction

    async def _struck(self, request: HttpRequest, reaction: Reaction | None) -> Response:
        """The server's answer, or what a fault makes of it."""
        if isinstance(reaction, CrashBefore):
            raise Cancelled
        if isinstance(reaction, ErrorBefore):
            return _refusal(error(reaction.code, reaction.reason, reaction.message))
        answer = await self._answer(request, reaction if isinstance(reaction, StaleRead) else None)
        if isinstance(reaction, CrashAfter):
            raise Cancelled
        if isinstance(reaction, LostReply):
            return _refusal(error(reaction.code, reaction.reason, reaction.message))
        return answer

    async def _answer(self, request: HttpRequest, stale: StaleRead | None) -> Response:
        if "/proxy" in request.path:
            # Heavy, and rarely asked for.
            from rayrig_fakes.kubernetes.http.beyond import ask

            self._proxied += 1
            try:
                found = await ask(self._server, request, self._from_server, self._proxied)
            except ApiError as refused:
                return _refusal(refused)
            if isinstance(found, ApiResponse):
                return found
        return handle(self._server, request, ADMIN, stale)

    async def _whole(self, answer: Response, timeout_s: float) -> HttpResponse:
        if isinstance(answer, ApiResponse):
            return HttpResponse(answer.status, answer.body, dict(answer.headers))
        lasts_s = answer.timeout_s if isinstance(answer, WatchResponse) else None
        if lasts_s is None or lasts_s > timeout_s:
            await self._runtime.sleep(timeout_s)
            answer.close()
            raise HttpFailure(Failure.TIMEOUT, "a stream that goes on")
        await self._runtime.sleep(lasts_s)
        lines = b"".join(answer.lines())
        answer.close()
        return HttpResponse(answer.status, lines, dict(answer.headers))


def _refusal(refused: ApiError) -> ApiResponse:
    return ApiResponse(refused.code, to_json(refused.status))
