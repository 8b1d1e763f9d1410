"""How many workers there should be, and which pods have to go: pure decisions (kuberay-operator 3.6 to 3.8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from rayrig_controllers.raycluster.cluster import MAX_INT32
from rayrig_controllers.raycluster.worker_pod import Place
from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resources import labels, names
from rayrig_core.timestamps import parse_rfc3339, rfc3339

# Reasons in the notes of multi-host deletions
INCOMPLETE = "cleanup of incomplete multi-host group"
SCALE_STRATEGY = "autoscaler scale-down request"
SCALING_DOWN = "scaling down"


def hosts(group: JsonObject) -> int:
    """Pods per replica; 1 when missing."""
    value = group.get("numOfHosts")
    return 1 if value is None else int(value)


def replica_bounds(group: JsonObject) -> tuple[int, int]:
    """(minReplicas, maxReplicas)."""
    low, high = group.get("minReplicas"), group.get("maxReplicas")
    return (0 if low is None else int(low)), (MAX_INT32 if high is None else int(high))


def desired_pods(group: JsonObject) -> int:
    """Replicas within their bounds (the lower one when missing) times hosts; none for a suspended group.

    Below zero with a negative number of hosts, which the API server admits (kuberay-operator H24).
    """
    if group.get("suspend"):
        return 0
    low, high = replica_bounds(group)
    replicas = group.get("replicas")
    count = low if replicas is None or replicas < low else min(int(replicas), high)
    return count * hosts(group)


# Pods that cannot go on


def terminated_state(pod: JsonObject) -> JsonObject | None:
    """`state.terminated` of the Ray container, if it has ended. Sidecars don't count."""
    containers = pod["spec"].get("containers") or ()
    if not containers:
        return None
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == containers[0].get("name"):
            terminated: JsonObject | None = (status.get("state") or {}).get("terminated")
            return terminated
    return None


def reason_to_delete(pod: JsonObject, node_type: str) -> str:
    """Why a pod has to be replaced; empty when it need not be. Readiness is never a reason."""
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Failed", "Succeeded"):
        return (
            f"The {node_type} Pod {name_of(pod)} status is {phase} which is a terminal state. "
            "KubeRay will delete the Pod and create new Pods in the next reconciliation if necessary."
        )
    policy = pod["spec"].get("restartPolicy")
    if phase == "Running" and policy == "Never" and terminated_state(pod) is not None:
        return f"The Ray container of {node_type} Pod {name_of(pod)} has ended and restartPolicy {policy} keeps it so."
    return ""


def deletion_note(pod: JsonObject) -> str:
    """State of a deleted pod, as the operator's events print it (a Go struct)."""
    phase = (pod.get("status") or {}).get("phase", "")
    policy = pod["spec"].get("restartPolicy", "Always")
    return f"Pod status: {phase}; Pod restart policy: {policy}; Ray container terminated status: {_go_text(pod)}"


def _go_text(pod: JsonObject) -> str:
    state = terminated_state(pod)
    if state is None:
        return "nil"
    fields = (
        f"ExitCode:{state.get('exitCode', 0)}",
        f"Signal:{state.get('signal', 0)}",
        f"Reason:{state.get('reason', '')}",
        f"Message:{state.get('message', '')}",
        f"StartedAt:{_go_time(state.get('startedAt'))}",
        f"FinishedAt:{_go_time(state.get('finishedAt'))}",
        f"ContainerID:{state.get('containerID', '')}",
    )
    return f"&ContainerStateTerminated{{{','.join(fields)},}}"


def _go_time(text: str | None) -> str:
    if not text:
        return "0001-01-01 00:00:00 +0000 UTC"
    return rfc3339(parse_rfc3339(text)).replace("T", " ").replace("Z", " +0000 UTC")


# Which replicas exist and which come next


def free_indices(pods: Iterable[JsonObject], count: int) -> list[int]:
    """The lowest replica indices that no pod has."""
    used = frozenset(labels_of(pod).get(labels.REPLICA_INDEX) for pod in pods)
    found: list[int] = []
    index = 0
    while len(found) < count:
        if str(index) not in used:
            found.append(index)
        index += 1
    return found


@dataclass(frozen=True, slots=True)
class Deletion:
    """A pod to delete and why."""

    pod: JsonObject
    reason: str


@dataclass(slots=True)
class MultiHostPlan:
    """What to do with a multi-host group in this pass. `error` ends the pass after the deletions."""

    deletions: list[Deletion] = field(default_factory=list)
    creations: list[Place] = field(default_factory=list)
    error: str = ""


def plan_multi_host(group: JsonObject, pods: Sequence[JsonObject], *, may_shrink: bool, rng: Random) -> MultiHostPlan:
    """Whole replicas only: repair one incomplete replica, replace unhealthy ones, obey workersToDelete, then scale."""
    plan = MultiHostPlan()
    size = hosts(group)
    replicas: dict[str, list[JsonObject]] = {}
    for pod in pods:
        replica = labels_of(pod).get(labels.REPLICA_NAME, "")
        if replica:
            replicas.setdefault(replica, []).append(pod)
    for replica, members in replicas.items():
        if len(members) < size:
            plan.deletions = [Deletion(pod, INCOMPLETE) for pod in members]
            plan.error = f"cleaned up incomplete replica group {replica}, requeueing"
            return plan
    gone: dict[str, None] = {}
    for replica, members in replicas.items():
        reason = next(filter(None, (reason_to_delete(pod, labels.WORKER) for pod in members)), "")
        if reason:
            gone[replica] = None
            plan.deletions += [Deletion(pod, reason) for pod in members]
    named = frozenset((group.get("scaleStrategy") or {}).get("workersToDelete") or ())
    asked = 0
    for replica, members in replicas.items():
        if replica not in gone and any(name_of(pod) in named for pod in members):
            gone[replica] = None
            plan.deletions += [Deletion(pod, SCALE_STRATEGY) for pod in members]
            asked += len(members)
    if asked:
        plan.error = f"deleted {asked} worker Pods based on ScaleStrategy, requeueing"
        return plan
    kept = [replica for replica in replicas if replica not in gone]
    missing = desired_pods(group) // size - len(kept)
    if missing > 0:
        present = [pod for replica in kept for pod in replicas[replica]]
        for index in free_indices(present, missing):
            replica = names.replica_group_name(group["groupName"], rng)
            plan.creations += [Place(index, replica, host) for host in range(size)]
    elif missing < 0 and may_shrink:
        for replica in kept[:-missing]:
            plan.deletions += [Deletion(pod, SCALING_DOWN) for pod in replicas[replica]]
    return plan
