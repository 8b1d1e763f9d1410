"""Whether a RayCluster is ready, and if it is not, what stands in the way: a pod that is not ready, or the operator's refusal."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.objects import JsonObject, condition_of, has_condition, key_of, labels_of, name_of
from rayrig_core.resources import labels
from rayrig_core.trace import Kind
from rayrig_scenarios.observations import Observations


@dataclass(frozen=True, slots=True)
class ClusterReadiness:
    """`text` is one line: how many workers there are, or what is missing."""

    is_ready: bool
    text: str


def cluster_readiness(cluster: JsonObject, seen: Observations) -> ClusterReadiness:
    """Ready: `status.state` says so, the head is ready now, and so is every worker that is wanted (kuberay-operator 3.15)."""
    status = cluster.get("status") or {}
    namespace, name = key_of(cluster)
    pods = seen.pods(namespace, clusters=(name,))
    wanted, ready = status.get("desiredWorkerReplicas") or 0, status.get("readyWorkerReplicas") or 0
    head = condition_of(cluster, "HeadPodReady")
    head_is_ready = head is None or head.get("status") == "True"
    if not status.get("conditions"):
        # KubeRay 1.1 says neither how many workers are ready nor whether the head is.
        ready_types = [labels_of(pod).get(labels.NODE_TYPE) for pod in pods if has_condition(pod, "Ready")]
        ready, head_is_ready = ready_types.count(labels.WORKER), labels.HEAD in ready_types
    workers = f"{ready} of {wanted} worker{'s' if wanted != 1 else ''} ready"
    if status.get("state") == "ready" and head_is_ready and ready >= wanted:
        return ClusterReadiness(True, f"ready, {workers}")
    parts = [f"state is {status.get('state') or 'not set'}, {workers}"]
    unready = [pod for pod in pods if not has_condition(pod, "Ready")]
    parts += [f"{name_of(pod)}: {seen.world.why_unready(pod)}" for pod in unready[:1]]
    if not unready:
        parts += _complaint(namespace, name, seen)
    return ClusterReadiness(False, "; ".join(parts))


def _complaint(namespace: str, name: str, seen: Observations) -> list[str]:
    """The operator's last warning about the cluster, which explains why there are no pods to look at."""
    last = ""
    for event in seen.trace.select(Kind.EVENT, subject=f"rayclusters/{namespace}/{name}"):
        if event["type"] == "Warning":
            last = f"{event['reason']}: {event['message']}"
    return [last] if last else []
