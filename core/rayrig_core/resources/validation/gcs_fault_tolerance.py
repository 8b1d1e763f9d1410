"""What the operator refuses in the settings of GCS fault tolerance: by annotation, by options, with Redis, embedded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels
from rayrig_core.resources.cluster_spec import container_env, head_container
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.resources.validation.problems import Problem

_GCS_STORAGE_NAME, _GCS_STORAGE_PATH = "gcs-storage", "/data/gcs"


def fault_tolerance_problems(
    spec: JsonObject, annotations: Mapping[str, str], gates: FeatureGates, path: str
) -> Iterator[Problem]:
    """Problems of `gcsFaultToleranceOptions`, of the annotation, and of what either leaves to the head."""
    options = spec.get("gcsFaultToleranceOptions")
    switch = annotations.get(labels.FT_ENABLED, "")
    head = spec.get("headGroupSpec") or {}
    params = head.get("rayStartParams") or {}
    env = container_env(head_container(spec))
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
    spec: JsonObject, options: JsonObject, gates: FeatureGates, path: str, env_path: str
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
    container = head_container(spec)
    for name in ("RAY_gcs_storage", "RAY_gcs_storage_path"):
        if name in container_env(container):
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
