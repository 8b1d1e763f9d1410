"""RayClusters of a RayService as KubeRay 1.1 kept them: when a new one is due, and what becomes of a pending one (6.1)."""

from __future__ import annotations

from enum import Enum

from rayrig_controllers.rayservice.goal import Goal, build_cluster, origin_labels
from rayrig_controllers.rayservice.kuberay_1_1.tick import RESTARTING, Tick
from rayrig_controllers.rayservice.status import Slot
from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, annotations_of, name_of
from rayrig_core.resource_types import RAY_CLUSTER
from rayrig_core.resources import labels, names
from rayrig_core.timestamps import NS

DELETION_DELAY_S = 60
#: What the operator goes on with when a name in the status has no object: a cluster without name, annotations or spec.
NO_SUCH_CLUSTER: JsonObject = {"metadata": {"name": "", "namespace": ""}, "spec": {}}


class Action(Enum):
    """What to do with a cluster."""

    NOTHING = "it is as it should be"
    UPDATE = "worker groups were appended"
    ROLL_OUT = "it has to be another one"


async def reconcile_clusters(tick: Tick) -> tuple[JsonObject | None, JsonObject | None]:
    """The active and the pending cluster; None where there is none to go on with. Raises `ApiError`.

    A pending name may be chosen, the pending cluster created, replaced or updated, the active one updated, others deleted.
    """
    await _clean_up(tick)
    active = await _find(tick, tick.status.active.cluster)
    pending = await _find(tick, tick.status.pending.cluster)
    match action_on_active(tick.goal, active, tick.status.pending.cluster):
        case Action.ROLL_OUT:
            if active is None or tick.context.options.zero_downtime:
                _choose_name(tick)
            return active, None
        case Action.UPDATE:
            assert active is not None
            return await _update(tick, active), None
        case Action.NOTHING:
            return active, await _reconcile_pending(tick, pending)


async def _clean_up(tick: Tick) -> None:
    """Clusters that are neither active nor pending are scheduled for deletion, then deleted."""
    client, schedule = tick.context.client, tick.memory.deletions
    now_ns = tick.context.runtime.unix_ns()
    for cluster in await client.select(RAY_CLUSTER, tick.namespace, origin_labels(tick.name)):
        name = name_of(cluster)
        if name in (tick.status.active.cluster, tick.status.pending.cluster):
            continue
        due_ns = schedule.due_ns(name)
        if due_ns is None:
            schedule.schedule(name, now_ns + DELETION_DELAY_S * NS)
        elif now_ns > due_ns:
            await client.delete(RAY_CLUSTER, name, tick.namespace, propagation_policy="Background")


async def _find(tick: Tick, name: str) -> JsonObject | None:
    if not name:
        return None
    return await tick.context.client.find(RAY_CLUSTER, name, tick.namespace) or NO_SUCH_CLUSTER


def action_on_active(goal: Goal, active: JsonObject | None, pending_name: str) -> Action:
    """By the active cluster's annotations. While a pending name is there, nothing: that is where changes go."""
    if pending_name:
        return Action.NOTHING
    if active is None:
        return Action.ROLL_OUT
    annotations = annotations_of(active)
    known = annotations.get(labels.SPEC_HASH)
    if known == goal.hash:
        return Action.NOTHING
    try:
        groups = int(annotations.get(labels.NUM_WORKER_GROUPS) or "")
    except ValueError:
        # So an active cluster that somebody deleted is not replaced either.
        return Action.NOTHING
    if goal.num_groups > groups and known == goal.partial_hash(groups):
        return Action.UPDATE
    return Action.ROLL_OUT


def action_on_pending(goal: Goal, live: Goal) -> Action:
    """By the pending cluster's spec as it is, not by its annotations."""
    if live.hash == goal.hash:
        return Action.NOTHING
    if goal.num_groups > live.num_groups and live.hash == goal.partial_hash(live.num_groups):
        return Action.UPDATE
    return Action.ROLL_OUT


def _choose_name(tick: Tick) -> None:
    """The object follows on the next pass."""
    base = tick.context.options.release.cluster_name_base(tick.name)
    tick.status.service_status = RESTARTING
    tick.status.pending = Slot(names.generated_cluster_name(base, tick.context.rng))


async def _reconcile_pending(tick: Tick, pending: JsonObject | None) -> JsonObject | None:
    if pending is None:
        return None
    if pending is NO_SUCH_CLUSTER:
        return await _create(tick)
    match action_on_pending(tick.goal, Goal(pending.get("spec") or {}, tick.context.options.release)):
        case Action.ROLL_OUT:
            return await _replace(tick, pending)
        case Action.UPDATE:
            return await _update(tick, pending)
        case Action.NOTHING:
            return pending


async def _create(tick: Tick) -> JsonObject:
    cluster = build_cluster(tick.service, tick.status.pending.cluster, tick.goal, tick.context.options)
    return await tick.context.client.create(RAY_CLUSTER, cluster)


async def _replace(tick: Tick, pending: JsonObject) -> JsonObject | None:
    """Deleted now, again in each pass until it is gone, then created anew under the same name."""
    try:
        await tick.context.client.delete(RAY_CLUSTER, name_of(pending), tick.namespace, propagation_policy="Background")
    except NotFound:
        return await _create(tick)
    return None


async def _update(tick: Tick, cluster: JsonObject) -> JsonObject:
    """Spec, labels and annotations are overwritten. The answer is what was built: it has no status in this pass."""
    built = build_cluster(tick.service, name_of(cluster), tick.goal, tick.context.options)
    metadata = {**cluster["metadata"], **{key: built["metadata"][key] for key in ("labels", "annotations")}}
    await tick.context.client.update(RAY_CLUSTER, {**cluster, "metadata": metadata, "spec": built["spec"]})
    return built
