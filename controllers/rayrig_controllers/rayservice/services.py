"""The head and serve Services of a RayService: how they look, and the switch of their selectors (kuberay-operator 2.12)."""

from __future__ import annotations

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.services import head_service as cluster_head_service
from rayrig_controllers.raycluster.services import no_serve_port, serves
from rayrig_controllers.raycluster.services import ports as head_ports
from rayrig_controllers.rayservice.goal import origin_labels, owner_reference
from rayrig_controllers.rayservice.tick import Tick
from rayrig_controllers.reconciler import ReconcileError
from rayrig_controllers.releases import Release
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, copy_json, name_of, namespace_of
from rayrig_core.resource_types import SERVICE
from rayrig_core.resources import labels, names


def serve_service_name(spec: JsonObject, service: str, release: Release) -> str:
    """The user's own name for it, else `<name>-serve-svc`."""
    own = (spec.get("serveService") or {}).get("metadata") or {}
    return own.get("name") or release.service_name(names.serve_service_name(service))


def build_head_service(service: JsonObject, cluster: JsonObject, options: OperatorOptions) -> JsonObject:
    """The cluster's own head Service under the RayService's name, selecting what a default head pod is labelled with (8.2 H6)."""
    view = Cluster.of(cluster, options)
    built = cluster_head_service(view)
    name = name_of(service)
    built["metadata"] = {
        **{key: value for key, value in built["metadata"].items() if key == "annotations"},
        "name": options.release.service_name(names.head_service_name(name)),
        "namespace": namespace_of(service),
        "labels": {
            **origin_labels(name),
            labels.NODE_TYPE: labels.HEAD,
            labels.IDENTIFIER: names.head_identifier(name),
        },
        "ownerReferences": [owner_reference(service)],
    }
    built["spec"]["selector"] = {**built["spec"]["selector"], labels.APP_NAME: labels.KUBERAY}
    return built


def build_serve_service(service: JsonObject, cluster: JsonObject, options: OperatorOptions) -> JsonObject:
    """The Service of the pods that serve, from the user's template if there is one. Raises `ReconcileError` without a port."""
    view = Cluster.of(cluster, options)
    template = (service.get("spec") or {}).get("serveService")
    if template:
        return _from_template(service, view, copy_json(template))
    ports = serve_ports(view)
    if not ports:
        raise ReconcileError(no_serve_port(view))
    name = name_of(service)
    own_name = serve_service_name({}, name, options.release)
    return _serve_service(own_name, namespace_of(service), name, view, ports, owner_reference(service))


def build_serve_service_of_cluster(cluster: JsonObject, options: OperatorOptions) -> JsonObject:
    """The serve Service each cluster has in incremental mode; it belongs to the cluster (2.9.1). Raises `ReconcileError`."""
    view = Cluster.of(cluster, options)
    ports = serve_ports(view)
    if not ports:
        raise ReconcileError(no_serve_port(view))
    name = names.serve_service_name(view.name)
    return _serve_service(name, view.namespace, view.name, view, ports, view.owner_reference())


def _serve_service(
    name: str, namespace: str, base: str, cluster: Cluster, ports: list[JsonObject], owner: JsonObject
) -> JsonObject:
    spec: JsonObject = {"selector": serve_selector(cluster.name), "ports": ports}
    if cluster.head.get("serviceType"):
        spec["type"] = cluster.head["serviceType"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": serve_labels(base),
        "ownerReferences": [owner],
    }
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": metadata, "spec": spec}


def serve_labels(base: str) -> dict[str, str]:
    return {**origin_labels(base), labels.SERVE: f"{base}-serve"}


def serve_selector(cluster: str) -> dict[str, str]:
    return {labels.CLUSTER: cluster, labels.SERVE: "true"}


def serve_ports(cluster: Cluster) -> list[JsonObject]:
    """Head ports named `serve`, or beginning with `serve-`."""
    return [
        {"name": name, "port": number} for name, number in sorted(head_ports(cluster).items()) if serves(cluster, name)
    ]


def _from_template(service: JsonObject, cluster: Cluster, template: JsonObject) -> JsonObject:
    """Name, labels, annotations, type and other fields are the user's; namespace, selector and the choice of ports are not."""
    name = name_of(service)
    given = template.get("metadata") or {}
    metadata = {
        **{key: given[key] for key in ("annotations", "finalizers") if given.get(key)},
        "name": given.get("name") or serve_service_name({}, name, cluster.options.release),
        "namespace": namespace_of(service),
        "labels": {**(given.get("labels") or {}), **serve_labels(name)},
        "ownerReferences": [owner_reference(service)],
    }
    spec: JsonObject = template.get("spec") or {}
    spec["selector"] = serve_selector(cluster.name)
    if not spec.get("type") and cluster.head.get("serviceType"):
        spec["type"] = cluster.head["serviceType"]
    detected, own = serve_ports(cluster), spec.get("ports") or []
    if not cluster.options.release.keeps_own_serve_ports:
        mine = [{"name": port["name"], "port": port["port"]} for port in own if serves(cluster, port.get("name") or "")]
        spec["ports"] = detected or mine[:1]
    elif detected:
        users = {port.get("name"): port for port in own}
        spec["ports"] = [users.get(port["name"], port) for port in detected]
    elif not own:
        raise ReconcileError(no_serve_port(cluster))
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": metadata, "spec": spec}


def selected_cluster(service: JsonObject) -> str:
    """The cluster a Service selects; empty when it selects none."""
    return ((service.get("spec") or {}).get("selector") or {}).get(labels.CLUSTER) or ""


async def reconcile_services(tick: Tick, target: JsonObject) -> None:
    """Step 16: both Services exist and select the target cluster, head first. Raises `ReconcileError` and `ApiError`."""
    options = tick.context.options
    tick.head_service = await _reconcile(tick, build_head_service(tick.service, target, options), target)
    if tick.incremental:
        serve = build_serve_service_of_cluster(target, options)
    else:
        serve = build_serve_service(tick.service, target, options)
    tick.serve_service = await _reconcile(tick, serve, target)


async def _reconcile(tick: Tick, wanted: JsonObject, target: JsonObject) -> JsonObject:
    """Create, or re-point an existing Service by replacing its spec; equal selectors leave it alone, whatever else differs."""
    client = tick.context.client
    name = name_of(wanted)
    who = tick.qualified(name)
    found = await client.find(SERVICE, name, tick.namespace)
    if found is None:
        try:
            created = await client.create(SERVICE, wanted)
        except ApiError as error:
            tick.warning("FailedToCreateService", f"Failed to create the service {who}, {error}", "Create")
            raise
        tick.normal("CreatedService", f"Created the service {who}", "Create")
        return created
    if selected_cluster(found) == name_of(target):
        return found
    spec = dict(wanted["spec"])
    if found["spec"].get("clusterIP"):
        spec["clusterIP"] = found["spec"]["clusterIP"]
    try:
        updated = await client.update(SERVICE, {**found, "spec": spec})
    except ApiError as error:
        tick.warning("FailedToUpdateService", f"Failed to update the service {who}, {error}", "Update")
        raise
    tick.normal("UpdatedService", f"Updated the service {who}", "Update")
    return updated


async def ensure_serve_service_of_cluster(tick: Tick, cluster: JsonObject) -> None:
    """The cluster's own serve Service: made when absent, never touched afterwards, no event.

    Raises `ReconcileError` without a serve port, and `ApiError`.
    """
    wanted = build_serve_service_of_cluster(cluster, tick.context.options)
    if await tick.context.client.find(SERVICE, name_of(wanted), tick.namespace) is None:
        await tick.context.client.create(SERVICE, wanted)
