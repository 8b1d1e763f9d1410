"""Status of a RayCluster as KubeRay 1.1 computed it: a state, counts of replicas, no conditions (kuberay-operator 6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_controllers.raycluster.cluster import Cluster, has_env, start_params
from rayrig_controllers.raycluster.cluster_pods import of_type
from rayrig_controllers.raycluster.scaling import replica_bounds
from rayrig_controllers.raycluster.status import are_all_running, endpoints_of, is_running, totals
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels
from rayrig_core.resources.quantities import parse_quantity
from rayrig_core.timestamps import rfc3339

READY, UNHEALTHY, FAILED, SUSPENDED = "ready", "unhealthy", "failed", "suspended"

_OBJECT_STORE = "object-store-memory"
_HEAD_CONTAINER = "ray-head"
_SLOW_STORAGE = "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE"
_OMITTED_AT_ZERO = (
    "availableWorkerReplicas",
    "desiredWorkerReplicas",
    "minWorkerReplicas",
    "maxWorkerReplicas",
    "endpoints",
)


def desired_replicas(group: JsonObject) -> int:
    """Replicas within their bounds; the upper one when the bounds contradict each other."""
    low, high = replica_bounds(group)
    replicas = group.get("replicas")
    if low > high:
        return high
    return low if replicas is None else min(max(int(replicas), low), high)


def complaint(cluster: Cluster) -> tuple[bool, str]:
    """(whether the head can live with its start parameters, what is wrong with them or empty)."""
    text = start_params(cluster.head).get(_OBJECT_STORE)
    if text is None:
        return True, ""
    try:
        wanted = int(text)
    except ValueError:
        return (
            False,
            f'Cannot parse {_OBJECT_STORE} {text} as an integer: strconv.ParseInt: parsing "{text}": invalid syntax',
        )
    for container in ((cluster.head.get("template") or {}).get("spec") or {}).get("containers") or ():
        requested = ((container.get("resources") or {}).get("requests") or {}).get("memory", 0)
        if container.get("name") == _HEAD_CONTAINER and wanted > parse_quantity(requested):
            is_allowed = has_env(container, _SLOW_STORAGE)
            return is_allowed, (
                "RayStartParams: object store memory exceeds head node container's memory request, "
                f"{_OBJECT_STORE}:{wanted}, memory request:{int(parse_quantity(requested))}"
            )
    return True, ""


def calculate(
    cluster: Cluster, pods: Sequence[JsonObject], head_services: Sequence[JsonObject], unix_ns: int
) -> JsonObject:
    """The new status. Raises `ReconcileError` unless there is exactly one head Service with an address."""
    before: JsonObject = cluster.obj.get("status") or {}
    status = dict(before)
    status["observedGeneration"] = cluster.obj["metadata"]["generation"]
    status["availableWorkerReplicas"] = sum(is_running(pod) for pod in of_type(pods, labels.WORKER))
    status["desiredWorkerReplicas"] = _int32(sum(desired_replicas(group) for group in cluster.groups))
    status["minWorkerReplicas"] = _int32(sum(replica_bounds(group)[0] for group in cluster.groups))
    status["maxWorkerReplicas"] = _int32(sum(replica_bounds(group)[1] for group in cluster.groups))
    templates = [(cluster.head.get("template") or {}, 1)]
    templates += [(group.get("template") or {}, max(0, int(group.get("replicas") or 0))) for group in cluster.groups]
    status.update(totals(templates))
    if not complaint(cluster)[0]:
        status["state"] = UNHEALTHY
    elif are_all_running(pods):
        status["state"] = READY
    if cluster.suspend and not pods:
        status["state"] = SUSPENDED
    if head_services:
        status["endpoints"] = {**(before.get("endpoints") or {}), **endpoints_of(head_services[0])}
    status["head"] = _head(cluster, of_type(pods, labels.HEAD), head_services)
    for key in _OMITTED_AT_ZERO:
        if not status.get(key):
            status.pop(key, None)
    status["lastUpdateTime"] = rfc3339(unix_ns)
    return status


def _head(cluster: Cluster, heads: Sequence[JsonObject], services: Sequence[JsonObject]) -> JsonObject:
    if len(services) != 1:
        what = "found multiple head services" if services else "unable to find head service"
        raise ReconcileError(f"{what}. cluster name {cluster.name}")
    service_ip = (services[0].get("spec") or {}).get("clusterIP")
    if not service_ip:
        raise ReconcileError(f"head service IP is empty. cluster name {cluster.name}")
    pod_ip = (heads[0].get("status") or {}).get("podIP") if len(heads) == 1 else ""
    return {**({"podIP": pod_ip} if pod_ip else {}), "serviceIP": service_ip}


def _int32(number: int) -> int:
    """As Go adds up: two groups without an upper bound make -2."""
    return (number + 2**31) % 2**32 - 2**31
