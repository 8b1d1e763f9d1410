"""The condition DisruptionTarget, which whoever is about to take a pod away writes first (kubelet.md 3.3)."""

from __future__ import annotations

from enum import StrEnum

from rayrig_core.objects import JsonObject, condition_of, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import POD
from rayrig_core.timestamps import rfc3339


class DisruptionReason(StrEnum):
    """Who takes the pod away."""

    PREEMPTION = "PreemptionByScheduler"
    TAINT = "DeletionByTaintManager"
    POD_GC = "DeletionByPodGC"


async def mark_disrupted(
    client: KubernetesClient,
    runtime: Runtime,
    pod: JsonObject,
    reason: DisruptionReason,
    message: str,
    *,
    phase: str = "",
) -> None:
    """Write DisruptionTarget=True, and the phase when one is given, in one write. Raises `ApiError`."""
    before = condition_of(pod, "DisruptionTarget")
    if before is not None and before.get("status") == "True" and before.get("reason") == reason and not phase:
        return
    condition: JsonObject = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": str(reason),
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(runtime.unix_ns()),
    }
    generation = pod["metadata"].get("generation")
    if generation is not None:
        condition["observedGeneration"] = generation
    status: JsonObject = {"conditions": [condition]}
    if phase:
        status["phase"] = phase
    await client.patch(
        POD,
        name_of(pod),
        {"metadata": {"uid": uid_of(pod)}, "status": status},
        namespace_of(pod),
        patch_type="strategic",
        subresource="status",
    )
