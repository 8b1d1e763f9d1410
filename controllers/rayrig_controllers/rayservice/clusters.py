"""RayClusters of a RayService: found by the names in its status, created, updated in place (kuberay-operator 2.3, 2.4)."""

from __future__ import annotations

from rayrig_controllers.rayservice.goal import (
    Goal,
    build_cluster,
    needs_new_cluster,
    updates_in_place,
    upgrades_enabled,
)
from rayrig_controllers.rayservice.status import Slot
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import RAY_CLUSTER
from rayrig_core.resources import names


async def reconcile_clusters(tick: Tick) -> None:
    """Step 10: find both clusters; create the pending one when its name has no object yet, else update in place what may be.

    Raises `ApiError`.
    """
    client, status = tick.context.client, tick.status
    if status.active.cluster:
        tick.active.cluster = await client.find(RAY_CLUSTER, status.active.cluster, tick.namespace)
    if status.pending.cluster:
        tick.pending.cluster = await client.find(RAY_CLUSTER, status.pending.cluster, tick.namespace)
        if tick.pending.cluster is None:
            tick.pending.cluster = await _create(tick, status.pending.cluster)
            return
    if tick.active.cluster is not None:
        tick.active.cluster = await _update_if_due(tick, tick.active.cluster, "active")
    if tick.pending.cluster is not None:
        tick.pending.cluster = await _update_if_due(tick, tick.pending.cluster, "pending")


async def _create(tick: Tick, name: str) -> JsonObject:
    who = tick.qualified(name)
    cluster = _build(tick, name)
    try:
        created = await tick.context.client.create(RAY_CLUSTER, cluster)
    except ApiError as error:
        tick.warning("FailedToCreateRayCluster", f"Failed to create the RayCluster {who}: {error}", "Create")
        raise
    tick.normal("CreatedRayCluster", f"Created the RayCluster {who}", "Create")
    return created


def _build(tick: Tick, name: str) -> JsonObject:
    starts_at_minimum = tick.incremental and bool(tick.status.active.cluster)
    return build_cluster(tick.service, name, tick.goal, tick.context.options, starts_at_minimum=starts_at_minimum)


async def _update_if_due(tick: Tick, cluster: JsonObject, which: str) -> JsonObject:
    if not updates_in_place(
        tick.goal,
        cluster,
        tick.context.options,
        is_active=which == "active",
        upgrade_in_progress=tick.upgrade_in_progress,
    ):
        return cluster
    who = tick.qualified(name_of(cluster))
    try:
        updated = await tick.context.client.update(RAY_CLUSTER, merged(cluster, _build(tick, name_of(cluster))))
    except ApiError as error:
        tick.warning("FailedToUpdateRayCluster", f"Failed to update the {which} RayCluster {who}: {error}", "Update")
        raise
    tick.normal("UpdatedRayCluster", f"Updated the {which} RayCluster {who}", "Update")
    return updated


def merged(cluster: JsonObject, goal: JsonObject) -> JsonObject:
    """A cluster with the goal's labels, annotations and spec; its own `spec.suspend` is kept."""
    spec = {key: value for key, value in goal["spec"].items() if key != "suspend"}
    suspend = (cluster.get("spec") or {}).get("suspend")
    if suspend is not None:
        spec["suspend"] = suspend
    metadata = {
        **cluster["metadata"],
        "labels": goal["metadata"]["labels"],
        "annotations": goal["metadata"]["annotations"],
    }
    return {**cluster, "metadata": metadata, "spec": spec}


def must_prepare_new_cluster(tick: Tick, goal: Goal, *, was_promoted: bool) -> bool:
    """The decision of 2.3 with this tick's objects."""
    return needs_new_cluster(
        goal,
        tick.active.cluster,
        tick.pending.cluster,
        was_promoted=was_promoted,
        is_rolling_back=tick.is_rolling_back,
        may_upgrade=upgrades_enabled(tick.spec, tick.context.options),
    )


def prepare_new_cluster(tick: Tick) -> None:
    """Give the pending slot a fresh name; the object follows on a later tick."""
    slot = Slot(generated_name(tick))
    if tick.incremental:
        # The first cluster takes all at once, a later one begins with nothing (2.9.2).
        slot.target_capacity = 0 if tick.status.active.cluster else 100
    tick.replace_slots(pending=slot)


def generated_name(tick: Tick) -> str:
    return names.generated_cluster_name(tick.name, tick.context.rng)
