"""One request by URL from inside the cluster, as from a curl pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rayrig_core.http import Failure, HttpFailure
from rayrig_core.ports import Clock, HttpClient


@dataclass(frozen=True, slots=True)
class CurlResult:
    """The answer, or why none came (`failure`, then `status` is None). `took_ns` is virtual time."""

    status: int | None
    body: str
    headers: Mapping[str, str]
    failure: Failure | None
    detail: str
    took_ns: int


async def curl(
    client: HttpClient,
    clock: Clock,
    url: str,
    *,
    method: str = "GET",
    body: bytes | str = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
) -> CurlResult:
    """Ask once. `url` may leave out `http://`, as curl allows; service names resolve as in a pod."""
    if "://" not in url:
        url = "http://" + url
    content = body.encode() if isinstance(body, str) else body
    began = clock.monotonic_ns()
    try:
        answer = await client.request(method, url, body=content, headers=headers, timeout_s=timeout_s)
    except HttpFailure as failure:
        return CurlResult(None, "", {}, failure.failure, str(failure), clock.monotonic_ns() - began)
    text = answer.body.decode(errors="replace")
    return CurlResult(answer.status, text, answer.headers, None, "", clock.monotonic_ns() - began)
