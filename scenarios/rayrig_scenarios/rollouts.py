"""Whether a workload is all there: what `kubectl rollout status` waits for, and the like of Jobs and Pods. Pure."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_core.objects import JsonObject, condition_of, has_condition

#: Whether it is all there, and what is or is not, in one line.
Rollout = tuple[bool, str]


def rollout_of(workload: JsonObject) -> Rollout:
    """Of an object of a kind in `WORKLOADS`. Source: kubectl's rollout status; Kubernetes, "Jobs", "Pod Lifecycle"."""
    status = workload.get("status") or {}
    return WORKLOADS[workload["kind"]](workload, status)


def _wanted(workload: JsonObject) -> int:
    replicas = (workload.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _is_observed(workload: JsonObject, status: JsonObject) -> bool:
    return int(status.get("observedGeneration") or 0) >= int(workload["metadata"].get("generation") or 0)


def _deployment(workload: JsonObject, status: JsonObject) -> Rollout:
    wanted, updated = _wanted(workload), int(status.get("updatedReplicas") or 0)
    available, there = int(status.get("availableReplicas") or 0), int(status.get("replicas") or 0)
    if not _is_observed(workload, status):
        return False, "the change is not seen yet"
    progressing = condition_of(workload, "Progressing") or {}
    late = "; progress deadline exceeded" if progressing.get("reason") == "ProgressDeadlineExceeded" else ""
    if updated < wanted:
        return False, f"{updated} of {wanted} pods updated{late}"
    if there > updated:
        return False, f"{there - updated} old pods still there{late}"
    return available >= updated, f"{available} of {updated} updated pods available{late if available < updated else ''}"


def _daemon_set(workload: JsonObject, status: JsonObject) -> Rollout:
    wanted, updated = int(status.get("desiredNumberScheduled") or 0), int(status.get("updatedNumberScheduled") or 0)
    available = int(status.get("numberAvailable") or 0)
    if not _is_observed(workload, status):
        return False, "the change is not seen yet"
    if updated < wanted:
        return False, f"{updated} of {wanted} pods updated"
    return available >= wanted, f"{available} of {wanted} pods available"


def _stateful_set(workload: JsonObject, status: JsonObject) -> Rollout:
    wanted, ready = _wanted(workload), int(status.get("readyReplicas") or 0)
    if not _is_observed(workload, status):
        return False, "the change is not seen yet"
    if ready < wanted:
        return False, f"{ready} of {wanted} pods ready"
    strategy = (workload.get("spec") or {}).get("updateStrategy") or {}
    updated = int(status.get("updatedReplicas") or 0)
    to_update = wanted - int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if strategy.get("type") != "OnDelete" and updated < to_update:
        return False, f"{updated} of {to_update} pods updated"
    return True, f"{ready} of {wanted} pods ready"


def _replica_set(workload: JsonObject, status: JsonObject) -> Rollout:
    wanted, ready = _wanted(workload), int(status.get("readyReplicas") or 0)
    return _is_observed(workload, status) and ready >= wanted, f"{ready} of {wanted} pods ready"


def _job(workload: JsonObject, status: JsonObject) -> Rollout:
    failed = condition_of(workload, "Failed")
    if failed is not None and failed.get("status") == "True":
        return False, f"it has failed: {failed.get('message') or failed.get('reason')}"
    spec = workload.get("spec") or {}
    if spec.get("suspend"):
        return True, "it is suspended"
    wanted = f" of {spec['completions']}" if spec.get("completions") else ""
    return has_condition(workload, "Complete"), f"{int(status.get('succeeded') or 0)}{wanted} pods succeeded"


def _pod(workload: JsonObject, status: JsonObject) -> Rollout:
    phase = status.get("phase") or "Pending"
    is_ready = has_condition(workload, "Ready")
    return is_ready or phase == "Succeeded", f"{phase}, {'ready' if is_ready else 'not ready'}"


#: The kinds that have pods, and how one sees that those are all there.
WORKLOADS: dict[str, Callable[[JsonObject, JsonObject], Rollout]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "Pod": _pod,
}
