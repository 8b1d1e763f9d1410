"""What the operator refuses in a head or worker group: resources, labels, sizes, priorities."""

from __future__ import annotations

from collections.abc import Iterator

from rayrig_core.kubernetes_names import label_value, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_core.resources.cluster_spec import containers, is_autoscaling, parse_ray_version, uses_autoscaler_v2
from rayrig_core.resources.validation.problems import Problem

#: Worker group fields that `rayStartParams` can say as well.
_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")
_PRIORITY_MINIMUM = (2, 56, 0)


def group_problems(group: JsonObject, name: str, path: str) -> Iterator[Problem]:
    """Problems of a head or worker group called `name`."""
    params = group.get("rayStartParams") or {}
    if group.get("resources") and any(param in params for param in _RESOURCE_PARAMS):
        yield Problem(
            f"{path}.resources",
            f"resource fields should not be set in both rayStartParams and Resources for {name} group; please use only one",
            "remove them from rayStartParams",
        )
    if "labels" in params:
        yield Problem(
            f"{path}.rayStartParams.labels",
            f"rayStartParams['labels'] is not supported for {name} group; please use the top-level Labels field instead",
            f"move them to {path}.labels",
        )
    for key, value in (group.get("labels") or {}).items():
        if errors := qualified_name(key):
            yield Problem(
                f"{path}.labels",
                f"invalid label key for {name} group: '{key}', error: {'; '.join(errors)}",
                "use a Kubernetes label key",
            )
        if errors := label_value(value):
            yield Problem(
                f"{path}.labels[{key}]",
                f"invalid label value for key '{key}' in {name} group: '{value}', error: {'; '.join(errors)}",
                "use a Kubernetes label value",
            )


def worker_group_problems(spec: JsonObject, group: JsonObject, path: str) -> Iterator[Problem]:
    """Problems of a worker group of a cluster with that spec."""
    name = group.get("groupName") or ""
    if not containers(group):
        yield Problem(
            f"{path}.template.spec.containers",
            "workerGroupSpec should have at least one container",
            "add the Ray container",
        )
    yield from group_problems(group, name, path)
    low, high = group.get("minReplicas"), group.get("maxReplicas")
    if not is_autoscaling(spec) and (low is None or high is None):
        yield Problem(
            f"{path}.minReplicas",
            f"worker group {name} must set both minReplicas and maxReplicas when autoscaling is disabled",
            "set both",
        )
    if low is not None and low < 0:
        yield Problem(f"{path}.minReplicas", f"worker group {name} has negative minReplicas {low}", "give 0 or more")
    if high is not None and high < 0:
        yield Problem(f"{path}.maxReplicas", f"worker group {name} has negative maxReplicas {high}", "give 0 or more")
    if low is not None and high is not None and low > high:
        yield Problem(
            f"{path}.minReplicas",
            f"worker group {name} has minReplicas {low} greater than maxReplicas {high}",
            "raise maxReplicas or lower minReplicas",
        )
    idle = group.get("idleTimeoutSeconds")
    if idle is not None and idle < 0:
        yield Problem(
            f"{path}.idleTimeoutSeconds",
            f"worker group {name}: idleTimeoutSeconds must be non-negative, got {idle}",
            "give 0 or more",
        )
    elif idle is not None and not uses_autoscaler_v2(spec):
        yield Problem(
            f"{path}.idleTimeoutSeconds",
            f"worker group {name}: idleTimeoutSeconds is set, but autoscaler v2 is not enabled. Please set "
            ".spec.autoscalerOptions.version to 'v2' (or set RAY_enable_autoscaler_v2 environment variable to 'true' in the "
            "head pod if using KubeRay < 1.4.0)",
            "set spec.autoscalerOptions.version: v2",
        )
    if group.get("priority"):
        yield from _priority_problems(spec, group["priority"], name, f"{path}.priority")


def _priority_problems(spec: JsonObject, priority: int, name: str, path: str) -> Iterator[Problem]:
    text = spec.get("rayVersion") or ""
    version = parse_ray_version(text)
    minimum = ".".join(map(str, _PRIORITY_MINIMUM))
    remedy = f"set rayVersion to {minimum} or later and autoscaler v2"
    if not text:
        yield Problem(
            path,
            f"worker group {name}: priority is set, but RayVersion was not specified. Ray version {minimum} or later is "
            "required",
            remedy,
        )
    elif version is None:
        yield Problem(path, f"worker group {name}: priority is set, but RayVersion format is invalid: {text}", remedy)
    elif version < _PRIORITY_MINIMUM:
        yield Problem(
            path, f"worker group {name}: priority is set, but minimum Ray version is {minimum}, got {text}", remedy
        )
    if not (is_autoscaling(spec) and uses_autoscaler_v2(spec)):
        yield Problem(
            path,
            f"worker group {name}: priority is set to {priority}, but autoscaler v2 is not enabled. Priority is only "
            "supported with autoscaler v2 enabled",
            remedy,
        )
