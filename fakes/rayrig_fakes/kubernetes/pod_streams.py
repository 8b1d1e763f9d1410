"""What has to hold before anything is streamed to or from a pod: a container that is there, on a node that can be reached."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import NODE
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.state import ServerState

_KUBELET_PORT = 10250
#: Kinds of addresses in the order in which the API server tries them.
_PREFERRED = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


def container_named(pod: JsonObject, container: str) -> str:
    """The container that is meant: the one named, or the only one. Raises `ApiError` 400."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    parts = ("initContainers", "containers", "ephemeralContainers")
    names = [[each["name"] for each in spec.get(part) or ()] for part in parts]
    if container:
        if not any(container in part for part in names):
            raise status.bad_request(f"container {container} is not valid for pod {name}")
        return container
    if len(names[1]) == 1:
        return str(names[1][0])
    choices = " ".join(names[0] + names[1] + names[2])
    raise status.bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")


def node_address(state: ServerState, pod: JsonObject) -> str:
    """Where the kubelet of a pod's node would be. Raises `ApiError`: 404 without such a node, 500 without an address."""
    node = state.lookup(NODE.group_resource, pod["spec"]["nodeName"])
    if node is None:
        # The real server looks for a pod of the node's name, too.
        name = pod["spec"]["nodeName"]
        raise status.error(404, "NotFound", f'pods "{name}" not found', {"name": name, "kind": "pods"})
    return kubelet_address(node)


def kubelet_address(node: JsonObject) -> str:
    """Raises `ApiError` 500."""
    told = node.get("status") or {}
    addresses = told.get("addresses") or []
    port = ((told.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or _KUBELET_PORT
    for kind in _PREFERRED:
        for address in addresses:
            if address.get("type") == kind:
                return f"{address['address']}:{port}"
    known = " ".join(f"{{{each.get('type')} {each.get('address')}}}" for each in addresses)
    raise status.error(500, "", f"no preferred addresses found; known addresses: [{known}]")


def check_stream(state: ServerState, pod: JsonObject, subresource: str, container: str) -> str:
    """The container that a stream goes to (empty for a port-forward).

    Raises `ApiError`: 400 when there is no such container or the pod is on no node, 404 and 500 when its node is not there or
    has no address.
    """
    chosen = container_named(pod, container) if subresource != "portforward" else ""
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    node_address(state, pod)
    return chosen
