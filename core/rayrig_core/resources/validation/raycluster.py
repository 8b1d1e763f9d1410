"""What the operator refuses in a RayCluster, or in the cluster that a RayService describes (kuberay-operator 1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rayrig_core.objects import JsonObject, annotations_of, condition_of, labels_of
from rayrig_core.resources import labels
from rayrig_core.resources.cluster_spec import containers, parse_ray_version
from rayrig_core.resources.feature_gates import DEFAULT_GATES, FeatureGates
from rayrig_core.resources.names import MAX_RAY_CLUSTER_NAME
from rayrig_core.resources.validation.autoscaling import autoscaler_problems
from rayrig_core.resources.validation.gcs_fault_tolerance import fault_tolerance_problems
from rayrig_core.resources.validation.groups import group_problems, worker_group_problems
from rayrig_core.resources.validation.mutual_tls import mutual_tls_problems
from rayrig_core.resources.validation.problems import Problem, name_problems

_TOKEN_MINIMUM = (2, 52, 0)
_K8S_TOKEN_MINIMUM = (2, 55, 0)


def ray_cluster_problems(cluster: JsonObject, gates: FeatureGates = DEFAULT_GATES) -> list[Problem]:
    """Everything the operator would refuse."""
    return [
        *ray_cluster_metadata_problems(cluster),
        *ray_cluster_spec_problems(cluster, gates),
        *ray_cluster_upgrade_problems(cluster),
        *ray_cluster_status_problems(cluster),
    ]


def ray_cluster_metadata_problems(cluster: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayClusterMetadata."""
    return name_problems(cluster, "RayCluster", MAX_RAY_CLUSTER_NAME, "")


def ray_cluster_spec_problems(cluster: JsonObject, gates: FeatureGates = DEFAULT_GATES) -> Iterator[Problem]:
    """Refused as InvalidRayClusterSpec."""
    return cluster_spec_problems(cluster.get("spec") or {}, annotations_of(cluster), gates, "spec")


def ray_cluster_upgrade_problems(cluster: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayClusterSpec with the words for the upgrade strategy."""
    kind = ((cluster.get("spec") or {}).get("upgradeStrategy") or {}).get("type")
    if kind is None:
        return
    path = "spec.upgradeStrategy.type"
    if kind not in ("Recreate", "None"):
        yield Problem(path, f"Spec.UpgradeStrategy.Type value {kind} is invalid, valid options are Recreate or None")
    maker = labels_of(cluster).get(labels.ORIGINATED_FROM_CRD)
    if maker in ("RayJob", "RayService"):
        yield Problem(path, f"upgradeStrategy cannot be set when RayCluster is created by {maker}", "remove the field")


def ray_cluster_status_problems(cluster: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayClusterStatus."""
    both = ("RayClusterSuspending", "RayClusterSuspended")
    found = [condition_of(cluster, kind) for kind in both]
    if all(condition is not None and condition.get("status") == "True" for condition in found):
        yield Problem("status.conditions", f"{both[0]} and {both[1]} conditions cannot be both true at the same time")


def cluster_spec_problems(
    spec: JsonObject, annotations: Mapping[str, str], gates: FeatureGates, path: str
) -> Iterator[Problem]:
    """Problems of a RayClusterSpec that stands at `path`."""
    head = spec.get("headGroupSpec") or {}
    if not containers(head):
        yield Problem(
            f"{path}.headGroupSpec.template.spec.containers",
            "headGroupSpec should have at least one container",
            "add the Ray container",
        )
    yield from group_problems(head, "Head", f"{path}.headGroupSpec")
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        yield from worker_group_problems(spec, group, f"{path}.workerGroupSpecs[{index}]")
    yield from fault_tolerance_problems(spec, annotations, gates, path)
    yield from autoscaler_problems(spec, gates, path)
    yield from _gate_problems(spec, gates, path)
    yield from _auth_problems(spec, path)
    yield from mutual_tls_problems(spec, gates, path)


def _gate_problems(spec: JsonObject, gates: FeatureGates, path: str) -> Iterator[Problem]:
    remedy = "enable the gate or remove the field"
    if spec.get("historyServerOptions") is not None and not gates.ray_cluster_history_server:
        yield Problem(f"{path}.historyServerOptions", "RayClusterHistoryServer feature gate is not enabled", remedy)
    for name, gate, is_on in (
        ("networkPolicy", "RayClusterNetworkPolicy", gates.ray_cluster_network_policy),
        ("tlsOptions", "RayClusterMTLS", gates.ray_cluster_mtls),
    ):
        if spec.get(name) is not None and not is_on:
            yield Problem(f"{path}.{name}", f"spec.{name} requires the {gate} feature gate to be enabled", remedy)


def _auth_problems(spec: JsonObject, path: str) -> Iterator[Problem]:
    auth = spec.get("authOptions") or {}
    is_token = auth.get("mode") == "token"
    version_path = f"{path}.rayVersion"
    if is_token:
        yield from _version_problems(spec, "authOptions.mode is 'token'", _TOKEN_MINIMUM, version_path)
    if auth.get("enableK8sTokenAuth"):
        if not is_token:
            yield Problem(
                f"{path}.authOptions.mode",
                "authOptions.enableK8sTokenAuth is enabled but authOptions.mode is not 'token'",
                "set mode: token",
            )
        yield from _version_problems(
            spec, "authOptions.enableK8sTokenAuth is enabled", _K8S_TOKEN_MINIMUM, version_path
        )
        if auth.get("secretName"):
            yield Problem(
                f"{path}.authOptions.secretName",
                "authOptions.enableK8sTokenAuth is enabled and authOptions.secretName is also set",
                "remove secretName",
            )


def _version_problems(spec: JsonObject, what: str, minimum: tuple[int, int, int], path: str) -> Iterator[Problem]:
    text = spec.get("rayVersion") or ""
    version = parse_ray_version(text)
    needed = ".".join(map(str, minimum))
    remedy = f"set rayVersion to {needed} or later"
    if not text:
        yield Problem(
            path, f"{what} but RayVersion was not specified. Ray version {needed} or later is required", remedy
        )
    elif version is None:
        yield Problem(path, f"{what} but RayVersion format is invalid: {text}", remedy)
    elif version < minimum:
        yield Problem(path, f"{what} but minimum Ray version is {needed}, got {text}", remedy)
