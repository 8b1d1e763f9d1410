"""Compute templates named in custom resources, put into effect before Kubernetes sees them (13.3; AS-061)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.go_http import plain_error
from rayrig.apiserver.stored import COMPUTE_TEMPLATE
from rayrig.apiserver.wire import gojson
from rayrig.apiserver.wire.errors import CallError
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.go_yaml import yaml_to_json

_DEFAULT_ACCELERATOR = "nvidia.com/gpu"
_TOLERATION = ("key", "operator", "value", "effect")
#: Where RayJobs and RayServices have their cluster; a RayCluster is one.
_CLUSTERS = ("rayClusterSpec", "rayClusterConfig")


async def with_templates(
    request: HttpRequest, namespace: str, templates: ComputeTemplates
) -> HttpRequest | HttpResponse:
    """The request with templates in effect, as JSON; an answer when it is refused."""
    try:
        body = _parsed(request)
    except ValueError:
        return plain_error(400, "Failed to convert request body to Golang map object")
    if not isinstance(body.get("spec"), dict):
        return request
    groups = list(_groups(body["spec"]))
    names = [group["computeTemplate"] for _, group in groups if isinstance(group.get("computeTemplate"), str)]
    try:
        found = await templates.read_all(names, namespace)
    except CallError as error:
        return plain_error(422, error.message)
    for container, group in groups:
        name = group.get("computeTemplate")
        if isinstance(name, str):
            apply_template(group, found[name], container)
    headers = {**request.headers, "content-type": "application/json"}
    # Sorted as Go sorts them: what is wrong is told in the order of the body.
    sent = json.dumps(body, separators=(",", ":"), sort_keys=True)
    return replace(request, body=sent.encode(), headers=headers)


def _parsed(request: HttpRequest) -> JsonObject:
    """What doesn't say what it is, is JSON, as it is for Kubernetes: recent clients in Python say nothing. KubeRay's own server
    refuses them. Raises `ValueError`.
    """
    content_type = request.headers.get("content-type") or "application/json"
    if "application/json" in content_type:
        value: Json = gojson.parse(request.body)
    elif "application/yaml" in content_type:
        value = json.loads(json.dumps(yaml_to_json(request.body.decode())))
    else:
        raise ValueError(f"neither JSON nor YAML: {content_type}")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _groups(spec: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Groups, each with the name that its Ray container has."""
    cluster = next((spec[field] for field in _CLUSTERS if isinstance(spec.get(field), dict)), spec)
    head, workers = cluster.get("headGroupSpec"), cluster.get("workerGroupSpecs")
    if isinstance(head, dict):
        yield "ray-head", head
    for group in workers if isinstance(workers, list) else ():
        if isinstance(group, dict):
            yield "ray-worker", group


def apply_template(group: JsonObject, template: JsonObject, ray_container: str) -> None:
    """Into the group's pod template, where it has one: CPU and memory for all containers, devices for Ray's own."""
    pod = group.get("template")
    if not isinstance(pod, dict):
        return
    _object(_object(pod, "metadata"), "annotations")[COMPUTE_TEMPLATE] = template["name"]
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    amounts: JsonObject = {"cpu": str(template["cpu"]), "memory": f"{template['memory']}{template['memoryUnit']}"}
    devices: JsonObject = dict(template["extendedResources"])
    if template["gpu"]:
        devices = {template["gpuAccelerator"] or _DEFAULT_ACCELERATOR: template["gpu"], **devices}
    containers = spec.get("containers")
    for container in containers if isinstance(containers, list) else ():
        if isinstance(container, dict):
            resources = _object(container, "resources")
            for kind in ("limits", "requests"):
                _object(resources, kind).update(
                    amounts | devices if container.get("name") == ray_container else amounts
                )
    if template["tolerations"]:
        present: Any = spec.get("tolerations")
        added = [{field: each.get(field, "") for field in _TOLERATION} for each in template["tolerations"]]
        spec["tolerations"] = [*(present if isinstance(present, list) else ()), *added]


def _object(parent: JsonObject, field: str) -> JsonObject:
    """That of `parent`, which gets one where it has none."""
    if not isinstance(parent.get(field), dict):
        parent[field] = {}
    found: JsonObject = parent[field]
    return found
