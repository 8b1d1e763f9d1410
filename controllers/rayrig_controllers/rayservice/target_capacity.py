"""Moving capacity between the clusters of an incremental upgrade (kuberay-operator 2.9.4)."""

from __future__ import annotations

from rayrig_controllers.rayservice.gateway import find_gateway, find_route, is_gateway_ready, is_route_ready
from rayrig_controllers.rayservice.incremental import Capacity, UpgradeOptions, capacity_step
from rayrig_controllers.rayservice.serve import dashboard_of, put_config
from rayrig_controllers.rayservice.tick import ClusterInTick, Tick
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import name_of


async def move_capacity(tick: Tick, view: ClusterInTick) -> None:
    """The target-capacity step on one cluster, at the end of its Serve reconcile.

    The event tells of the step even when nothing was changed (8.2 H2). Raises `ReconcileError` when the PUT fails.
    """
    active, pending = tick.status.active, tick.status.pending
    if not active.cluster or not pending.cluster or not tick.upgrade_in_progress:
        return
    gateway = await find_gateway(tick)
    if not is_gateway_ready(gateway) or not is_route_ready(await find_route(tick), gateway):
        return
    step = capacity_step(
        active,
        pending,
        UpgradeOptions.of(tick.spec),
        on_active=view is tick.active,
        is_rolling_back=tick.is_rolling_back,
    )
    if step.kind is Capacity.FINISHED:
        return
    assert view.cluster is not None
    cluster = name_of(view.cluster)
    who = tick.qualified(cluster)
    if step.kind is Capacity.CHANGE:
        # The configuration this cluster runs, not the present one; after a restart of the operator only that is known (8.2 H3).
        text = tick.memory.configs.get(tick.request, cluster) or tick.spec.get("serveConfigV2") or ""
        try:
            await put_config(tick, await dashboard_of(tick.context, view.cluster), text, step.percent)
        except ReconcileError as error:
            tick.warning(
                "FailedToUpdateTargetCapacity",
                f"Failed to update target_capacity of serve applications to the RayCluster {who}: {error}",
                "Update",
            )
            raise
        view.slot.target_capacity = step.percent
    tick.normal(
        "UpdatedServeTargetCapacity",
        f"Updated target_capacity of serve applications to to the RayCluster {who}",
        "Update",
    )
