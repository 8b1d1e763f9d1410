"""What the operator refuses in a RayService or a RayCluster that the schema admits (kuberay-operator 1.6).

Each check yields problems in the operator's order; the operator reports the first and stops, `rayrig validate` shows all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from rayrig_core.objects import JsonObject, annotations_of, condition_of, labels_of
from rayrig_core.resources import labels
from rayrig_core.resources.durations import parse_go_duration
from rayrig_core.resources.names import MAX_RAY_CLUSTER_NAME, MAX_RAY_SERVICE_NAME, is_dns1035_label

INCREMENTAL = "NewClusterWithIncrementalUpgrade"
#: Values of `spec.upgradeStrategy.type` of a RayService.
UPGRADE_TYPES = (INCREMENTAL, "NewCluster", "None")

#: Worker group fields that `rayStartParams` can say as well.
_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")
_AUTOSCALER_CMD_ENV = "KUBERAY_GEN_AUTOSCALER_START_CMD"
_GCS_STORAGE_NAME, _GCS_STORAGE_PATH = "gcs-storage", "/data/gcs"

_TOKEN_MINIMUM = (2, 52, 0)
_K8S_TOKEN_MINIMUM = (2, 55, 0)
_PRIORITY_MINIMUM = (2, 56, 0)


class Gates(Protocol):
    """The feature gates that decide what a spec may hold (5.1)."""

    @property
    def ray_service_incremental_upgrade(self) -> bool: ...
    @property
    def ray_job_deletion_policy(self) -> bool: ...
    @property
    def ray_cluster_network_policy(self) -> bool: ...
    @property
    def gcs_fault_tolerance_embedded_storage(self) -> bool: ...
    @property
    def ray_cluster_mtls(self) -> bool: ...
    @property
    def ray_cluster_history_server(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class DefaultGates:
    """The gates as KubeRay 1.7 ships them."""

    ray_service_incremental_upgrade: bool = True
    ray_job_deletion_policy: bool = True
    ray_cluster_network_policy: bool = False
    gcs_fault_tolerance_embedded_storage: bool = False
    ray_cluster_mtls: bool = False
    ray_cluster_history_server: bool = False


DEFAULT_GATES = DefaultGates()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: the field's path (`spec.rayClusterConfig.headGroupSpec…`), the operator's words, and what to do."""

    path: str
    message: str
    remedy: str = ""


def first_problem(problems: Iterator[Problem]) -> Problem | None:
    """What the operator would report."""
    return next(problems, None)


# RayService


def ray_service_problems(service: JsonObject, gates: Gates = DEFAULT_GATES) -> list[Problem]:
    """Everything the operator would refuse, its prefixes included."""
    return [*ray_service_metadata_problems(service), *ray_service_spec_problems(service, gates)]


def ray_service_metadata_problems(service: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayServiceMetadata."""
    prefix = "The RayService metadata is invalid: "
    yield from _name_problems(service, "RayService", MAX_RAY_SERVICE_NAME, prefix)
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


def ray_service_spec_problems(service: JsonObject, gates: Gates = DEFAULT_GATES) -> Iterator[Problem]:
    """Refused as InvalidRayServiceSpec."""
    prefix = "The RayService spec is invalid: "
    for problem in _service_spec_problems(service.get("spec") or {}, annotations_of(service), gates):
        yield Problem(problem.path, prefix + problem.message, problem.remedy)


def _service_spec_problems(spec: JsonObject, annotations: Mapping[str, str], gates: Gates) -> Iterator[Problem]:
    cluster = spec.get("rayClusterConfig") or {}
    path = "spec.rayClusterConfig"
    if (cluster.get("authOptions") or {}).get("enableK8sTokenAuth"):
        yield Problem(
            f"{path}.authOptions.enableK8sTokenAuth",
            "K8s token auth mode is currently not supported for RayService",
            "remove the field",
        )
    yield from _cluster_spec_problems(cluster, annotations, gates, path)
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


# RayCluster


def ray_cluster_problems(cluster: JsonObject, gates: Gates = DEFAULT_GATES) -> list[Problem]:
    """Everything the operator would refuse."""
    return [
        *ray_cluster_metadata_problems(cluster),
        *ray_cluster_spec_problems(cluster, gates),
        *ray_cluster_upgrade_problems(cluster),
        *ray_cluster_status_problems(cluster),
    ]


def ray_cluster_metadata_problems(cluster: JsonObject) -> Iterator[Problem]:
    """Refused as InvalidRayClusterMetadata."""
    return _name_problems(cluster, "RayCluster", MAX_RAY_CLUSTER_NAME, "")


def ray_cluster_spec_problems(cluster: JsonObject, gates: Gates = DEFAULT_GATES) -> Iterator[Problem]:
    """Refused as InvalidRayClusterSpec."""
    return _cluster_spec_problems(cluster.get("spec") or {}, annotations_of(cluster), gates, "spec")


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


def is_autoscaling(spec: JsonObject) -> bool:
    """`enableInTreeAutoscaling` of a RayClusterSpec."""
    return bool(spec.get("enableInTreeAutoscaling"))


def uses_autoscaler_v2(spec: JsonObject) -> bool:
    """By `autoscalerOptions.version`, else by the head container's environment."""
    version = (spec.get("autoscalerOptions") or {}).get("version")
    if version is not None:
        return bool(version == "v2")
    return _env(_head_container(spec)).get(labels.AUTOSCALER_V2_ENV) in ("1", "true")


def parse_ray_version(text: str) -> tuple[int, int, int] | None:
    """(2, 52, 0) of `2.52.0` or `v2.52`; None when the text is no version (`nightly`)."""
    found = re.fullmatch(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:[-+.].*)?", text)
    return (int(found[1]), int(found[2] or 0), int(found[3] or 0)) if found else None


def _name_problems(obj: JsonObject, kind: str, limit: int, prefix: str) -> Iterator[Problem]:
    name = obj["metadata"].get("name") or ""
    if len(name) > limit:
        yield Problem(
            "metadata.name", f"{prefix}{kind} name should be no more than {limit} characters", "give a shorter name"
        )
    if not is_dns1035_label(name):
        yield Problem(
            "metadata.name",
            f"{prefix}{kind} name should be a valid DNS1035 label: [{_DNS1035_RULE}]",
            "use lower-case letters, digits and -, beginning with a letter",
        )


_DNS1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
    "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LABEL_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _LABEL_PREFIX.fullmatch(prefix)):
        return False
    return 0 < len(name) <= 63 and _LABEL_NAME.fullmatch(name) is not None


def _containers(group: JsonObject) -> list[JsonObject]:
    return ((group.get("template") or {}).get("spec") or {}).get("containers") or []


def _head_container(spec: JsonObject) -> JsonObject:
    containers = _containers(spec.get("headGroupSpec") or {})
    return containers[0] if containers else {}


def _env(container: JsonObject) -> dict[str, str]:
    """Environment by name; what comes from elsewhere counts as set to the empty text."""
    return {variable["name"]: variable.get("value") or "" for variable in container.get("env") or ()}


def _cluster_spec_problems(
    spec: JsonObject, annotations: Mapping[str, str], gates: Gates, path: str
) -> Iterator[Problem]:
    head = spec.get("headGroupSpec") or {}
    if not _containers(head):
        yield Problem(
            f"{path}.headGroupSpec.template.spec.containers",
            "headGroupSpec should have at least one container",
            "add the Ray container",
        )
    yield from _group_problems(head, "Head", f"{path}.headGroupSpec")
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        yield from _worker_group_problems(spec, group, f"{path}.workerGroupSpecs[{index}]")
    yield from _fault_tolerance_problems(spec, annotations, gates, path)
    yield from _autoscaler_problems(spec, gates, path)
    yield from _gate_problems(spec, gates, path)
    yield from _auth_problems(spec, path)


def _group_problems(group: JsonObject, name: str, path: str) -> Iterator[Problem]:
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
        if not _is_label_key(key):
            yield Problem(
                f"{path}.labels",
                f"invalid label key for {name} group: '{key}', error: {_LABEL_KEY_RULE}",
                "use a Kubernetes label key",
            )
        if len(value) > 63:
            yield Problem(
                f"{path}.labels[{key}]",
                f"invalid label value for key '{key}' in {name} group: '{value}', error: must be no more than 63 bytes",
                "shorten it",
            )
        elif not _LABEL_VALUE.fullmatch(value):
            yield Problem(
                f"{path}.labels[{key}]",
                f"invalid label value for key '{key}' in {name} group: '{value}', error: {_LABEL_VALUE_RULE}",
                "use a Kubernetes label value",
            )


def _worker_group_problems(spec: JsonObject, group: JsonObject, path: str) -> Iterator[Problem]:
    name = group.get("groupName") or ""
    if not _containers(group):
        yield Problem(
            f"{path}.template.spec.containers",
            "workerGroupSpec should have at least one container",
            "add the Ray container",
        )
    yield from _group_problems(group, name, path)
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


def _fault_tolerance_problems(
    spec: JsonObject, annotations: Mapping[str, str], gates: Gates, path: str
) -> Iterator[Problem]:
    options = spec.get("gcsFaultToleranceOptions")
    switch = annotations.get(labels.FT_ENABLED, "")
    head = spec.get("headGroupSpec") or {}
    params = head.get("rayStartParams") or {}
    env = _env(_head_container(spec))
    env_path = f"{path}.headGroupSpec.template.spec.containers[0].env"
    options_path = f"{path}.gcsFaultToleranceOptions"
    if switch and options is not None:
        yield Problem(
            f"metadata.annotations[{labels.FT_ENABLED}]",
            f"{labels.FT_ENABLED} annotation and GcsFaultToleranceOptions are both set. Please use only "
            "GcsFaultToleranceOptions to configure GCS fault tolerance",
            "remove the annotation",
        )
    if options is None and switch.lower() != "true" and "RAY_REDIS_ADDRESS" in env:
        yield Problem(
            f"{env_path}[RAY_REDIS_ADDRESS]",
            "RAY_REDIS_ADDRESS is set which implicitly enables GCS fault tolerance, but GcsFaultToleranceOptions is not set. "
            "Please set GcsFaultToleranceOptions to enable GCS fault tolerance",
            "move the address to rayClusterConfig.gcsFaultToleranceOptions.redisAddress"
            if path != "spec"
            else "move the address to spec.gcsFaultToleranceOptions.redisAddress",
        )
    if options is not None:
        enabled = "when GcsFaultToleranceOptions is enabled - use GcsFaultToleranceOptions"
        if "redis-password" in params:
            yield Problem(
                f"{path}.headGroupSpec.rayStartParams.redis-password",
                f"cannot set `redis-password` in rayStartParams {enabled}.RedisPassword instead",
            )
        if "REDIS_PASSWORD" in env:
            yield Problem(
                f"{env_path}[REDIS_PASSWORD]",
                f"cannot set `REDIS_PASSWORD` env var in head Pod {enabled}.RedisPassword instead",
            )
        if "RAY_REDIS_ADDRESS" in env:
            yield Problem(
                f"{env_path}[RAY_REDIS_ADDRESS]",
                f"cannot set `RAY_REDIS_ADDRESS` env var in head Pod {enabled}.RedisAddress instead",
            )
        if labels.EXTERNAL_STORAGE_NAMESPACE in annotations:
            yield Problem(
                f"metadata.annotations[{labels.EXTERNAL_STORAGE_NAMESPACE}]",
                f"cannot set `{labels.EXTERNAL_STORAGE_NAMESPACE}` annotation {enabled}.ExternalStorageNamespace instead",
            )
        if options.get("backend") == "rocksdb":
            yield from _embedded_storage_problems(spec, options, gates, options_path, env_path)
        elif options.get("storage") is not None:
            yield Problem(
                f"{options_path}.storage",
                "cannot set GcsFaultToleranceOptions.Storage when backend is 'redis' - it only applies to the 'rocksdb' backend",
            )
    if "redis-username" in params or "REDIS_USERNAME" in env:
        yield Problem(
            f"{env_path}[REDIS_USERNAME]" if "REDIS_USERNAME" in env else f"{path}.headGroupSpec.rayStartParams",
            "cannot set redis username in rayStartParams or environment variables - use "
            "GcsFaultToleranceOptions.RedisUsername instead",
        )


def _embedded_storage_problems(
    spec: JsonObject, options: JsonObject, gates: Gates, path: str, env_path: str
) -> Iterator[Problem]:
    if not gates.gcs_fault_tolerance_embedded_storage:
        yield Problem(
            f"{path}.backend",
            "the embedded RocksDB GCS fault tolerance backend (GcsFaultToleranceOptions.Backend: 'rocksdb') requires the "
            "GCSFaultToleranceEmbeddedStorage feature gate to be enabled",
            "enable the gate or use Redis",
        )
    for name in ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace"):
        if options.get(name):
            yield Problem(
                f"{path}.{name}",
                f"cannot set GcsFaultToleranceOptions.{name[0].upper()}{name[1:]} when backend is 'rocksdb'",
                "remove the field",
            )
    storage = options.get("storage") or {}
    if storage.get("claimName") and any(storage.get(name) for name in ("size", "storageClassName", "accessModes")):
        yield Problem(
            f"{path}.storage.claimName",
            "cannot set GcsFaultToleranceOptions.Storage.ClaimName together with Size, StorageClassName or AccessModes",
            "name an existing claim or describe a new one",
        )
    container = _head_container(spec)
    for name in ("RAY_gcs_storage", "RAY_gcs_storage_path"):
        if name in _env(container):
            yield Problem(
                f"{env_path}[{name}]", f"cannot set `{name}` env var in head Pod when backend is 'rocksdb'", "remove it"
            )
    pod = ((spec.get("headGroupSpec") or {}).get("template") or {}).get("spec") or {}
    mounts = container.get("volumeMounts") or ()
    if (
        any(volume.get("name") == _GCS_STORAGE_NAME for volume in pod.get("volumes") or ())
        or any(mount.get("name") == _GCS_STORAGE_NAME for mount in mounts)
        or any((mount.get("mountPath") or "").rstrip("/") == _GCS_STORAGE_PATH for mount in mounts)
    ):
        yield Problem(
            env_path.removesuffix("containers[0].env") + "volumes",
            f"the volume name '{_GCS_STORAGE_NAME}' and the mount path '{_GCS_STORAGE_PATH}' are reserved when backend is "
            "'rocksdb'",
            "rename the volume or move the mount",
        )


def _autoscaler_problems(spec: JsonObject, gates: Gates, path: str) -> Iterator[Problem]:
    autoscaling = is_autoscaling(spec)
    options = spec.get("autoscalerOptions") or {}
    groups = spec.get("workerGroupSpecs") or []
    suspended = [(i, group.get("groupName")) for i, group in enumerate(groups) if group.get("suspend")]
    if not gates.ray_job_deletion_policy:
        for index, name in suspended:
            yield Problem(
                f"{path}.workerGroupSpecs[{index}].suspend",
                f"worker group {name} can be suspended only when the RayJobDeletionPolicy feature gate is enabled",
                "enable the gate",
            )
    env = _env(_head_container(spec))
    switch = env.get(labels.AUTOSCALER_V2_ENV)
    env_path = f"{path}.headGroupSpec.template.spec.containers[0].env[{labels.AUTOSCALER_V2_ENV}]"
    if not autoscaling:
        if switch in ("1", "true"):
            yield Problem(
                env_path,
                f"environment variable {labels.AUTOSCALER_V2_ENV} cannot be set to '{switch}' when enableInTreeAutoscaling is "
                "false. Please set enableInTreeAutoscaling: true to use autoscaler v2",
                "set enableInTreeAutoscaling: true",
            )
        return
    for index, name in suspended:
        yield Problem(
            f"{path}.workerGroupSpecs[{index}].suspend",
            f"worker group {name} cannot be suspended with Autoscaler enabled",
            "remove suspend or turn the autoscaler off",
        )
    if options.get("version") is not None and switch is not None:
        yield Problem(
            env_path,
            f"both .spec.autoscalerOptions.version and head Pod env var {labels.AUTOSCALER_V2_ENV} are set, please only use "
            "the former",
            "remove the environment variable",
        )
    if uses_autoscaler_v2(spec):
        yield from _restart_policy_problems(spec, path)
    idle = options.get("idleTimeoutSeconds")
    if idle is not None and idle < 0:
        yield Problem(
            f"{path}.autoscalerOptions.idleTimeoutSeconds",
            f"autoscalerOptions.idleTimeoutSeconds must be non-negative, got {idle}",
            "give 0 or more",
        )
    if any(variable.get("name") == _AUTOSCALER_CMD_ENV for variable in options.get("env") or ()):
        yield Problem(
            f"{path}.autoscalerOptions.env",
            f"autoscalerOptions.env must not contain {_AUTOSCALER_CMD_ENV}",
            "remove it: the operator sets it",
        )


def _restart_policy(group: JsonObject) -> str:
    return ((group.get("template") or {}).get("spec") or {}).get("restartPolicy") or ""


def _restart_policy_problems(spec: JsonObject, path: str) -> Iterator[Problem]:
    remedy = "remove restartPolicy"
    if _restart_policy(spec.get("headGroupSpec") or {}) not in ("", "Never"):
        yield Problem(
            f"{path}.headGroupSpec.template.spec.restartPolicy",
            "restartPolicy for head Pod should be Never or unset when using autoscaler V2",
            remedy,
        )
    for index, group in enumerate(spec.get("workerGroupSpecs") or ()):
        if _restart_policy(group) not in ("", "Never"):
            yield Problem(
                f"{path}.workerGroupSpecs[{index}].template.spec.restartPolicy",
                f"restartPolicy for worker group {group.get('groupName')} should be Never or unset when using autoscaler V2",
                remedy,
            )


def ray_cluster_warnings(spec: JsonObject) -> Iterator[Problem]:
    """What the operator only warns of: restart policies that autoscaler v1 does not like (recorded)."""
    if not is_autoscaling(spec) or uses_autoscaler_v2(spec):
        return
    odd = [
        str(group.get("groupName"))
        for group in spec.get("workerGroupSpecs") or ()
        if _restart_policy(group) not in ("", "Never")
    ]
    if odd:
        yield Problem(
            "spec.workerGroupSpecs",
            f"restartPolicy for worker groups [{', '.join(odd)}] should be Never or unset when using autoscaler V1",
            "remove restartPolicy",
        )


def _gate_problems(spec: JsonObject, gates: Gates, path: str) -> Iterator[Problem]:
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
