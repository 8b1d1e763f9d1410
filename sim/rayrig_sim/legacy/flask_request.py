"""What a backend gets as a request: the shape of Flask's (ray-serve.md 13.1)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from rayrig_core.http import HttpRequest
from rayrig_sim.serve.request import UserRequest


class FlaskRequest(UserRequest):
    """One HTTP request. A call by handle brings an empty one."""

    __slots__ = ()

    def __init__(self, http: HttpRequest | None = None) -> None:
        super().__init__(http or HttpRequest("GET", "/"))

    @property
    def args(self) -> dict[str, str]:
        """The query, with the first value of each name."""
        return {name: values[0] for name, values in self._http.query.items() if values}

    @property
    def data(self) -> bytes:
        return self._http.body

    @property
    def json(self) -> Any:
        """The body as JSON, None when it is empty. Raises `ValueError`."""
        return json.loads(self._http.body) if self._http.body else None

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self._http.body.decode(), keep_blank_values=True))
