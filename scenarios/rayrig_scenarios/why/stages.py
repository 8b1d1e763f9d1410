"""How far a pod is, judged by its object alone: what the API server shows is the verdict that everything else explains."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from rayrig_core.objects import JsonObject, condition_of, has_condition, is_being_deleted


class Stage(StrEnum):
    """Where a pod is on its way to being ready, or off it."""

    ABSENT = "not created"
    UNSCHEDULED = "waits for a node"
    UNREPORTED = "its kubelet has not reported"
    INITIALIZING = "init container"
    IMAGE = "image"
    STARTING = "container not started"
    CRASHED = "container ended"
    STARTUP_PROBE = "startup probe"
    READINESS_PROBE = "readiness probe"
    READINESS_GATE = "readiness gate"
    NODE = "node not ready"
    READY = "ready"
    DELETION = "being deleted"
    ENDED = "ended"
    DONE = "done"
    GONE = "gone"


class Standing(NamedTuple):
    """A stage, and the container it hangs on, if it is one."""

    stage: Stage
    container: str = ""


#: Reasons of a waiting container that are about its image.
IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
ENDED_PHASES = ("Succeeded", "Failed")


def standing(pod: JsonObject) -> Standing:
    """How far a pod is. Of several containers that are not ready the one that is furthest back counts."""
    status = pod.get("status") or {}
    if is_being_deleted(pod):
        return Standing(Stage.DELETION)
    if status.get("phase") in ENDED_PHASES:
        return Standing(Stage.DONE if status["phase"] == "Succeeded" else Stage.ENDED)
    if not pod["spec"].get("nodeName"):
        return Standing(Stage.UNSCHEDULED)
    if has_condition(pod, "Ready"):
        return Standing(Stage.READY)
    for container in status.get("initContainerStatuses") or ():
        if not _is_past(container, _is_sidecar(pod, container["name"])):
            state = container.get("state") or {}
            if (state.get("waiting") or {}).get("reason") in IMAGE_REASONS:
                return Standing(Stage.IMAGE, container["name"])
            return Standing(Stage.INITIALIZING, container["name"])
    if has_condition(pod, "ContainersReady"):
        ready = condition_of(pod, "Ready") or {}
        is_gate = ready.get("reason") == "ReadinessGatesNotReady" and pod["spec"].get("readinessGates")
        return Standing(Stage.READINESS_GATE if is_gate else Stage.NODE)
    return _of_containers(pod)


def _of_containers(pod: JsonObject) -> Standing:
    status = pod.get("status") or {}
    found = [of_container(c) for c in status.get("containerStatuses") or () if not c.get("ready")]
    sidecars = [c for c in status.get("initContainerStatuses") or () if _is_sidecar(pod, c["name"])]
    found += [of_container(c) for c in sidecars if not c.get("ready")]
    if not found:
        return Standing(Stage.UNREPORTED)
    return min(found, key=lambda one: _ORDER.index(one.stage))


_ORDER = (Stage.IMAGE, Stage.CRASHED, Stage.STARTING, Stage.STARTUP_PROBE, Stage.READINESS_PROBE)


def of_container(container: JsonObject) -> Standing:
    """Of one that is not ready."""
    name = container["name"]
    state = container.get("state") or {}
    waiting = state.get("waiting")
    if waiting is not None:
        reason = waiting.get("reason", "")
        if reason in IMAGE_REASONS:
            return Standing(Stage.IMAGE, name)
        has_ended = (container.get("lastState") or {}).get("terminated") is not None
        return Standing(Stage.CRASHED if has_ended else Stage.STARTING, name)
    if state.get("terminated") is not None:
        return Standing(Stage.CRASHED, name)
    if state.get("running") is None:
        return Standing(Stage.STARTING, name)
    return Standing(Stage.STARTUP_PROBE if not container.get("started", True) else Stage.READINESS_PROBE, name)


def _is_past(container: JsonObject, is_sidecar: bool) -> bool:
    """Whether what comes after this init container may begin."""
    if is_sidecar:
        return bool(container.get("started")) or (container.get("state") or {}).get("running") is not None
    terminated = (container.get("state") or {}).get("terminated")
    return terminated is not None and terminated.get("exitCode") == 0


def _is_sidecar(pod: JsonObject, name: str) -> bool:
    specs = pod["spec"].get("initContainers") or ()
    return any(spec["name"] == name and spec.get("restartPolicy") == "Always" for spec in specs)


def status_of_container(pod: JsonObject, name: str) -> JsonObject:
    """Its status, empty when there is none yet."""
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            if container["name"] == name:
                return dict(container)
    return {}


def spec_of_container(pod: JsonObject, name: str) -> JsonObject:
    """Its entry in the manifest, empty when there is none."""
    for kind in ("initContainers", "containers"):
        for container in pod["spec"].get(kind) or ():
            if container["name"] == name:
                return dict(container)
    return {}


def is_init_container(pod: JsonObject, name: str) -> bool:
    return any(spec["name"] == name for spec in pod["spec"].get("initContainers") or ())
