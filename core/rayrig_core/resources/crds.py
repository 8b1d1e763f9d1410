"""The CustomResourceDefinitions that rayrig serves and installs: RayService, RayCluster, RayJob from our types, Gateway, HTTPRoute.

Printer columns, versions and names are those of KubeRay v1.7 (kuberay-operator reference, 1 and 1.1); the definitions of KubeRay
v1.1 have the same columns and fewer fields (kuberay-operator reference, 6).
"""

from functools import cache
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import (
    CUSTOM_RESOURCE_DEFINITION,
    GATEWAY,
    HTTP_ROUTE,
    RAY_CLUSTER,
    RAY_JOB,
    RAY_SERVICE,
    ResourceType,
)
from rayrig_core.resources.gateway import GATEWAY_SCHEMA, HTTP_ROUTE_SCHEMA
from rayrig_core.resources.raycluster import OLD_VERSION, RELEASE_1_1, RayCluster
from rayrig_core.resources.rayjob import RayJob
from rayrig_core.resources.rayservice import RayService
from rayrig_core.resources.schema import Schema, structural


def _column(name: str, type_: str, path: str, *, wide: bool = False) -> JsonObject:
    column: JsonObject = {"name": name, "type": type_, "jsonPath": path}
    if wide:
        column["priority"] = 1
    return column


_RAY_SERVICE_COLUMNS = [
    _column("service status", "string", ".status.serviceStatus"),
    _column("num serve endpoints", "string", ".status.numServeEndpoints"),
]
_RAY_CLUSTER_COLUMNS = [
    _column("desired workers", "integer", ".status.desiredWorkerReplicas"),
    _column("available workers", "integer", ".status.availableWorkerReplicas"),
    _column("cpus", "string", ".status.desiredCPU"),
    _column("memory", "string", ".status.desiredMemory"),
    _column("gpus", "string", ".status.desiredGPU"),
    _column("tpus", "string", ".status.desiredTPU", wide=True),
    _column("status", "string", ".status.state"),
    _column("age", "date", ".metadata.creationTimestamp"),
    _column("head pod IP", "string", ".status.head.podIP", wide=True),
    _column("head service IP", "string", ".status.head.serviceIP", wide=True),
]
_RAY_JOB_COLUMNS = [
    _column("job status", "string", ".status.jobStatus"),
    _column("deployment status", "string", ".status.jobDeploymentStatus"),
    _column("ray cluster name", "string", ".status.rayClusterName"),
    _column("start time", "string", ".status.startTime"),
    _column("end time", "string", ".status.endTime"),
    _column("age", "date", ".metadata.creationTimestamp"),
]
_GATEWAY_COLUMNS = [
    _column("Class", "string", ".spec.gatewayClassName"),
    _column("Address", "string", ".status.addresses[*].value"),
    _column("Programmed", "string", '.status.conditions[?(@.type=="Programmed")].status'),
    _column("Age", "date", ".metadata.creationTimestamp"),
]
_HTTP_ROUTE_COLUMNS = [
    _column("Hostnames", "string", ".spec.hostnames"),
    _column("Age", "date", ".metadata.creationTimestamp"),
]


def _version(name: str, schema: Schema, columns: list[JsonObject], *, deprecated: str = "") -> JsonObject:
    version: JsonObject = {
        "name": name,
        "served": True,
        "storage": not deprecated,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    if columns:
        version["additionalPrinterColumns"] = columns
    if deprecated:
        version["deprecated"] = True
        version["deprecationWarning"] = deprecated
    return version


def _definition(
    resource: ResourceType, versions: list[JsonObject], categories: list[str], short_names: list[str]
) -> JsonObject:
    names: JsonObject = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "categories": categories,
    }
    if short_names:
        names["shortNames"] = short_names
    metadata: JsonObject = {"name": f"{resource.plural}.{resource.group}"}
    if resource.group.endswith(".k8s.io"):
        metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, served by rayrig"}
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": metadata,
        "spec": {"group": resource.group, "names": names, "scope": "Namespaced", "versions": versions},
    }


def _ray_definition(
    resource: ResourceType, type_: Any, columns: list[JsonObject], old_columns: list[JsonObject], release: str = "v1"
) -> JsonObject:
    warning = (
        f"ray.io/v1alpha1 {resource.kind} is deprecated; use ray.io/v1 {resource.kind}. "
        "v1alpha1 receives no new fields and will be unavailable in KubeRay 1.9."
    )
    versions = [
        _version("v1", _root(structural(type_, release)), columns),
        _version(OLD_VERSION, _root(structural(type_, OLD_VERSION)), old_columns, deprecated=warning),
    ]
    return _definition(resource, versions, ["all"], [])


def _root(schema: Schema) -> Schema:
    """The schema of a whole object: `metadata` is the API server's own affair."""
    properties = {**schema["properties"], "metadata": {"type": "object"}}
    return {**schema, "properties": properties}


@cache
def _definitions() -> tuple[JsonObject, ...]:
    return (
        _ray_definition(RAY_CLUSTER, RayCluster, _RAY_CLUSTER_COLUMNS, _RAY_CLUSTER_COLUMNS),
        _ray_definition(RAY_SERVICE, RayService, _RAY_SERVICE_COLUMNS, []),
        _definition(GATEWAY, [_version("v1", GATEWAY_SCHEMA, _GATEWAY_COLUMNS)], ["gateway-api"], ["gtw"]),
        _definition(HTTP_ROUTE, [_version("v1", HTTP_ROUTE_SCHEMA, _HTTP_ROUTE_COLUMNS)], ["gateway-api"], []),
    )


@cache
def _definitions_1_1() -> tuple[JsonObject, ...]:
    return (
        _ray_definition(RAY_CLUSTER, RayCluster, _RAY_CLUSTER_COLUMNS, _RAY_CLUSTER_COLUMNS, RELEASE_1_1),
        _ray_definition(RAY_SERVICE, RayService, _RAY_SERVICE_COLUMNS, [], RELEASE_1_1),
        *_definitions()[2:],
    )


def custom_resource_definitions(kuberay: str = "v1.7.0") -> list[JsonObject]:
    """Four definitions as manifests, with the Ray types of release `v1.7.0` or `v1.1.0`: what operator and scenarios need.

    They are shared: whoever wants to change one copies it first.
    """
    return list(_definitions_1_1() if kuberay == "v1.1.0" else _definitions())


@cache
def ray_job_definition() -> JsonObject:
    """RayJob as KubeRay v1.7 has it, for who stores RayJobs: the KubeRay API server. It is shared, too."""
    return _ray_definition(RAY_JOB, RayJob, _RAY_JOB_COLUMNS, [])
