"""Plays scheduler and kubelet by script: binds pods, writes the status that a policy names, ends deleted pods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of, uid_of
from rayrig_core.ports import Preconditions, WatchType
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels
from rayrig_core.timestamps import NS, rfc3339
from rayrig_sim.kernel import Kernel
from tests.conformance.operator.api import Api
from tests.conformance.operator.dashboards import Dashboards
from tests.conformance.operator.observer import Observer

NODE = "node-1"
_GRACE_S = 0.05
_REACTION_S = 0.003


@dataclass(frozen=True, slots=True)
class PodState:
    """One of the recordings' pod states. The details are those of the first container."""

    name: str
    restarts: int = 0
    reason: str = ""
    message: str = ""
    exit_code: int = 1

    @property
    def phase(self) -> str:
        return _PHASES[self.name]

    @property
    def is_ready(self) -> bool:
        return self.name == "ready"


_PHASES = {
    "pending": "Pending",
    "running": "Running",
    "ready": "Running",
    "crashloop": "Running",
    "terminated": "Running",
    "failed": "Failed",
    "evicted": "Failed",
    "succeeded": "Succeeded",
}
_NOT_READY = {"Failed": "PodFailed", "Succeeded": "PodCompleted"}


def _container_state(state: PodState, now: str) -> JsonObject | None:
    """Of the first container; None when there are no container statuses."""
    ended = {"startedAt": now, "finishedAt": now}
    match state.name:
        case "pending":
            waiting = {"reason": state.reason or "ContainerCreating"}
            return {"waiting": {**waiting, **({"message": state.message} if state.message else {})}}
        case "crashloop":
            message = state.message or "back-off 5m0s restarting failed container"
            return {"waiting": {"reason": state.reason or "CrashLoopBackOff", "message": message}}
        case "terminated" | "failed":
            return {"terminated": {"exitCode": state.exit_code, "reason": state.reason or "Error", **ended}}
        case "succeeded":
            return {"terminated": {"exitCode": 0, "reason": "Completed", **ended}}
        case "evicted":
            return None
    return {"running": {"startedAt": now}}


def pod_status(pod: JsonObject, state: PodState, *, now: str, ip: str, host_ip: str) -> JsonObject:
    """The status a kubelet would write for that state."""
    containers = pod["spec"]["containers"]
    phase, is_ready = state.phase, state.is_ready
    unready = None if is_ready else f"containers with unready status: [{' '.join(c['name'] for c in containers)}]"

    def condition(kind: str, holds: bool, reason: str | None = None, message: str | None = None) -> JsonObject:
        found = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
        return {key: value for key, value in {**found, "lastTransitionTime": now}.items() if value}

    status: JsonObject = {
        "phase": phase,
        "hostIP": host_ip,
        "startTime": now,
        "conditions": [
            condition("PodReadyToStartContainers", state.name != "pending"),
            condition("Initialized", True),
            condition("Ready", is_ready, None if is_ready else _NOT_READY.get(phase, "ContainersNotReady"), unready),
            condition("ContainersReady", is_ready, None if is_ready else "ContainersNotReady", unready),
            condition("PodScheduled", True),
        ],
    }
    if state.name == "evicted":
        status["reason"] = "Evicted"
        status["message"] = state.message or "The node was low on resource: memory."
    elif state.reason and phase == "Failed":
        status["reason"] = state.reason
    if phase == "Running" or state.name in ("failed", "succeeded"):
        status["podIP"], status["podIPs"] = ip, [{"ip": ip}]
    first = _container_state(state, now)
    if first is not None:
        restarts = state.restarts or (3 if state.name == "crashloop" else 0)
        status["containerStatuses"] = [
            {
                "name": container["name"],
                "image": container.get("image", ""),
                "imageID": "",
                "ready": is_ready or (number > 0 and phase == "Running"),
                "started": phase == "Running",
                "restartCount": 0 if number else restarts,
                "state": {"running": {"startedAt": now}} if number and phase == "Running" else first,
            }
            for number, container in enumerate(containers)
        ]
    return status


class PodStates:
    """`policy` maps pod name, `cluster/type`, `cluster/group`, `group:NAME`, type or `*` to a state."""

    def __init__(self, kernel: Kernel, api: Api, observer: Observer, dashboards: Dashboards) -> None:
        self.policy: dict[str, str] = {}
        #: Seconds a deleted pod takes to go; None: for ever.
        self.grace_s: float | None = _GRACE_S
        self._kernel = kernel
        self._api = api
        self._observer = observer
        self._dashboards = dashboards
        self._ips: dict[str, str] = {}
        self._state_of: dict[str, str] = {}
        observer.listeners.append(self._on_change)

    def _later(self, what: Callable[[], None], after_s: float = 0.0) -> None:
        self._kernel.call_later(round((after_s + _REACTION_S) * NS), lambda _: what())

    def _on_change(self, change: WatchType, kind: str, pod: JsonObject) -> None:
        if kind != "Pod":
            return
        uid = uid_of(pod)
        if change is WatchType.DELETED:
            self._dashboards.head_down(uid)
        elif pod["metadata"].get("deletionTimestamp"):
            if self._state_of.get(uid) != "deleting":
                self._state_of[uid] = "deleting"
                self._later(lambda: self.finish(pod))
        elif change is WatchType.ADDED and uid not in self._state_of:
            state = self.wanted(pod)
            if state != "none":
                self._state_of[uid] = state
                self._later(lambda: self.bring(pod, PodState(state)))

    def wanted(self, pod: JsonObject) -> str:
        """State that the policy wants for a pod."""
        own = labels_of(pod)
        kind = own.get(labels.NODE_TYPE) or ("job" if "batch.kubernetes.io/job-name" in own else "other")
        cluster, group = own.get(labels.CLUSTER), own.get(labels.GROUP)
        for key in (name_of(pod), f"{cluster}/{kind}", f"{cluster}/{group}", f"group:{group}", kind, "*"):
            if key in self.policy:
                return self.policy[key]
        return "succeeded" if kind == "redis-cleanup" else "ready"

    def apply_policy(self) -> None:
        """Bring the present pods to what the policy now says."""
        for pod in self._observer.list("Pod"):
            state = self.wanted(pod)
            if state != "none" and self._state_of.get(uid_of(pod)) not in (state, "deleting"):
                self.bring(pod, PodState(state))

    def finish(self, pod: JsonObject) -> None:
        """Let a deleted pod go after its grace."""
        if self.grace_s is None:
            return

        def end() -> None:
            self._dashboards.head_down(uid_of(pod))
            only = Preconditions(uid=uid_of(pod))
            self._api.delete(POD, name_of(pod), namespace_of(pod), grace_period_seconds=0, preconditions=only)

        self._later(end, self.grace_s)

    def bring(self, pod: JsonObject, state: PodState) -> None:
        """Bind the pod if need be and write its status."""
        uid, name, namespace = uid_of(pod), name_of(pod), namespace_of(pod)
        self._state_of[uid] = state.name
        code, current = self._api.get(POD, name, namespace)
        if code == 200 and not current["spec"].get("nodeName"):
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name, "namespace": namespace},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
            }
            self._api.create(POD, binding, namespace, name=name, subresource="binding")
        number = len(self._ips) + 1
        ip = self._ips.setdefault(uid, f"10.88.{1 + number // 250}.{1 + number % 250}")
        now = rfc3339(self._kernel.unix_ns())
        status = pod_status(pod, state, now=now, ip=ip, host_ip="10.88.0.1")
        self._api.patch(POD, name, {"status": status}, namespace, subresource="status")
        if labels_of(pod).get(labels.NODE_TYPE) == "head":
            if state.name in ("running", "ready"):
                self._dashboards.head_up(pod, ip)
            else:
                self._dashboards.head_down(uid)
