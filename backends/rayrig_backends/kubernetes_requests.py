"""HTTP of the world in memory for those who also send requests to the API server as they are."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from rayrig_core.errors import ApiError
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Clock, HttpClient
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, Response, handle
from rayrig_fakes.kubernetes.rest.watch_response import WatchResponse
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.json_bytes import to_json

_SCHEME = "kubernetes://"


class KubernetesRequests:
    """Port `HttpClient`: URLs of the scheme `kubernetes` are answered by `server`, everything else by `http`.

    `from_server` is what its proxies reach pods with. Streams are read to their end: one that lasts longer than the caller waits
    is a timeout.
    """

    def __init__(self, server: ApiServer, clock: Clock, http: HttpClient, from_server: HttpClient) -> None:
        self._server = server
        self._clock = clock
        self._http = http
        self._from_server = from_server
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
        answer = await self._answer(HttpRequest.of(method, f"{unquote(path)}?{query}", headers=headers, body=body))
        if isinstance(answer, ApiResponse):
            return HttpResponse(answer.status, answer.body, dict(answer.headers))
        lasts_s = answer.timeout_s if isinstance(answer, WatchResponse) else None
        if lasts_s is None or lasts_s > timeout_s:
            await self._clock.sleep(timeout_s)
            answer.close()
            raise HttpFailure(Failure.TIMEOUT, url)
        await self._clock.sleep(lasts_s)
        lines = b"".join(answer.lines())
        answer.close()
        return HttpResponse(answer.status, lines, dict(answer.headers))

    async def _answer(self, request: HttpRequest) -> Response:
        if "/proxy" in request.path:
            # Heavy, and rarely asked for.
            from rayrig_fakes.kubernetes.http.beyond import ask

            self._proxied += 1
            try:
                found = await ask(self._server, request, self._from_server, self._proxied)
            except ApiError as refused:
                return ApiResponse(refused.code, to_json(refused.status))
            if isinstance(found, ApiResponse):
                return found
        return handle(self._server, request)
