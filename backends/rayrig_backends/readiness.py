"""Why a pod is not ready, in one line: the scheduler's verdict, the container that does not run, or the probe that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rayrig_core.objects import JsonObject, condition_of, has_condition
from rayrig_core.timestamps import NS, rfc3339
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeObservation
from rayrig_sim.kubernetes.kubelet.probes import Verdict

#: What is shown of a container while its pod is being prepared, whatever comes of it.
_STARTING = (": ContainerCreating", ": PodInitializing")


def why_unready(
    pod: JsonObject,
    history: Sequence[ProbeObservation],
    start_unix_ns: int,
    last_warning: Callable[[], str] = lambda: "",
) -> str:
    """Empty when the pod is ready. `history` are its last probes, oldest first; `start_unix_ns` is when the run began;
    `last_warning` tells what its kubelet said last that was no good news, for a pod whose status does not say it."""
    if has_condition(pod, "Ready"):
        return ""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return f"it is being deleted since {pod['metadata']['deletionTimestamp']}"
    if status.get("phase") in ("Succeeded", "Failed"):
        reason = status.get("reason") or status["phase"]
        message = status.get("message") or ""
        return f"it has ended: {reason}" + (f" ({message})" if message else "")
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") != "True":
        return f"{scheduled.get('reason', 'not scheduled')}: {scheduled.get('message', '')}"
    if not pod["spec"].get("nodeName"):
        return "the scheduler has not looked at it yet"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            found = _not_running(container, is_init=kind == "initContainerStatuses")
            if found:
                warning = last_warning() if found.endswith(_STARTING) else ""
                return f"{found} ({warning})" if warning else found
    failing = _last_failures(history)
    if failing:
        return "; ".join(f"{one.container}: {_probe(one, start_unix_ns)}" for one in failing)
    unready = [c["name"] for c in status.get("containerStatuses") or () if not c.get("ready")]
    if unready:
        return f"no readiness probe of {', '.join(unready)} has succeeded yet"
    ready = condition_of(pod, "Ready") or {}
    return str(ready.get("message") or ready.get("reason") or "its kubelet has not reported yet")


def _not_running(container: JsonObject, *, is_init: bool) -> str:
    state = container.get("state") or {}
    name = container["name"]
    waiting = state.get("waiting")
    if waiting is not None:
        if is_init or waiting.get("reason") != "PodInitializing":
            message = waiting.get("message")
            return f"{name}: {waiting.get('reason', 'waiting')}" + (f" ({message})" if message else "")
        return ""
    terminated = state.get("terminated")
    if terminated is not None and not (is_init and terminated.get("exitCode") == 0):
        return f"{name}: ended with {terminated.get('exitCode')} ({terminated.get('reason', '')})"
    if is_init and state.get("running") is not None and not container.get("ready"):
        return f"init container {name} is still running"
    return ""


def _last_failures(history: Sequence[ProbeObservation]) -> list[ProbeObservation]:
    """The last probe of each container and kind, where it failed."""
    last: dict[tuple[str, str], ProbeObservation] = {}
    for one in history:
        last[one.container, one.kind.word] = one
    return [one for one in last.values() if one.verdict is not Verdict.SUCCESS]


def _probe(one: ProbeObservation, start_unix_ns: int) -> str:
    at = f"{one.t_ns / NS:.1f} s ({rfc3339(start_unix_ns + one.t_ns)})"
    return f"{one.kind.word} probe at {at}: {one.verdict.value}" + (f": {one.text.strip()}" if one.text.strip() else "")
