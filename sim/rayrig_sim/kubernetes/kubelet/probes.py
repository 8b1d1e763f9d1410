"""One probe: what is asked of a container and what the answer means (`reference/kubelet.md` sections 5.4 and 9).

When probes are made, and from how many answers a belief is formed, is told in `probe_workers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import Clock, HttpClient
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.kubelet.containers import (
    AnswersAtOnce,
    Container,
    ExecRefused,
    ExecTimeout,
    ServesGrpcHealth,
    ServesHttps,
)

#: After so many requests that led to another, a probe gives up.
_MAX_REDIRECTS = 10
#: How much of what a command or a server said is read.
_MOST_OUTPUT = 10240
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class ProbeKind(Enum):
    """The value is the word in events and the key of the probe in a container's manifest."""

    READINESS = ("Readiness", "readinessProbe")
    LIVENESS = ("Liveness", "livenessProbe")
    STARTUP = ("Startup", "startupProbe")

    # An enum's own hash is slow, and kinds are parts of keys everywhere.
    __hash__ = object.__hash__

    def __init__(self, word: str, field: str) -> None:
        self.word = word
        self.field = field


class Verdict(Enum):
    """What one probe said. An `ERROR` says nothing of the container: the probe could not be made."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    ERROR = "error"


class ProbeAnswer(NamedTuple):
    """`text` is what the kubelet reports, `detail` what each part of a command got, for whoever wants to know why."""

    verdict: Verdict
    text: str = ""
    detail: str = ""


_SUCCESS = ProbeAnswer(Verdict.SUCCESS)


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """A probe of a manifest with the API's defaults. Durations in seconds."""

    initial_delay_s: int
    period_s: int
    timeout_s: int
    success_threshold: int
    failure_threshold: int
    grace_s: int | None
    handler: Mapping[str, Any]

    @classmethod
    def of(cls, probe: Mapping[str, Any]) -> ProbeSettings:
        """Pods of one template share their probes, and so their settings."""
        known = _SETTINGS.get(id(probe))
        if known is not None:
            return known
        if len(_SETTINGS) >= _MOST_SETTINGS:
            del _SETTINGS[next(iter(_SETTINGS))]
        settings = _SETTINGS[id(probe)] = cls(
            initial_delay_s=probe.get("initialDelaySeconds") or 0,
            period_s=probe.get("periodSeconds") or 10,
            timeout_s=probe.get("timeoutSeconds") or 1,
            success_threshold=probe.get("successThreshold") or 1,
            failure_threshold=probe.get("failureThreshold") or 3,
            grace_s=probe.get("terminationGracePeriodSeconds"),
            handler=probe,
        )
        return settings


#: By identity of the manifest's probe, which they hold on to.
_SETTINGS: dict[int, ProbeSettings] = {}
_MOST_SETTINGS = 1024


class _NoSuchPort(Exception):
    pass


def resolve_port(port: int | str, container: JsonObject) -> int:
    """A port by number or by its name among the container's own ports. Raises `_NoSuchPort` with Go's words."""
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    try:
        return int(port)
    except ValueError:
        raise _NoSuchPort(f'strconv.Atoi: parsing "{port}": invalid syntax') from None


def _canonical(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


class _Request(NamedTuple):
    """An HTTP GET, taken apart."""

    secure: bool
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    url: str


class Target:
    """Where a probe or hook goes: the container it belongs to, its manifest, its pod's address and all that runs there.

    `others` gives every running container of the pod, in order; they share one address.
    """

    __slots__ = ("container", "ip", "others", "request", "spec")

    def __init__(
        self, container: Container, spec: JsonObject, ip: str, others: Callable[[], Sequence[Container]]
    ) -> None:
        self.container = container
        self.spec = spec
        self.ip = ip
        self.others = others
        #: What a probe over HTTP asks for, worked out once.
        self.request: _Request | None = None


class Prober:
    """Makes probes and hooks. `network` reaches addresses that are not the pod's own (`host` in a manifest)."""

    def __init__(self, clock: Clock, *, version: str, network: HttpClient | None = None) -> None:
        self._clock = clock
        self._network = network
        self._has_taken_turn = False
        self._probe_headers = {"User-Agent": f"kube-probe/{version}", "Accept": "*/*", "Connection": "close"}
        self._hook_headers = {
            "User-Agent": f"kube-lifecycle/{version}",
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
        }

    async def probe(self, settings: ProbeSettings, target: Target) -> ProbeAnswer:
        """Make one probe."""
        handler = settings.handler
        try:
            if "httpGet" in handler:
                return await self._http(handler["httpGet"], settings.timeout_s, target)
            if "exec" in handler:
                return await self._exec(handler["exec"].get("command") or [], settings.timeout_s, target)
            if "tcpSocket" in handler:
                return await self._tcp(handler["tcpSocket"], settings.timeout_s, target)
            if "grpc" in handler:
                return await self._grpc(handler["grpc"], settings.timeout_s, target)
        except _NoSuchPort as error:
            return ProbeAnswer(Verdict.ERROR, str(error))
        return ProbeAnswer(Verdict.ERROR, "missing probe handler")

    def success_at_once(self, settings: ProbeSettings, target: Target) -> ProbeAnswer | None:
        """The success that this probe, which was made before, would report now, if it is sure to and takes no time; else None."""
        container = target.container
        if not isinstance(container, AnswersAtOnce):
            return None
        handler = settings.handler
        if "httpGet" in handler:
            request = target.request
            if request is None or request.secure or request.host != target.ip:
                return None
            response = container.get_at_once(request.port, request.path)
            return _SUCCESS if response is not None and 200 <= response.status < 300 else None
        if "exec" in handler:
            result = container.exec_at_once(handler["exec"].get("command") or [])
            return ProbeAnswer(Verdict.SUCCESS, result.output) if result is not None and not result.exit_code else None
        return None

    async def hook(self, handler: Mapping[str, Any], timeout_s: float, target: Target, *, what: str) -> str:
        """Run a lifecycle hook of at most `timeout_s`; the text of its failure, or nothing.

        `what` names container and pod in that text.
        """
        if "sleep" in handler:
            await self._clock.sleep(min(float(handler["sleep"].get("seconds") or 0), timeout_s))
            return ""
        if "exec" in handler:
            command = handler["exec"].get("command") or []
            shown = f"Exec lifecycle hook ([{' '.join(command)}]) for {what} failed - error: "
            line = " ".join(command)
            try:
                result = await target.container.exec(command, timeout_s)
            except ExecTimeout:
                return shown + f"command '{line}' timed out, message: \"\""
            except ExecRefused as error:
                return shown + f'{error}, message: ""'
            if result.exit_code == 0:
                return ""
            return shown + f"command '{line}' exited with {result.exit_code}: , message: \"{result.output}\""
        if "httpGet" in handler:
            spec = handler["httpGet"]
            shown = f"HTTP lifecycle hook ({spec.get('path', '')}) for {what} failed - error: "
            try:
                request = self._request(spec, target, self._hook_headers)
                await self._get(request, timeout_s, target)
            except _NoSuchPort as error:
                return shown + str(error)
            except HttpFailure as failure:
                return shown + _http_failure_text(request, failure)
            # Any answer will do: the kubelet does not look at a hook's status code.
        return ""

    # HTTP

    def _request(self, spec: Mapping[str, Any], target: Target, defaults: Mapping[str, str]) -> _Request:
        port = resolve_port(spec["port"], target.spec)
        path = spec.get("path") or "/"
        if not path.startswith("/"):
            path = "/" + path
        scheme = (spec.get("scheme") or "HTTP").lower()
        host = spec.get("host") or target.ip
        headers = {"Host": f"{host}:{port}", **defaults}
        for header in spec.get("httpHeaders") or ():
            name = _canonical(header["name"])
            if name == "Accept" and not header.get("value"):
                headers.pop(name, None)
            else:
                headers[name] = header.get("value", "")
        return _Request(scheme == "https", host, port, path, headers, f"{scheme}://{host}:{port}{path}")

    async def _http(self, spec: Mapping[str, Any], timeout_s: float, target: Target) -> ProbeAnswer:
        request = target.request
        if request is None:
            request = target.request = self._request(spec, target, self._probe_headers)
        left_s = timeout_s
        began_ns = self._clock.monotonic_ns()
        for _ in range(_MAX_REDIRECTS):
            try:
                response = await self._get(request, left_s, target)
            except HttpFailure as failure:
                text = self._tls_timeout_text(request.url) if _is_tls_timeout(request, failure) else ""
                return ProbeAnswer(Verdict.FAILURE, text or _http_failure_text(request, failure))
            if 200 <= response.status < 300:
                return _SUCCESS
            onward = _redirection(request, response)
            if onward is None:
                break
            request = onward
            left_s = timeout_s - (self._clock.monotonic_ns() - began_ns) / NS
        else:
            place = response.headers["location"]
            return ProbeAnswer(Verdict.FAILURE, f'Get "{place}": stopped after {_MAX_REDIRECTS} redirects')
        if 300 <= response.status < 400:
            body = response.body[:_MOST_OUTPUT].decode(errors="replace")
            return ProbeAnswer(Verdict.WARNING, f"Probe terminated redirects, Response body: {body}")
        return ProbeAnswer(Verdict.FAILURE, f"HTTP probe failed with statuscode: {response.status}")

    async def _get(self, request: _Request, timeout_s: float, target: Target) -> HttpResponse:
        port, path, headers = request.port, request.path, request.headers
        if request.host != target.ip:
            if self._network is None:
                await self._clock.sleep(timeout_s)
                raise HttpFailure(Failure.TIMEOUT, request.url)
            return await self._network.request("GET", request.url, headers=headers, timeout_s=timeout_s)
        if not request.secure:
            try:
                return await target.container.http_get(port, path, headers, timeout_s)
            except HttpFailure as failure:
                refusal = failure
            if refusal.failure is not Failure.REFUSED:
                raise refusal
            for other in target.others():
                if other is not target.container:
                    try:
                        return await other.http_get(port, path, headers, timeout_s)
                    except HttpFailure as failure:
                        if failure.failure is not Failure.REFUSED:
                            raise
            raise refusal
        for container in (target.container, *target.others()):
            if isinstance(container, ServesHttps):
                try:
                    return await container.https_get(port, path, headers, timeout_s)
                except HttpFailure as failure:
                    if failure.failure is not Failure.REFUSED:
                        raise
        # Somebody may listen without TLS: the handshake then gets no answer.
        await _connect(port, timeout_s, target)
        await self._clock.sleep(timeout_s)
        raise HttpFailure(Failure.TIMEOUT, request.url)

    def _tls_timeout_text(self, url: str) -> str:
        """Two timers of the same length race for the text of a handshake that never ends; here they take turns."""
        self._has_taken_turn = not self._has_taken_turn
        if self._has_taken_turn:
            why = "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"
        else:
            why = "context deadline exceeded"
        return f'Get "{url}": {why}'

    # The other kinds

    async def _exec(self, command: Sequence[str], timeout_s: float, target: Target) -> ProbeAnswer:
        try:
            result = await target.container.exec(command, timeout_s)
        except ExecTimeout as error:
            line = " ".join(command)
            text = f'command timed out: "{line}" timed out after {timeout_s}s'
            return ProbeAnswer(Verdict.FAILURE, text, error.detail)
        except ExecRefused as error:
            return ProbeAnswer(Verdict.ERROR, str(error))
        output = result.output[:_MOST_OUTPUT]
        if result.exit_code == 0:
            return ProbeAnswer(Verdict.SUCCESS, output)
        return ProbeAnswer(Verdict.FAILURE, output, result.detail)

    async def _tcp(self, spec: Mapping[str, Any], timeout_s: float, target: Target) -> ProbeAnswer:
        port = resolve_port(spec["port"], target.spec)
        address = f"{spec.get('host') or target.ip}:{port}"
        if spec.get("host") and spec["host"] != target.ip:
            await self._clock.sleep(timeout_s)
            return ProbeAnswer(Verdict.FAILURE, f"dial tcp {address}: i/o timeout")
        try:
            await _connect(port, timeout_s, target)
        except HttpFailure as failure:
            return ProbeAnswer(Verdict.FAILURE, f"dial tcp {address}: {_dial_text(failure)}")
        return ProbeAnswer(Verdict.SUCCESS)

    async def _grpc(self, spec: Mapping[str, Any], timeout_s: float, target: Target) -> ProbeAnswer:
        port = resolve_port(spec["port"], target.spec)
        began = self._clock.monotonic_ns()
        for container in (target.container, *target.others()):
            if not isinstance(container, ServesGrpcHealth):
                continue
            try:
                status = await container.grpc_health(port, spec.get("service") or "", timeout_s)
            except HttpFailure as failure:
                if failure.failure is Failure.REFUSED:
                    continue
                return ProbeAnswer(Verdict.FAILURE, f"timeout: health rpc did not complete within {timeout_s}s")
            if status == "SERVING":
                return ProbeAnswer(Verdict.SUCCESS, "service healthy")
            if status == "NOT_FOUND":
                text = "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
                return ProbeAnswer(Verdict.FAILURE, text)
            return ProbeAnswer(Verdict.FAILURE, f'service unhealthy (responded with "{status}")')
        # A gRPC client keeps trying to connect until its time is up.
        await self._clock.sleep(max(0.0, timeout_s - (self._clock.monotonic_ns() - began) / NS))
        address = f"{target.ip}:{port}"
        text = f'timeout: failed to connect service "{address}" within {timeout_s}s: context deadline exceeded'
        return ProbeAnswer(Verdict.FAILURE, text)


async def _connect(port: int, timeout_s: float, target: Target) -> None:
    """Raises `HttpFailure` when nobody in the pod listens."""
    refusal: HttpFailure | None = None
    for container in (target.container, *(c for c in target.others() if c is not target.container)):
        try:
            await container.tcp_connect(port, timeout_s)
        except HttpFailure as failure:
            if failure.failure is not Failure.REFUSED:
                raise
            refusal = refusal or failure
        else:
            return
    if refusal is not None:
        raise refusal


def _dial_text(failure: HttpFailure) -> str:
    match failure.failure:
        case Failure.REFUSED:
            return "connect: connection refused"
        case Failure.RESET:
            return "read: connection reset by peer"
        case Failure.UNREACHABLE:
            return "connect: no route to host"
        case _:
            return "i/o timeout"


def _redirection(request: _Request, response: HttpResponse) -> _Request | None:
    """Where a redirect leads, if it stays on the same host."""
    location = response.headers.get("location")
    if response.status not in _REDIRECTS or not location:
        return None
    url = urljoin(request.url, location)
    parts = urlsplit(url)
    if parts.hostname != request.host:
        return None
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {**request.headers, "Referer": request.url}
    return _Request(secure, request.host, parts.port or (443 if secure else 80), path, headers, url)


def _is_tls_timeout(request: _Request, failure: HttpFailure) -> bool:
    return failure.failure is Failure.TIMEOUT and request.secure


def _http_failure_text(request: _Request, failure: HttpFailure) -> str:
    match failure.failure:
        case Failure.TIMEOUT:
            why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case Failure.RESET:
            why = "EOF"
        case _:
            why = f"dial tcp {request.host}:{request.port}: {_dial_text(failure)}"
    return f'Get "{request.url}": {why}'
