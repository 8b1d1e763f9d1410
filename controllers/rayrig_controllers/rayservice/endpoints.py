"""How many pods stand behind the serve Service (kuberay-operator 2.13.6)."""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_controllers.rayservice.services import serve_service_name
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import ENDPOINT_SLICE
from rayrig_core.resources import labels, names


async def count_serve_endpoints(tick: Tick) -> int:
    """Distinct ready pods of the serve Service; in incremental mode of both clusters' own."""
    services: list[str] = []
    if tick.incremental:
        for view in (tick.active, tick.pending):
            if view.cluster is not None:
                services.append(names.serve_service_name(name_of(view.cluster)))
    else:
        services.append(serve_service_name(tick.spec, tick.name, tick.context.options.release))
    slices: list[JsonObject] = []
    for service in services:
        slices += await tick.context.client.select(ENDPOINT_SLICE, tick.namespace, {labels.SERVICE_NAME: service})
    return count_ready_pods(slices)


def count_ready_pods(slices: Iterable[JsonObject]) -> int:
    """Distinct target uids of endpoints that say `ready: true`; unset is not ready, no target is not counted."""
    seen: dict[str, None] = {}
    for endpoint_slice in slices:
        for endpoint in endpoint_slice.get("endpoints") or ():
            target = endpoint.get("targetRef")
            if target and (endpoint.get("conditions") or {}).get("ready") is True:
                seen[target.get("uid") or ""] = None
    return len(seen)
