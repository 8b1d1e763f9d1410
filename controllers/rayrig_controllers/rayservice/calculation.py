"""The end of a tick: promotion, the need for a new cluster, endpoints, conditions (kuberay-operator 2.13)."""

from __future__ import annotations

from rayrig_controllers.rayservice.clusters import must_prepare_new_cluster, prepare_new_cluster
from rayrig_controllers.rayservice.conditions import (
    INITIALIZING,
    INITIALIZING_TIMEOUT,
    READY,
    ROLLBACK_IN_PROGRESS,
    UPGRADE_IN_PROGRESS,
)
from rayrig_controllers.rayservice.endpoints import count_serve_endpoints
from rayrig_controllers.rayservice.gateway import take_over_traffic
from rayrig_controllers.rayservice.incremental import is_rollback_complete, is_upgrade_complete
from rayrig_controllers.rayservice.initializing_timeout import give_up_if_due
from rayrig_controllers.rayservice.serve import is_head_ready
from rayrig_controllers.rayservice.services import selected_cluster
from rayrig_controllers.rayservice.status import Slot, cluster_status
from rayrig_controllers.rayservice.tick import Tick
from rayrig_controllers.reconciler import ReconcileError

RUNNING = "Running"


async def calculate_status(tick: Tick) -> None:
    """Step 17, on `tick.status`. Raises `ReconcileError` when the Services select what is no cluster of ours."""
    tick.refresh_now()
    tick.observe_generation()
    for view, slot in ((tick.active, tick.status.active), (tick.pending, tick.status.pending)):
        slot.cluster_status = cluster_status(view.cluster)
        slot.applications = view.applications
    was_promoted = False
    if tick.head_service is not None and tick.serve_service is not None:
        if tick.incremental:
            take_over_traffic(tick)
        was_promoted = _promote_if_due(tick)
    if tick.is_rolling_back:
        await _end_rollback_if_complete(tick)
    if must_prepare_new_cluster(tick, tick.goal, was_promoted=was_promoted):
        prepare_new_cluster(tick)
    tick.status.num_serve_endpoints = await count_serve_endpoints(tick)
    calculate_conditions(tick)


def _promote_if_due(tick: Tick) -> bool:
    active, pending = tick.status.active, tick.status.pending
    assert tick.head_service is not None
    assert tick.serve_service is not None
    pointed = selected_cluster(tick.head_service)
    is_first = tick.incremental and not active.cluster and bool(pending.cluster)
    if tick.incremental:
        if tick.upgrade_in_progress:
            due = not tick.is_rolling_back and tick.pending.cluster is not None and is_upgrade_complete(active, pending)
        else:
            due = is_first
    else:
        if pointed != selected_cluster(tick.serve_service) or pointed not in (active.cluster, pending.cluster):
            raise ReconcileError(
                f"the Services of RayService {tick.request} select neither its active nor its pending cluster: {pointed}"
            )
        due = pointed != active.cluster
    if due:
        tick.note(
            f"RayCluster {pending.cluster} is active now" + (f" instead of {active.cluster}" if active.cluster else "")
        )
        tick.replace_slots(active=pending, pending=Slot())
    return due


async def _end_rollback_if_complete(tick: Tick) -> None:
    pending = tick.pending.cluster
    is_ready = pending is not None and await is_head_ready(tick, pending)
    if not is_rollback_complete(tick.status.active, tick.status.pending, is_pending_head_ready=is_ready):
        return
    tick.note(f"rolled back to RayCluster {tick.status.active.cluster}")
    tick.replace_slots(pending=Slot())
    tick.pending.cluster = None
    tick.conditions.remove(ROLLBACK_IN_PROGRESS)


def calculate_conditions(tick: Tick) -> None:
    """Ready from the endpoints, UpgradeInProgress from the slots (2.13.7), and the deprecated `serviceStatus`."""
    conditions, status = tick.conditions, tick.status
    if not conditions.items:
        for kind in (READY, UPGRADE_IN_PROGRESS):
            conditions.set(kind, "False", INITIALIZING, "RayService is initializing")
    if status.num_serve_endpoints > 0:
        conditions.set(READY, "True", "NonZeroServeEndpoints", "Number of serve endpoints is greater than 0")
    elif conditions.is_true(READY):
        conditions.set(READY, "False", "ZeroServeEndpoints", "Number of serve endpoints dropped to 0")
    else:
        give_up_if_due(tick)
    if status.active.cluster and status.pending.cluster:
        conditions.set(
            UPGRADE_IN_PROGRESS,
            "True",
            "BothActivePendingClustersExist",
            "Both active and pending Ray clusters exist",
        )
    elif status.active.cluster:
        conditions.set(
            UPGRADE_IN_PROGRESS, "False", "NoPendingCluster", "Active Ray cluster exists and no pending Ray cluster"
        )
    elif conditions.reason(UPGRADE_IN_PROGRESS) not in (INITIALIZING, INITIALIZING_TIMEOUT):
        conditions.set(
            UPGRADE_IN_PROGRESS,
            "Unknown",
            "NoActiveCluster",
            "No active Ray cluster exists, and the RayService is not initializing. "
            "Please open a GitHub issue in the KubeRay repository.",
        )
    status.service_status = RUNNING if conditions.is_true(READY) else ""
