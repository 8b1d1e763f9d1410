"""Subresources whose answer lies beyond the API server: proxies to pods, services and nodes, streams to containers."""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.http import container_streams, port_forwards, proxying, tunnelled_forwards
from rayrig_fakes.kubernetes.http.upgrades import Tunnel, Upgrade
from rayrig_fakes.kubernetes.http.websockets import chosen
from rayrig_fakes.kubernetes.pod_streams import check_stream, node_address
from rayrig_fakes.kubernetes.rest.handler import ApiResponse
from rayrig_fakes.kubernetes.rest.methods import verb_of
from rayrig_fakes.kubernetes.rest.requests import PlainNotFound, Target, one, resolve
from rayrig_fakes.kubernetes.server import ApiServer

_STREAMS = ("exec", "attach", "portforward")
_CONTAINER_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_PORT_PROTOCOLS = (tunnelled_forwards.SUBPROTOCOL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io")


async def ask(
    server: ApiServer, request: HttpRequest, http: HttpClient | None, turn: int
) -> ApiResponse | Upgrade | None:
    """The answer; None when it is for the API server alone to say. `turn` chooses among equal endpoints. Raises `ApiError`."""
    try:
        target = resolve(server.state.registry, request.path)
    except PlainNotFound:
        return None
    if not isinstance(target, Target) or target.subresource not in (*_STREAMS, "proxy"):
        return None
    if target.subresource not in target.served.subresources:
        return None
    verb_of(request, target)
    if target.subresource == "proxy":
        return await proxying.answer(server.state, target, request, http, turn)
    wanted = _upgrade(request)
    if not wanted:
        return None
    pod = server.object(POD, target.name, target.namespace)
    if pod is None:
        raise status.not_found(POD, target.name)
    container = check_stream(server.state, pod, target.subresource, one(request.query, "container"))
    return _stream(server, request, target, pod, container, http, is_websocket=wanted == "websocket")


def _upgrade(request: HttpRequest) -> str:
    if "upgrade" not in request.headers.get("connection", "").lower():
        return ""
    return request.headers.get("upgrade", "").lower()


def _stream(
    server: ApiServer,
    request: HttpRequest,
    target: Target,
    pod: JsonObject,
    container: str,
    http: HttpClient | None,
    *,
    is_websocket: bool,
) -> Upgrade:
    offered = [each.strip() for each in request.headers.get("sec-websocket-protocol", "").split(",") if each.strip()]
    key = request.headers.get("sec-websocket-key", "")
    is_modelled = bool((pod.get("status") or {}).get("containerStatuses"))
    if target.subresource == "portforward":
        protocol = chosen(offered, _PORT_PROTOCOLS)
        if not is_websocket or not is_modelled or not protocol:
            raise _no_backend(server, pod, is_modelled, "v4.channel.k8s.io")
        if protocol == tunnelled_forwards.SUBPROTOCOL:
            return Tunnel(key, protocol, tunnelled_forwards.session(pod, http))
        ports = port_forwards.ports_asked(request.query)
        return Upgrade(key, protocol, port_forwards.session(pod, ports, http))
    if is_websocket and not is_modelled and "v5.channel.k8s.io" in offered:
        session = container_streams.unreachable(server.state, pod, target.subresource, container, request.query)
        return Upgrade(key, "v5.channel.k8s.io", session)
    protocol = chosen(offered, _CONTAINER_PROTOCOLS)
    if not is_websocket or not is_modelled or (offered and not protocol):
        raise _no_backend(server, pod, is_modelled, "v5.channel.k8s.io")
    container_streams.check_running(pod, container)
    if target.subresource == "exec":
        return Upgrade(key, protocol, container_streams.exec_session(server.state, pod, container, request.query))
    return Upgrade(key, protocol, container_streams.attach_session(server, pod, container))


def _no_backend(server: ApiServer, pod: JsonObject, is_modelled: bool, protocol: str) -> ApiError:
    if is_modelled:
        text = f"error dialing backend: streams to modelled pods are WebSockets with the protocol {protocol}"
        return status.error(500, "", text)
    address = node_address(server.state, pod)
    return status.error(500, "", f"error dialing backend: dial tcp {address}: connect: connection refused")
