"""Ingress to the dashboard (kuberay-operator 3.13)."""

from __future__ import annotations

from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.services import ports
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import INGRESS
from rayrig_core.resources import labels, names


def ingress(cluster: Cluster) -> JsonObject:
    """One rule for the head Service's dashboard port; the cluster's annotations are copied, but for the class."""
    options, release = cluster.head.get("ingressOptions") or {}, cluster.options.release
    port = ports(cluster).get(labels.DASHBOARD_PORT_NAME, labels.DASHBOARD_PORT)
    backend = {"service": {"name": cluster.head_service_name, "port": {"number": port}}}
    path = {
        "path": options.get("path") or release.ingress_path.format(cluster=cluster.name),
        "pathType": options.get("pathType") or release.ingress_path_type,
        "backend": backend,
    }
    rule: JsonObject = {"http": {"paths": [path]}}
    if options.get("host"):
        rule["host"] = options["host"]
    spec: JsonObject = {"rules": [rule]}
    if options.get("tls"):
        spec["tls"] = options["tls"]
    annotations = dict(cluster.annotations)
    class_name = annotations.pop(labels.INGRESS_CLASS, "")
    if class_name:
        spec["ingressClassName"] = class_name
    own_labels = {
        labels.CLUSTER: cluster.name,
        labels.IDENTIFIER: names.head_identifier(cluster.name),
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
    }
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": cluster.child_metadata(names.ingress_name(cluster.name), own_labels, annotations),
        "spec": spec,
    }


def has_drifted(desired: JsonObject, present: JsonObject) -> bool:
    """Labels, annotations or spec differ; an ingress class that the server filled in doesn't count."""
    for key in ("labels", "annotations"):
        if (desired["metadata"].get(key) or {}) != (present["metadata"].get(key) or {}):
            return True
    spec = dict(present.get("spec") or {})
    if "ingressClassName" not in desired["spec"]:
        spec.pop("ingressClassName", None)
    return bool(spec != desired["spec"])
