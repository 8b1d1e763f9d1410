"""A cluster as a RayCluster, and back (`kuberay-apiserver.md` 6.1, 7.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rayrig.apiserver.clusters.messages import ENVIRONMENT as ENVIRONMENTS
from rayrig.apiserver.clusters.spec import cluster_spec_of, raycluster_spec_of
from rayrig.apiserver.events import event_of
from rayrig.apiserver.stored import (
    APP_NAME,
    APPLICATION,
    CLUSTER_NAME,
    CREATED,
    ENVIRONMENT,
    MANAGED_BY,
    MANAGER,
    USER,
    VERSION,
    time_text,
)
from rayrig_core.objects import JsonObject, annotations_of, labels_of, name_of, namespace_of
from rayrig_core.resource_types import RAY_CLUSTER
from rayrig_core.resources.labels import ENABLE_SERVE_SERVICE


def raycluster_of(cluster: JsonObject, templates: Mapping[str, JsonObject], unix_ns: int) -> JsonObject:
    """The object of a valid cluster, made now. Raises `Unconvertible`."""
    annotations, version = cluster.get("annotations", {}), cluster.get("version", "")
    environment = cluster.get("environment", 0)
    labels = {
        CLUSTER_NAME: cluster["name"],
        USER: cluster["user"],
        VERSION: version,
        # A number without a name stands for itself.
        ENVIRONMENT: dict(enumerate(ENVIRONMENTS.values)).get(environment, str(environment)),
        APP_NAME: APPLICATION,
        MANAGED_BY: MANAGER,
    }
    return {
        "apiVersion": RAY_CLUSTER.api_version,
        "kind": RAY_CLUSTER.kind,
        "metadata": {
            "name": cluster["name"],
            "namespace": cluster["namespace"],
            "labels": labels,
            "annotations": annotations | {CREATED: time_text(unix_ns)},
        },
        "spec": raycluster_spec_of(
            cluster["clusterSpec"],
            templates,
            version=version,
            envs=cluster.get("envs"),
            serves=annotations.get(ENABLE_SERVE_SERVICE) == "true",
        ),
    }


def cluster_of(raycluster: JsonObject, events: Sequence[JsonObject]) -> JsonObject:
    """The message that tells of a RayCluster and of events about it."""
    labels, status = labels_of(raycluster), raycluster.get("status") or {}
    environment = labels.get(ENVIRONMENT, "")
    return {
        "name": name_of(raycluster),
        "namespace": namespace_of(raycluster),
        "user": labels.get(USER, ""),
        "version": labels.get(VERSION, ""),
        "environment": ENVIRONMENTS.values.index(environment) if environment in ENVIRONMENTS.values else 0,
        "clusterSpec": cluster_spec_of(raycluster.get("spec") or {}),
        "annotations": annotations_of(raycluster),
        "createdAt": raycluster["metadata"]["creationTimestamp"],
        "clusterState": status.get("state") or "",
        "events": [event_of(event, labels.get(CLUSTER_NAME, "")) for event in events],
        "serviceEndpoint": status.get("endpoints") or {},
    }
