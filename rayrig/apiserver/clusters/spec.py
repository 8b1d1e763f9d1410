"""The spec of a RayCluster, from its message and back: of a cluster, or inside a Ray service or job (`kuberay-apiserver.md` 6.2,
7.1, 7.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rayrig.apiserver.clusters.autoscaler import autoscaler_options_of, options_of
from rayrig.apiserver.clusters.pods import HEAD, WORKER, group_of, pod_template_of
from rayrig_core.objects import JsonObject, copy_json


def template_names(spec: JsonObject) -> Iterator[str]:
    """Of the compute templates that a valid spec needs, the head's first."""
    yield spec["headGroupSpec"]["computeTemplate"]
    for group in spec.get("workerGroupSpec", ()):
        yield group["computeTemplate"]


def raycluster_spec_of(
    spec: JsonObject,
    templates: Mapping[str, JsonObject],
    *,
    version: str,
    envs: JsonObject | None = None,
    serves: bool = False,
) -> JsonObject:
    """Of a valid spec and the compute templates it names. `envs` are added to every container; `serves` opens the ports of
    Serve on the head. Raises `Unconvertible`.
    """
    head = spec["headGroupSpec"]
    head_group: JsonObject = {
        "rayStartParams": head["rayStartParams"],
        "template": pod_template_of(
            head, HEAD, templates[head["computeTemplate"]], version=version, envs=envs, serves=serves
        ),
    }
    if service_type := head.get("serviceType"):
        head_group["serviceType"] = service_type
    if head.get("enableIngress"):
        head_group["enableIngress"] = True
    made: JsonObject = {"headGroupSpec": head_group}
    if version:
        made["rayVersion"] = version
    if groups := spec.get("workerGroupSpec"):
        made["workerGroupSpecs"] = [_worker_group_of(group, templates, version, envs) for group in groups]
    if annotations := spec.get("headServiceAnnotations"):
        made["headServiceAnnotations"] = annotations
    if spec.get("enableInTreeAutoscaling"):
        made["enableInTreeAutoscaling"] = True
        if "autoscalerOptions" in spec:
            made["autoscalerOptions"] = autoscaler_options_of(spec["autoscalerOptions"])
    # Whoever takes it may change it: nothing in it is the request's, or that of other pods.
    return copy_json(made)


def _worker_group_of(
    group: JsonObject, templates: Mapping[str, JsonObject], version: str, envs: JsonObject | None
) -> JsonObject:
    replicas = group.get("replicas", 0)
    template = templates[group["computeTemplate"]]
    made = {
        "groupName": group["groupName"],
        "replicas": replicas,
        "minReplicas": group.get("minReplicas", 0) or replicas,
        "maxReplicas": group["maxReplicas"],
        # Written by every client in Go, empty or not.
        "scaleStrategy": {},
        "template": pod_template_of(group, WORKER, template, version=version, envs=envs),
    }
    if params := group.get("rayStartParams"):
        made["rayStartParams"] = params
    return made


def cluster_spec_of(spec: JsonObject) -> JsonObject:
    """The message that tells of a RayCluster's spec, whoever wrote it."""
    told: JsonObject = {
        "headGroupSpec": _told_head_group(spec.get("headGroupSpec") or {}),
        "workerGroupSpec": [_told_worker_group(group) for group in spec.get("workerGroupSpecs") or ()],
        "headServiceAnnotations": spec.get("headServiceAnnotations") or {},
    }
    if spec.get("enableInTreeAutoscaling"):
        told["enableInTreeAutoscaling"] = True
        if (options := spec.get("autoscalerOptions")) is not None:
            told["autoscalerOptions"] = options_of(options)
    return told


def _told_head_group(group: JsonObject) -> JsonObject:
    return group_of(group.get("template") or {}, HEAD) | {
        "rayStartParams": group.get("rayStartParams") or {},
        "serviceType": group.get("serviceType") or "",
        "enableIngress": group.get("enableIngress") or False,
    }


def _told_worker_group(group: JsonObject) -> JsonObject:
    return group_of(group.get("template") or {}, WORKER) | {
        "groupName": group.get("groupName", ""),
        "rayStartParams": group.get("rayStartParams") or {},
        "replicas": group.get("replicas") or 0,
        "minReplicas": group.get("minReplicas") or 0,
        "maxReplicas": group.get("maxReplicas") or 0,
    }
