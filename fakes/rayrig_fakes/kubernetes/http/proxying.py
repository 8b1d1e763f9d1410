"""The proxies of the API server: to pods, to ready endpoints of services, to nodes (`kubernetes-api.md` sections 1 and 11).

A request goes through the `HttpClient` port to what the model serves at the address; where nothing does, the answer is the real
server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

from rayrig_core.errors import ApiError
from rayrig_core.http import Failure, HttpFailure, HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import ENDPOINT_SLICE, NODE, POD, SERVICE
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.pod_streams import kubelet_address
from rayrig_fakes.kubernetes.rest.handler import ApiResponse
from rayrig_fakes.kubernetes.rest.requests import Target
from rayrig_fakes.kubernetes.state import ServerState

_SERVICE_NAME = "kubernetes.io/service-name"
_LONGEST_S = 30.0
_HOP_BY_HOP = frozenset(
    (
        "authorization",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_ERRORS = {
    Failure.REFUSED: "connect: connection refused",
    Failure.RESET: "connect: connection reset by peer",
    Failure.TIMEOUT: "i/o timeout",
    Failure.UNRESOLVED: "no such host",
    Failure.UNREACHABLE: "connect: no route to host",
}


async def answer(
    state: ServerState, target: Target, request: HttpRequest, http: HttpClient | None, turn: int
) -> ApiResponse:
    """Raises `ApiError`: 400, 404, 500, 503."""
    scheme, address = _location(state, target, turn)
    if not target.path and request.method in ("GET", "HEAD"):
        query = f"?{_query(request)}" if request.query else ""
        return ApiResponse(301, b"", "", extra=(("location", f"{request.path}/{query}"),))
    port = address.rpartition(":")[2]
    if not port.isdecimal():
        raise _unreachable(f"dial tcp: lookup tcp/{port}: unknown port")
    if int(port) > 65_535:
        raise _unreachable(f"dial tcp: address {port}: invalid port")
    url = f"{scheme}://{address}{target.path or '/'}" + (f"?{_query(request)}" if request.query else "")
    headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
    headers["x-forwarded-uri"] = request.path
    try:
        if http is None:
            raise HttpFailure(Failure.REFUSED)
        found = await http.request(request.method, url, body=request.body, headers=headers, timeout_s=_LONGEST_S)
    except HttpFailure as failure:
        raise _unreachable(f"dial tcp {address}: {_ERRORS[failure.failure]}") from None
    extra = []
    for name, value in found.headers.items():
        if name == "location":
            value = _relocated(value, request.path.removesuffix(target.path), address)
        if name not in _HOP_BY_HOP and name != "content-type":
            extra.append((name, value))
    return ApiResponse(found.status, found.body, found.headers.get("content-type", ""), extra=tuple(extra))


def _query(request: HttpRequest) -> str:
    return urlencode([(name, value) for name, values in request.query.items() for value in values])


def _relocated(location: str, prefix: str, address: str) -> str:
    """A redirect stays below the proxy's path."""
    parts = urlsplit(location)
    if parts.netloc not in ("", address) or not parts.path.startswith("/"):
        return location
    return prefix + parts._replace(scheme="", netloc="").geturl()


def _unreachable(why: str) -> ApiError:
    return status.error(503, "ServiceUnavailable", f"error trying to reach service: {why}")


# Where to


def _location(state: ServerState, target: Target, turn: int) -> tuple[str, str]:
    """Scheme and `address:port`."""
    kind = target.served.type
    scheme, name, port = _split(kind.kind.lower(), target.name)
    obj = state.lookup(kind.group_resource, target.served.key(target.namespace, name))
    if obj is None:
        raise status.not_found(kind, name)
    if kind == SERVICE:
        return scheme or "http", _endpoint(state, obj, target.name, port, turn)
    if kind == NODE:
        address = kubelet_address(obj)
        return scheme or "https", _allowed(f"{address.rpartition(':')[0]}:{port}" if port else address)
    ip = (obj.get("status") or {}).get("podIP") or ""
    if not port:
        ports = [each for container in obj["spec"].get("containers") or () for each in container.get("ports") or ()]
        port = str(ports[0]["containerPort"]) if ports else "443" if scheme == "https" else "80"
    return scheme or "http", _allowed(f"{ip}:{port}")


def _split(kind: str, name: str) -> tuple[str, str, str]:
    """`name`, `name:port` or `scheme:name:port`. Raises `ApiError` 400."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", name, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return parts[0], parts[1], parts[2]
    raise status.bad_request(f'invalid {kind} request "{name}"')


def _allowed(address: str) -> str:
    host = address.rpartition(":")[0].strip("[]")
    try:
        parsed = ip_address(host)
    except ValueError:
        if host:
            return address
        raise status.bad_request("address not allowed") from None
    if parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast:
        raise status.bad_request("address not allowed")
    return address


def _endpoint(state: ServerState, service: JsonObject, asked: str, port: str, turn: int) -> str:
    """A ready endpoint behind a port of the service."""
    meta = service["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    if port.isdecimal():
        ports = (service.get("spec") or {}).get("ports") or ()
        found = next((each for each in ports if each.get("port") == int(port)), None)
        if found is None:
            text = f'no service port {port} found for service "{name}"'
            raise status.error(503, "ServiceUnavailable", text)
        port = found.get("name") or ""
    slices = [
        stored.obj
        for stored in state.store.collection(ENDPOINT_SLICE.group_resource).scan(namespace)
        if (stored.obj["metadata"].get("labels") or {}).get(_SERVICE_NAME) == name
    ]
    if not slices and state.lookup("endpoints", f"{namespace}/{name}") is None:
        raise status.not_found(SERVICE, name)
    ready = [each for slice_ in slices for each in _ready(state, slice_, namespace, port)]
    if not ready:
        raise status.error(503, "ServiceUnavailable", f'no endpoints available for service "{asked}"')
    return ready[turn % len(ready)]


def _ready(state: ServerState, slice_: JsonObject, namespace: str, port: str) -> Iterator[str]:
    """Addresses of pods only: others an API server is not to reach."""
    number = next((each.get("port") for each in slice_.get("ports") or () if (each.get("name") or "") == port), None)
    if number is None:
        return
    for endpoint in slice_.get("endpoints") or ():
        reference = endpoint.get("targetRef") or {}
        pod = state.lookup(POD.group_resource, f"{namespace}/{reference.get('name', '')}")
        if (endpoint.get("conditions") or {}).get("ready") is False or pod is None:
            continue
        ip = (pod.get("status") or {}).get("podIP")
        if ip in (endpoint.get("addresses") or ()):
            yield f"{ip}:{number}"
