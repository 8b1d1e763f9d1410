"""The simulated cluster network: pod addresses, who listens where, names, connections, silence and partitions.

Control-plane HTTP (controllers to dashboards, users to services) goes through `Network.client`, an `HttpClient`. The data plane of
Serve keeps connections of its own: it looks listeners up with `Network.listener`, asks `Network.reach` whether packets get through
and learns of lost hosts by `Network.on_gone`. Pod networking is flat; a removed pod leaves an address where nobody answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from random import Random
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from rayrig_core.faultpoints import (
    CrashAfter,
    CrashBefore,
    Delay,
    ErrorBefore,
    FaultCounter,
    FaultInjector,
    LostReply,
    Reaction,
)
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Cancelled, HttpClient, Runtime, Signal
from rayrig_core.timestamps import NS, to_ns
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration, Distribution, drawing
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.kubernetes.gateway.routes import GatewayTable, chosen_backend
from rayrig_sim.randomness import Streams

#: First octet pair of pod addresses: node i owns 10.(244 + i // 256).(i % 256).0/24, as kubeadm's default pod network lays it out.
_POD_NETWORK = (10, 244)


@runtime_checkable
class Listener(Protocol):
    """Something that answers HTTP requests on a port."""

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer, after the time it takes. Raises `HttpFailure` when the server closes or never answers."""
        ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a listener would answer a request it was asked before.

    `version` is equal as long as the answer says the same, readings of a clock in it apart. `delays` are drawn, each from its
    stream, and add up to the time it takes; `draws` are the choices it makes besides.
    """

    version: object
    delays: tuple[tuple[Distribution, Random], ...] = ()
    draws: tuple[Callable[[], int], ...] = ()


class Foreseeable:
    """A listener that can tell what it would answer without being asked, and without anything coming of that."""

    def get_at_once(self, path: str) -> HttpResponse | None:
        """What a GET is answered now, where that takes no time and changes nothing; None where it does, or is not known."""
        return None

    def foresee(self, request: HttpRequest) -> Forecast | None:
        """How the request would be answered now; None when that is not known, or the request would change something."""
        return None


class Reach(Enum):
    """What happens to packets from a source to a host."""

    OK = "delivered"
    SILENT = "dropped: nothing comes back"
    REFUSED = "rejected at once"


class _State(Enum):
    UP = "up"
    SILENT = "silent"
    GONE = "gone"
    REFUSING = "gone, refusing"


class _Host:
    """One pod address."""

    __slots__ = ("exchanges", "ip", "node", "on_gone", "ports", "state")

    def __init__(self, ip: str, node: str) -> None:
        self.ip = ip
        self.node = node
        self.state = _State.UP
        self.ports: dict[int, object] = {}
        self.exchanges: dict[int, _Exchange] = {}
        self.on_gone: dict[int, Callable[[Failure], None]] = {}


@dataclass(slots=True)
class _Exchange:
    """A control-plane request under way. `done` carries the response or the failure to raise, and the trace event behind it."""

    done: Signal[tuple[HttpResponse | HttpFailure, int | None]]
    port: int


class AddressTaken(Exception):
    """Two listeners on one address and port: the second container of a pod cannot bind (EADDRINUSE)."""


class Network:
    """Addresses, listeners, partitions. One for each world."""

    def __init__(
        self,
        runtime: Runtime,
        table: ServiceTable,
        streams: Streams,
        calibration: Calibration,
        *,
        faults: FaultInjector | None = None,
    ) -> None:
        self.table = table
        self.gateways = GatewayTable()
        #: Grows with each change of listeners, hosts and partitions; a hot path may keep what it read while it stays the same.
        self.version = 0
        self._runtime = runtime
        self._streams = streams
        self._calibration = calibration
        self._faults = FaultCounter(faults) if faults is not None else None
        self._hosts: dict[str, _Host] = {}
        self._blocks: dict[str, _Block] = {}
        self._block_count = 0
        self._partitions: dict[tuple[str, str], None] = {}
        self._next_id = 0
        self._changed: Signal[None] = runtime.signal()

    # Addresses

    def allocate_pod_ip(self, node: str) -> str:
        """A fresh address in the node's range, up, with nothing listening. Freed ones come back only when the range is used up."""
        block = self._blocks.get(node)
        if block is None:
            block = self._blocks[node] = _Block([])
        ip = block.take()
        if ip is None:
            index = self._block_count
            self._block_count += 1
            block.prefixes.append(f"{_POD_NETWORK[0]}.{_POD_NETWORK[1] + index // 256}.{index % 256}")
            block.last = 1
            ip = block.take()
            assert ip is not None
        self._hosts[ip] = _Host(ip, node)
        self.version += 1
        return ip

    def add_address(self, ip: str, node: str) -> None:
        """An address that was given from outside: up, with nothing listening."""
        self._hosts[ip] = _Host(ip, node)
        self.version += 1

    def node_of(self, ip: str) -> str:
        """Node of an address, empty when unknown."""
        host = self._hosts.get(ip)
        return host.node if host is not None else ""

    def remove_pod(self, ip: str, *, refuse: bool = False) -> None:
        """The pod's network is taken down: open connections are reset; later ones get no answer, or a refusal with `refuse`."""
        host = self._hosts.get(ip)
        if host is None or host.state in (_State.GONE, _State.REFUSING):
            return
        self.version += 1
        self._reset(host, None)
        host.state = _State.REFUSING if refuse else _State.GONE
        host.ports.clear()
        block = self._blocks.get(host.node)
        if block is not None:
            block.free.append(ip)

    # Listeners

    def listen(self, ip: str, port: int, listener: object) -> None:
        """Attach a listener: a `Listener`, or any object that the data plane knows. Raises `AddressTaken`."""
        host = self._hosts.get(ip)
        if host is None:
            host = self._hosts[ip] = _Host(ip, "")
        elif host.state in (_State.GONE, _State.REFUSING):
            raise ValueError(f"{ip} was removed from the network; allocate a new address")
        if port in host.ports:
            raise AddressTaken(f"{ip}:{port} has a listener")
        host.ports[port] = listener
        self.version += 1

    def close(self, ip: str, port: int) -> None:
        """The process that listens there ends: its connections are reset, later ones are refused. Nothing when there is none."""
        host = self._hosts.get(ip)
        if host is not None and host.ports.pop(port, None) is not None:
            self.version += 1
            self._reset(host, port)

    def listener(self, ip: str, port: int) -> object | None:
        """Who listens there, whether packets get through or not. One dictionary look-up each for address and port."""
        host = self._hosts.get(ip)
        return host.ports.get(port) if host is not None else None

    def on_gone(self, ip: str, callback: Callable[[Failure], None]) -> Callable[[], None]:
        """Call `callback` once when the host goes: RESET when its network is taken down, TIMEOUT when it falls silent.

        Returns what takes the registration back. A host already gone calls back at once.
        """
        host = self._hosts.get(ip)
        if host is None or host.state is not _State.UP:
            silent = host is None or host.state is not _State.REFUSING
            callback(Failure.TIMEOUT if silent else Failure.RESET)
            return lambda: None
        self._next_id += 1
        number = self._next_id
        host.on_gone[number] = callback
        known = host

        def forget() -> None:
            known.on_gone.pop(number, None)

        return forget

    # Disturbances

    def silence(self, ip: str) -> None:
        """Packets to and from the host are dropped without a word, as when its machine loses power."""
        host = self._hosts.get(ip)
        if host is not None and host.state is _State.UP:
            host.state = _State.SILENT
            self.version += 1
            self._lose(host, Failure.TIMEOUT)

    def restore(self, ip: str) -> None:
        """End of `silence`."""
        host = self._hosts.get(ip)
        if host is not None and host.state is _State.SILENT:
            host.state = _State.UP
            self.version += 1
            self._wake()

    def silence_node(self, node: str) -> None:
        """`silence` every pod of the node."""
        for host in list(self._hosts.values()):
            if host.node == node:
                self.silence(host.ip)

    def restore_node(self, node: str) -> None:
        """End of `silence_node`."""
        for host in list(self._hosts.values()):
            if host.node == node:
                self.restore(host.ip)

    def partition(self, a: str, b: str) -> None:
        """Drop all packets between two ends, each a client's source name, a pod address, a node name, or `*`."""
        self._partitions[(a, b)] = None
        self.version += 1
        self._runtime.trace.emit(Kind.FAULT, "network", "partition", f"{a} | {b}")

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """End one partition, or all of them when no end is given."""
        for pair in list(self._partitions):
            if (a is None and b is None) or pair in ((a, b), (b, a)):
                del self._partitions[pair]
                self.version += 1
                self._runtime.trace.emit(Kind.FAULT, "network", "heal", f"{pair[0]} | {pair[1]}")
        self._wake()

    def reach(self, source: str, ip: str) -> Reach:
        """What becomes of packets from a source (name or address) to an address now."""
        host = self._hosts.get(ip)
        if host is None:
            return Reach.SILENT
        if host.state is not _State.UP:
            return Reach.REFUSED if host.state is _State.REFUSING else Reach.SILENT
        from_host = self._hosts.get(source)
        if from_host is not None and from_host.state is not _State.UP:
            return Reach.SILENT
        if self._partitions:
            here = ("*", source, from_host.node if from_host is not None and from_host.node else source)
            there = ("*", ip, host.node or ip)
            for a, b in self._partitions:
                if (a in here and b in there) or (b in here and a in there):
                    return Reach.SILENT
        return Reach.OK

    # Clients

    def client(self, source: str, *, namespace: str = "default") -> HttpClient:
        """HTTP from `source`: an actor's name, or a pod's address (then that pod's loss cuts it off and `localhost` is itself).

        Short service names are looked up in `namespace`. Each source draws from its own random stream.
        """
        return _Client(self, source, namespace)

    # Inside

    def _reset(self, host: _Host, port: int | None) -> None:
        for number, exchange in list(host.exchanges.items()):
            if port is None or exchange.port == port:
                del host.exchanges[number]
                failure = Failure.TIMEOUT if host.state is _State.SILENT else Failure.RESET
                exchange.done.set((HttpFailure(failure, f"{host.ip}:{exchange.port}"), self._runtime.cause))
        if port is None:
            self._lose(host, Failure.RESET)

    def _lose(self, host: _Host, failure: Failure) -> None:
        callbacks, host.on_gone = host.on_gone, {}
        for callback in callbacks.values():
            callback(failure)

    def _wake(self) -> None:
        changed, self._changed = self._changed, self._runtime.signal()
        changed.set(None)


class _Block:
    """Addresses of one node: .2 to .254 of each of its prefixes, then freed ones, oldest first."""

    __slots__ = ("free", "last", "prefixes")

    def __init__(self, prefixes: list[str]) -> None:
        self.prefixes = prefixes
        self.last = 254
        self.free: deque[str] = deque()

    def take(self) -> str | None:
        if self.last < 254:
            self.last += 1
            return f"{self.prefixes[-1]}.{self.last}"
        return self.free.popleft() if self.free else None


@lru_cache(maxsize=1024)
def _split_url(url: str) -> tuple[str, int, str]:
    """(host, port, target). Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"no http URL: {url!r}")
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), target


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit()


class _Client:
    """HTTP client of one source (port `HttpClient`). Each request is a connection of its own."""

    __slots__ = ("_namespace", "_network", "_rng", "_source")

    def __init__(self, network: Network, source: str, namespace: str) -> None:
        self._network = network
        self._source = source
        self._namespace = namespace
        self._rng = network._streams.stream(f"network/{source}")

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        faults = self._network._faults
        if faults is None:
            return await self._exchange(method, url, body, headers, timeout_s)
        target = url.partition("?")[0]
        reaction = faults.pass_through(self._source, method, target)
        if reaction is not None:
            detail = f"{self._source} {method}"
            self._network._runtime.trace.emit(Kind.FAULT, target, type(reaction).__name__, detail)
        if isinstance(reaction, Delay):
            await self._network._runtime.sleep(min(reaction.delay_s, timeout_s))
            if reaction.delay_s >= timeout_s:
                raise HttpFailure(Failure.TIMEOUT, url)
        elif isinstance(reaction, ErrorBefore):
            return HttpResponse.text(reaction.code, reaction.message)
        elif isinstance(reaction, CrashBefore):
            raise Cancelled
        answer = await self._exchange(method, url, body, headers, timeout_s)
        return _after(reaction, answer, url)

    async def _exchange(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str] | None, timeout_s: float
    ) -> HttpResponse:
        network, runtime, rng = self._network, self._network._runtime, self._rng
        calibration = network._calibration
        began_ns = runtime.monotonic_ns()
        deadline = began_ns + to_ns(timeout_s)
        host, port, target = _split_url(url)
        delay = calibration.connect_latency.draw_ns(rng) + calibration.http_latency.draw_ns(rng)
        if not _is_address(host):
            delay += calibration.dns_latency.draw_ns(rng)
        await self._sleep(delay, deadline, url)
        sent = {"host": f"{host}:{port}"}
        if headers:
            sent.update((name.lower(), value) for name, value in headers.items())
        request = HttpRequest.of(method, target, headers=sent, body=body)
        gateway = network.gateways.at(host)
        if gateway is not None:
            return await self._through(gateway, port, request, deadline, url)
        ip, pod_port = self._resolve(host, port, url)
        if ip is None:
            raise await self._times_out(deadline, url)
        answer = await self._ask(ip, pod_port, request, deadline, url)
        turn = runtime.turn
        if turn is not None:
            repetition = self._repetition(request, host, port, to_ns(timeout_s))
            if repetition is not None:
                turn.add(began_ns, runtime.monotonic_ns(), repetition)
        return answer

    async def _through(
        self, gateway: tuple[str, str], port: int, request: HttpRequest, deadline: int, url: str
    ) -> HttpResponse:
        """Through a Gateway: to the backend that its routes' weights choose; it answers itself for what has none."""
        network = self._network
        rules = network.gateways.rules(*gateway, port)
        if rules is None:
            raise HttpFailure(Failure.REFUSED, f"Gateway {'/'.join(gateway)} does not listen on port {port}")
        backend = chosen_backend(rules, request, self._rng)
        if isinstance(backend, HttpResponse):
            return backend
        picked = network.table.pick(self._rng, backend.namespace, backend.service, backend.port)
        if picked is None:
            return HttpResponse.text(503, f"no endpoint is ready behind Service {backend.service}")
        try:
            return await self._ask(picked.pod_ip, picked.port, request, deadline, url)
        except HttpFailure as failure:
            if failure.failure is Failure.TIMEOUT:
                raise
            return HttpResponse.text(503, f"the connection to Service {backend.service} broke")

    async def _ask(self, ip: str, pod_port: int, request: HttpRequest, deadline: int, url: str) -> HttpResponse:
        """One exchange with whoever listens at a pod's port."""
        network, runtime = self._network, self._network._runtime
        await self._until_reachable(ip, deadline, url)
        listener = network.listener(ip, pod_port)
        if listener is None:
            raise HttpFailure(Failure.REFUSED, f"{ip}:{pod_port}")
        if not isinstance(listener, Listener):
            raise TypeError(f"{ip}:{pod_port} is served by {type(listener).__name__}, which handles no HttpRequest")
        known = network._hosts[ip]
        done: Signal[Any] = runtime.signal()
        network._next_id += 1
        number = network._next_id
        known.exchanges[number] = _Exchange(done, pod_port)
        handler = runtime.spawn(f"{ip}:{pod_port}", _handle(runtime, listener, request, done))
        try:
            in_time = await runtime.wait(done, max(0, deadline - runtime.monotonic_ns()) / NS)
        finally:
            known.exchanges.pop(number, None)
            if not done.is_set:
                handler.cancel()
        if not in_time:
            raise HttpFailure(Failure.TIMEOUT, url)
        await self._until_reachable(ip, deadline, url, is_reply=True)
        outcome, cause = await done
        if cause is not None and cause > (runtime.cause or -1):
            # What the caller does next, it does because of what it was told.
            runtime.cause = cause
        if isinstance(outcome, HttpFailure):
            handler.cancel()
            if outcome.failure is Failure.TIMEOUT:
                raise await self._times_out(deadline, url)
            raise outcome
        answer: HttpResponse = outcome
        return answer

    def _repetition(self, request: HttpRequest, host: str, port: int, timeout_ns: int) -> _SameExchange | None:
        """How a request that was answered can be repeated without being sent."""
        network, rng = self._network, self._rng
        address = self._sure_address(host, port)
        listener = network.listener(*address) if address is not None else None
        if request.method != "GET" or not isinstance(listener, Foreseeable) or network._faults is not None:
            return None
        forecast = listener.foresee(request)
        if forecast is None:
            return None
        calibration = network._calibration
        draws, most_ns = [], 0
        own = [calibration.connect_latency, calibration.http_latency]
        if not _is_address(host):
            own.append(calibration.dns_latency)
        for distribution, stream in (*((one, rng) for one in own), *forecast.delays):
            known = drawing(distribution, stream)
            if known is None:
                return None
            draws.append(known[0])
            most_ns += known[1]
        if most_ns >= timeout_ns:
            return None
        same = _SameExchange(self, request, host, port, listener, forecast.version)
        same.draws, same.most_ns = (*draws, *forecast.draws), most_ns
        return same

    def _sure_address(self, host: str, port: int) -> tuple[str, int] | None:
        """Where every connection to that host and port leads; None when that is a matter of chance, or it leads nowhere."""
        if host in ("localhost", "127.0.0.1"):
            return self._source, port
        table = self._network.table
        if self._network.gateways.at(host) is not None:
            return None
        service = table.resolve(host, self._namespace)
        if service is None:
            return (host, port) if _is_address(host) else None
        backend = table.only_backend(service.namespace, service.name, port)
        return (backend.pod_ip, backend.port) if backend is not None else None

    def _resolve(self, host: str, port: int, url: str) -> tuple[str | None, int]:
        """Address and port to connect to; None when packets would lead nowhere. Raises `HttpFailure`."""
        network = self._network
        table = network.table
        if host in ("localhost", "127.0.0.1"):
            return self._source, port
        service = table.resolve(host, self._namespace)
        if service is None:
            if _is_address(host):
                return host, port
            ip = self._pod_name_address(host)
            if ip is not None:
                return ip, port
            raise HttpFailure(Failure.UNRESOLVED, host)
        picked = table.pick(self._rng, service.namespace, service.name, port)
        if picked is not None:
            return picked.pod_ip, picked.port
        if table.is_headless(service.namespace, service.name):
            raise HttpFailure(Failure.UNRESOLVED, host)
        if table.has_port(service.namespace, service.name, port):
            # The service proxy rejects connections to a service without endpoints; for a port it does not know it has no rule.
            raise HttpFailure(Failure.REFUSED, f"service {service.namespace}/{service.name} has no endpoints: {url}")
        return None, port

    def _pod_name_address(self, host: str) -> str | None:
        """`10-244-0-7.NAMESPACE.pod[.cluster.local]` names a pod by its address."""
        labels = host.split(".")
        if len(labels) >= 3 and labels[2] == "pod":
            return labels[0].replace("-", ".")
        return None

    async def _sleep(self, delay_ns: int, deadline: int, url: str) -> None:
        runtime = self._network._runtime
        left = deadline - runtime.monotonic_ns()
        if delay_ns >= left:
            raise await self._times_out(deadline, url)
        if delay_ns:
            await runtime.sleep(delay_ns / NS)

    async def _times_out(self, deadline: int, url: str) -> HttpFailure:
        runtime = self._network._runtime
        left = deadline - runtime.monotonic_ns()
        if left > 0:
            await runtime.sleep(left / NS)
        return HttpFailure(Failure.TIMEOUT, url)

    async def _until_reachable(self, ip: str, deadline: int, url: str, *, is_reply: bool = False) -> None:
        """Wait while packets are dropped: they are sent again until the network heals or time is up."""
        network, runtime = self._network, self._network._runtime
        while True:
            reach = network.reach(self._source, ip)
            if reach is Reach.OK:
                return
            if reach is Reach.REFUSED:
                raise HttpFailure(Failure.RESET if is_reply else Failure.REFUSED, url)
            if is_reply and network._hosts[ip].state is _State.GONE:
                return  # taken down after it had answered; the reset, if any, is the outcome
            left = deadline - runtime.monotonic_ns()
            if left <= 0 or not await runtime.wait(network._changed, left / NS):
                raise HttpFailure(Failure.TIMEOUT, url)


class _SameExchange:
    """An exchange that can be repeated without packets being sent (`rayrig_core.idle.Repetition`)."""

    __slots__ = ("_client", "_host", "_listener", "_port", "_request", "_seen", "_version", "draws", "most_ns")

    draws: tuple[Callable[[], int], ...]
    most_ns: int

    def __init__(
        self, client: _Client, request: HttpRequest, host: str, port: int, listener: Foreseeable, version: object
    ) -> None:
        self._client = client
        self._request = request
        self._host = host
        self._port = port
        self._listener = listener
        self._version = version
        #: Versions of network and Services for which the way was found to be as it was.
        self._seen = (-1, -1)

    def holds(self) -> bool:
        network = self._client._network
        now = (network.version, network.table.version)
        if now != self._seen:
            address = self._client._sure_address(self._host, self._port)
            if address is None or network.listener(*address) is not self._listener:
                return False
            if network.reach(self._client._source, address[0]) is not Reach.OK:
                return False
            self._seen = now
        forecast = self._listener.foresee(self._request)
        return forecast is not None and forecast.version == self._version


async def _handle(runtime: Runtime, listener: Listener, request: HttpRequest, done: Signal[Any]) -> None:
    """Carry a request out; `done` gets the outcome and the trace event that explains it."""
    outcome: HttpResponse | HttpFailure
    try:
        outcome = await listener.handle(request)
    except HttpFailure as failure:
        outcome = failure
    done.set((outcome, runtime.cause))


def _after(reaction: Reaction | None, answer: HttpResponse, url: str) -> HttpResponse:
    if isinstance(reaction, LostReply):
        raise HttpFailure(Failure.TIMEOUT, f"{url}: {reaction.message}")
    if isinstance(reaction, CrashAfter):
        raise Cancelled
    if reaction is not None and not isinstance(reaction, Delay):
        raise ValueError(f"{type(reaction).__name__} has no meaning for an HTTP request")
    return answer
