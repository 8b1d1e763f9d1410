"""Who may ask the dashboard what: token authentication, and browsers (ray-serve.md 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_fakes.dashboard.answers import json_answer

_COOKIE = "ray-authentication-token"
_COOKIE_AGE_S = 30 * 24 * 3600
_PUBLIC = (
    "/",
    "/favicon.ico",
    "/api/authentication_mode",
    "/api/authenticate",
    "/api/healthz",
    "/api/gcs_healthz",
    "/api/local_raylet_healthz",
    "/-/healthz",
)
_READING = ("GET", "HEAD", "OPTIONS")
_BROWSER_HEADERS = ("origin", "referer")


class Access:
    """`token` empty: authentication is off."""

    def __init__(self, token: str = "") -> None:
        self._token = token

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """What a request without the right is answered; None when it may pass."""
        if self._token and request.path not in _PUBLIC and not request.path.startswith("/static/"):
            given = _token(request.headers)
            if given is None:
                return HttpResponse.text(401, "Unauthorized: Missing authentication token")
            if given != self._token:
                return HttpResponse.text(403, "Forbidden: Invalid authentication token")
        if request.method not in _READING and is_browser(request):
            return HttpResponse.text(405, f"'{request.method}' method not allowed for browser traffic.")
        return None

    def mode(self) -> HttpResponse:
        return json_answer({"authentication_mode": "token" if self._token else "disabled"})

    def authenticate(self, request: HttpRequest) -> HttpResponse:
        given = _token(request.headers)
        if not self._token or given is None:
            return HttpResponse.text(401, "Unauthorized: Missing authentication token")
        if given != self._token:
            return HttpResponse.text(403, "Forbidden: Invalid authentication token")
        answer = json_answer({"status": "authenticated", "message": "Token is valid"})
        cookie = f"{_COOKIE}={given}; HttpOnly; Max-Age={_COOKIE_AGE_S}; Path=/; SameSite=Strict"
        return HttpResponse(answer.status, answer.body, {**answer.headers, "set-cookie": cookie})


def is_browser(request: HttpRequest) -> bool:
    """Whether it looks like a browser's."""
    headers = request.headers
    return (
        "mozilla" in headers.get("user-agent", "").lower()
        or any(name in headers for name in _BROWSER_HEADERS)
        or any(name.startswith("sec-fetch-") for name in headers)
    )


def _token(headers: Mapping[str, str]) -> str | None:
    bearer = headers.get("authorization", "")
    if bearer.startswith("Bearer "):
        return bearer.removeprefix("Bearer ")
    if "x-ray-authorization" in headers:
        return headers["x-ray-authorization"].removeprefix("Bearer ")
    found = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    return found.value if found is not None else None
