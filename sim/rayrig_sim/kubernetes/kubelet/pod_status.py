"""The status a kubelet computes for a pod: container states, phase and conditions (`reference/kubelet.md` sections 3 and 4).

Everything here is a pure function of what was seen of the containers, what the last attempts left behind and the pod's former
status, parts of which are taken over as they are where nothing has changed. Who calls when, and what is then written, is the
business of `pod_worker` and `status_manager`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS, rfc3339
from rayrig_sim.kubernetes.kubelet.container_records import ContainerRecord, PodRecord, image_id

TERMINAL_PHASES = ("Succeeded", "Failed")

#: The conditions a kubelet writes, in the order in which it writes them.
KUBELET_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

#: `started` and `ready` of a running container, of its name, its id and whether it had started before.
Flags = Callable[[str, str, bool], tuple[bool, bool]]

#: Shared, and read only.
_NOTHING: JsonObject = {}
_LOST = {
    "terminated": {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container could not be started at the last attempt."""

    reason: str
    message: str = ""


def is_terminal(status: Mapping[str, Any] | None) -> bool:
    return status is not None and status.get("phase") in TERMINAL_PHASES


def restart_policy(pod: JsonObject, spec: JsonObject) -> str:
    """Of one container: its own, else its pod's."""
    own: str | None = spec.get("restartPolicy")
    return own or pod["spec"].get("restartPolicy") or "Always"


def restarts_after(pod: JsonObject, spec: JsonObject, exit_code: int) -> bool:
    """Whether a container that ended so is to be started again: by its own rules and policy, else by its pod's policy."""
    if spec.get("restartPolicy"):
        for rule in spec.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or {}
            if (exit_code in (codes.get("values") or ())) is (codes.get("operator") == "In"):
                if rule.get("action") == "Restart":
                    return True
                break
    policy = restart_policy(pod, spec)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def is_sidecar(spec: JsonObject) -> bool:
    """For an entry of `initContainers`: it runs beside the others rather than before them."""
    return spec.get("restartPolicy") == "Always"


def should_start(pod: JsonObject, spec: JsonObject, newest: ContainerRecord | None, seen_ns: int) -> bool:
    """Whether the next sync would start the container: never started, or ended and its restart policy asks for more."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    if newest is None:
        return True
    if not newest.has_exited(seen_ns):
        return False
    return restarts_after(pod, spec, newest.exit.exit_code if newest.exit is not None else -1)


# Containers


def _terminated(record: ContainerRecord) -> JsonObject:
    assert record.exit is not None
    assert record.finished_ns is not None
    state: JsonObject = {"exitCode": record.exit.exit_code, "reason": record.exit_reason}
    if record.exit.message:
        state["message"] = record.exit.message
    state["startedAt"] = rfc3339(record.started_ns)
    state["finishedAt"] = rfc3339(record.finished_ns)
    state["containerID"] = record.container_id
    return {"terminated": state}


@lru_cache(maxsize=1024)
def _running_since(second: int) -> JsonObject:
    """Shared by what started then: it is read only."""
    return {"running": {"startedAt": rfc3339(second * NS)}}


def _container_status(
    pod: JsonObject,
    spec: JsonObject,
    record: PodRecord,
    seen_ns: int,
    waiting: Waiting | None,
    former: JsonObject | None,
    default: str,
    flags: Flags,
) -> JsonObject:
    """`ready` and `started` of one that runs are as `flags` tell."""
    name = spec["name"]
    attempts = record.containers.get(name)
    newest = attempts[-1] if attempts else None
    if newest is None:
        status: JsonObject = {
            "name": name,
            "state": {"waiting": {"reason": default}},
            "lastState": _NOTHING,
            "ready": False,
            "restartCount": 0,
            "image": spec.get("image", ""),
            "imageID": "",
            "started": False,
        }
        if former is not None:
            _carry_over(status, former)
    else:
        assert attempts is not None
        ended = newest.has_exited(seen_ns)
        resources = spec.get("resources") or {}
        had_started = former is not None and bool(former.get("started"))
        if former is not None and len(attempts) == 1 and waiting is None and _is_of(former, newest, resources, ended):
            started, ready = (False, False) if ended else flags(name, newest.container_id, had_started)
            if former["started"] is started and former["ready"] is ready:
                return former
            return {**former, "ready": ready, "started": started}
        before = attempts[-2] if len(attempts) > 1 else None
        last = _terminated(before) if before is not None and before.exit is not None else _NOTHING
        if former is not None and former.get("restartCount") == newest.attempt and (ended or not last):
            # What the API was told already: a container that waits for its next start has given its end as the last one.
            last = former.get("lastState") or last
        status = {
            "name": name,
            "state": _terminated(newest) if ended else _running_since(newest.started_ns // NS),
            "lastState": last,
            "ready": False,
            "restartCount": newest.attempt,
            "image": newest.image,
            "imageID": image_id(newest.image),
            "containerID": newest.container_id,
            # A restart in one go with the end before it keeps this until the startup probe's worker has seen the new container.
            "started": not ended and had_started,
        }
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        status["resources"] = resources
    if waiting is not None and should_start(pod, spec, newest, seen_ns):
        if "terminated" in status["state"]:
            status["lastState"] = status["state"]
        reason: JsonObject = {"reason": waiting.reason}
        if waiting.message:
            reason["message"] = waiting.message
        status["state"] = {"waiting": reason}
    elif newest is not None and "running" in status["state"]:
        status["started"], status["ready"] = flags(name, newest.container_id, status["started"])
    return status


def _is_of(status: JsonObject, newest: ContainerRecord, resources: JsonObject, ended: bool) -> bool:
    """Whether a status is that of this very container, and tells what became of it."""
    return (
        status.get("containerID") == newest.container_id
        and ("terminated" if ended else "running") in status["state"]
        and status.get("resources") == resources
    )


def _carry_over(status: JsonObject, former: JsonObject) -> None:
    """The runtime knows nothing (any more) of a container the API has heard of."""
    state = former.get("state") or {}
    status["restartCount"] = former.get("restartCount", 0)
    status["lastState"] = former.get("lastState") or {}
    if "terminated" in state:
        status["state"] = state
        status["imageID"] = former.get("imageID", "")
        if former.get("containerID"):
            status["containerID"] = former["containerID"]
    elif "running" in state:
        status["restartCount"] += 1
        status["lastState"] = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was deleted.  "
                "The container used to be Running",
            }
        }


def container_statuses(
    pod: JsonObject,
    record: PodRecord,
    seen_ns: int,
    waiting: Mapping[str, Waiting],
    former: Mapping[str, Any],
    flags: Flags,
) -> tuple[list[JsonObject], list[JsonObject]]:
    """`initContainerStatuses` and `containerStatuses` as of `seen_ns`.

    `waiting` holds what the last attempts to start left behind, by container; `flags` are asked of main containers first.
    """
    spec = pod["spec"]
    init_specs = spec.get("initContainers") or ()
    default = "PodInitializing" if init_specs else "ContainerCreating"
    known = {s["name"]: s for s in former.get("containerStatuses") or ()}
    main = []
    for container in spec["containers"]:
        name = container["name"]
        reason = waiting.get(name)
        main.append(_container_status(pod, container, record, seen_ns, reason, known.get(name), default, flags))
    init: list[JsonObject] = []
    if init_specs:
        known = {s["name"]: s for s in former.get("initContainerStatuses") or ()}
    for container in init_specs:
        name = container["name"]
        reason = waiting.get(name)
        if is_sidecar(container):
            init.append(_container_status(pod, container, record, seen_ns, reason, known.get(name), default, flags))
            continue
        newest = record.newest(name)
        if newest is not None and newest.has_exited(seen_ns) and newest.exit is not None and newest.exit.exit_code == 0:
            reason = None
        status = _container_status(pod, container, record, seen_ns, reason, known.get(name), default, _without_probes)
        init.append({**status, "ready": _has_succeeded(status), "started": "running" in status["state"]})
    return init, main


def _without_probes(name: str, container_id: str, had_started: bool) -> tuple[bool, bool]:
    return True, False


def _has_succeeded(status: JsonObject) -> bool:
    end = status["state"].get("terminated")
    return end is not None and bool(end.get("exitCode") == 0)


# Phase


def phase(pod: JsonObject, init: list[JsonObject], main: list[JsonObject], *, ends: bool = False) -> str:
    """`status.phase`. `ends`: the pod is being stopped for good, so nothing will be restarted."""
    specs = pod["spec"].get("initContainers") or ()
    has_run = bool(specs) and have_run(main)
    is_pending = False
    running = stopped = over = succeeded = 0
    for spec, status in zip(specs, init, strict=True):
        end = _last_end(status)
        if is_sidecar(spec):
            if "running" in status["state"]:
                running += 1
                is_pending = is_pending or (not has_run and not status["started"])
            else:
                is_pending = is_pending or end is None
        elif end is None:
            is_pending = True
        elif end["exitCode"] != 0 and not restarts_after(pod, spec, end["exitCode"]):
            return "Failed"
    for spec, status in zip(pod["spec"]["containers"], main, strict=True):
        if "running" in status["state"]:
            running += 1
            continue
        end = _last_end(status)
        if end is None:
            is_pending = True
        else:
            stopped += 1
            over += not restarts_after(pod, spec, end["exitCode"])
            succeeded += "terminated" in status["state"] and end["exitCode"] == 0
    if is_pending:
        return "Pending"
    if running or (stopped > over and not ends):
        return "Running"
    return "Succeeded" if stopped == succeeded else "Failed"


def _last_end(status: JsonObject) -> JsonObject | None:
    """How a container that does not run ended; None when it runs or never did."""
    state = status["state"]
    if "running" in state:
        return None
    end: JsonObject | None = state.get("terminated") or (status["lastState"] or {}).get("terminated")
    return end


# Conditions


def have_run(statuses: Iterable[JsonObject]) -> bool:
    """Whether any of the containers has ever started."""
    return any("running" in s["state"] or "terminated" in s["state"] or s["lastState"] for s in statuses)


#: Whether a condition is true, why, and the message. Empty reason and message are left out, as the API does.
Finding = tuple[bool, str, str]

_TRUE: Finding = (True, "", "")
_FALSE: Finding = (False, "", "")
_WORDS = ("False", "True")


@lru_cache(maxsize=4096)
def _condition(kind: str, finding: Finding, generation: int | None, since: str) -> JsonObject:
    """Pods in the same condition share it: it is read only."""
    is_true, reason, message = finding
    result: JsonObject = {"type": kind, "status": _WORDS[is_true]}
    if generation is not None:
        result["observedGeneration"] = generation
    if reason:
        result["reason"] = reason
    if message:
        result["message"] = message
    result["lastTransitionTime"] = since
    return result


def condition(kind: str, finding: Finding, generation: int | None, was: JsonObject | None, now: str) -> JsonObject:
    """A condition, which keeps the time of its last transition if its status is what it `was`. Shared: it is read only."""
    if was is not None and was["status"] == _WORDS[finding[0]]:
        now = was.get("lastTransitionTime") or now
    return _condition(kind, finding, generation, now)


def _listing(names: Iterable[str]) -> str:
    return f"[{' '.join(names)}]"


def _initialized(pod: JsonObject, phase_now: str, init: Sequence[JsonObject], main: Sequence[JsonObject]) -> Finding:
    if phase_now == "Succeeded":
        return True, "PodCompleted", ""
    specs = pod["spec"].get("initContainers") or ()
    # Once a main container has started, the pod never goes back to initialising.
    if specs and not have_run(main):
        missing = [
            s["name"] for c, s in zip(specs, init, strict=True) if not (s["started"] if is_sidecar(c) else s["ready"])
        ]
        if missing:
            message = f"containers with incomplete status: {_listing(missing)}"
            return False, "ContainersNotInitialized", message
    return _TRUE


def _containers_ready(
    pod: JsonObject, phase_now: str, init: Sequence[JsonObject], main: Sequence[JsonObject]
) -> Finding:
    if phase_now == "Succeeded":
        return False, "PodCompleted", ""
    if phase_now == "Failed":
        return False, "PodFailed", ""
    unready = [s["name"] for s in main if not s["ready"]]
    if init:
        specs = pod["spec"]["initContainers"]
        unready[:0] = [s["name"] for c, s in zip(specs, init, strict=True) if is_sidecar(c) and not s["ready"]]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: {_listing(unready)}"
    return _TRUE


def _ready(pod: JsonObject, of_containers: Finding, present: Iterable[JsonObject]) -> Finding:
    """`Ready` from `ContainersReady` and the pod's readiness gates, whose conditions are among `present`."""
    if not of_containers[0]:
        return of_containers
    gates = pod["spec"].get("readinessGates") or ()
    if gates:
        values = {c["type"]: c["status"] for c in present}
        wrong = []
        for gate in gates:
            kind = gate["conditionType"]
            if kind not in values:
                wrong.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
            elif values[kind] != "True":
                wrong.append(f'the status of pod readiness gate "{kind}" is not "True", but {values[kind]}')
        if wrong:
            return False, "ReadinessGatesNotReady", ", ".join(wrong)
    return _TRUE


def readiness(pod: JsonObject, status: JsonObject, present: Iterable[JsonObject]) -> dict[str, Finding]:
    """What follows for the pod from the readiness of the containers in a status. `present`: conditions in the API."""
    init, main = status.get("initContainerStatuses") or (), status["containerStatuses"]
    of_containers = _containers_ready(pod, status["phase"], init, main)
    return {"Ready": _ready(pod, of_containers, present), "ContainersReady": of_containers}


def conditions(
    pod: JsonObject,
    phase_now: str,
    init: list[JsonObject],
    main: list[JsonObject],
    *,
    sandbox_is_ready: bool,
    present: Iterable[JsonObject],
    former: Iterable[JsonObject],
    now: str,
) -> list[JsonObject]:
    """The kubelet's own conditions, in its order. `present`: those in the API; `former`: those of the status before."""
    generation = pod["metadata"].get("generation")
    of_containers = _containers_ready(pod, phase_now, init, main)
    findings = (
        _TRUE if sandbox_is_ready else _FALSE,
        _initialized(pod, phase_now, init, main),
        _ready(pod, of_containers, present),
        of_containers,
        _TRUE,
    )
    was = {c["type"]: c for c in former}
    return [
        condition(kind, finding, generation, was.get(kind), now)
        for kind, finding in zip(KUBELET_CONDITIONS, findings, strict=True)
    ]


@lru_cache(maxsize=1024)
def addresses(ip: str) -> list[JsonObject]:
    """As `hostIPs` and `podIPs` hold one; read only."""
    return [{"ip": ip}]


def with_lost_containers(pod: JsonObject, status: JsonObject) -> JsonObject:
    """The last status of a pod that is being taken away: what did not end is reported as lost, the phase as terminal."""
    status = dict(status)
    init, main = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    if _was_initialized(pod, init, main):
        status["containerStatuses"] = [_lost(s) for s in main]
    # Of the init containers those that had begun can have been lost, and the first in any case.
    begun = [n for n, s in enumerate(init) if "waiting" not in s["state"] or s["lastState"]]
    if init:
        last = begun[-1] if begun else 0
        status["initContainerStatuses"] = [_lost(s) if n <= last else s for n, s in enumerate(init)]
    if status.get("phase") not in TERMINAL_PHASES:
        status["phase"] = "Failed"
    return status


def _was_initialized(pod: JsonObject, init: list[JsonObject], main: list[JsonObject]) -> bool:
    specs = pod["spec"].get("initContainers") or ()
    if not specs or any("waiting" not in s["state"] or s["lastState"] for s in main):
        return True
    if not init:
        return False
    last = init[-1]
    if is_sidecar(specs[-1]):
        return "running" in last["state"] and bool(last["started"])
    ends = [state["terminated"] for state in (last["state"], last["lastState"]) if "terminated" in state]
    return any(end["exitCode"] == 0 for end in ends)


def _lost(status: JsonObject) -> JsonObject:
    if "terminated" in status["state"]:
        return status
    return {**status, "state": _LOST, "ready": False, "started": False}
