"""`from rayrig_sim.legacy import requests`: HTTP from the driver, in virtual time, in the shape of the library of that name."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.timestamps import NS
from rayrig_sim.driver import Pending
from rayrig_sim.legacy import session
from rayrig_sim.legacy.instance import LegacyServe


class ConnectionError(Exception):  # noqa: A001 - the library's own name
    """Nobody answers there."""


class Timeout(Exception):
    """No answer in time."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. `elapsed` is virtual time."""

    status_code: int
    content: bytes
    elapsed: timedelta
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    def json(self) -> Any:
        """Raises `ValueError`."""
        return json_text.loads(self.content)


def send(
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    data: bytes | str = b"",
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 1e6,
) -> Pending[Response]:
    """Begin a request and return at once, so that several can be under way. Its `result` raises `ConnectionError` or `Timeout`."""
    instance = session.current()
    body = json_text.dumps(json).encode() if json is not None else data.encode() if isinstance(data, str) else data
    if params:
        url += ("&" if "?" in url else "?") + urlencode(params)
    return instance.begin(_ask, instance, method, url, body, headers, timeout)


def request(method: str, url: str, **options: Any) -> Response:
    """`send`, and wait for its end."""
    return send(method, url, **options).result()


def get(url: str, **options: Any) -> Response:
    """`request` with GET."""
    return request("GET", url, **options)


def post(url: str, **options: Any) -> Response:
    """`request` with POST."""
    return request("POST", url, **options)


async def _ask(
    instance: LegacyServe, method: str, url: str, body: bytes, headers: Mapping[str, str] | None, timeout_s: float
) -> Response:
    began = instance.kernel.monotonic_ns()
    inside = _inside(url, instance)
    try:
        answer: HttpResponse = await instance.http.request(
            method, inside, body=body, headers=headers, timeout_s=timeout_s
        )
    except HttpFailure as failure:
        raise (Timeout if failure.failure is Failure.TIMEOUT else ConnectionError)(str(failure)) from None
    took_s = (instance.kernel.monotonic_ns() - began) / NS
    return Response(answer.status, answer.body, timedelta(seconds=took_s), dict(answer.headers))


def _inside(url: str, instance: LegacyServe) -> str:
    """The driver runs beside the proxy."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    name, _, port = host.partition(":")
    if name in ("127.0.0.1", "localhost", instance.http_host):
        host = f"{instance.address}:{port or 80}"
    return f"{scheme}://{host}/{path}"
