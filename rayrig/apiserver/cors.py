"""Which pages of other origins may read answers (`reference/kuberay-apiserver.md` section 1)."""

from __future__ import annotations

from dataclasses import replace

from rayrig_core.http import HttpRequest, HttpResponse

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = frozenset(("accept", "content-type", "x-requested-with"))
_ASKED = "access-control-request-method"


class CrossOrigin:
    """Allows pages of one origin, or of all (`*`)."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def preflight(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to a browser that asks before it sends; None for any other request."""
        asked = request.headers.get(_ASKED)
        if request.method != "OPTIONS" or not asked:
            return None
        headers = {"vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        wanted = request.headers.get("access-control-request-headers", "")
        is_allowed = all(name.strip().lower() in _HEADERS for name in wanted.split(",") if name.strip())
        if self._allows(request) and asked.upper() in _METHODS and is_allowed:
            headers |= {"access-control-allow-origin": self._origin, "access-control-allow-methods": asked}
            if wanted:
                headers["access-control-allow-headers"] = wanted
        return HttpResponse(204, b"", headers)

    def marked(self, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        """The answer with what lets a page of the origin read it."""
        headers = {**answer.headers, "vary": "Origin"}
        if self._allows(request) and request.method in _METHODS:
            headers["access-control-allow-origin"] = self._origin
        return replace(answer, headers=headers)

    def _allows(self, request: HttpRequest) -> bool:
        origin = request.headers.get("origin", "")
        return bool(origin) and self._origin in ("*", origin)
