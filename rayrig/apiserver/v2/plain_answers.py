"""Answers of the proxy's own: plain text, as Go's HTTP library writes errors."""

from __future__ import annotations

from rayrig_core.http import HttpResponse


def plain_error(status: int, text: str, **headers: str) -> HttpResponse:
    return HttpResponse(
        status,
        f"{text}\n".encode(),
        {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", **headers},
    )
