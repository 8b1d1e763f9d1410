"""A request handed on to Kubernetes, again where it may have come at a bad moment (13.2; AS-063, AS-064)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from rayrig_core.http import HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Clock, HttpClient
from rayrig_core.timestamps import NS

_RETRIED = (408, 429, 500, 502, 503, 504)
#: Before each further attempt.
_WAITS_S = (0.5, 1.0, 2.0)
_ALTOGETHER_S = 30.0
#: Of one connection only, or of whoever asks: Kubernetes sees this server's own credentials.
_NOT_PASSED_ON = frozenset(
    (
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


class Forwarding:
    """`http` takes URLs of the scheme `kubernetes` to the API server, with credentials."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def forward(self, request: HttpRequest) -> HttpResponse:
        """The last answer, whole; 502 when there was none, or no time to try again. POSTs are sent again, too."""
        clock = self._clock
        url = f"kubernetes://{_target(request)}"
        headers = _passed_on(request.headers)
        ends_ns = clock.monotonic_ns() + round(_ALTOGETHER_S * NS)
        for wait_s in (*_WAITS_S, None):
            left_s = (ends_ns - clock.monotonic_ns()) / NS
            try:
                answer = await self._http.request(
                    request.method, url, body=request.body, headers=headers, timeout_s=left_s
                )
            except HttpFailure:
                break
            if answer.status not in _RETRIED or wait_s is None:
                return HttpResponse(answer.status, answer.body, _passed_on(answer.headers), answer.reason)
            if clock.monotonic_ns() + round(wait_s * NS) > ends_ns:
                break
            await clock.sleep(wait_s)
        return HttpResponse(502)


def _target(request: HttpRequest) -> str:
    query = urlencode(request.query, doseq=True)
    return quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _NOT_PASSED_ON}
