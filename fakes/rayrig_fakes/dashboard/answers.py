"""The shapes in which the dashboard's HTTP server answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rayrig_core.http import HttpResponse

NOT_FOUND = HttpResponse.text(404, "404: Not Found")
#: Of health endpoints.
HEALTH_TYPE = "application/text; charset=utf-8"
EMPTY = HttpResponse(200)


def json_answer(value: Any, status: int = 200) -> HttpResponse:
    return HttpResponse.of_json(status, value)


def encoded(body: bytes, status: int = 200) -> HttpResponse:
    """JSON that is encoded already."""
    return HttpResponse(status, body, {"content-type": "application/json; charset=utf-8"})


def method_not_allowed(allowed: Iterable[str]) -> HttpResponse:
    answer = HttpResponse.text(405, "405: Method Not Allowed")
    return HttpResponse(answer.status, answer.body, {**answer.headers, "allow": ",".join(sorted(allowed))})


def traceback_answer(error: BaseException, status: int = 500) -> HttpResponse:
    """An exception that left a handler: a traceback as text, whose last line is the exception."""
    return HttpResponse.text(status, traceback_text(error))


def traceback_text(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    name = kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
    if isinstance(error, json.JSONDecodeError):
        name = "json.decoder.JSONDecodeError"
    return f'Traceback (most recent call last):\n  File "dashboard.py", in handle\n{name}: {error}\n'
