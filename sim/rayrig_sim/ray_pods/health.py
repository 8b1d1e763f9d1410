"""What a Ray container's own HTTP servers answer about health: the dashboard agent (52365), and the dashboard where nothing better
is given (ray-serve.md 2.4)."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_sim.network.listeners import Listener

_TEXT = "application/text; charset=utf-8"
SUCCESS = HttpResponse.text(200, "success", _TEXT)
_NOT_FOUND = HttpResponse.text(404, "404: Not Found")
_HEAD_HEALTHY = HttpResponse.text(200, "raylet: success\ngcs: success", _TEXT)
_WORKER_HEALTHY = HttpResponse.text(200, "raylet: success\ngcs: success (no local gcs)", _TEXT)

#: The reason why something is not healthy, empty when it is.
Health = Callable[[], str]


def _not_allowed(allowed: str) -> HttpResponse:
    answer = HttpResponse.text(405, "405: Method Not Allowed")
    return HttpResponse(answer.status, answer.body, {**answer.headers, "allow": allowed})


class NodeAgent:
    """The dashboard agent of one node."""

    __slots__ = ("_gcs", "_is_head", "_raylet", "_serve")

    def __init__(
        self, raylet: Health, gcs: Health, *, is_head: bool, serve: Callable[[], Listener | None] = lambda: None
    ) -> None:
        """`serve` gives what answers about Serve, which agents of old releases do."""
        self._raylet = raylet
        self._gcs = gcs
        self._is_head = is_head
        self._serve = serve

    def serve(self, path: str) -> Listener | None:
        """What answers instead of the agent."""
        return self._serve() if path.startswith("/api/serve/") else None

    def answer(self, method: str, path: str) -> HttpResponse:
        if path not in ("/api/local_raylet_healthz", "/api/healthz"):
            return _NOT_FOUND
        if method not in ("GET", "HEAD"):
            return _not_allowed("GET,HEAD,OPTIONS")
        raylet = self._raylet()
        if path == "/api/local_raylet_healthz":
            return SUCCESS if not raylet else HttpResponse.text(503, raylet, _TEXT)
        gcs = self._gcs() if self._is_head else ""
        if not raylet and not gcs:
            return _HEAD_HEALTHY if self._is_head else _WORKER_HEALTHY
        lines = [f"raylet: {raylet or 'success'}"]
        lines.append(f"gcs: {gcs or 'success'}" if self._is_head else "gcs: success (no local gcs)")
        return HttpResponse.text(503, "\n".join(lines), _TEXT)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        serve = self.serve(request.path)
        if serve is not None:
            return await serve.handle(request)
        return self.answer(request.method, request.path)


class BareDashboard:
    """The dashboard's health endpoint alone."""

    __slots__ = ("_gcs",)

    def __init__(self, gcs: Health) -> None:
        self._gcs = gcs

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.path != "/api/gcs_healthz":
            return _NOT_FOUND
        if request.method not in ("GET", "HEAD"):
            return _not_allowed("GET,HEAD")
        return self._answer()

    def get_at_once(self, path: str) -> HttpResponse | None:
        """What a GET of the health of the GCS is answered now, without being made; None for other paths."""
        return self._answer() if path == "/api/gcs_healthz" else None

    def _answer(self) -> HttpResponse:
        reason = self._gcs()
        return SUCCESS if not reason else HttpResponse.text(503, reason, _TEXT)


class OpenPort:
    """A port on which something listens that nobody asks anything: Ray client server, metrics."""

    async def handle(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse.text(200, "")
