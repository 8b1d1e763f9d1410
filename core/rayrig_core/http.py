"""One HTTP exchange as a value, and the ways in which no answer can come.

The same request and response types pass between controllers and dashboards, probes and containers, and through the fake servers'
sans-IO cores, whether a socket is involved or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

_NO_HEADERS: Mapping[str, str] = {}


class Failure(StrEnum):
    """Why no HTTP answer came."""

    REFUSED = "connection refused"
    RESET = "connection reset"
    TIMEOUT = "timeout"
    UNRESOLVED = "no such host"
    UNREACHABLE = "no route to host"


class HttpFailure(Exception):
    """No answer: the connection failed or the time limit passed."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        self.failure = failure
        super().__init__(f"{failure.value}: {detail}" if detail else failure.value)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`path` is without the query; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(
        cls, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> HttpRequest:
        """From a target such as `/api/v1/pods?limit=5`."""
        path, _, query = target.partition("?")
        parsed = parse_qs(query, keep_blank_values=True) if query else {}
        return cls(method, path, parsed, headers or _NO_HEADERS, body)

    def json(self) -> Any:
        """Body parsed as JSON. Raises `ValueError`."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer. Header names are lower case; an empty `reason` stands for the status' usual phrase."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def text(cls, status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> HttpResponse:
        return cls(status, text.encode(), {"content-type": content_type})

    @classmethod
    def of_json(cls, status: int, value: Any) -> HttpResponse:
        body = json.dumps(value, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json; charset=utf-8"})

    def json(self) -> Any:
        """Body parsed as JSON. Raises `ValueError`."""
        return json.loads(self.body)
