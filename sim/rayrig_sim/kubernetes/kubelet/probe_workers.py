"""When probes are made and what is believed of them (`reference/kubelet.md` sections 5.1 to 5.3).

One worker for each container and probe kind, from the pod's admission to its end. A worker ticks with its own period from the
moment it began; a readiness worker is also woken by whoever computes the pod's status and finds no success on record. Results are
kept by container id, so a new attempt begins with the start values.
"""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Protocol

from rayrig_core.core_event_recorder import EventType
from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import Runtime, Signal, Task
from rayrig_core.timestamps import NS, parse_rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.kubelet.container_records import PodRecord
from rayrig_sim.kubernetes.kubelet.containers import Container
from rayrig_sim.kubernetes.kubelet.pod_status import is_sidecar, is_terminal, restarts_after
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeHistory, ProbeLog
from rayrig_sim.kubernetes.kubelet.probes import ProbeAnswer, ProbeKind, Prober, ProbeSettings, Target, Verdict

#: How often a probe that could not be made is tried before it is given up.
_ATTEMPTS = 3


class Belief(StrEnum):
    """What is held true of a container by one kind of probe."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


_KINDS = tuple(ProbeKind)
_AT_START = {
    ProbeKind.READINESS: Belief.FAILURE,
    ProbeKind.LIVENESS: Belief.SUCCESS,
    ProbeKind.STARTUP: Belief.UNKNOWN,
}


class ProbeHost(Protocol):
    """What probe workers ask of the kubelet they belong to."""

    runtime: Runtime
    rng: Random
    probe_log: ProbeLog

    @property
    def prober(self) -> Prober: ...

    @property
    def frozen(self) -> Signal[None] | None:
        """Set while the kubelet is stopped without being dead."""
        ...

    @property
    def age_ns(self) -> int:
        """How long the kubelet has been running."""
        ...

    def cached_status(self, uid: str) -> JsonObject | None:
        """The newest status computed for the pod, written or not."""
        ...

    def pod_event(self, pod: JsonObject, type_: EventType, reason: str, note: str, field_path: str = "") -> None: ...

    def belief_changed(self, uid: str, container_id: str, kind: ProbeKind, belief: Belief, cause: int | None) -> None:
        """Another belief is held than before; `cause` is the trace event of the probe, if one was made."""
        ...


def field_path(pod: JsonObject, container: str) -> str:
    """Where a container stands in its pod's manifest, as events name it."""
    for spec in pod["spec"].get("initContainers") or ():
        if spec["name"] == container:
            return f"spec.initContainers{{{container}}}"
    return f"spec.containers{{{container}}}"


class _Worker:
    """Probes one container for one thing. At rest it is its own `Recurrence`: a turn that finds the same status and gets the same
    success, or has nothing to probe as before, changes nothing but what `skip` accounts for."""

    is_instant = True

    __slots__ = (
        "_asked",
        "_belief_told",
        "_calm_answer",
        "_calm_status",
        "_container_id",
        "_field_path",
        "_is_calm",
        "_is_on_hold",
        "_kind",
        "_last",
        "_name",
        "_next_tick_ns",
        "_period_ns",
        "_pod",
        "_probes",
        "_run_length",
        "_settings",
        "_spec",
        "_target",
        "_waiting",
        "is_stopped",
        "task",
    )

    def __init__(self, probes: PodProbes, pod: JsonObject, spec: JsonObject, kind: ProbeKind) -> None:
        self._probes = probes
        self._pod = pod
        self._spec = spec
        self._name: str = spec["name"]
        self._kind = kind
        self._settings = ProbeSettings.of(spec[kind.field])
        self._period_ns = self._settings.period_s * NS
        self._field_path = field_path(pod, self._name)
        self._container_id = ""
        self._target: Target | None = None
        self._is_on_hold = False
        self._last: bool | None = None
        self._run_length = 0
        self._belief_told: tuple[Belief, str] = (_AT_START[kind], "")
        self._next_tick_ns = 0
        self._asked = False
        self._waiting: Signal[None] | None = None
        #: The last turn changed nothing: the status it found, and the success it got if it probed.
        self._is_calm = False
        self._calm_status: JsonObject | None = None
        self._calm_answer: ProbeAnswer | None = None
        self.is_stopped = False
        self.task: Task[None] | None = None

    def ask(self) -> None:
        """Probe now, and let the ticker begin anew from now."""
        self._asked = True
        if self._waiting is not None:
            self._waiting.set(None)

    async def run(self) -> None:
        host = self._probes.host
        runtime = host.runtime
        period_ns = self._period_ns
        # A kubelet that has just been started spreads the probes of the pods it finds.
        if period_ns > host.age_ns:
            await runtime.sleep(host.rng.random() * self._settings.period_s)
        self._next_tick_ns = runtime.monotonic_ns() + period_ns
        while await self._attempt():
            now_ns = runtime.monotonic_ns()
            left_ns = self._next_tick_ns - now_ns
            if not self._asked and left_ns > 0:
                if self._kind is ProbeKind.READINESS:
                    self._waiting = runtime.signal()
                await runtime.rest(left_ns / NS, self, self._waiting)
                self._waiting = None
                if host.frozen is not None:
                    await host.frozen
                now_ns = runtime.monotonic_ns()
            if self._asked:
                self._asked = False
                self._next_tick_ns = now_ns + period_ns
            else:
                # However late this turn is, at most one missed tick is made up for.
                self._next_tick_ns += max(1, (now_ns - self._next_tick_ns) // period_ns + 1) * period_ns

    # What it would do next

    def holds(self) -> bool:
        probes = self._probes
        host = probes.host
        if not self._is_calm or self._asked or self.is_stopped or host.frozen is not None:
            return False
        if host.cached_status(probes.uid) is not self._calm_status:
            return False
        answer, target = self._calm_answer, self._target
        if answer is None:
            return True
        if target is None or (probes.is_ending and self._kind is not ProbeKind.READINESS):
            return False
        return host.prober.success_at_once(self._settings, target) == answer

    def skip(self, due_ns: int, before_ns: int) -> tuple[int, int]:
        if due_ns != self._next_tick_ns:
            return due_ns, due_ns
        period_ns = self._period_ns
        count = (before_ns - 1 - due_ns) // period_ns + 1
        last_ns = due_ns + (count - 1) * period_ns
        if self._calm_answer is not None:
            self._run_length += count
            self._probes.note_run(due_ns, last_ns, count, self._name, self._kind, self._calm_answer)
        self._next_tick_ns = last_ns + period_ns
        return self._next_tick_ns, last_ns

    def _stay_calm(self, status: JsonObject | None, answer: ProbeAnswer | None = None) -> bool:
        """The turn changed nothing, and the next one will not if it finds the same; True."""
        self._is_calm, self._calm_status, self._calm_answer = True, status, answer
        return True

    async def _attempt(self) -> bool:
        """Probe if there is something to probe. False when this worker is done for good."""
        probes = self._probes
        host = probes.host
        self._is_calm = False
        status = host.cached_status(probes.uid)
        if status is None:
            return self._stay_calm(None)
        if is_terminal(status):
            return False
        state = _find(status, self._name)
        container_id = state.get("containerID") if state else None
        if state is None or not container_id:
            return self._stay_calm(status)
        if container_id != self._container_id:
            probes.forget(self._container_id, self._kind)
            self._container_id = container_id
            self._target = None
            self._is_on_hold = False
            probes.begin(container_id, self._kind)
        if self._is_on_hold:
            return self._stay_calm(status)
        running = state["state"].get("running")
        if running is None:
            if probes.belief(container_id, self._kind) is Belief.FAILURE:
                self._stay_calm(status)
            probes.set_belief(container_id, self._kind, Belief.FAILURE, None)
            end = state["state"].get("terminated")
            return end is None or restarts_after(self._pod, self._spec, end["exitCode"])
        if self._kind is not ProbeKind.READINESS and probes.is_ending:
            probes.set_belief(container_id, self._kind, Belief.SUCCESS, None)
            return False
        settings = self._settings
        if settings.initial_delay_s:
            age_ns = host.runtime.unix_ns() - parse_rfc3339(running["startedAt"])
            if age_ns < settings.initial_delay_s * NS:
                return True
        if (self._kind is ProbeKind.STARTUP) == bool(state["started"]):
            return self._stay_calm(status)
        target = self._target
        if target is None:
            target = self._target = probes.target(self._name, container_id, self._spec)
            if target is None:
                return True
        answer = await self._ask_container(target)
        if answer is None or self.is_stopped:
            return not self.is_stopped
        succeeded = answer.verdict is not Verdict.FAILURE
        if self._last is succeeded:
            self._run_length += 1
        else:
            self._last, self._run_length = succeeded, 1
        threshold = settings.success_threshold if succeeded else settings.failure_threshold
        if self._run_length < threshold:
            return True
        has_told = self._believe(Belief.SUCCESS if succeeded else Belief.FAILURE, answer.text)
        if self._kind is ProbeKind.STARTUP or (self._kind is ProbeKind.LIVENESS and not succeeded):
            self._is_on_hold = True
            self._run_length = 0
        elif answer.verdict is Verdict.SUCCESS and not has_told:
            self._stay_calm(status, answer)
        return True

    async def _ask_container(self, target: Target) -> ProbeAnswer | None:
        """The answer, reported as events; None when the probe could not be made."""
        host = self._probes.host
        answer = await host.prober.probe(self._settings, target)
        for _ in range(_ATTEMPTS - 1):
            if answer.verdict is not Verdict.ERROR:
                break
            answer = await host.prober.probe(self._settings, target)
        self._probes.note(self._name, self._kind, answer)
        if answer.verdict is Verdict.SUCCESS:
            return answer
        word = self._kind.word
        if answer.verdict is Verdict.WARNING:
            reason, note = "ProbeWarning", f"{word} probe warning: {answer.text}"
        elif answer.verdict is Verdict.FAILURE:
            reason, note = "Unhealthy", f"{word} probe failed: {answer.text}"
        else:
            reason, note = "Unhealthy", f"{word} probe errored and resulted in unknown state: {answer.text}"
        host.pod_event(self._pod, "Warning", reason, note, self._field_path)
        return None if answer.verdict is Verdict.ERROR else answer

    def _believe(self, belief: Belief, text: str) -> bool:
        """True when that was news."""
        probes = self._probes
        told = (belief, text if belief is Belief.FAILURE else "")
        changed = probes.belief(self._container_id, self._kind) is not belief
        if changed or (text and told != self._belief_told):
            self._belief_told = told
            runtime = probes.host.runtime
            subject = f"pods/{probes.key[0]}/{probes.key[1]}"
            seq = runtime.trace.emit(Kind.PROBE, subject, self._name, self._kind.word.lower(), belief.value, told[1])
            if changed:
                probes.set_belief(self._container_id, self._kind, belief, seq)
            return True
        return False


def _find(status: JsonObject, container: str) -> JsonObject | None:
    found: JsonObject
    for found in status.get("containerStatuses") or ():
        if found["name"] == container:
            return found
    for found in status.get("initContainerStatuses") or ():
        if found["name"] == container:
            return found
    return None


class PodProbes:
    """The probe workers of one pod and what they believe."""

    __slots__ = (
        "_beliefs",
        "_has_begun",
        "_history",
        "_record",
        "_workers",
        "host",
        "is_ending",
        "key",
        "uid",
    )

    def __init__(self, host: ProbeHost, pod: JsonObject, record: PodRecord) -> None:
        self.host = host
        self.uid = uid_of(pod)
        self.key = (namespace_of(pod), name_of(pod))
        self.is_ending = False
        self._has_begun = False
        self._record = record
        self._beliefs: dict[tuple[str, ProbeKind], Belief] = {}
        self._workers: dict[tuple[str, ProbeKind], _Worker] = {}
        self._history: ProbeHistory | None = None
        spec = pod["spec"]
        sidecars = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
        # Its events name the pod as it was admitted; what else there was of it then is kept by nobody.
        meta = pod["metadata"]
        named = {part: meta[part] for part in ("namespace", "name", "uid", "resourceVersion") if part in meta}
        admitted = {"metadata": named, "spec": spec}
        for container in (*spec["containers"], *sidecars):
            for kind in _KINDS:
                if container.get(kind.field):
                    self._workers[container["name"], kind] = _Worker(self, admitted, container, kind)

    def start(self) -> None:
        self._has_begun = True
        runtime = self.host.runtime
        for (container, kind), worker in self._workers.items():
            name = f"probe/{self.key[0]}/{self.key[1]}/{container}/{kind.word.lower()}"
            worker.task = runtime.spawn(name, worker.run())

    def stop(self, *, readiness: bool = True) -> None:
        """End the workers; without `readiness`, those of liveness and startup only."""
        self.is_ending = True
        for (_, kind), worker in self._workers.items():
            if (readiness or kind is not ProbeKind.READINESS) and not worker.is_stopped:
                worker.is_stopped = True
                if worker.task is not None:
                    worker.task.cancel()

    def let_go(self) -> None:
        """The pod is gone, and its workers have been stopped."""
        self._workers.clear()

    def flags(self, name: str, container_id: str, had_started: bool) -> tuple[bool, bool]:
        """`started` and `ready` of a container that runs. A readiness worker without a success is woken."""
        beliefs, workers = self._beliefs, self._workers
        believed = beliefs.get((container_id, ProbeKind.STARTUP))
        if believed is not None:
            has_started = believed is Belief.SUCCESS
        else:
            has_started = had_started or not self._has_begun or (name, ProbeKind.STARTUP) not in workers
        if not has_started:
            return False, False
        believed = beliefs.get((container_id, ProbeKind.READINESS))
        if believed is Belief.SUCCESS:
            return True, True
        if not self._has_begun:
            # A kubelet that has just been started finds containers before it begins to probe them.
            return True, believed is None
        worker = workers.get((name, ProbeKind.READINESS))
        if worker is not None:
            worker.ask()
        return True, worker is None

    # Beliefs

    def belief(self, container_id: str, kind: ProbeKind) -> Belief | None:
        return self._beliefs.get((container_id, kind))

    def begin(self, container_id: str, kind: ProbeKind) -> None:
        """A new container: the start value, unless something is believed of it already (it was adopted)."""
        if (container_id, kind) not in self._beliefs:
            self.set_belief(container_id, kind, _AT_START[kind], None)

    def adopt(self, container_id: str, kind: ProbeKind, belief: Belief) -> None:
        """Take over what a former life of the kubelet believed."""
        self._beliefs[container_id, kind] = belief

    def forget(self, container_id: str, kind: ProbeKind) -> None:
        self._beliefs.pop((container_id, kind), None)

    def set_belief(self, container_id: str, kind: ProbeKind, belief: Belief, cause: int | None) -> None:
        """Nothing happens when that is believed already."""
        if self._beliefs.get((container_id, kind)) is not belief:
            self._beliefs[container_id, kind] = belief
            self.host.belief_changed(self.uid, container_id, kind, belief, cause)

    # Reaching containers

    def target(self, name: str, container_id: str, spec: JsonObject) -> Target | None:
        """Where to probe; None when that attempt never ran."""
        newest = self._record.newest(name)
        if newest is None or newest.container_id != container_id or newest.container is None:
            return None
        return Target(newest.container, spec, self._record.ip, self.reachable)

    def reachable(self) -> list[Container]:
        return [r.container for r in self._record.running() if r.container is not None]

    # History

    def note(self, container: str, kind: ProbeKind, answer: ProbeAnswer) -> None:
        now_ns = self.host.runtime.monotonic_ns()
        self.note_run(now_ns, now_ns, 1, container, kind, answer)

    def note_run(
        self, first_ns: int, last_ns: int, count: int, container: str, kind: ProbeKind, answer: ProbeAnswer
    ) -> None:
        """Equal answers at equal distances, made or passed over."""
        if self._history is None:
            self._history = self.host.probe_log.begin(self.uid)
        self._history.add_run(first_ns, last_ns, count, container, kind, answer)
