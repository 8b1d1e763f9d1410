"""Addresses, who listens at them, and what becomes of packets between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rayrig_core.faultpoints import FaultCounter, FaultInjector
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Runtime, Signal
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.kubernetes.gateway.routes import GatewayTable
from rayrig_sim.network.listeners import Listener
from rayrig_sim.network.pod_addresses import PodAddresses
from rayrig_sim.randomness import Streams

#: Carries the response or the failure to raise, and the trace event behind it.
_Done = Signal[tuple[HttpResponse | HttpFailure, int | None]]


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
    """A control-plane request under way."""

    done: _Done
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
        self.runtime = runtime
        self.streams = streams
        self.calibration = calibration
        self.faults = FaultCounter(faults) if faults is not None else None
        self._hosts: dict[str, _Host] = {}
        self._addresses = PodAddresses()
        self._partitions: dict[tuple[str, str], None] = {}
        self._next_id = 0
        self._changed: Signal[None] = runtime.signal()

    # Addresses

    def allocate_pod_ip(self, node: str) -> str:
        """A fresh address in the node's range, up, with nothing listening. Freed ones come back only when the range is used up."""
        ip = self._addresses.take(node)
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
        self._addresses.free(ip, host.node)

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
        self.runtime.trace.emit(Kind.FAULT, "network", "partition", f"{a} | {b}")

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """End one partition, or all of them when no end is given."""
        for pair in list(self._partitions):
            if (a is None and b is None) or pair in ((a, b), (b, a)):
                del self._partitions[pair]
                self.version += 1
                self.runtime.trace.emit(Kind.FAULT, "network", "heal", f"{pair[0]} | {pair[1]}")
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

    # Exchanges

    async def exchange(
        self, source: str, ip: str, port: int, request: HttpRequest, deadline_ns: int, url: str
    ) -> HttpResponse:
        """One request from `source` to whoever listens there, until `deadline_ns` of the monotonic clock; `url` is for errors.

        Raises `HttpFailure`.
        """
        runtime = self.runtime
        await self._until_reachable(source, ip, deadline_ns, url)
        listener = self.listener(ip, port)
        if listener is None:
            raise HttpFailure(Failure.REFUSED, f"{ip}:{port}")
        if not isinstance(listener, Listener):
            raise TypeError(f"{ip}:{port} is served by {type(listener).__name__}, which handles no HttpRequest")
        known = self._hosts[ip]
        done: _Done = runtime.signal()
        self._next_id += 1
        number = self._next_id
        known.exchanges[number] = _Exchange(done, port)
        handler = runtime.spawn(f"{ip}:{port}", _handle(runtime, listener, request, done))
        try:
            in_time = await runtime.wait(done, max(0, deadline_ns - runtime.monotonic_ns()) / NS)
        finally:
            known.exchanges.pop(number, None)
            if not done.is_set:
                handler.cancel()
        if not in_time:
            raise HttpFailure(Failure.TIMEOUT, url)
        await self._until_reachable(source, ip, deadline_ns, url, is_reply=True)
        outcome, cause = await done
        if cause is not None and cause > (runtime.cause or -1):
            # What the caller does next, it does because of what it was told.
            runtime.cause = cause
        if isinstance(outcome, HttpFailure):
            handler.cancel()
            if outcome.failure is Failure.TIMEOUT:
                raise await self.times_out(deadline_ns, url)
            raise outcome
        return outcome

    async def times_out(self, deadline_ns: int, url: str) -> HttpFailure:
        """The failure of a caller that waits in vain, when its time is up."""
        left = deadline_ns - self.runtime.monotonic_ns()
        if left > 0:
            await self.runtime.sleep(left / NS)
        return HttpFailure(Failure.TIMEOUT, url)

    # Inside

    async def _until_reachable(
        self, source: str, ip: str, deadline_ns: int, url: str, *, is_reply: bool = False
    ) -> None:
        """Wait while packets are dropped: they are sent again until the network heals or time is up."""
        while True:
            reach = self.reach(source, ip)
            if reach is Reach.OK:
                return
            if reach is Reach.REFUSED:
                raise HttpFailure(Failure.RESET if is_reply else Failure.REFUSED, url)
            if is_reply and self._hosts[ip].state is _State.GONE:
                return  # taken down after it had answered; the reset, if any, is the outcome
            left = deadline_ns - self.runtime.monotonic_ns()
            if left <= 0 or not await self.runtime.wait(self._changed, left / NS):
                raise HttpFailure(Failure.TIMEOUT, url)

    def _reset(self, host: _Host, port: int | None) -> None:
        for number, exchange in list(host.exchanges.items()):
            if port is None or exchange.port == port:
                del host.exchanges[number]
                failure = Failure.TIMEOUT if host.state is _State.SILENT else Failure.RESET
                exchange.done.set((HttpFailure(failure, f"{host.ip}:{exchange.port}"), self.runtime.cause))
        if port is None:
            self._lose(host, Failure.RESET)

    def _lose(self, host: _Host, failure: Failure) -> None:
        callbacks, host.on_gone = host.on_gone, {}
        for callback in callbacks.values():
            callback(failure)

    def _wake(self) -> None:
        changed, self._changed = self._changed, self.runtime.signal()
        changed.set(None)


async def _handle(runtime: Runtime, listener: Listener, request: HttpRequest, done: _Done) -> None:
    """Carry a request out; `done` gets the outcome and the trace event that explains it."""
    outcome: HttpResponse | HttpFailure
    try:
        outcome = await listener.handle(request)
    except HttpFailure as failure:
        outcome = failure
    done.set((outcome, runtime.cause))
