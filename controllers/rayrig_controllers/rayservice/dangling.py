"""Clusters that are neither active nor pending: scheduled for deletion, then deleted (kuberay-operator 2.10)."""

from __future__ import annotations

from rayrig_controllers.rayservice.goal import origin_labels
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, is_being_deleted, name_of
from rayrig_core.resource_types import RAY_CLUSTER
from rayrig_core.timestamps import NS

DEFAULT_DELAY_S = 60


async def clean_up_clusters(tick: Tick) -> bool:
    """Delete what is due; True when the service had any cluster at all.

    A service being deleted loses all its clusters at once. Raises `ApiError` when a deletion fails.
    """
    clusters = await tick.context.client.select(RAY_CLUSTER, tick.namespace, origin_labels(tick.name))
    leaves = is_being_deleted(tick.service)
    for cluster in clusters:
        if leaves or _is_due(tick, name_of(cluster)):
            await _delete(tick, cluster)
    return bool(clusters)


def _is_due(tick: Tick, cluster: str) -> bool:
    """Whether a cluster's time has come; one seen dangling for the first time is scheduled and spared."""
    if cluster in (tick.status.active.cluster, tick.status.pending.cluster):
        return False
    schedule = tick.memory.deletions
    due_ns = schedule.due_ns(cluster)
    if due_ns is None:
        delay_s = tick.spec.get("rayClusterDeletionDelaySeconds")
        delay_s = DEFAULT_DELAY_S if delay_s is None else delay_s
        schedule.schedule(cluster, tick.now_ns + delay_s * NS)
        tick.note(f"RayCluster {cluster} is no longer used, to be deleted in {delay_s} s")
        return False
    return tick.now_ns > due_ns


async def _delete(tick: Tick, cluster: JsonObject) -> None:
    name = name_of(cluster)
    who = tick.qualified(name)
    try:
        await tick.context.client.delete(RAY_CLUSTER, name, tick.namespace, propagation_policy="Background")
    except NotFound:
        # Gone already; the cache doesn't show it yet.
        return
    except ApiError as error:
        tick.warning("FailedToDeleteRayCluster", f"Failed to delete the RayCluster {who}: {error}", "Delete")
        raise
    tick.memory.answers.forget(who)
    tick.normal("DeletedRayCluster", f"Deleted the RayCluster {who}", "Delete")
