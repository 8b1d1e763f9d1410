"""What the operator does with a change of a RayService or a RayCluster, field by field.

Source: kuberay-operator 2.3 to 2.12 for RayServices, 3.7 and 3.10 for RayClusters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.rayservice.goal import (
    Goal,
    build_cluster,
    is_incremental,
    needs_new_cluster,
    updates_in_place,
    upgrade_type,
    upgrades_enabled,
)
from rayrig_core.objects import JsonObject
from rayrig_core.resources.hashing import own_spec_hash
from rayrig_scenarios.change_plan.fields import ABSENT, Change, changes
from rayrig_scenarios.change_plan.serve_plan import ServeEffect, serve_effects

_CONFIG = "rayClusterConfig"


class Outcome(Enum):
    """What happens to the Ray cluster, in one line."""

    NOTHING = "nothing"
    IN_PLACE = "in place"
    UPGRADE = "upgrade: a new Ray cluster"
    RECREATE = "all pods are deleted and made anew"
    SUSPEND = "suspended: its clusters are deleted"
    RESUME = "resumed: a new Ray cluster"


@dataclass(frozen=True, slots=True)
class Reason:
    """One changed field and what it does."""

    change: Change
    what: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`serve`: what Serve does to replicas when the new configuration reaches the running cluster; empty when it does not."""

    outcome: Outcome
    reasons: list[Reason]
    serve: list[ServeEffect] = field(default_factory=list)


def plan_ray_service(old: JsonObject, new: JsonObject, options: OperatorOptions) -> Plan:
    """From two versions of one RayService as the API server stores them; the old one runs."""
    old_spec, new_spec = old.get("spec") or {}, new.get("spec") or {}
    active = build_cluster(old, "active", Goal(old_spec.get(_CONFIG) or {}), options)
    goal = Goal(new_spec.get(_CONFIG) or {})
    is_new = needs_new_cluster(
        goal,
        active,
        None,
        was_promoted=False,
        is_rolling_back=False,
        may_upgrade=upgrades_enabled(new_spec, options),
    )
    is_in_place = updates_in_place(goal, active, options, is_active=True, upgrade_in_progress=False)
    was_suspended, is_suspended = bool(old_spec.get("suspend")), bool(new_spec.get("suspend"))
    found = list(changes(_compared(old), _compared(new)))
    if is_suspended:
        outcome = Outcome.NOTHING if was_suspended else Outcome.SUSPEND
    elif was_suspended:
        outcome = Outcome.RESUME
    elif is_new:
        outcome = Outcome.UPGRADE
    else:
        outcome = Outcome.IN_PLACE if is_in_place or any(_acts_in_place(each) for each in found) else Outcome.NOTHING
    reasons = [Reason(each, _service_effect(each, old_spec, new_spec, outcome, is_in_place, options)) for each in found]
    is_sent = outcome in (Outcome.IN_PLACE, Outcome.NOTHING) and not is_suspended
    texts = old_spec.get("serveConfigV2") or "", new_spec.get("serveConfigV2") or ""
    return Plan(outcome, reasons, serve_effects(*texts) if is_sent and texts[0] != texts[1] else [])


def _compared(obj: JsonObject) -> JsonObject:
    metadata = obj.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    return {"metadata": kept, "spec": obj.get("spec") or {}}


#: Fields of a RayService's spec, besides its cluster and its Serve config, and what a change of each does.
_FIELDS = {
    "suspend": "clusters and Services are deleted while it is true, and made anew afterwards",
    "upgradeStrategy": "decides how the next change of the cluster is brought about",
    "rayClusterDeletionDelaySeconds": "the wait before the next old cluster is deleted",
    "serveService": "the serve Service is brought to it in place",
    "excludeHeadPodFromServeSvc": "the head pod's serve label, and with it its traffic, changes in place",
    "serviceUnhealthySecondThreshold": "ignored: no longer in use",
    "deploymentUnhealthySecondThreshold": "ignored: no longer in use",
}
_IN_PLACE = ("serveService", "excludeHeadPodFromServeSvc", "serveConfigV2")


def _acts_in_place(change: Change) -> bool:
    return change.place[0] == "spec" and change.place[1:2] != () and change.place[1] in _IN_PLACE


def _service_effect(
    change: Change,
    old_spec: JsonObject,
    new_spec: JsonObject,
    outcome: Outcome,
    is_in_place: bool,
    options: OperatorOptions,
) -> str:
    if change.place[0] == "metadata":
        return "copied to the Ray cluster when that is next made or updated"
    top = change.place[1] if len(change.place) > 1 else ""
    if top == "serveConfigV2":
        if outcome is Outcome.UPGRADE:
            return "sent to the new cluster only; the old one keeps its configuration until it is deleted"
        return "sent to the running cluster" if outcome is not Outcome.SUSPEND else "sent once it is resumed"
    if top != _CONFIG:
        return _FIELDS.get(str(top), "no change of the running cluster")
    counts = _counts(change, old_spec.get(_CONFIG) or {})
    if outcome is Outcome.UPGRADE:
        how = "traffic moves step by step" if is_incremental(new_spec, options) else "traffic moves when it is ready"
        return f"needs a new Ray cluster; {how}" if counts else "needs none by itself; the new cluster begins with it"
    if is_in_place:
        if change.old is ABSENT and change.place[2:3] == ("workerGroupSpecs",):
            return "a worker group at the end: the running cluster's spec is updated in place"
        return "comes along as the running cluster's whole spec is updated in place"
    if not counts:
        return "does not count: the running cluster keeps what it has; the next new cluster begins with it"
    kind = upgrade_type(new_spec)
    why = f"upgradeStrategy.type is {kind}" if kind is not None else "ENABLE_ZERO_DOWNTIME is false"
    return f"would need a new Ray cluster, but upgrades are off ({why}): nothing happens"


def _counts(change: Change, config: JsonObject) -> bool:
    """Whether this change alone makes another cluster, by the operator's own hash."""
    alone = Change(change.place[2:], change.old, change.new)
    if not alone.place:
        return True
    return Goal(_object(alone.applied_to(config))).hash != Goal(config).hash


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def plan_ray_cluster(old: JsonObject, new: JsonObject) -> Plan:
    """From two versions of one RayCluster as the API server stores them; the old one runs."""
    old_spec, new_spec = old.get("spec") or {}, new.get("spec") or {}
    found = list(changes(_compared(old), _compared(new)))
    was_suspended, is_suspended = bool(old_spec.get("suspend")), bool(new_spec.get("suspend"))
    recreates = (new_spec.get("upgradeStrategy") or {}).get("type") == "Recreate"
    if is_suspended:
        outcome = Outcome.NOTHING if was_suspended else Outcome.SUSPEND
    elif was_suspended:
        outcome = Outcome.RESUME
    elif recreates and own_spec_hash(old_spec) != own_spec_hash(new_spec):
        outcome = Outcome.RECREATE
    else:
        outcome = Outcome.IN_PLACE if any(_scales(each) for each in found) else Outcome.NOTHING
    return Plan(outcome, [Reason(each, _cluster_effect(each, outcome)) for each in found])


_SCALING = ("replicas", "minReplicas", "maxReplicas", "numOfHosts", "suspend", "scaleStrategy")


def _scales(change: Change) -> bool:
    place = change.place
    if place[:2] != ("spec", "workerGroupSpecs"):
        return False
    return len(place) <= 3 or place[3] in _SCALING


def _cluster_effect(change: Change, outcome: Outcome) -> str:
    if outcome is Outcome.RECREATE:
        return "all pods are deleted and made anew with it"
    if change.place[0] == "metadata":
        return "no change of running pods"
    if _scales(change):
        if len(change.place) <= 3:
            return "pods of the group are made or deleted"
        return (
            "pods of the group are made or deleted to that number"
            if change.place[3] != "scaleStrategy"
            else ("the named pods are deleted")
        )
    if change.place[1:2] == ("suspend",):
        return "all pods are deleted while it is true, and made anew afterwards"
    return "running pods stay as they are; pods made from now on have it"
