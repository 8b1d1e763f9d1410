"""Which Services may be reached through the proxy: KubeRay's own (13.4; AS-062)."""

from __future__ import annotations

from rayrig.apiserver.go_http import plain_error
from rayrig.apiserver.stored import APP_NAME, APPLICATION, KUBERNETES_FAILED
from rayrig_core.http import HttpResponse
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import SERVICE

_SCHEMES = ("", "http", "https")


def service_name(segment: str) -> str:
    """Of `name`, `name:port` or `scheme:name:port`; empty for anything else."""
    match segment.split(":"):
        case [name] | [name, _]:
            return name
        case [scheme, name, _] if scheme in _SCHEMES:
            return name
    return ""


async def refusal(kubernetes: KubernetesClient, namespace: str, segment: str) -> HttpResponse | None:
    """Why that Service isn't reached; None when it may be."""
    name = service_name(segment)
    if not name:
        return plain_error(400, f"invalid service format: {segment}")
    try:
        found = await kubernetes.list(
            SERVICE,
            namespace,
            label_selector=f"{APP_NAME}={APPLICATION}",
            field_selector=f"metadata.name={name}",
        )
    except KUBERNETES_FAILED:
        return plain_error(500, "failed to list kuberay services")
    return None if found.items else plain_error(404, "kuberay service not found")
