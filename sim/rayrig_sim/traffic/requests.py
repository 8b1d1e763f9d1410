"""What is sent where, and what can become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rayrig_sim.calibration import Distribution


class Fate(StrEnum):
    """What became of a request; each has exactly one. Only `OK` is no failure."""

    OK = "ok"
    #: Nobody listens at the pod that was chosen.
    REFUSED = "refused"
    #: The Service has no endpoint, or does not exist.
    NO_ENDPOINT = "no-endpoint"
    #: The connection broke before the answer.
    RESET = "connection-reset"
    #: No answer within the client's limit, or the proxy's own limit passed (408).
    TIMEOUT = "timeout"
    NOT_FOUND = "404"
    ERROR = "500"
    #: Too many queued (503 or 429), or the deployment is unavailable.
    UNAVAILABLE = "503"
    #: Any other status from 400 on.
    OTHER = "other"


_BY_STATUS = {404: Fate.NOT_FOUND, 408: Fate.TIMEOUT, 429: Fate.UNAVAILABLE, 500: Fate.ERROR, 503: Fate.UNAVAILABLE}


def fate_of(status: int) -> Fate:
    """The fate that an HTTP status stands for."""
    return Fate.OK if status < 400 else _BY_STATUS.get(status, Fate.OTHER)


@dataclass(frozen=True, slots=True)
class RequestClass:
    """One kind of request of a mix. `weight` is relative to the others. `duration` replaces the ingress's own latency
    (a long generation, a slow query)."""

    name: str = "request"
    weight: float = 1.0
    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    duration: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A Service's port."""

    service: str
    namespace: str = "default"
    port: int = 8000


@dataclass(frozen=True, slots=True)
class GatewayTarget:
    """A Gateway's listener."""

    gateway: str
    namespace: str = "default"
    port: int = 80


@dataclass(frozen=True, slots=True)
class NoLink:
    """Why a request has nowhere to go. `status` None: nobody answers at all. `cause` is the trace event behind it."""

    fate: Fate
    status: int | None
    detail: str
    cause: int | None


@dataclass(frozen=True, slots=True)
class FreshConnections:
    """Every request opens its own connection."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Connections are kept, each pinned to the pod it was opened to, until they break, idle too long, or the server
    closes.

    An open loop goes round `size` connections, and opens further ones when all are busy; a closed loop has one per
    client. `idle_timeout_s` is the client's; the server's own also holds. A connection older than `max_age_s` is closed
    after its answer and another opened, which may lead to another pod: so clients move over when pods are replaced.
    """

    size: int = 8
    idle_timeout_s: float = 90.0
    max_age_s: float | None = None
