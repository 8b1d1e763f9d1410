"""Cleaning a deleted cluster's data out of Redis: finalizer and Job (kuberay-operator 3.12)."""

from __future__ import annotations

from typing import Literal

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.raycluster import gcs_fault_tolerance, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.cluster_pods import delete_where, of_type, pods_of
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.reconciler import DONE, Result
from rayrig_core.errors import AlreadyExists, ApiError
from rayrig_core.objects import JsonObject, has_condition, is_being_deleted
from rayrig_core.resource_types import JOB, RAY_CLUSTER
from rayrig_core.resources import labels, names
from rayrig_core.resources.durations import format_go_duration
from rayrig_core.resources.typed_round_trip import typed_ray_cluster_spec
from rayrig_core.timestamps import NS, parse_rfc3339

#: After so long the finalizer is removed by force, unless the cluster's annotation says otherwise; seconds.
DEFAULT_TIMEOUT_S = 300
JOB_DEADLINE_S = 300
HEAD_WAIT_S = 10.0
POLL_S = 2.0
_RESOURCES = {"cpu": "200m", "memory": "256Mi"}
_ENDED = ("Complete", "Failed", "FailureTarget")
_GUIDE = "https://docs.ray.io/en/master/cluster/kubernetes/user-guides/kuberay-gcs-ft.html"


def timeout_s(cluster: Cluster) -> int:
    """From the annotation if that is a positive whole number."""
    text = cluster.annotations.get(labels.GCS_FT_DELETION_TIMEOUT, "")
    try:
        seconds = int(text)
    except ValueError:
        return DEFAULT_TIMEOUT_S
    return seconds if seconds > 0 else DEFAULT_TIMEOUT_S


def has_finalizer(cluster: Cluster) -> bool:
    return labels.REDIS_CLEANUP_FINALIZER in (cluster.obj["metadata"].get("finalizers") or ())


def cleanup_job(cluster: Cluster) -> JsonObject:
    """The Job: a head pod's Ray container that runs Ray's own clean-up function, once. Command as recorded."""
    pod = head_pod(cluster)
    metadata, spec = pod["metadata"], pod["spec"]
    container = spec["containers"][0]
    metadata["labels"][labels.NODE_TYPE] = labels.REDIS_CLEANUP
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container.pop(probe, None)
    container["command"] = list(cluster.options.release.shell)
    container["args"] = [_script()]
    container["resources"] = {"limits": dict(_RESOURCES), "requests": dict(_RESOURCES)}
    container["env"] += [
        {"name": "RAY_redis_db_connect_retries", "value": "120"},
        {"name": "RAY_redis_db_connect_wait_milliseconds", "value": "500"},
    ]
    spec["containers"] = [container]
    # This pod's address is in no certificate.
    initial = [each for each in spec.pop("initContainers", ()) if each["name"] != tls.WAIT_CONTAINER]
    if initial:
        spec["initContainers"] = initial
    spec["restartPolicy"] = "Never"
    own = cluster.child_metadata(names.redis_cleanup_job_name(cluster.name), dict(metadata["labels"]))
    own["annotations"] = dict(metadata["annotations"])
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": own,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_DEADLINE_S,
            "template": {"metadata": metadata, "spec": spec},
        },
    }


def _script() -> str:
    hint = (
        "To get more information about manually deleting the storage namespace in Redis and removing the RayCluster's "
        f"finalizer, please check {_GUIDE} for more details."
    )
    arguments = (
        "host=parsed.hostname, port=parsed.port, password=os.getenv('REDIS_PASSWORD', parsed.password or ''), "
        "use_ssl=parsed.scheme=='rediss', storage_namespace=os.getenv('RAY_external_storage_namespace')"
    )
    statements = (
        "from ray._private.gcs_utils import cleanup_redis_storage",
        "from urllib.parse import urlparse",
        "import os",
        "import sys",
        "redis_address = os.getenv('RAY_REDIS_ADDRESS', '').split(',')[0]",
        "redis_address = redis_address if '://' in redis_address else 'redis://' + redis_address",
        "parsed = urlparse(redis_address)",
        f"sys.exit(1) if not cleanup_redis_storage({arguments}) else None",
    )
    return f'echo "{hint}" && python -c "{"; ".join(statements)}"'


class RedisCleanup:
    """The part of a reconcile that may end it: see `step`."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client

    async def step(self, cluster: Cluster) -> Result | None:
        """None: the reconcile goes on. A result: it ends with that."""
        if not cluster.options.redis_cleanup:
            return None
        is_deleted = is_being_deleted(cluster.obj)
        if not gcs_fault_tolerance.uses_redis(cluster):
            if is_deleted and has_finalizer(cluster) and cluster.options.release.redis_cleanup_gives_up:
                await self._remove_finalizer(cluster)
                return DONE
            return None
        if not is_deleted:
            if has_finalizer(cluster):
                return None
            await self._set_finalizers(cluster, [*self._finalizers(cluster), labels.REDIS_CLEANUP_FINALIZER])
            return Result(POLL_S)
        return await self._clean_up(cluster) if has_finalizer(cluster) else None

    async def _clean_up(self, cluster: Cluster) -> Result:
        pods = await pods_of(self._client, cluster)
        heads = of_type(pods, labels.HEAD)
        own = (labels.CLUSTER, cluster.name)
        for node_type in (labels.HEAD, labels.WORKER):
            await delete_where(self._client, cluster, of_type(pods, node_type), own, (labels.NODE_TYPE, node_type))
        if heads:
            return Result(HEAD_WAIT_S)
        now_ns = self._context.runtime.unix_ns()
        age_ns = now_ns - parse_rfc3339(cluster.obj["metadata"]["deletionTimestamp"])
        if age_ns >= timeout_s(cluster) * NS and cluster.options.release.redis_cleanup_gives_up:
            await self._remove_finalizer(cluster)
            note = (
                f"Force-removed GCS FT finalizer after {format_go_duration(age_ns)} due to Redis cleanup timeout; Redis storage "
                f'namespace "{gcs_fault_tolerance.given_storage_namespace(cluster)}" may need manual cleanup'
            )
            self._tell(cluster, "Warning", "ForceDeletedStuckCluster", note, "Cleanup")
            return DONE
        name = names.redis_cleanup_job_name(cluster.name)
        job = await self._client.find(JOB, name, cluster.namespace)
        if job is not None:
            if any(has_condition(job, kind) for kind in _ENDED):
                await self._remove_finalizer(cluster)
                return DONE
            return Result(POLL_S)
        await self._create_job(cluster)
        return Result(POLL_S)

    async def _create_job(self, cluster: Cluster) -> None:
        job = cleanup_job(cluster)
        name = f"{cluster.namespace}/{job['metadata']['name']}"
        try:
            await self._client.create(JOB, job)
        except AlreadyExists:
            return
        except ApiError as error:
            note = f"Failed to create Redis cleanup Job {name}, {error}"
            self._tell(cluster, "Warning", "FailedToCreateRedisCleanupJob", note, "Create")
            raise
        self._tell(cluster, "Normal", "CreatedRedisCleanupJob", f"Created Redis cleanup Job {name}", "Create")

    def _tell(self, cluster: Cluster, type_: Literal["Normal", "Warning"], reason: str, note: str, action: str) -> None:
        if cluster.options.release.redis_cleanup_gives_up:
            self._context.recorder.event(cluster.obj, type_, reason, note, action=action)

    def _finalizers(self, cluster: Cluster) -> list[str]:
        return list(cluster.obj["metadata"].get("finalizers") or ())

    async def _remove_finalizer(self, cluster: Cluster) -> None:
        kept = [finalizer for finalizer in self._finalizers(cluster) if finalizer != labels.REDIS_CLEANUP_FINALIZER]
        await self._set_finalizers(cluster, kept)

    async def _set_finalizers(self, cluster: Cluster, finalizers: list[str]) -> None:
        """The object is written whole, as the operator's types have it (kuberay-operator 0.3.13)."""
        metadata = {**cluster.obj["metadata"], "finalizers": finalizers}
        spec = typed_ray_cluster_spec(cluster.spec, fills_start_params=True)
        await self._client.update(RAY_CLUSTER, {**cluster.obj, "metadata": metadata, "spec": spec})
