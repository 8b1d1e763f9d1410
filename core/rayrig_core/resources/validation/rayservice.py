"""What the operator refuses in a RayService (kuberay-operator 1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rayrig_core.objects import JsonObject, annotations_of
from rayrig_core.resources import labels
from rayrig_core.resources.cluster_spec import is_autoscaling
from rayrig_core.resources.durations import parse_go_duration
from rayrig_core.resources.feature_gates import DEFAULT_GATES, FeatureGates
from rayrig_core.resources.names import MAX_RAY_SERVICE_NAME
from rayrig_core.resources.validation.problems import Problem, name_problems
from rayrig_core.resources.validation.raycluster import cluster_spec_problems

INCREMENTAL = "NewClusterWithIncrementalUpgrade"
#: Values of `spec.upgradeStrategy.type` of a RayService.
UPGRADE_TYPES = (INCREMENTAL, "NewCluster", "None")


def ray_service_problems(service: JsonObject, gates: FeatureGates = DEFAULT_GATES) -> list[Problem]:
    """Everything the operator would refuse, its prefixes included."""
    return [*ray_service_metadata_problems(service), *ray_service_spec_problems(service, gates)]


def ray_service_metadata_problems(service: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayServiceMetadata."""
    prefix = "The RayService metadata is invalid: "
    yield from name_problems(service, "RayService", MAX_RAY_SERVICE_NAME, prefix)
    timeout = annotations_of(service).get(labels.INITIALIZING_TIMEOUT, "")
    complaint = _timeout_complaint(timeout) if timeout else ""
    if complaint:
        yield Problem(
            f"metadata.annotations[{labels.INITIALIZING_TIMEOUT}]",
            f"{prefix}RayService annotations is invalid: annotation {labels.INITIALIZING_TIMEOUT} {complaint}",
            "give a duration such as 5m or a number of seconds",
        )


def _timeout_complaint(text: str) -> str:
    try:
        is_positive = parse_go_duration(text) > 0
    except ValueError:
        if re.fullmatch(r"[+-]?[0-9]+", text):
            return "" if int(text) > 0 else f"must be a positive integer (seconds), got: {text}"
        return f"has invalid format: {text}. Expected Go duration format (e.g., '5m', '1h') or positive integer seconds"
    return "" if is_positive else f"must be a positive duration, got: {text}"


def ray_service_spec_problems(service: JsonObject, gates: FeatureGates = DEFAULT_GATES) -> Iterator[Problem]:
    """Refused as InvalidRayServiceSpec."""
    prefix = "The RayService spec is invalid: "
    for problem in _service_spec_problems(service.get("spec") or {}, annotations_of(service), gates):
        yield Problem(problem.path, prefix + problem.message, problem.remedy)


def _service_spec_problems(spec: JsonObject, annotations: Mapping[str, str], gates: FeatureGates) -> Iterator[Problem]:
    cluster = spec.get("rayClusterConfig") or {}
    path = "spec.rayClusterConfig"
    if (cluster.get("authOptions") or {}).get("enableK8sTokenAuth"):
        yield Problem(
            f"{path}.authOptions.enableK8sTokenAuth",
            "K8s token auth mode is currently not supported for RayService",
            "remove the field",
        )
    yield from cluster_spec_problems(cluster, annotations, gates, path)
    head_service = (cluster.get("headGroupSpec") or {}).get("headService") or {}
    if (head_service.get("metadata") or {}).get("name"):
        yield Problem(
            f"{path}.headGroupSpec.headService.metadata.name",
            "spec.rayClusterConfig.headGroupSpec.headService.metadata.name should not be set",
            "remove the name: each cluster's head Service gets its own",
        )
    strategy = spec.get("upgradeStrategy") or {}
    kind = strategy.get("type")
    if kind is not None and kind not in UPGRADE_TYPES:
        yield Problem(
            "spec.upgradeStrategy.type",
            f"Spec.UpgradeStrategy.Type value {kind} is invalid, valid options are {UPGRADE_TYPES[0]}, "
            f"{UPGRADE_TYPES[1]}, or {UPGRADE_TYPES[2]}",
            "choose one of these",
        )
    delay = spec.get("rayClusterDeletionDelaySeconds")
    if delay is not None and delay < 0:
        yield Problem(
            "spec.rayClusterDeletionDelaySeconds",
            f"Spec.RayClusterDeletionDelaySeconds should be a non-negative integer, got {delay}",
            "give 0 or more",
        )
    if kind == INCREMENTAL and gates.ray_service_incremental_upgrade:
        yield from _incremental_problems(cluster, strategy)


def _incremental_problems(cluster: JsonObject, strategy: JsonObject) -> Iterator[Problem]:
    path = "spec.upgradeStrategy.clusterUpgradeOptions"
    if not is_autoscaling(cluster):
        yield Problem(
            "spec.rayClusterConfig.enableInTreeAutoscaling",
            f"Ray Autoscaler is required for {INCREMENTAL}",
            "set it to true",
        )
    options = strategy.get("clusterUpgradeOptions")
    if options is None:
        yield Problem(path, f"ClusterUpgradeOptions are required for {INCREMENTAL}", "add them")
        return
    surge = options.get("maxSurgePercent")
    surge = 100 if surge is None else surge
    step = options.get("stepSizePercent") or 0
    if not 0 <= surge <= 100:
        yield Problem(f"{path}.maxSurgePercent", "maxSurgePercent must be between 0 and 100")
    if not 0 <= step <= 100:
        yield Problem(f"{path}.stepSizePercent", "stepSizePercent must be between 0 and 100")
    if step > surge:
        yield Problem(f"{path}.stepSizePercent", "stepSizePercent must be less than or equal to maxSurgePercent")
    if (options.get("intervalSeconds") or 0) <= 0:
        yield Problem(f"{path}.intervalSeconds", "intervalSeconds must be greater than 0")
    if not options.get("gatewayClassName"):
        yield Problem(f"{path}.gatewayClassName", f"gatewayClassName is required for {INCREMENTAL}")
