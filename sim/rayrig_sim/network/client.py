"""HTTP through the network: names, Services, Gateways, faults on the way; and what repeats without being sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from rayrig_core.faultpoints import CrashAfter, CrashBefore, Delay, ErrorBefore, LostReply, Reaction
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.ports import Cancelled
from rayrig_core.timestamps import NS, to_ns
from rayrig_core.trace import Kind
from rayrig_sim.calibration import drawing
from rayrig_sim.kubernetes.gateway.routes import chosen_backend
from rayrig_sim.network.fabric import Network, Reach
from rayrig_sim.network.listeners import Foreseeable


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


class NetworkClient:
    """HTTP from `source`: an actor's name, or a pod's address (then that pod's loss cuts it off and `localhost` is itself).

    Short service names are looked up in `namespace`. Each request is a connection of its own; each source draws from its own
    random stream (port `HttpClient`).
    """

    __slots__ = ("_namespace", "_network", "_rng", "_source")

    def __init__(self, network: Network, source: str, *, namespace: str = "default") -> None:
        self._network = network
        self._source = source
        self._namespace = namespace
        self._rng = network.streams.stream(f"network/{source}")

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        faults = self._network.faults
        if faults is None:
            return await self._exchange(method, url, body, headers, timeout_s)
        target = url.partition("?")[0]
        reaction = faults.pass_through(self._source, method, target)
        if reaction is not None:
            detail = f"{self._source} {method}"
            self._network.runtime.trace.emit(Kind.FAULT, target, type(reaction).__name__, detail)
        if isinstance(reaction, Delay):
            await self._network.runtime.sleep(min(reaction.delay_s, timeout_s))
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
        network, runtime, rng = self._network, self._network.runtime, self._rng
        calibration = network.calibration
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
            raise await network.times_out(deadline, url)
        answer = await network.exchange(self._source, ip, pod_port, request, deadline, url)
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
            return await network.exchange(self._source, picked.pod_ip, picked.port, request, deadline, url)
        except HttpFailure as failure:
            if failure.failure is Failure.TIMEOUT:
                raise
            return HttpResponse.text(503, f"the connection to Service {backend.service} broke")

    def _repetition(self, request: HttpRequest, host: str, port: int, timeout_ns: int) -> _SameExchange | None:
        """How a request that was answered can be repeated without being sent."""
        network, rng = self._network, self._rng
        address = self._sure_address(host, port)
        listener = network.listener(*address) if address is not None else None
        if request.method != "GET" or not isinstance(listener, Foreseeable) or network.faults is not None:
            return None
        forecast = listener.foresee(request)
        if forecast is None:
            return None
        calibration = network.calibration
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
        network, runtime = self._network, self._network.runtime
        left = deadline - runtime.monotonic_ns()
        if delay_ns >= left:
            raise await network.times_out(deadline, url)
        if delay_ns:
            await runtime.sleep(delay_ns / NS)


class _SameExchange:
    """An exchange that can be repeated without packets being sent (`rayrig_core.idle.Repetition`)."""

    __slots__ = ("_client", "_host", "_listener", "_port", "_request", "_seen", "_version", "draws", "most_ns")

    draws: tuple[Callable[[], int], ...]
    most_ns: int

    def __init__(
        self, client: NetworkClient, request: HttpRequest, host: str, port: int, listener: Foreseeable, version: object
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


def _after(reaction: Reaction | None, answer: HttpResponse, url: str) -> HttpResponse:
    if isinstance(reaction, LostReply):
        raise HttpFailure(Failure.TIMEOUT, f"{url}: {reaction.message}")
    if isinstance(reaction, CrashAfter):
        raise Cancelled
    if reaction is not None and not isinstance(reaction, Delay):
        raise ValueError(f"{type(reaction).__name__} has no meaning for an HTTP request")
    return answer
