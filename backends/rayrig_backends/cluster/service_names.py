"""Where the name of a Service leads to, for a process outside the cluster that can reach its pods but not its DNS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ENDPOINT_SLICE, SERVICE, ResourceType

_SERVICE_NAME = "kubernetes.io/service-name"


class Objects(Protocol):
    """What is read: an operator's cache."""

    async def find(self, resource: ResourceType, name: str, namespace: str = "") -> JsonObject | None: ...

    async def select(
        self, resource: ResourceType, namespace: str = "", labels: dict[str, str] = ...
    ) -> list[JsonObject]: ...


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """Resolves `SERVICE.NAMESPACE.svc[.DOMAIN]` by the Services and EndpointSlices that `objects` knows."""

    objects: Objects

    async def resolve(self, host: str, port: int) -> tuple[str, int] | None:
        """Address and port of the first ready pod behind the name; None for other names and where no pod is ready.

        A headless Service's name stands for its pods, so the port stays; another's port leads to its target port.
        """
        parts = host.split(".")
        if len(parts) < 3 or parts[2] != "svc":
            return None
        name, namespace = parts[:2]
        try:
            service = await self.objects.find(SERVICE, name, namespace)
            slices = await self.objects.select(ENDPOINT_SLICE, namespace, {_SERVICE_NAME: name})
        except ApiError:
            return None
        if service is None:
            return None
        spec = service["spec"]
        publishes_all = bool(spec.get("publishNotReadyAddresses"))
        port_name = next((each.get("name", "") for each in spec.get("ports") or [] if each["port"] == port), None)
        for endpoints in slices:
            target = port
            if spec.get("clusterIP") != "None":
                ports = endpoints.get("ports") or []
                found = [each["port"] for each in ports if (each.get("name") or "") == port_name and each.get("port")]
                if not found:
                    continue
                target = found[0]
            for endpoint in endpoints.get("endpoints") or []:
                if publishes_all or (endpoint.get("conditions") or {}).get("ready", True):
                    return endpoint["addresses"][0], target
        return None
