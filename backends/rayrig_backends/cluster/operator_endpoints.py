"""What an operator process answers on its own port: `/healthz`, `/readyz` and `/metrics` (kuberay-operator 3.19 and 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rayrig_controllers.metrics import CONTENT_TYPE

_TEXT = "text/plain; charset=utf-8"


class OperatorEndpoints:
    """A small ASGI application. `metrics` gives Prometheus' text; `is_ready` says whether the caches are filled."""

    def __init__(self, metrics: Callable[[], str], is_ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_ready = is_ready

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        status, content_type, text = self.answer(scope["method"], scope["path"])
        body = text.encode()
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def answer(self, method: str, path: str) -> tuple[int, str, str]:
        """Status, content type and body."""
        if method not in ("GET", "HEAD"):
            return 405, _TEXT, "method not allowed\n"
        if path == "/healthz":
            return 200, _TEXT, "ok"
        if path == "/readyz":
            return (200, _TEXT, "ok") if self._is_ready() else (500, _TEXT, "caches are not filled yet\n")
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._metrics()
        return 404, _TEXT, "404 page not found\n"

    def close(self) -> None:
        """Nothing here answers for long."""
