"""One pod's worker: it brings the pod to what its object asks for, step by step (`reference/kubelet.md` sections 3, 7, 10).

A worker is serial: while it pulls, runs a postStart hook or stops a container, nothing else happens to that pod. It sleeps until
something wakes it: a change of the object, an exit that the node's look at its containers has noticed, a probe, its own timer. A
sync never begins before the first look after the end of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import Signal, Task
from rayrig_core.resources.durations import format_milliseconds
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.kubelet.config_references import missing_pull_secrets
from rayrig_sim.kubernetes.kubelet.container_lifecycle import (
    ContainerLifecycle,
    NotStarted,
    grace_after_probe_s,
    grace_s,
    pod_text,
)
from rayrig_sim.kubernetes.kubelet.container_records import ContainerRecord, PodRecord
from rayrig_sim.kubernetes.kubelet.containers import SandboxFailed
from rayrig_sim.kubernetes.kubelet.mounted_files import missing_mount
from rayrig_sim.kubernetes.kubelet.node_agent import NodeAgent
from rayrig_sim.kubernetes.kubelet.pod_actions import plan
from rayrig_sim.kubernetes.kubelet.pod_status import (
    KUBELET_CONDITIONS,
    Waiting,
    addresses,
    conditions,
    container_statuses,
    is_sidecar,
    is_terminal,
    phase,
    with_lost_containers,
)
from rayrig_sim.kubernetes.kubelet.probe_workers import PodProbes, ProbeHost, field_path
from rayrig_sim.kubernetes.kubelet.status_manager import StatusManager

_RETRY_NS = 10 * NS
_LONGEST_RETRY_NS = 60 * NS
#: A pod that is to go has so long for its hooks, whatever its deletion said.
_LEAST_POD_GRACE_S = 1.0
#: Between two attempts to set up a volume: 500 ms, doubling up to 2 min 2 s, as the kubelet's volume manager does.
_MOUNT_RETRY_NS, _LONGEST_MOUNT_RETRY_NS = NS // 2, 122 * NS
_DEADLINE = "DeadlineExceeded"
_DEADLINE_TEXT = "Pod was active on the node longer than the specified deadline"


class Stage(StrEnum):
    """Where a pod is in its life on the node."""

    SYNCING = "syncing"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    DONE = "done"


#: Each stage and the one after it. A pod never goes back.
NEXT_STAGE = {
    Stage.SYNCING: Stage.TERMINATING,
    Stage.TERMINATING: Stage.TERMINATED,
    Stage.TERMINATED: Stage.DONE,
}


@dataclass(slots=True)
class _SyncOutcome:
    """What one sync did: whether anything changed on the node, whether a container started, and when to try again."""

    has_changed: bool = False
    has_started: bool = False
    retry_ns: int | None = None

    def retry(self, after_ns: int) -> None:
        """Something failed; the shortest wait counts."""
        self.retry_ns = after_ns if self.retry_ns is None else min(self.retry_ns, after_ns)


def _depends_on_no_more(spec: JsonObject) -> bool:
    """Whether a pod's status follows from its main containers' alone, and from what a worker keeps as its basis."""
    return not (spec.get("initContainers") or spec.get("readinessGates") or spec.get("activeDeadlineSeconds"))


class PodWorker:
    """Runs one pod (by uid) until it has ended. `pod` is the newest object seen."""

    __slots__ = (
        "_agent",
        "_basis",
        "_cause",
        "_exit_seen_ns",
        "_is_probing",
        "_is_to_end",
        "_lifecycle",
        "_mount_retry_ns",
        "_not_before_ns",
        "_on_done",
        "_on_stopped",
        "_requested_look_ns",
        "_signal",
        "_statuses",
        "_waiting",
        "_wake_ns",
        "is_gone",
        "may_run",
        "pod",
        "probes",
        "record",
        "stage",
        "task",
        "uid",
    )

    def __init__(
        self,
        agent: NodeAgent,
        host: ProbeHost,
        statuses: StatusManager,
        pod: JsonObject,
        record: PodRecord,
        on_stopped: Callable[[str], None],
        on_done: Callable[[PodWorker], None],
    ) -> None:
        """`on_stopped` hears its uid as soon as no container runs any more, `on_done` when there is nothing left to do."""
        self.uid = uid_of(pod)
        self.record = record
        self.see(pod)
        self.stage = Stage.SYNCING
        #: Containers may run: a terminal phase must not be told yet.
        self.may_run = True
        #: The object is no more: nobody is to be told how the pod ends.
        self.is_gone = False
        self.task: Task[None] | None = None
        self.probes = PodProbes(host, pod, record)
        self._agent = agent
        self._statuses = statuses
        self._on_stopped = on_stopped
        self._on_done = on_done
        self._lifecycle = ContainerLifecycle(agent, record)
        record.on_exit = self._on_exit
        self._is_probing = False
        self._is_to_end = False
        self._waiting: dict[str, Waiting] = {}
        #: What the last status was computed from, besides its containers'.
        self._basis: tuple[int | None, bool, str, str, bool] | None = None
        self._cause: int | None = None
        self._wake_ns: int | None = None
        self._not_before_ns = 0
        self._signal: Signal[None] | None = None
        self._requested_look_ns = 0
        #: When the last exit is noticed. A sync before that, for another reason, does not see it.
        self._exit_seen_ns = 0
        self._mount_retry_ns = _MOUNT_RETRY_NS

    def see(self, pod: JsonObject) -> None:
        """The object as it is now. Nobody keeps the one before."""
        self.pod = self.record.pod = pod

    # Being woken

    def wake(self, at_ns: int = 0, cause: int | None = None) -> None:
        """There is something to do, now or at that moment of the run."""
        if cause is not None:
            self._cause = cause
        before_ns = self._wake_ns
        if before_ns is None or at_ns < before_ns:
            self._wake_ns = at_ns
            # One that waits for the next look anyway sleeps on.
            if self._signal is not None and (before_ns is None or before_ns > self._not_before_ns):
                self._signal.set(None)

    def end(self, cause: int | None = None) -> None:
        """The pod is to go: stop it with the grace its object names."""
        self._is_to_end = True
        self.wake(cause=cause)

    def let_go(self) -> None:
        """Nothing is left to do: its parts, which know each other, are not to wait for the collector of cycles."""
        self.record.on_exit = None
        self.probes.let_go()

    def _on_exit(self, record: ContainerRecord) -> int:
        runtime = self._agent.runtime
        now_ns = runtime.monotonic_ns()
        look_ns = self._agent.ticks.next_look(now_ns)
        if self._requested_look_ns > now_ns:
            look_ns = min(look_ns, self._requested_look_ns)
        self._exit_seen_ns = max(self._exit_seen_ns, look_ns)
        self.wake(look_ns, record.cause)
        return runtime.unix_ns() - now_ns + look_ns

    async def _until_due(self) -> None:
        runtime = self._agent.runtime
        while True:
            now_ns = runtime.monotonic_ns()
            due_ns = self._wake_ns
            if due_ns is not None:
                due_ns = max(due_ns, self._not_before_ns)
                if due_ns <= now_ns:
                    return
            self._signal = signal = runtime.signal()
            if due_ns is None:
                await signal
            else:
                await runtime.wait(signal, (due_ns - now_ns) / NS)
            self._signal = None

    # The loop

    async def run(self) -> None:
        runtime = self._agent.runtime
        while self.stage is not Stage.DONE:
            await self._until_due()
            if self._agent.frozen is not None:
                await self._agent.frozen
            self._wake_ns = None
            runtime.cause = self._cause
            if self.stage is Stage.SYNCING and not self._is_to_end:
                began_ns = runtime.monotonic_ns()
                is_over = await self._sync()
                if not is_over and self._exit_seen_ns > began_ns:
                    self.wake(self._exit_seen_ns)
            elif self.stage is Stage.TERMINATED:
                self._conclude()
                is_over = True
            else:
                self.stage = Stage.TERMINATING
                await self._terminate()
                is_over = True
            if is_over:
                self.stage = NEXT_STAGE[self.stage]
                self._not_before_ns = self._agent.ticks.next_look(runtime.monotonic_ns())
                self.wake(self._not_before_ns)
        self._on_done(self)

    # Status

    def _compute_status(self, seen_ns: int, *, ends: bool = False) -> JsonObject:
        pod, agent, record = self.pod, self._agent, self.record
        spec, generation = pod["spec"], pod["metadata"].get("generation")
        agent.look_up_node()
        api_status = pod.get("status") or {}
        computed = self._statuses.computed(self.uid)
        former = computed or api_status
        init, main = container_statuses(pod, record, seen_ns, self._waiting, former, self.probes.flags)
        basis = (generation, record.sandbox_is_ready, record.ip, agent.host_ip, ends)
        if basis == self._basis and computed and _depends_on_no_more(spec) and main == computed["containerStatuses"]:
            return computed
        self._basis = basis
        now_phase = phase(pod, init, main, ends=ends)
        if is_terminal(former):
            now_phase = former["phase"]
        reason, message = "", ""
        if now_phase == former.get("phase"):
            reason, message = former.get("reason", ""), former.get("message", "")
        if self._is_past_deadline():
            agent.pod_event(pod, "Normal", _DEADLINE, _DEADLINE_TEXT)
            now_phase, reason, message = "Failed", _DEADLINE, _DEADLINE_TEXT
        status: JsonObject = {"phase": now_phase}
        if reason:
            status["reason"] = reason
        if message:
            status["message"] = message
        if generation is not None:
            status["observedGeneration"] = generation
        present: list[JsonObject] = []
        if spec.get("readinessGates"):
            present = [c for c in api_status.get("conditions") or () if c["type"] not in KUBELET_CONDITIONS]
        status["conditions"] = conditions(
            pod,
            now_phase,
            init,
            main,
            sandbox_is_ready=record.sandbox_is_ready,
            present=present,
            former=former.get("conditions") or (),
            now=rfc3339(seen_ns),
        )
        if agent.host_ip:
            status["hostIP"] = agent.host_ip
            status["hostIPs"] = addresses(agent.host_ip)
        ip = record.ip or (agent.host_ip if spec.get("hostNetwork") else "") or former.get("podIP", "")
        if ip:
            status["podIP"] = ip
            status["podIPs"] = former["podIPs"] if former.get("podIP") == ip and "podIPs" in former else [{"ip": ip}]
        if init:
            status["initContainerStatuses"] = init
        status["containerStatuses"] = main
        return status

    def _deadline_ns(self) -> int | None:
        """Unix time at which `activeDeadlineSeconds` are over."""
        allowed = self.pod["spec"].get("activeDeadlineSeconds")
        if allowed is None:
            return None
        start = (self._statuses.status(self.uid) or {}).get("startTime")
        return parse_rfc3339(start) + int(allowed) * NS if start else None

    def _is_past_deadline(self) -> bool:
        deadline_ns = self._deadline_ns()
        return deadline_ns is not None and self._agent.runtime.unix_ns() >= deadline_ns

    # Running the pod

    async def _sync(self) -> bool:
        """One pass. True when the pod has ended by itself."""
        agent, record, pod = self._agent, self.record, self.pod
        seen_ns = agent.runtime.unix_ns()
        status = self._compute_status(seen_ns)
        self._statuses.set_status(self.uid, status)
        if is_terminal(status):
            return True
        if not self._is_probing:
            self._is_probing = True
            self.probes.start()
        if pod["spec"].get("imagePullSecrets"):
            await self._look_for_pull_secrets(pod)
        actions = plan(pod, record, seen_ns, self.probes.belief)
        done = _SyncOutcome(has_changed=actions.kill_pod or bool(actions.to_kill))
        if actions.kill_pod:
            await self._lifecycle.stop_all(pod, grace_s(pod))
        for kill in actions.to_kill:
            grace = grace_after_probe_s(pod, kill.spec, kill.probe)
            await self._lifecycle.stop(pod, kill.spec, kill.record, grace, kill.message)
        if actions.create_sandbox:
            if not await self._has_mounts(pod, done):
                self._finish_sync(done)
                return False
            try:
                record.ip = await self._start_sandbox(pod)
            except SandboxFailed as error:
                text = f"Failed to create pod sandbox: {error}"
                agent.pod_event(pod, "Warning", "FailedCreatePodSandBox", text)
                done.retry(_RETRY_NS)
                self._finish_sync(done)
                return False
            record.sandbox_is_ready = done.has_changed = True
            record.sandboxes += 1
            self._statuses.set_sandbox_ready(self.uid)
        for spec in actions.init_to_start:
            if not await self._start(pod, spec, seen_ns, done) and not is_sidecar(spec):
                break
        else:
            for spec in actions.to_start:
                await self._start(pod, spec, seen_ns, done)
        self._finish_sync(done)
        return False

    async def _look_for_pull_secrets(self, pod: JsonObject) -> None:
        missing = await missing_pull_secrets(self._agent.client, pod)
        if missing:
            text = (
                f"Unable to retrieve some image pull secrets ({missing}); attempting to pull the image may not succeed."
            )
            self._agent.pod_event(pod, "Warning", "FailedToRetrieveImagePullSecret", text)

    async def _has_mounts(self, pod: JsonObject, done: _SyncOutcome) -> bool:
        """Whether what its volumes come from is there; if not, it is looked for again, less and less often."""
        if not pod["spec"].get("volumes"):
            return True
        missing = await missing_mount(self._agent.client, pod)
        if not missing:
            return True
        self._agent.pod_event(pod, "Warning", "FailedMount", missing)
        done.retry(self._mount_retry_ns)
        self._mount_retry_ns = min(2 * self._mount_retry_ns, _LONGEST_MOUNT_RETRY_NS)
        return False

    async def _start(self, pod: JsonObject, spec: JsonObject, seen_ns: int, done: _SyncOutcome) -> bool:
        """Start one container unless its back-off forbids it; whether it was started."""
        name: str = spec["name"]
        held_ns = self._back_off(pod, spec, seen_ns)
        if held_ns is not None:
            done.retry(min(held_ns, _LONGEST_RETRY_NS))
            return False
        before = self.record.newest(name)
        try:
            await self._lifecycle.start(pod, spec, self._next_attempt(name))
        except NotStarted as error:
            self._waiting[name] = error.waiting
            done.has_changed = done.has_changed or self.record.newest(name) is not before
            done.retry(_RETRY_NS)
            return False
        self._waiting.pop(name, None)
        done.has_changed = done.has_started = True
        return True

    async def _start_sandbox(self, pod: JsonObject) -> str:
        ip = await self._agent.containers.start_sandbox(pod)
        return self._agent.host_ip if pod["spec"].get("hostNetwork") and self._agent.host_ip else ip

    def _next_attempt(self, name: str) -> int:
        newest = self.record.newest(name)
        if newest is not None:
            return newest.attempt + 1
        status = self._statuses.computed(self.uid) or {}
        for part in ("containerStatuses", "initContainerStatuses"):
            for container in status.get(part) or ():
                if container["name"] == name:
                    return int(container["restartCount"])
        return 0

    def _back_off(self, pod: JsonObject, spec: JsonObject, seen_ns: int) -> int | None:
        """Nanoseconds for which a restart is held off, or None when it may happen now (and is remembered)."""
        name: str = spec["name"]
        ended = self._newest_exit(name, seen_ns)
        if ended is None or ended.finished_ns is None:
            return None
        agent = self._agent
        key = (self.uid, name, ended.image)
        now_ns = agent.runtime.unix_ns()
        ends_ns = agent.restarts.ends_ns(key, ended.finished_ns)
        if now_ns < ends_ns:
            text = f"Back-off restarting failed container {name} in pod {pod_text(pod)}"
            agent.pod_event(pod, "Warning", "BackOff", text, field_path(pod, name))
            wait = format_milliseconds(agent.restarts.wait_ns(key))
            message = f"back-off {wait} restarting failed container={name} pod={pod_text(pod)}"
            if self._waiting.get(name) != Waiting("CrashLoopBackOff", message):
                subject = f"pods/{namespace_of(pod)}/{name_of(pod)}"
                agent.runtime.trace.emit(Kind.CONTAINER, subject, name, "waiting", f"CrashLoopBackOff {wait}", None)
            self._waiting[name] = Waiting("CrashLoopBackOff", message)
            return ends_ns - now_ns
        agent.restarts.next(key, ended.finished_ns, now_ns)
        return None

    def _newest_exit(self, name: str, seen_ns: int) -> ContainerRecord | None:
        """What had ended when the containers were last looked at: a kill of this very sync does not count."""
        for record in (self.record.newest(name), self.record.previous(name)):
            if record is not None and record.has_exited(seen_ns):
                return record
        return None

    def _finish_sync(self, done: _SyncOutcome) -> None:
        """Set when this worker looks again."""
        agent = self._agent
        now_ns = agent.runtime.monotonic_ns()
        self._not_before_ns = agent.ticks.next_look(now_ns)
        if done.has_started and done.retry_ns is None:
            self._requested_look_ns = now_ns + round(agent.options.start_seen_s * NS)
            self._not_before_ns = min(self._not_before_ns, self._requested_look_ns)
        if done.has_changed:
            self.wake(self._not_before_ns, self._lifecycle.last_seq)
        if done.retry_ns is not None:
            self.wake(agent.ticks.retry_at(now_ns + agent.jittered_ns(done.retry_ns)))
        deadline_ns = self._deadline_ns()
        if deadline_ns is not None:
            run_offset_ns = agent.runtime.unix_ns() - now_ns
            self.wake(agent.ticks.retry_at(max(now_ns, deadline_ns - run_offset_ns)))

    # Ending the pod

    async def _terminate(self) -> None:
        pod, runtime = self.pod, self._agent.runtime
        self._statuses.set_status(self.uid, self._compute_status(runtime.unix_ns()))
        self.probes.stop(readiness=False)
        await self._lifecycle.stop_all(pod, max(_LEAST_POD_GRACE_S, grace_s(pod)))
        self.probes.stop()
        self.may_run = False
        self._on_stopped(self.uid)
        self.record.see_all()
        if self._lifecycle.last_seq is not None:
            runtime.cause = self._cause = self._lifecycle.last_seq
        pod = self.pod
        self._statuses.set_status(self.uid, self._compute_status(runtime.unix_ns(), ends=True))

    def _conclude(self) -> None:
        pod = self.pod
        status = self._compute_status(self._agent.runtime.unix_ns(), ends=True)
        self._statuses.set_status(self.uid, status)
        self._statuses.set_status(self.uid, with_lost_containers(pod, status), finished=True)
        self._agent.images.forget(pod)
        for attempts in self.record.containers.values():
            for record in attempts:
                self._agent.restarts.forget((self.uid, record.name, record.image))
