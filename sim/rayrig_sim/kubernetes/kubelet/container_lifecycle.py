"""Starting and stopping the containers of one pod (`reference/kubelet.md` sections 7 to 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rayrig_core.objects import JsonObject, name_of, namespace_of, uid_of
from rayrig_core.ports import Signal
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.kubelet.config_references import missing_reference
from rayrig_sim.kubernetes.kubelet.container_records import ContainerRecord, PodRecord, container_id
from rayrig_sim.kubernetes.kubelet.containers import ContainerExit, CreateFailed, StartFailed
from rayrig_sim.kubernetes.kubelet.images import ImageUnavailable
from rayrig_sim.kubernetes.kubelet.node_agent import NodeAgent
from rayrig_sim.kubernetes.kubelet.pod_status import Waiting, is_sidecar
from rayrig_sim.kubernetes.kubelet.probe_workers import field_path
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, ProbeSettings, Target

#: The least the runtime is given between SIGTERM and SIGKILL.
LEAST_GRACE_S = 2.0
#: A postStart hook may take as long as it likes.
_NO_LIMIT_S = 1e7
#: How much of a log may stand for a termination message.
_LOG_LINES, _LOG_BYTES = 80, 2048
#: Of a termination message file the end is read.
_MESSAGE_BYTES = 4096


class NotStarted(Exception):
    """A container could not be started; `waiting` is what its status will show."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        super().__init__(waiting.reason)


def pod_text(pod: JsonObject) -> str:
    """`name_namespace(uid)`, as kubelet texts name a pod."""
    return f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"


def grace_s(pod: JsonObject) -> float:
    """The grace period that holds for a pod now: of its deletion, else of its manifest."""
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    if deletion is not None:
        return float(deletion)
    own = pod["spec"].get("terminationGracePeriodSeconds")
    return 30.0 if own is None else float(own)


def grace_after_probe_s(pod: JsonObject, spec: JsonObject, kind: ProbeKind | None) -> float:
    """The grace of a container condemned by a probe, which may bring its own."""
    if kind is not None and pod["metadata"].get("deletionGracePeriodSeconds") is None:
        own = ProbeSettings.of(spec[kind.field]).grace_s if spec.get(kind.field) else None
        if own is not None:
            return float(own)
    return grace_s(pod)


def _with_message(pod: JsonObject, name: str, result: ContainerExit) -> ContainerExit:
    """The exit with its termination message, of its file, or from the end of the log (section 4)."""
    if result.message:
        return replace(result, message=result.message.encode()[-_MESSAGE_BYTES:].decode(errors="replace"))
    if result.exit_code == 0 or not result.log:
        return result
    for spec in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
        if spec["name"] == name and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = result.log.splitlines()[-_LOG_LINES:]
            text = "".join(f"{line}\n" for line in lines)
            return replace(result, message=text.encode()[-_LOG_BYTES:].decode(errors="replace"))
    return result


class ContainerLifecycle:
    """Starts and stops containers of one pod."""

    __slots__ = ("_agent", "_record", "last_seq")

    def __init__(self, agent: NodeAgent, record: PodRecord) -> None:
        self._agent = agent
        self._record = record
        #: Trace event of the last start or end of a container, for what follows from it.
        self.last_seq: int | None = None

    # Starting

    async def start(self, pod: JsonObject, spec: JsonObject, attempt: int) -> ContainerRecord:
        """Pull, create, start and run the postStart hook. Raises `NotStarted`."""
        agent, runtime = self._agent, self._agent.runtime
        name: str = spec["name"]
        event = partial(agent.pod_event, pod, field_path=field_path(pod, name))
        try:
            await agent.images.ensure(pod, spec, event)
        except ImageUnavailable as error:
            event("Warning", "Failed", f"Error: {error.reason}")
            raise NotStarted(Waiting(error.reason, str(error))) from None
        missing = await missing_reference(agent.client, namespace_of(pod), spec)
        if missing:
            event("Warning", "Failed", f"Error: {missing}")
            raise NotStarted(Waiting("CreateContainerConfigError", missing))
        identity = container_id(uid_of(pod), name, attempt, self._record.sandboxes)
        try:
            container = await agent.containers.start_container(pod, spec, self._record.ip, attempt)
        except CreateFailed as error:
            event("Warning", "Failed", f"Error: {error}")
            raise NotStarted(Waiting("CreateContainerError", str(error))) from None
        except StartFailed as error:
            now_ns = runtime.unix_ns()
            failed = ContainerExit(128, "StartError", str(error))
            image = spec.get("image", "")
            record = ContainerRecord(name, attempt, identity, image, None, now_ns, failed, now_ns, now_ns)
            self._record.add(record)
            event("Normal", "Created", "Container created")
            event("Warning", "Failed", f"Error: {error}")
            self.last_seq = self._trace(pod, name, "failed", "StartError", 128)
            raise NotStarted(Waiting("RunContainerError", str(error))) from None
        record = ContainerRecord(name, attempt, identity, spec.get("image", ""), container, runtime.unix_ns())
        self._record.add(record)
        event("Normal", "Created", "Container created")
        event("Normal", "Started", "Container started")
        record.cause = self.last_seq = self._trace(pod, name, "running", "", None)
        watch = f"{agent.name}/exit/{namespace_of(pod)}/{name_of(pod)}/{name}"
        runtime.when(container.exited, watch, partial(self._ended, record))
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if hook:
            what = f'Container "{name}" in Pod "{pod_text(pod)}"'
            failure = await agent.prober.hook(hook, _NO_LIMIT_S, self._target(spec, record), what=what)
            if failure:
                event("Warning", "FailedPostStartHook", "PostStartHook failed")
                await self.stop(pod, spec, record, grace_s(pod), "FailedPostStartHook")
                raise NotStarted(Waiting("PostStartHookError", failure))
        return record

    def _ended(self, record: ContainerRecord, result: ContainerExit) -> None:
        if record.finished_ns is not None:
            return
        pod = self._record.pod
        record.exit = _with_message(pod, record.name, result)
        record.finished_ns = self._agent.runtime.unix_ns()
        # What stopped it is the cause; a container that ends by itself has none but its start.
        record.cause = self.last_seq = self._trace(
            pod, record.name, "terminated", record.exit_reason, result.exit_code, record.cause
        )
        on_exit = self._record.on_exit
        record.seen_ns = on_exit(record) if on_exit is not None else record.finished_ns

    def _trace(
        self, pod: JsonObject, name: str, state: str, reason: str, code: int | None, cause: int | None = None
    ) -> int:
        trace = self._agent.runtime.trace
        subject = f"pods/{namespace_of(pod)}/{name_of(pod)}"
        return trace.emit(Kind.CONTAINER, subject, name, state, reason, code, cause=cause)

    def _target(self, spec: JsonObject, record: ContainerRecord) -> Target:
        assert record.container is not None
        others = self._record.running
        return Target(record.container, spec, self._record.ip, lambda: [r.container for r in others() if r.container])

    # Stopping

    async def stop(
        self,
        pod: JsonObject,
        spec: JsonObject,
        record: ContainerRecord,
        grace: float,
        message: str,
        turn: Sequence[Signal[None]] = (),
    ) -> None:
        """preStop, SIGTERM, and SIGKILL when the grace (seconds) is over. Returns when the container has ended.

        SIGTERM waits for the `turn` of a sidecar: until those have happened, at most for the grace that is left.
        """
        agent, runtime = self._agent, self._agent.runtime
        container = record.container
        if container is None or not record.is_running:
            return
        path = field_path(pod, record.name)
        agent.pod_event(pod, "Normal", "Killing", message, path)
        hook = (spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            began_ns = runtime.monotonic_ns()
            what = f'Container "{record.name}" in Pod "{pod_text(pod)}"'
            failure = await agent.prober.hook(hook, grace, self._target(spec, record), what=what)
            spent_s = (runtime.monotonic_ns() - began_ns) / NS
            if failure and spent_s < grace:
                agent.pod_event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", path)
            # Whole seconds are taken off, as the kubelet counts them.
            grace -= spent_s // 1
        for before in turn:
            if grace > 0 and not before.is_set:
                began_ns = runtime.monotonic_ns()
                await runtime.wait(before, grace)
                grace -= (runtime.monotonic_ns() - began_ns) // NS
        grace = max(grace, LEAST_GRACE_S)
        if record.is_running:
            record.cause = self._trace(pod, record.name, "stopping", f"SIGTERM, grace {grace:.0f} s", None)
            container.terminate()
            if not await runtime.wait(container.exited, grace):
                container.kill()
            self._ended(record, await container.exited)

    async def stop_all(self, pod: JsonObject, grace: float) -> None:
        """Stop what runs of the pod, then its sandbox.

        Main containers are told together; sidecars from the last to the first, each when all before it have ended.
        """
        record = self._record
        spec = pod["spec"]
        running = {r.name: r for r in record.running()}
        init_specs = spec.get("initContainers") or ()
        sidecars = [c for c in reversed(init_specs) if is_sidecar(c)]
        others = [c for c in (*init_specs, *spec["containers"]) if not is_sidecar(c)]
        in_turn = [c for c in (*others, *sidecars) if c["name"] in running]
        if len(in_turn) == 1:
            await self._stop_one(pod, in_turn[0], running, grace)
        elif in_turn:
            await self._stop_several(pod, in_turn, running, grace)
        if record.sandbox_is_ready:
            record.sandbox_is_ready = False
            await self._agent.containers.stop_sandbox(pod)

    async def _stop_several(
        self, pod: JsonObject, in_turn: list[JsonObject], running: dict[str, ContainerRecord], grace: float
    ) -> None:
        runtime = self._agent.runtime
        name = f"{self._agent.name}/stop/{namespace_of(pod)}/{name_of(pod)}"
        main = pod["spec"]["containers"]
        #: Of an init container that runs to its end nobody waits for the end.
        ended: list[Signal[None]] = []
        tasks = []
        for spec in in_turn:
            turn = tuple(ended) if is_sidecar(spec) else ()
            mine = runtime.signal()
            if spec in main or is_sidecar(spec):
                ended.append(mine)
            body = self._stop_one(pod, spec, running, grace, turn, mine)
            tasks.append(runtime.spawn(f"{name}/{spec['name']}", body))
        for task in tasks:
            await task

    async def _stop_one(
        self,
        pod: JsonObject,
        spec: JsonObject,
        running: dict[str, ContainerRecord],
        grace: float,
        turn: Sequence[Signal[None]] = (),
        ended: Signal[None] | None = None,
    ) -> None:
        name = spec["name"]
        await self.stop(pod, spec, running[name], grace, f"Stopping container {name}", turn)
        if ended is not None:
            ended.set(None)
