"""A Ray service as a RayService, and back (`reference/kuberay-apiserver.md` 8.2, 8.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rayrig.apiserver.clusters.spec import cluster_spec_of, raycluster_spec_of
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.events import event_of
from rayrig.apiserver.stored import APP_NAME, APPLICATION, MANAGED_BY, MANAGER, USER
from rayrig_core.objects import JsonObject, labels_of, metadata, name_of, namespace_of
from rayrig_core.resource_types import RAY_SERVICE

#: What stands for "not deleted": a second before 1970.
_NOT_DELETED = "1969-12-31T23:59:59Z"
_THRESHOLDS = ("serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold")


def rayservice_of(
    service: JsonObject, templates: Mapping[str, JsonObject], annotations: Mapping[str, str]
) -> JsonObject:
    """The object of a valid service. Raises `Unconvertible`."""
    config = service.get("serveConfigV2")
    if not config:
        raise Unconvertible("serve configuration is not defined")
    spec = {
        "serveConfigV2": config,
        "rayClusterConfig": raycluster_spec_of(
            service["clusterSpec"], templates, version=service.get("version", ""), serves=True
        ),
    }
    return {
        "apiVersion": RAY_SERVICE.api_version,
        "kind": RAY_SERVICE.kind,
        "metadata": {
            "name": service["name"],
            "namespace": service["namespace"],
            "labels": {USER: service["user"], APP_NAME: APPLICATION, MANAGED_BY: MANAGER},
            "annotations": dict(annotations),
        },
        "spec": spec | {name: service[name] for name in _THRESHOLDS if service.get(name, 0) > 0},
    }


def service_of(rayservice: JsonObject, events: Sequence[JsonObject]) -> JsonObject:
    """The message that tells of a RayService, its active cluster and events about both."""
    spec = rayservice.get("spec") or {}
    cluster = spec.get("rayClusterConfig") or {}
    return {
        "name": name_of(rayservice),
        "namespace": namespace_of(rayservice),
        "user": labels_of(rayservice).get(USER, ""),
        "version": cluster.get("rayVersion") or "",
        "serveConfigV2": spec.get("serveConfigV2") or "",
        "clusterSpec": cluster_spec_of(cluster),
        **{name: spec.get(name) or 0 for name in _THRESHOLDS},
        "rayServiceStatus": _status_of(rayservice, events),
        "createdAt": metadata(rayservice)["creationTimestamp"],
        "deleteAt": metadata(rayservice).get("deletionTimestamp") or _NOT_DELETED,
    }


def active_cluster(rayservice: JsonObject) -> str:
    """The name of the cluster that serves; empty while there is none."""
    return _active(rayservice).get("rayClusterName") or ""


def _active(rayservice: JsonObject) -> JsonObject:
    return (rayservice.get("status") or {}).get("activeServiceStatus") or {}


def _status_of(rayservice: JsonObject, events: Sequence[JsonObject]) -> JsonObject:
    active = _active(rayservice)
    cluster = active.get("rayClusterStatus") or {}
    applications = active.get("applicationStatuses") or {}
    return {
        "rayServiceEvents": [event_of(event, name_of(rayservice)) for event in events],
        "rayClusterName": active_cluster(rayservice),
        "rayClusterState": cluster.get("state") or "",
        "serviceEndpoint": cluster.get("endpoints") or {},
        "serveApplicationStatus": [
            {"name": name, **_health_of(status), "serveDeploymentStatus": _deployments_of(status)}
            for name, status in applications.items()
        ],
    }


def _deployments_of(application: JsonObject) -> list[JsonObject]:
    deployments = application.get("serveDeploymentStatuses") or {}
    return [{"deploymentName": name, **_health_of(status)} for name, status in deployments.items()]


def _health_of(status: JsonObject) -> JsonObject:
    return {"status": status.get("status") or "", "message": status.get("message") or ""}
