"""Where a new connection goes, and connections that are kept.

A connection picks one of the Service's endpoints with equal chance when it is opened, and stays with that pod
whatever becomes of the endpoint (kubernetes-api.md 11). What was looked up is kept until the service table or the
network says that something changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from rayrig_core.http import Failure, HttpRequest
from rayrig_core.timestamps import to_ns
from rayrig_sim.kubernetes.endpoints.service_proxy import Backend, ServiceTable
from rayrig_sim.kubernetes.gateway.routes import GatewayTable
from rayrig_sim.network.fabric import Reach
from rayrig_sim.traffic.requests import Fate, KeepAlive, NoLink, Target

NEVER_NS = 1 << 62


class Pods(Protocol):
    """What traffic needs of the network (`rayrig_sim.network.Network`)."""

    table: ServiceTable
    gateways: GatewayTable
    version: int

    def listener(self, ip: str, port: int) -> object | None: ...

    def reach(self, source: str, ip: str) -> Reach: ...

    def on_gone(self, ip: str, callback: Callable[[Failure], None]) -> Callable[[], None]: ...


class Link:
    """A pod's port as one source sees it now. `server` is who listens; None: nobody does."""

    __slots__ = ("cause", "ip", "is_watched", "pod", "port", "previous", "reach", "server")

    def __init__(self, backend: Backend) -> None:
        self.ip = backend.pod_ip
        self.port = backend.port
        self.pod = backend.pod_name
        self.server: object | None = None
        #: Who listened last, for the cause of a refusal.
        self.previous: object | None = None
        self.reach = Reach.OK
        self.is_watched = False
        #: What the host went for, when it did.
        self.cause: int | None = None


@dataclass(slots=True, eq=False)
class Connection:
    """An open connection: to this server process on this pod. `used_ns` is when its last answer came, `expires_ns` when
    the client will not use it again."""

    link: Link
    server: object
    used_ns: int
    expires_ns: int = NEVER_NS


class Connector:
    """Opens connections of one source to one target. `on_gone` hears of hosts that go while it knows them."""

    __slots__ = (
        "_links",
        "_network_version",
        "_on_gone",
        "_random",
        "_source",
        "_table_version",
        "choices",
        "pods",
        "target",
    )

    def __init__(
        self, pods: Pods, target: Target, source: str, rng: Random, on_gone: Callable[[Link, Failure], None]
    ) -> None:
        self._on_gone = on_gone
        self.pods = pods
        self.target = target
        #: Links to the endpoints that new connections go to.
        self.choices: list[Link] = []
        self._source = source
        self._random = rng.random
        self._links: dict[tuple[str, int, str], Link] = {}
        self._table_version = -1
        self._network_version = -1

    def choose(self, request: HttpRequest | None = None) -> Link | None:
        """The link of a new connection, whatever is sent over it; None when there is no endpoint."""
        pods = self.pods
        if self._table_version != pods.table.version or self._network_version != pods.version:
            self.refresh()
        choices = self.choices
        if len(choices) > 1:
            return choices[int(self._random() * len(choices))]
        return choices[0] if choices else None

    def is_current(self) -> bool:
        """Whether what the links say is what the network says."""
        pods = self.pods
        return self._network_version == pods.version and self._table_version == pods.table.version

    def refresh(self) -> None:
        pods, target = self.pods, self.target
        self._table_version = pods.table.version
        self._network_version = pods.version
        self.choices = []
        for backend in pods.table.backends(target.namespace, target.service, target.port):
            key = (backend.pod_ip, backend.port, backend.pod_name)
            link = self._links.get(key)
            if link is None:
                link = self._links[key] = Link(backend)
            self.choices.append(link)
        for link in self._links.values():
            server = pods.listener(link.ip, link.port)
            if server is not link.server:
                link.previous = link.server or link.previous
                link.server = server
            link.reach = pods.reach(self._source, link.ip)
            if not link.is_watched and link.reach is Reach.OK:
                link.is_watched = True
                pods.on_gone(link.ip, self._listen_to(link))

    def _listen_to(self, link: Link) -> Callable[[Failure], None]:
        def gone(failure: Failure) -> None:
            link.is_watched = False
            self._on_gone(link, failure)

        return gone

    def why_no_link(self) -> NoLink:
        """What becomes of a request for which `choose` found nothing."""
        has_service = self.pods.table.has_service(self.target.namespace, self.target.service)
        why = "the Service has no ready endpoint" if has_service else "no such Service"
        return NoLink(Fate.NO_ENDPOINT, None, why, self.cause())

    def cause(self) -> int | None:
        """Trace event of the last change of the Service's endpoints."""
        return self.pods.table.cause_of(self.target.namespace, self.target.service)


class ConnectionPool:
    """Kept connections of an open loop, used in turn."""

    __slots__ = ("_busy", "_idle", "_idle_ns", "_size")

    def __init__(self, options: KeepAlive) -> None:
        self._size = options.size
        self._idle_ns = to_ns(options.idle_timeout_s)
        self._idle: deque[Connection] = deque()
        self._busy = 0

    def take(self, now_ns: int) -> Connection | None:
        """A kept connection that still stands; None when a new one is to be opened. Either counts as busy."""
        idle = self._idle
        while idle and len(idle) + self._busy >= self._size:
            connection = idle.popleft()
            if is_open(connection, now_ns, self._idle_ns):
                self._busy += 1
                return connection
        self._busy += 1
        return None

    def give_back(self, connection: Connection | None) -> None:
        """The request has ended; None when the connection did not survive it or was never made."""
        self._busy -= 1
        if connection is not None and len(self._idle) + self._busy < self._size:
            self._idle.append(connection)


def is_open(connection: Connection, now_ns: int, idle_ns: int) -> bool:
    """Whether a kept connection can carry another request: neither side has closed it."""
    server = connection.server
    if now_ns - connection.used_ns >= idle_ns or connection.link.server is not server:
        return False
    if now_ns >= connection.expires_ns:
        return False
    if getattr(server, "is_closed", False):
        return False
    server_idle_s: float | None = getattr(server, "keep_alive_timeout_s", None)
    return server_idle_s is None or now_ns - connection.used_ns < to_ns(server_idle_s)
