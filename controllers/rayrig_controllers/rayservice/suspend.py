"""Suspension: a two-phase, atomic deletion of everything the service owns, and the way back (kuberay-operator 2.6)."""

from __future__ import annotations

from enum import Enum

from rayrig_controllers.rayservice.conditions import (
    INITIALIZING,
    READY,
    RESUMED,
    ROLLBACK_IN_PROGRESS,
    SUSPEND_COMPLETE,
    SUSPEND_IN_PROGRESS,
    SUSPEND_REQUESTED,
    SUSPENDED,
    SUSPENDING,
    UPGRADE_IN_PROGRESS,
)
from rayrig_controllers.rayservice.goal import origin_labels
from rayrig_controllers.rayservice.status import Slot
from rayrig_controllers.rayservice.tick import Tick
from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, is_being_deleted, name_of
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, RAY_CLUSTER, SERVICE, ResourceType
from rayrig_core.resources import names


class Suspension(Enum):
    """Where a RayService stands, and so what a tick does."""

    NONE = "goes on as usual"
    REQUEST = "asks for the suspension, deletes nothing yet"
    DELETE = "deletes what there is, or finds nothing left and is done"
    IDLE = "is suspended"
    RESUME = "resumes and goes on as usual in the same tick"


#: (Suspending is True, Suspended is True, spec.suspend) -> what the tick does.
TRANSITIONS: dict[tuple[bool, bool, bool], Suspension] = {
    (False, False, False): Suspension.NONE,
    (False, False, True): Suspension.REQUEST,
    (True, False, False): Suspension.DELETE,
    (True, False, True): Suspension.DELETE,
    (False, True, True): Suspension.IDLE,
    (False, True, False): Suspension.RESUME,
    # Both at once does not happen; what is being deleted is deleted first.
    (True, True, False): Suspension.DELETE,
    (True, True, True): Suspension.DELETE,
}

_ALL_DELETED = "All owned resources have been deleted."
_KIND_IN_NOTES = {RAY_CLUSTER: "RayCluster", SERVICE: "Service", GATEWAY: "Gateway", HTTP_ROUTE: "HTTPRoute"}


def suspension(tick: Tick) -> Suspension:
    """What this tick is to do."""
    conditions = tick.conditions
    return TRANSITIONS[conditions.is_true(SUSPENDING), conditions.is_true(SUSPENDED), bool(tick.spec.get("suspend"))]


async def advance_suspension(tick: Tick, what: Suspension) -> None:
    """Step 8: change the conditions, delete. Raises `ApiError` when a deletion fails."""
    match what:
        case Suspension.REQUEST:
            _request(tick)
        case Suspension.DELETE:
            if await _delete_owned(tick):
                tick.conditions.set(
                    SUSPENDING,
                    "True",
                    SUSPEND_IN_PROGRESS,
                    "Waiting for all Kubernetes resources owned by this RayService to be deleted.",
                )
            else:
                _complete(tick)
        case Suspension.RESUME:
            _resume(tick)
        case Suspension.NONE | Suspension.IDLE:
            pass


def _request(tick: Tick) -> None:
    tick.observe_generation()
    tick.conditions.set(
        SUSPENDING,
        "True",
        SUSPEND_REQUESTED,
        "Spec.Suspend is true; will delete all Kubernetes resources owned by this RayService.",
    )
    _set_the_others(tick, SUSPEND_IN_PROGRESS, "RayService is suspending.")
    tick.replace_slots(active=Slot(), pending=Slot())
    tick.status.num_serve_endpoints = 0
    tick.status.service_status = ""


def _complete(tick: Tick) -> None:
    tick.conditions.set(SUSPENDING, "False", SUSPEND_COMPLETE, _ALL_DELETED)
    _set_the_others(tick, SUSPEND_COMPLETE, "RayService is suspended.")
    tick.conditions.set(SUSPENDED, "True", SUSPEND_COMPLETE, _ALL_DELETED)


def _set_the_others(tick: Tick, reason: str, message: str) -> None:
    tick.conditions.set(READY, "False", reason, message)
    tick.conditions.set(UPGRADE_IN_PROGRESS, "False", reason, "No upgrade in progress.")
    tick.conditions.set(ROLLBACK_IN_PROGRESS, "False", reason, "No rollback in progress.")


def _resume(tick: Tick) -> None:
    tick.observe_generation()
    tick.conditions.set(SUSPENDED, "False", RESUMED, "Spec.Suspend is false; RayService has resumed.")
    for kind in (READY, UPGRADE_IN_PROGRESS):
        # Removed first, so that the transition time is new: the initialising timeout counts from it.
        tick.conditions.remove(kind)
        tick.conditions.set(kind, "False", INITIALIZING, "RayService is initializing after resuming from suspend.")


async def _delete_owned(tick: Tick) -> bool:
    """Delete clusters and Services, in incremental mode Gateway and HTTPRoute; True when there was any, even if terminating."""
    client = tick.context.client
    found: list[tuple[ResourceType, JsonObject]] = []
    for resource in (RAY_CLUSTER, SERVICE):
        found += [(resource, obj) for obj in await client.select(resource, tick.namespace, origin_labels(tick.name))]
    if tick.incremental:
        for resource, name in (
            (GATEWAY, names.gateway_name(tick.name)),
            (HTTP_ROUTE, names.http_route_name(tick.name)),
        ):
            obj = await client.find(resource, name, tick.namespace)
            if obj is not None:
                found.append((resource, obj))
    for resource, obj in found:
        if not is_being_deleted(obj):
            await _delete(tick, resource, obj)
    return bool(found)


async def _delete(tick: Tick, resource: ResourceType, obj: JsonObject) -> None:
    kind, who = _KIND_IN_NOTES[resource], tick.qualified(name_of(obj))
    try:
        await tick.context.client.delete(resource, name_of(obj), tick.namespace, propagation_policy="Background")
    except NotFound:
        # Gone already; the cache doesn't show it yet.
        return
    except ApiError as error:
        tick.warning(f"FailedToDelete{kind}", f"Failed to delete the {kind} {who} during suspend: {error}", "Delete")
        raise
    tick.normal(f"Deleted{kind}", f"Deleted the {kind} {who} during suspend", "Delete")
