"""One HTTP request at a proxy: the call that it becomes, and how its end becomes an answer (`reference/ray-serve.md`
6.6).
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_sim.serve.calls import BackPressure, Call, DeploymentUnavailable, ReplicaDied
from rayrig_sim.serve.request import ServeRequest, to_response


class Proxy(Protocol):
    """The proxy that took a request, as the request knows it."""

    #: Requests taken and not answered, in order.
    in_flight: dict[HttpExchange, None]

    @property
    def routes_cause(self) -> int | None:
        """Trace event of the last route table, or of the end of the process."""


class HttpExchange(Call):
    """A request that a proxy has taken and not answered. Subclasses say what an answer or a broken connection means
    to the client.

    `http` is shared by all requests that are alike.
    """

    __slots__ = ("app", "http", "proxy", "route_prefix", "timer")

    proxy: Proxy | None
    route_prefix: str
    timer: Any

    def __init__(self, http: HttpRequest, service_ns: int = -1) -> None:
        Call.__init__(self, "__call__", service_ns)
        self.http = http
        self.proxy = None
        self.app = ""
        self.timer = None

    @property
    def model_id(self) -> str:  # type: ignore[override]
        """From the request's header."""
        headers = self.http.headers
        return headers.get("serve_multiplexed_model_id", "") if headers else ""

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (ServeRequest(self.http, self.route_prefix),), {}

    def finished(self, ok: bool, value: Any) -> None:
        self.is_done = True
        assert self.proxy is not None
        self.proxy.in_flight.pop(self, None)
        self.answered(ok, value)

    def answered(self, ok: bool, value: Any) -> None:
        """The answer is on its way: `value` as user code returned it, or the exception. `response_of` makes it HTTP."""
        raise NotImplementedError

    def was_reset(self, cause: int | None) -> None:
        """The connection broke before an answer."""
        raise NotImplementedError

    def abandon(self) -> None:
        """The client is gone: the request's task is cancelled."""
        proxy = self.proxy
        if proxy is not None and not self.is_done:
            proxy.in_flight.pop(self, None)
        self.cancel()


#: User code raised, in the ingress or behind it.
RAISED = HttpResponse(500, b"Internal Server Error")
#: The ingress replica died. Recorded with a content type, unlike the other (golden/ray-serve S06, S32).
DIED = HttpResponse.text(500, "Internal Server Error")


def response_of(ok: bool, value: Any) -> HttpResponse:
    """The HTTP answer for the end of an ingress call."""
    if ok:
        try:
            return to_response(value)
        except (TypeError, ValueError):
            return RAISED
    if isinstance(value, HttpResponse):
        return value
    if isinstance(value, BackPressure):
        response = HttpResponse.text(value.status, str(value))
        if value.retry_after_s is None:
            return response
        return HttpResponse(
            response.status, response.body, {**response.headers, "retry-after": str(math.ceil(value.retry_after_s))}
        )
    if isinstance(value, DeploymentUnavailable):
        return HttpResponse.text(503, str(value))
    return DIED if isinstance(value, ReplicaDied) else RAISED


def status_of(ok: bool, value: Any) -> int:
    """The status of `response_of`, without making the answer."""
    if ok:
        return value.status if type(value) is HttpResponse else 200
    if isinstance(value, HttpResponse):
        return value.status
    if isinstance(value, BackPressure):
        return value.status
    return 503 if isinstance(value, DeploymentUnavailable) else 500
