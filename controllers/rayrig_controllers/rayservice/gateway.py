"""Gateway and HTTPRoute of an incremental upgrade: how they look, whether they work, how they are kept (kuberay-operator 2.9.1)."""

from __future__ import annotations

from typing import Any

from rayrig_controllers.rayservice.goal import owner_reference
from rayrig_controllers.rayservice.head_label import serve_port
from rayrig_controllers.rayservice.incremental import UpgradeOptions, Weights, traffic_weights
from rayrig_controllers.rayservice.services import ensure_serve_service_of_cluster
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, has_condition, name_of, namespace_of
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, ResourceType
from rayrig_core.resources import labels, names

LISTENER: JsonObject = {"name": "http", "protocol": "HTTP", "port": labels.GATEWAY_PORT}


def build_gateway(service: JsonObject, gateway_class: str) -> JsonObject:
    return {
        "apiVersion": GATEWAY.api_version,
        "kind": GATEWAY.kind,
        "metadata": _metadata(service, names.gateway_name(name_of(service))),
        "spec": {"gatewayClassName": gateway_class, "listeners": [dict(LISTENER)]},
    }


def build_route(service: JsonObject, active: JsonObject, pending: JsonObject | None, weights: Weights) -> JsonObject:
    """All paths to the active cluster's serve Service and, if there is one, the pending cluster's."""
    backends = [_backend(active, weights.active)]
    if pending is not None:
        backends.append(_backend(pending, weights.pending))
    gateway = {"name": names.gateway_name(name_of(service)), "namespace": namespace_of(service)}
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": _metadata(service, names.http_route_name(name_of(service))),
        "spec": {
            "parentRefs": [gateway],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}],
        },
    }


def _metadata(service: JsonObject, name: str) -> JsonObject:
    return {"name": name, "namespace": namespace_of(service), "ownerReferences": [owner_reference(service)]}


def _backend(cluster: JsonObject, weight: int) -> JsonObject:
    template = ((cluster.get("spec") or {}).get("headGroupSpec") or {}).get("template") or {}
    return {
        "name": names.serve_service_name(name_of(cluster)),
        "namespace": namespace_of(cluster),
        "port": serve_port(template),
        "weight": weight,
    }


def gateway_essence(gateway: JsonObject) -> Any:
    """What counts when Gateways are compared."""
    spec = gateway["spec"]
    listeners = [(each.get("name"), each.get("protocol"), each.get("port")) for each in spec.get("listeners") or ()]
    return spec.get("gatewayClassName"), listeners


def route_essence(route: JsonObject) -> Any:
    """What counts when HTTPRoutes are compared."""
    spec = route["spec"]
    return (
        spec.get("hostnames") or [],
        [(each.get("name"), each.get("namespace")) for each in spec.get("parentRefs") or ()],
        [
            (
                rule.get("matches") or [],
                rule.get("filters") or [],
                [
                    (each.get("name"), each.get("namespace"), each.get("weight"), each.get("port"))
                    for each in rule.get("backendRefs") or ()
                ],
            )
            for rule in spec.get("rules") or ()
        ],
    )


def is_gateway_ready(gateway: JsonObject | None) -> bool:
    return gateway is not None and has_condition(gateway, "Accepted") and has_condition(gateway, "Programmed")


def is_route_ready(route: JsonObject | None, gateway: JsonObject | None) -> bool:
    """By the conditions of the route's parent that is this Gateway."""
    if route is None or gateway is None:
        return False
    for parent in (route.get("status") or {}).get("parents") or ():
        reference = parent.get("parentRef") or {}
        namespace = reference.get("namespace") or namespace_of(route)
        if reference.get("name") == name_of(gateway) and namespace == namespace_of(gateway):
            as_object = {"status": parent}
            return has_condition(as_object, "Accepted") and has_condition(as_object, "ResolvedRefs")
    return False


async def find_gateway(tick: Tick) -> JsonObject | None:
    return await tick.context.client.find(GATEWAY, names.gateway_name(tick.name), tick.namespace)


async def find_route(tick: Tick) -> JsonObject | None:
    return await tick.context.client.find(HTTP_ROUTE, names.http_route_name(tick.name), tick.namespace)


async def reconcile_gateway_objects(tick: Tick) -> None:
    """Step 15: the clusters' serve Services, the Gateway and, once there is an active cluster, the HTTPRoute.

    Raises `ApiError` (also when the Gateway API is not installed) and `ReconcileError`.
    """
    for view in (tick.active, tick.pending):
        if view.cluster is not None:
            await ensure_serve_service_of_cluster(tick, view.cluster)
    options = UpgradeOptions.of(tick.spec)
    wanted = build_gateway(tick.service, options.gateway_class)
    await _keep(tick, GATEWAY, await find_gateway(tick), wanted, "Gateway for", "the Gateway")
    if tick.active.cluster is None:
        return
    tick.refresh_now()
    weights = Weights(100, 0)
    if tick.pending.cluster is not None:
        weights = traffic_weights(
            tick.status.active,
            tick.status.pending,
            options,
            now_ns=tick.now_ns,
            is_pending_ready=tick.pending.is_ready,
            is_rolling_back=tick.is_rolling_back,
        )
    route = build_route(tick.service, tick.active.cluster, tick.pending.cluster, weights)
    tick.route = await _keep(tick, HTTP_ROUTE, await find_route(tick), route, "HTTPRoute for", "the HTTPRoute")


async def _keep(
    tick: Tick, resource: ResourceType, found: JsonObject | None, wanted: JsonObject, made: str, kept: str
) -> JsonObject:
    """Create, or overwrite the spec where it differs in what counts. `made` and `kept` are the words of the events."""
    client, kind = tick.context.client, resource.kind
    who = tick.qualified(name_of(wanted))
    if found is None:
        failed = made if resource is GATEWAY else f"the {made}"
        try:
            created = await client.create(resource, wanted)
        except ApiError as error:
            tick.warning(f"FailedToCreate{kind}", f"Failed to create {failed} RayService {who}: {error}", "Create")
            raise
        tick.normal(f"Created{kind}", f"Created {made} RayService {who}", "Create")
        return created
    essence = gateway_essence if resource is GATEWAY else route_essence
    if essence(found) == essence(wanted):
        return found
    try:
        updated = await client.update(resource, {**found, "spec": wanted["spec"]})
    except ApiError as error:
        tick.warning(f"FailedToUpdate{kind}", f"Failed to update {kept} {who}: {error}", "Update")
        raise
    tick.normal(f"Updated{kind}", f"Updated {kept} {who}", "Update")
    return updated


def take_over_traffic(tick: Tick) -> None:
    """Copy the weights of this tick's route into the status (2.9.2); a changed one is stamped with the time."""
    if tick.route is None:
        return
    weights: dict[str, int] = {}
    for rule in tick.route["spec"].get("rules") or ():
        for backend in rule.get("backendRefs") or ():
            weights[backend["name"]] = backend["weight"]
    for view, slot in ((tick.active, tick.status.active), (tick.pending, tick.status.pending)):
        if not slot.cluster or (view is tick.pending and view.cluster is None):
            continue
        weight = weights.get(names.serve_service_name(slot.cluster))
        if weight is not None and weight != slot.traffic_percent:
            slot.traffic_percent = weight
            slot.last_traffic_migrated = tick.now_text()
