"""Turning an incremental upgrade around, and back again (kuberay-operator 2.9.7)."""

from __future__ import annotations

from rayrig_controllers.rayservice.conditions import DESIRED_CLUSTER_SPEC_CHANGED, ROLLBACK_IN_PROGRESS
from rayrig_controllers.rayservice.tick import Tick


def decide_rollback(tick: Tick) -> None:
    """Step 11, while an incremental upgrade is in progress: the goal says which way the traffic moves."""
    active, pending = tick.active.cluster, tick.pending.cluster
    if active is None:
        tick.warning("RollbackImpossible", "Active cluster not found, rollback cannot be initiated", "Reconcile")
        return
    if pending is None:
        return
    if tick.goal.is_met_by(active):
        _roll_back(tick, "Goal state reverted to original cluster, rolling back.")
    elif tick.goal.is_met_by(pending):
        tick.conditions.remove(ROLLBACK_IN_PROGRESS)
    else:
        _roll_back(tick, "Goal state changed mid-upgrade, rolling back to original cluster.")


def _roll_back(tick: Tick, message: str) -> None:
    if not tick.is_rolling_back:
        tick.conditions.set(ROLLBACK_IN_PROGRESS, "True", DESIRED_CLUSTER_SPEC_CHANGED, message)
