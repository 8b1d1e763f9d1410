"""Services of a RayCluster: head, headless for multi-host groups, serve (kuberay-operator 3.3, 3.4)."""

from __future__ import annotations

from rayrig_controllers.raycluster.cluster import Cluster, ray_container
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import RAY_CLUSTER, SERVICE
from rayrig_core.resources import labels, names

#: What a head Service exposes, besides the GCS, when the Ray container declares no port.
_DEFAULT_PORTS = (
    (labels.CLIENT_PORT_NAME, labels.CLIENT_PORT),
    (labels.DASHBOARD_PORT_NAME, labels.DASHBOARD_PORT),
    (labels.METRICS_PORT_NAME, labels.METRICS_PORT),
    (labels.SERVE_PORT_NAME, labels.SERVE_PORT),
)


def ports(cluster: Cluster) -> dict[str, int]:
    """Service ports by name: the declared container ports plus `metrics`, or the defaults when none is declared."""
    declared = ray_container(cluster.head).get("ports") or ()
    found: dict[str, int] = {}
    for port in declared:
        number = int(port["containerPort"])
        found[port.get("name") or f"{number}-port"] = number
    if not found:
        return {**dict(_DEFAULT_PORTS), cluster.options.release.gcs_port_name: labels.GCS_PORT}
    found.setdefault(labels.METRICS_PORT_NAME, labels.METRICS_PORT)
    return found


def serve_ports(cluster: Cluster) -> list[JsonObject]:
    """Ports of a serve Service: those named `serve` or `serve-*`. Raises `ReconcileError` when there is none."""
    found = [{"name": name, "port": number} for name, number in sorted(ports(cluster).items()) if serves(cluster, name)]
    if not found:
        raise ReconcileError(no_serve_port(cluster))
    return found


def serves(cluster: Cluster, port: str) -> bool:
    """Whether a port of that name belongs to a serve Service."""
    prefix = f"{labels.SERVE_PORT_NAME}-"
    return port == labels.SERVE_PORT_NAME or (
        cluster.options.release.has_prefixed_serve_ports and port.startswith(prefix)
    )


def no_serve_port(cluster: Cluster) -> str:
    """The error about a head that declares no port to serve at."""
    consequence = "in the Ray head container; otherwise, the Kubernetes service for Ray Serve will not be created."
    if cluster.options.release.has_prefixed_serve_ports:
        return f"Please specify a port named 'serve' (or with the prefix 'serve-', e.g. 'serve-grpc') {consequence}"
    return f"Please specify the port named 'serve' {consequence}"


def head_selector(cluster: Cluster) -> dict[str, str]:
    """Labels that select the head pod; also the head Service's own labels."""
    return {
        labels.CLUSTER: cluster.name,
        labels.NODE_TYPE: labels.HEAD,
        labels.IDENTIFIER: names.head_identifier(cluster.name),
        labels.APP_NAME: cluster.head_app_name,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
    }


def head_lookup(cluster: Cluster) -> dict[str, str]:
    """Labels by which the head Service is found again."""
    return {
        labels.CLUSTER: cluster.name,
        labels.NODE_TYPE: labels.HEAD,
        labels.IDENTIFIER: names.head_identifier(cluster.name),
    }


def _service(metadata: JsonObject, spec: JsonObject) -> JsonObject:
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": metadata, "spec": spec}


def head_service(cluster: Cluster) -> JsonObject:
    """The head Service: headless for type ClusterIP unless the operator is told otherwise; custom templates are kept."""
    selector = head_selector(cluster)
    annotations = dict(cluster.spec.get("headServiceAnnotations") or {})
    service_type = str(cluster.head.get("serviceType") or "")
    service_ports = [
        {"name": name, "port": number, "appProtocol": "tcp"} for name, number in sorted(ports(cluster).items())
    ]
    custom = cluster.head.get("headService")
    if custom:
        return _custom_head_service(cluster, copy_json(custom), selector, annotations, service_type, service_ports)
    spec: JsonObject = {"selector": dict(selector), "ports": service_ports, "type": service_type or "ClusterIP"}
    is_headless = service_type in ("", "ClusterIP") and not cluster.options.head_cluster_ip_service
    if is_headless and cluster.options.release.is_headless:
        spec["clusterIP"] = "None"
        spec["publishNotReadyAddresses"] = True
    return _service(cluster.child_metadata(cluster.head_service_name, selector, annotations), spec)


def _custom_head_service(
    cluster: Cluster,
    custom: JsonObject,
    selector: dict[str, str],
    annotations: dict[str, str],
    service_type: str,
    service_ports: list[JsonObject],
) -> JsonObject:
    metadata = custom.get("metadata") or {}
    spec: JsonObject = custom.get("spec") or {}
    spec["selector"] = dict(selector)
    spec["ports"] = [*(spec.get("ports") or ()), *service_ports]
    if not spec.get("type") and service_type:
        spec["type"] = service_type
    merged_labels = {**(metadata.get("labels") or {}), **selector}
    merged_annotations = {**(metadata.get("annotations") or {}), **annotations}
    own = cluster.child_metadata(cluster.head_service_name, merged_labels, merged_annotations)
    return _service({**metadata, **own}, spec)


def needs_headless_service(cluster: Cluster) -> bool:
    return any((group.get("numOfHosts") or 1) > 1 for group in cluster.groups)


def headless_service(cluster: Cluster) -> JsonObject:
    """Names for the workers of multi-host groups."""
    release = cluster.options.release
    spec: JsonObject = {
        "clusterIP": "None",
        "selector": {labels.CLUSTER: cluster.name, labels.NODE_TYPE: labels.WORKER},
        "type": "ClusterIP",
    }
    if release.is_headless:
        spec["publishNotReadyAddresses"] = True
    name = release.service_name(f"{cluster.name}-{release.headless_suffix}")
    return _service(cluster.child_metadata(name, {labels.HEADLESS_WORKER_SERVICE: cluster.name}), spec)


def needs_serve_service(cluster: Cluster) -> bool:
    return cluster.annotations.get(labels.ENABLE_SERVE_SERVICE) == "true"


def serve_service(cluster: Cluster) -> JsonObject:
    """Selects every pod of the cluster, whether it has a Serve proxy or not. Raises `ReconcileError` without a serve port."""
    own_labels = {
        labels.ORIGINATED_FROM_CR_NAME: cluster.name,
        labels.ORIGINATED_FROM_CRD: RAY_CLUSTER.kind,
        labels.SERVE: f"{cluster.name}-serve",
    }
    spec: JsonObject = {"selector": {labels.CLUSTER: cluster.name}, "ports": serve_ports(cluster)}
    if cluster.head.get("serviceType"):
        spec["type"] = cluster.head["serviceType"]
    name = cluster.options.release.service_name(names.serve_service_name(cluster.name))
    return _service(cluster.child_metadata(name, own_labels), spec)
