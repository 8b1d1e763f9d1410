"""Evicting pods, within their disruption budgets (K8-064)."""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, is_being_deleted
from rayrig_core.ports import Preconditions
from rayrig_core.resource_types import POD_DISRUPTION_BUDGET
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.kinds.budgets import selects
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.subresource_bodies import named_body
from rayrig_fakes.kubernetes.verbs.deleting import Deleter

_REASON = "EvictionByEvictionAPI"


def evict(state: ServerState, deleter: Deleter, served: Served, call: ApiCall) -> Answer:
    """Deletes the pod as an eviction asks (K8-064)."""
    eviction = named_body(served, call)
    stored = state.collection(served).get(served.key(call.namespace, call.name))
    if stored is None:
        raise status.not_found(served.type, call.name)
    options = eviction.get("deleteOptions") or {}
    if options.get("dryRun"):
        call = call._replace(dry_run=True)
    wanted = options.get("preconditions")
    preconditions = Preconditions(wanted.get("uid"), wanted.get("resourceVersion")) if wanted else None
    delete = ApiCall(
        "delete",
        call.resource,
        call.namespace,
        call.name,
        dry_run=call.dry_run,
        grace_period_seconds=options.get("gracePeriodSeconds"),
        propagation_policy=options.get("propagationPolicy"),
        preconditions=preconditions,
    )
    deleter.check(served, delete, stored.obj)
    _spend_budget(state, stored.obj, call)
    if not call.dry_run:
        _mark_disrupted(state, served, stored.obj)
    deleter.delete(served, delete._replace(preconditions=None))
    body = status.success()
    body["code"] = 201
    return Answer(201, body)


def _spend_budget(state: ServerState, pod: JsonObject, call: ApiCall) -> None:
    """Take one disruption of the pod's budget. Raises `ApiError` 429, or 500 when there are two budgets."""
    phase = pod["status"].get("phase")
    if phase in ("Succeeded", "Failed", "Pending", "", None) or is_being_deleted(pod):
        return
    labels = pod["metadata"].get("labels") or {}
    collection = state.store.collection(POD_DISRUPTION_BUDGET.group_resource)
    found = [each for each in collection.scan(call.namespace) if selects(each.obj, labels)]
    if not found:
        return
    if len(found) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise status.error(500, "", text)
    budget = found[0].obj
    name, kept = budget["metadata"]["name"], budget.get("status") or {}
    policy = budget["spec"].get("unhealthyPodEvictionPolicy")
    healthy, desired = kept.get("currentHealthy", 0), kept.get("desiredHealthy", 0)
    if not _is_ready(pod) and (policy == "AlwaysAllow" or (healthy >= desired and desired > 0)):
        return
    if kept.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _blocked(f"The disruption budget {name} is still being processed by the server.", retry_after_s=10)
    allowed = kept.get("disruptionsAllowed", 0)
    if allowed <= 0:
        raise _blocked(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    if call.dry_run:
        return
    now = state.now_unix_ns()
    disrupted = {**(kept.get("disruptedPods") or {}), call.name: rfc3339(now)}
    obj = {**budget, "metadata": dict(budget["metadata"])}
    obj["status"] = {**kept, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
    served = state.registry.find(POD_DISRUPTION_BUDGET)
    key = f"{call.namespace}/{name}"
    cause = state.emit_write("update", served, key, "status") if served is not None else None
    collection.put(key, obj, now, cause)


def _mark_disrupted(state: ServerState, served: Served, old: JsonObject) -> None:
    present = old["status"].get("conditions") or ()
    if any(c.get("type") == "DisruptionTarget" and c.get("reason") == _REASON for c in present):
        return
    now = state.now_unix_ns()
    meta = old["metadata"]
    obj = {**old, "metadata": dict(meta)}
    kept = [c for c in present if c.get("type") != "DisruptionTarget"]
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now),
        "reason": _REASON,
        "message": "Eviction API: evicting",
    }
    obj["status"] = {**old["status"], "conditions": [condition, *kept]}
    key = served.key(meta["namespace"], meta["name"])
    cause = state.emit_write("create", served, key, "eviction")
    state.collection(served).put(key, obj, now, cause)


def _is_ready(pod: JsonObject) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _blocked(why: str, *, retry_after_s: int = 0) -> ApiError:
    details: JsonObject = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return status.error(429, "TooManyRequests", text, details)
