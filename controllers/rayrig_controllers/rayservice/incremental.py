"""The decisions of an incremental upgrade, as pure functions of its numbers (kuberay-operator 2.9.3 to 2.9.5, 2.9.7).

Capacities and traffic are percentages; None is unset and counts as 100 for the active, 0 for the pending cluster where a default is
said below. `surge`, `step` and `interval_s` are the user's maxSurgePercent, stepSizePercent and intervalSeconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rayrig_controllers.rayservice.status import Slot
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS, parse_rfc3339


@dataclass(frozen=True, slots=True)
class UpgradeOptions:
    """`clusterUpgradeOptions`."""

    surge: int
    step: int
    interval_s: int
    gateway_class: str

    @classmethod
    def of(cls, spec: JsonObject) -> UpgradeOptions:
        options = (spec.get("upgradeStrategy") or {}).get("clusterUpgradeOptions") or {}
        surge = options.get("maxSurgePercent")
        return cls(
            100 if surge is None else surge,
            options.get("stepSizePercent") or 0,
            options.get("intervalSeconds") or 0,
            options.get("gatewayClassName") or "",
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """Percent of the traffic for either cluster."""

    active: int
    pending: int


def traffic_weights(
    active: Slot, pending: Slot, options: UpgradeOptions, *, now_ns: int, is_pending_ready: bool, is_rolling_back: bool
) -> Weights:
    """Weights of the HTTPRoute's backends while there is a pending cluster (2.9.3)."""
    active_traffic, pending_traffic = _or(active.traffic_percent, 100), _or(pending.traffic_percent, 0)
    active_capacity, pending_capacity = _or(active.target_capacity, 100), _or(pending.target_capacity, 0)
    keep = Weights(active_traffic, pending_traffic)
    if is_rolling_back:
        if active_traffic == active_capacity or not _interval_passed(active, options, now_ns):
            return keep
        grown = min(100, active_traffic + options.step, active_capacity)
        return Weights(grown, 100 - grown)
    if pending_traffic == pending_capacity or not _interval_passed(pending, options, now_ns) or not is_pending_ready:
        return keep
    grown = min(100, pending_traffic + options.step, pending_capacity)
    return Weights(100 - grown, grown)


def _interval_passed(slot: Slot, options: UpgradeOptions, now_ns: int) -> bool:
    last = slot.last_traffic_migrated
    return last is None or now_ns - parse_rfc3339(last) >= options.interval_s * NS


class Capacity(Enum):
    """What a Serve reconcile of one cluster does about target capacities (2.9.4)."""

    FINISHED = "both have arrived"
    KEEP = "not its turn"
    CHANGE = "set a new target capacity"


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """`percent` is the new target capacity of the cluster being reconciled, for `CHANGE`."""

    kind: Capacity
    percent: int = 0


def capacity_step(
    active: Slot, pending: Slot, options: UpgradeOptions, *, on_active: bool, is_rolling_back: bool
) -> CapacityStep:
    """The step for the cluster being reconciled (`on_active`), given both slots as they are by now."""
    if is_rolling_back:
        shrinking, growing, growing_is_active = pending, active, True
    else:
        shrinking, growing, growing_is_active = active, pending, False
    if shrinking.target_capacity == 0 and growing.target_capacity == 100:
        return CapacityStep(Capacity.FINISHED)
    shrinking_capacity = _or(shrinking.target_capacity, 0 if growing_is_active else 100)
    growing_capacity = _or(growing.target_capacity, 100 if growing_is_active else 0)
    if growing_capacity != _or(growing.traffic_percent, 0):
        return CapacityStep(Capacity.KEEP)
    is_growing = on_active == growing_is_active
    if shrinking_capacity + growing_capacity > 100:
        if is_growing:
            return CapacityStep(Capacity.KEEP)
        return CapacityStep(Capacity.CHANGE, max(0, shrinking_capacity - options.surge))
    if not is_growing:
        return CapacityStep(Capacity.KEEP)
    return CapacityStep(Capacity.CHANGE, min(100, growing_capacity + options.surge))


def is_upgrade_complete(active: Slot, pending: Slot) -> bool:
    """The pending cluster may be promoted (2.9.5)."""
    return active.target_capacity == 0 and pending.traffic_percent == 100


def is_rollback_complete(active: Slot, pending: Slot, *, is_pending_head_ready: bool) -> bool:
    """The pending cluster may be dropped (2.9.7). `is_pending_head_ready` is False as well when there is no such cluster."""
    if active.target_capacity != 100 or active.traffic_percent != 100:
        return False
    return not is_pending_head_ready or (pending.target_capacity == 0 and pending.traffic_percent == 0)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
