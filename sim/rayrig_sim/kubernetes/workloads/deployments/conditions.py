"""The status of a Deployment: counts, and whether it is available, progressing or stuck. Pure.

Source: Kubernetes, "Deployments" (status).
"""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject, name_of
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.workloads.deployments.sizes import limits_of, reported, size_of

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
#: The deadline that stands for none.
_NO_DEADLINE_S = 2**31 - 1


def deadline_s(deployment: JsonObject) -> int | None:
    """Seconds without progress after which a Deployment is stuck; None when it never is."""
    value = deployment["spec"].get("progressDeadlineSeconds")
    return None if value is None or value == _NO_DEADLINE_S else int(value)


def get(status: JsonObject, kind: str) -> JsonObject | None:
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), None)


def put(status: JsonObject, kind: str, value: str, reason: str, message: str, now_ns: int) -> None:
    """Set a condition in place. One of the same status and reason stays as it is."""
    before = get(status, kind)
    if before is not None and before.get("status") == value and before.get("reason") == reason:
        return
    now = rfc3339(now_ns)
    since = before.get("lastTransitionTime") if before is not None and before.get("status") == value else now
    drop(status, kind)
    status["conditions"] = [
        *(status.get("conditions") or ()),
        {
            "type": kind,
            "status": value,
            "lastUpdateTime": now,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        },
    ]


def drop(status: JsonObject, kind: str) -> None:
    conditions = [each for each in status.get("conditions") or () if each.get("type") != kind]
    if conditions:
        status["conditions"] = conditions
    else:
        status.pop("conditions", None)


def counted(deployment: JsonObject, sets: Sequence[JsonObject], new: JsonObject | None, now_ns: int) -> JsonObject:
    """The status as the ReplicaSets give it, with the conditions of before and Available."""
    before = deployment.get("status") or {}
    available = reported(sets, "availableReplicas")
    updated = reported([new]) if new is not None else 0
    status: JsonObject = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    for field, count in (
        ("replicas", reported(sets)),
        ("updatedReplicas", updated),
        ("readyReplicas", reported(sets, "readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", max(0, sum(map(size_of, sets)) - available)),
    ):
        if count:
            status[field] = count
    status["terminatingReplicas"] = reported(sets, "terminatingReplicas")
    if before.get("collisionCount") is not None:
        status["collisionCount"] = before["collisionCount"]
    if before.get("conditions"):
        status["conditions"] = list(before["conditions"])
    if available >= limits_of(deployment).least_available:
        put(status, AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now_ns)
    else:
        text = "Deployment does not have minimum availability."
        put(status, AVAILABLE, "False", "MinimumReplicasUnavailable", text, now_ns)
    return status


def rolled_out(deployment: JsonObject, sets: Sequence[JsonObject], new: JsonObject | None, now_ns: int) -> JsonObject:
    """As `counted`, with Progressing and ReplicaFailure."""
    status = counted(deployment, sets, new, now_ns)
    before = deployment.get("status") or {}
    current = get(before, PROGRESSING)
    if deadline_s(deployment) is None:
        drop(status, PROGRESSING)
    elif not _was_complete(status, current):
        who = f'Deployment "{name_of(deployment)}"' if new is None else f'ReplicaSet "{name_of(new)}"'
        if is_complete(deployment, status):
            put(status, PROGRESSING, "True", NEW_AVAILABLE, f"{who} has successfully progressed.", now_ns)
        elif _has_progressed(before, status):
            _refresh(status, current, f"{who} is progressing.", now_ns)
        elif _timed_out(deployment, status, now_ns):
            put(status, PROGRESSING, "False", TIMED_OUT, f"{who} has timed out progressing.", now_ns)
    failure = _failure_of(sets, new)
    if failure is None:
        drop(status, REPLICA_FAILURE)
    else:
        put(
            status,
            REPLICA_FAILURE,
            failure.get("status", ""),
            failure.get("reason", ""),
            failure.get("message", ""),
            now_ns,
        )
    return status


def is_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """All pods are of the new template and available, and none of the old are left."""
    wanted = deployment["spec"].get("replicas", 1)
    return all(status.get(field, 0) == wanted for field in ("updatedReplicas", "replicas", "availableReplicas")) and (
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def looks_again_in_s(deployment: JsonObject, status: JsonObject, now_ns: int) -> float | None:
    """When a Deployment that nothing happens to would be stuck; None when that can't be."""
    limit_s, current = deadline_s(deployment), get(deployment.get("status") or {}, PROGRESSING)
    if limit_s is None or current is None or is_complete(deployment, status) or current.get("reason") == TIMED_OUT:
        return None
    left_ns = _updated_ns(current, now_ns) + limit_s * NS - now_ns
    return max(0.0, left_ns / NS) + 1.0


def _was_complete(status: JsonObject, current: JsonObject | None) -> bool:
    if current is None or current.get("reason") != NEW_AVAILABLE:
        return False
    return bool(status.get("replicas", 0) == status.get("updatedReplicas", 0))


def _has_progressed(before: JsonObject, status: JsonObject) -> bool:
    def old_pods(of: JsonObject) -> int:
        return int(of.get("replicas", 0)) - int(of.get("updatedReplicas", 0))

    return (
        status.get("updatedReplicas", 0) > before.get("updatedReplicas", 0)
        or old_pods(status) < old_pods(before)
        or status.get("readyReplicas", 0) > before.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > before.get("availableReplicas", 0)
    )


def _refresh(status: JsonObject, current: JsonObject | None, message: str, now_ns: int) -> None:
    """Progress renews the time of the last update even when nothing else of the condition changes."""
    since = current.get("lastTransitionTime") if current is not None and current.get("status") == "True" else None
    drop(status, PROGRESSING)
    put(status, PROGRESSING, "True", "ReplicaSetUpdated", message, now_ns)
    if since:
        status["conditions"][-1]["lastTransitionTime"] = since


def _timed_out(deployment: JsonObject, status: JsonObject, now_ns: int) -> bool:
    current, limit_s = get(status, PROGRESSING), deadline_s(deployment)
    if current is None or limit_s is None or current.get("reason") == NEW_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    return _updated_ns(current, now_ns) + limit_s * NS < now_ns


def _updated_ns(condition: JsonObject, now_ns: int) -> int:
    """Anybody may have written it, and left out the time."""
    return parse_rfc3339(condition["lastUpdateTime"]) if condition.get("lastUpdateTime") else now_ns


def _failure_of(sets: Sequence[JsonObject], new: JsonObject | None) -> JsonObject | None:
    """The new ReplicaSet's, otherwise that of the first which has one."""
    for each in [new, *sets] if new is not None else sets:
        found = get(each.get("status") or {}, REPLICA_FAILURE) if each is not None else None
        if found is not None:
            return found
    return None
