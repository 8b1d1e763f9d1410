"""GCS fault tolerance as far as it shows in pods: environment, annotations, start parameters (kuberay-operator 3.12)."""

from __future__ import annotations

from rayrig_controllers.raycluster.cluster import Cluster, start_params
from rayrig_controllers.raycluster.pod_template import default_env
from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels, names

ROCKSDB = "rocksdb"
STORAGE_VOLUME = "gcs-storage"
STORAGE_PATH = "/data/gcs"
#: How long a worker waits for a GCS that is away before it gives up, in seconds.
RECONNECT_TIMEOUT_S = 600
_RECONNECT_ENV = "RAY_gcs_rpc_server_reconnect_timeout_s"


def options_of(cluster: Cluster) -> JsonObject | None:
    """`gcsFaultToleranceOptions`, None when not set. An empty object counts as set."""
    return cluster.spec.get("gcsFaultToleranceOptions")


def is_enabled(cluster: Cluster) -> bool:
    """By the cluster's own annotation or by options. The pod template's annotation says nothing."""
    return options_of(cluster) is not None or cluster.annotations.get(labels.FT_ENABLED, "").lower() == "true"


def is_embedded(cluster: Cluster) -> bool:
    """The GCS keeps its data in RocksDB on a volume instead of Redis."""
    return (options_of(cluster) or {}).get("backend") == ROCKSDB


def uses_redis(cluster: Cluster) -> bool:
    return is_enabled(cluster) and not is_embedded(cluster)


def claim_name(cluster: Cluster) -> str:
    """PersistentVolumeClaim of the embedded store: the user's or the operator's own."""
    storage = (options_of(cluster) or {}).get("storage") or {}
    return str(storage.get("claimName") or names.gcs_claim_name(cluster.name))


def given_storage_namespace(cluster: Cluster) -> str:
    """Redis namespace that the user chose; empty when none."""
    chosen = (options_of(cluster) or {}).get("externalStorageNamespace")
    return str(chosen or cluster.annotations.get(labels.EXTERNAL_STORAGE_NAMESPACE) or "")


def configure_head_start(cluster: Cluster, params: dict[str, str]) -> None:
    """Credentials in options are passed to `ray start` by reference to the environment."""
    options = options_of(cluster)
    if options is None or is_embedded(cluster):
        return
    if options.get("redisUsername"):
        params["redis-username"] = "$REDIS_USERNAME"
    if options.get("redisPassword"):
        params["redis-password"] = "$REDIS_PASSWORD"


def mark_pod(cluster: Cluster, template: JsonObject, container: JsonObject, group: JsonObject) -> None:
    """Annotations and environment of any Ray pod, where the release marks all of them."""
    annotations = template["metadata"].setdefault("annotations", {})
    annotations[labels.FT_ENABLED] = "true" if is_enabled(cluster) else "false"
    namespace = given_storage_namespace(cluster) or (cluster.uid if is_enabled(cluster) else "")
    default_env(container, "REDIS_PASSWORD", start_params(group).get("redis-password", ""))
    if namespace:
        annotations[labels.EXTERNAL_STORAGE_NAMESPACE] = namespace
        default_env(container, "RAY_external_storage_namespace", namespace)


def configure_head(cluster: Cluster, template: JsonObject, container: JsonObject) -> None:
    """Annotations and environment of the head pod. `template` is a pod under construction."""
    if cluster.options.release.marks_fault_tolerance_everywhere:
        mark_pod(cluster, template, container, cluster.head)
        return
    annotations = template["metadata"].setdefault("annotations", {})
    annotations[labels.FT_ENABLED] = "true" if is_enabled(cluster) else "false"
    if not is_enabled(cluster):
        return
    env = container.setdefault("env", [])
    options = options_of(cluster)
    if is_embedded(cluster):
        env.append({"name": "RAY_gcs_storage", "value": ROCKSDB})
        env.append({"name": "RAY_gcs_storage_path", "value": STORAGE_PATH})
        volume = {"name": STORAGE_VOLUME, "persistentVolumeClaim": {"claimName": claim_name(cluster)}}
        template["spec"].setdefault("volumes", []).append(volume)
        mount = {"name": STORAGE_VOLUME, "mountPath": STORAGE_PATH}
        sub_path = ((options or {}).get("storage") or {}).get("subPath")
        if sub_path:
            mount["subPath"] = sub_path
        container.setdefault("volumeMounts", []).append(mount)
        return
    # By default the namespace is the cluster's uid: no other cluster, not even of the same name, sees the data.
    namespace = given_storage_namespace(cluster) or cluster.uid
    annotations[labels.EXTERNAL_STORAGE_NAMESPACE] = namespace
    default_env(container, "RAY_external_storage_namespace", namespace)
    if options is not None:
        if options.get("redisAddress"):
            env.append({"name": "RAY_REDIS_ADDRESS", "value": options["redisAddress"]})
        for key, name in (("redisUsername", "REDIS_USERNAME"), ("redisPassword", "REDIS_PASSWORD")):
            if options.get(key):
                env.append({"name": name, **options[key]})
        return
    password = (cluster.head.get("rayStartParams") or {}).get("redis-password")
    if password is not None:
        default_env(container, "REDIS_PASSWORD", password)


def configure_worker(cluster: Cluster, group: JsonObject, template: JsonObject, container: JsonObject) -> None:
    """Workers wait longer for the GCS to come back."""
    if cluster.options.release.marks_fault_tolerance_everywhere:
        mark_pod(cluster, template, container, group)
    if is_enabled(cluster):
        default_env(container, _RECONNECT_ENV, str(RECONNECT_TIMEOUT_S))
