"""What a sync has to do for a pod, decided from what was seen of its containers (`reference/kubelet.md` sections 5.5, 7 and 11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rayrig_core.objects import JsonObject
from rayrig_sim.kubernetes.kubelet.container_records import ContainerRecord, PodRecord
from rayrig_sim.kubernetes.kubelet.pod_status import is_sidecar, restart_policy, should_start
from rayrig_sim.kubernetes.kubelet.probe_workers import Belief
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind

#: Belief about a container id by one kind of probe; None when none has been formed.
Beliefs = Callable[[str, ProbeKind], "Belief | None"]


@dataclass(frozen=True, slots=True)
class Kill:
    """A container to stop. `probe` is the kind that condemned it, if one did."""

    spec: JsonObject
    record: ContainerRecord
    message: str
    probe: ProbeKind | None


@dataclass(slots=True)
class PodActions:
    """In the order in which they are carried out."""

    #: Nothing of the pod is to run any longer.
    kill_pod: bool = False
    to_kill: list[Kill] = field(default_factory=list)
    create_sandbox: bool = False
    init_to_start: list[JsonObject] = field(default_factory=list)
    to_start: list[JsonObject] = field(default_factory=list)


def plan(pod: JsonObject, record: PodRecord, seen_ns: int, beliefs: Beliefs) -> PodActions:
    """Actions for a pod that is to run."""
    actions = PodActions()
    spec = pod["spec"]
    init_specs = spec.get("initContainers") or ()
    if not record.sandbox_is_ready:
        _plan_anew(pod, record, actions)
        return actions
    if init_specs and not _plan_init(pod, init_specs, record, seen_ns, beliefs, actions):
        return actions
    kept = 0
    for container in spec["containers"]:
        newest = record.newest(container["name"])
        if newest is None or newest.has_exited(seen_ns):
            if should_start(pod, container, newest, seen_ns):
                actions.to_start.append(container)
            continue
        restarts = restart_policy(pod, container) != "Never"
        if newest.image != container.get("image", ""):
            message, probe, restarts = f"Container {newest.name} definition changed", None, True
        else:
            probe = _condemned(newest, beliefs)
            if probe is None:
                kept += 1
                continue
            message = f"Container {newest.name} failed {probe.word.lower()} probe"
        if restarts:
            actions.to_start.append(container)
            message += ", will be restarted"
        actions.to_kill.append(Kill(container, newest, message, probe))
    if not kept and not actions.to_start:
        actions.kill_pod = True
        actions.to_kill.clear()
        actions.init_to_start.clear()
    return actions


def _plan_anew(pod: JsonObject, record: PodRecord, actions: PodActions) -> None:
    """There is no sandbox (any more): all begins again, save what has ended for good."""
    policy = pod["spec"].get("restartPolicy") or "Always"
    if record.containers and policy == "Never":
        actions.kill_pod = True
        return
    actions.create_sandbox = True
    init_specs = pod["spec"].get("initContainers") or ()
    if init_specs:
        actions.init_to_start.append(init_specs[0])
        return
    for container in pod["spec"]["containers"]:
        newest = record.newest(container["name"])
        if newest is None or newest.is_running or should_start(pod, container, newest, newest.finished_ns or 0):
            actions.to_start.append(container)


def _condemned(newest: ContainerRecord, beliefs: Beliefs) -> ProbeKind | None:
    for kind in (ProbeKind.LIVENESS, ProbeKind.STARTUP):
        if beliefs(newest.container_id, kind) is Belief.FAILURE:
            return kind
    return None


def _plan_init(
    pod: JsonObject,
    specs: list[JsonObject],
    record: PodRecord,
    seen_ns: int,
    beliefs: Beliefs,
    actions: PodActions,
) -> bool:
    """Whether initialisation is over. Init containers to start or kill are added to the actions."""
    begun = any(record.newest(c["name"]) is not None for c in pod["spec"]["containers"])
    last = max((n for n, c in enumerate(specs) if record.newest(c["name"]) is not None), default=-1)
    if last < 0 and not begun:
        actions.init_to_start.append(specs[0])
        return False
    for n, container in enumerate(specs):
        is_past = begun or n < last
        newest = record.newest(container["name"])
        if not is_sidecar(container):
            if is_past or n > last:
                continue
            assert newest is not None
            return _after_init(pod, specs, n, newest, seen_ns, actions)
        if newest is None:
            if is_past:
                actions.init_to_start.append(container)
            continue
        if newest.has_exited(seen_ns):
            actions.init_to_start.append(container)
            if not is_past:
                return False
            continue
        probe = _condemned(newest, beliefs)
        if probe is not None:
            message = f"Init container {newest.name} failed {probe.word.lower()} probe"
            actions.to_kill.append(Kill(container, newest, message, probe))
            actions.init_to_start.append(container)
            if not is_past:
                return False
            continue
        if is_past:
            continue
        has_started = (
            not container.get("startupProbe") or beliefs(newest.container_id, ProbeKind.STARTUP) is Belief.SUCCESS
        )
        if not has_started:
            return False
        if n + 1 < len(specs):
            actions.init_to_start.append(specs[n + 1])
            return False
        return True
    return True


def _after_init(
    pod: JsonObject, specs: list[JsonObject], n: int, newest: ContainerRecord, seen_ns: int, actions: PodActions
) -> bool:
    """The newest init container that is no sidecar: it runs, has failed, or the next one's turn has come."""
    if not newest.has_exited(seen_ns):
        return False
    if newest.exit is not None and newest.exit.exit_code == 0:
        if n + 1 == len(specs):
            return True
        actions.init_to_start.append(specs[n + 1])
    elif should_start(pod, specs[n], newest, seen_ns):
        actions.init_to_start.append(specs[n])
    else:
        actions.kill_pod = True
    return False
