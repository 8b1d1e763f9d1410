"""The kubelet of one node: it watches the pods bound to its node and runs a worker for each (`reference/kubelet.md`).

It talks to Kubernetes through the client port and to containers through the protocols of `containers`; it knows neither which API
server nor which containers these are, nor whether time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from rayrig_core.core_event_recorder import CoreEventRecorder, EventType
from rayrig_core.errors import ApiError, Gone
from rayrig_core.objects import JsonObject, key_of, name_of, namespace_of, uid_of
from rayrig_core.ports import HttpClient, KubernetesClient, Runtime, Signal, Task, WatchType
from rayrig_core.resource_types import NODE, POD
from rayrig_core.timestamps import NS, parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.kubelet.container_lifecycle import LEAST_GRACE_S, ContainerLifecycle
from rayrig_sim.kubernetes.kubelet.container_records import PodRecord
from rayrig_sim.kubernetes.kubelet.containers import ContainerRuntime
from rayrig_sim.kubernetes.kubelet.node_agent import NodeAgent
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.pod_admission import NodeRoom
from rayrig_sim.kubernetes.kubelet.pod_status import is_terminal
from rayrig_sim.kubernetes.kubelet.pod_worker import PodWorker, Stage
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeLog, ProbeObservation, ProbeRun
from rayrig_sim.kubernetes.kubelet.probe_workers import Belief
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, Prober
from rayrig_sim.kubernetes.kubelet.status_manager import StatusManager
from rayrig_sim.kubernetes.nodes.nodes import node_reference
from rayrig_sim.kubernetes.scheduling.needs import pod_needs

_LIST_RETRY_S = 1.0
#: A restarted kubelet looks for containers whose pod is gone.
_HOUSEKEEPING_S = 2.0
#: Containers that were started less than this before their kubelet was are not taken for old ones.
_YOUNG_NS = 10 * NS
_LAST_PROBES = 32


class Kubelet:
    """One node's agent. `run()` is its actor; `stop()` and `start()` are its death and its next life.

    `rng` gives the phases of its clocks and the jitter of its waits. `network` reaches probe targets outside the pod. `has_node`
    tells whether its Node is there, as a cache shows it.
    """

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        node_name: str,
        containers: ContainerRuntime,
        rng: Random,
        options: KubeletOptions | None = None,
        recorder: CoreEventRecorder | None = None,
        *,
        network: HttpClient | None = None,
        has_node: Callable[[], bool] | None = None,
    ) -> None:
        self.runtime = runtime
        self.rng = rng
        self.node_name = node_name
        self._client = client
        self._containers = containers
        self._options = options or KubeletOptions()
        self._network = network
        self._has_node = has_node
        self._recorder = recorder or CoreEventRecorder(runtime, client, component="kubelet", host=node_name)
        #: What is on the node, whoever looks after it.
        self._records: dict[str, PodRecord] = {}
        #: What probes got, of pods that are gone too.
        self.probe_log = ProbeLog()
        self._lives = 0
        self._begin_life(runtime.monotonic_ns() - round(self._options.uptime_s * NS))

    def _begin_life(self, started_ns: int) -> None:
        self._lives += 1
        self._agent = NodeAgent(
            self.runtime,
            self._client,
            self.node_name,
            self._containers,
            self.rng,
            self._options,
            self._recorder,
            self._records,
            network=self._network,
            has_node=self._has_node,
            started_ns=started_ns,
        )
        self._workers: dict[str, PodWorker] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._room = NodeRoom()
        self._statuses = StatusManager(
            self.runtime, self._client, name=self._agent.name, could_be_running=self._could_be_running
        )
        self._tasks: list[Task[Any]] = []
        self._is_stopped = False

    # Its lives

    @property
    def is_running(self) -> bool:
        return not self._is_stopped

    def stop(self, *, containers_live: bool = True) -> None:
        """The kubelet dies: nothing more is written or probed. Without `containers_live` the machine dies with it."""
        self._is_stopped = True
        self._statuses.is_stopped = True
        for task in self._tasks:
            task.cancel()
        for worker in self._workers.values():
            worker.probes.stop()
            if worker.task is not None:
                worker.task.cancel()
        if not containers_live:
            for record in self._records.values():
                for container in record.running():
                    if container.container is not None:
                        container.container.kill()
            self._records.clear()

    def freeze(self) -> None:
        """The process stops without dying: whatever comes due waits."""
        if self._agent.frozen is None:
            self._agent.frozen = self.runtime.signal()

    def thaw(self) -> None:
        """Go on after `freeze()`: what came due meanwhile is done now, a missed probe tick once."""
        frozen, self._agent.frozen = self._agent.frozen, None
        if frozen is not None:
            frozen.set(None)

    def start(self) -> None:
        """Begin another life after `stop()`: what still runs is adopted, what ended meanwhile is dealt with."""
        if not self._is_stopped:
            return
        self._begin_life(self.runtime.monotonic_ns())
        self._spawn("run", self._run_again())

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(self.runtime.spawn(f"{self._agent.name}/{name}" if name else self._agent.name, coroutine))

    async def _run_again(self) -> None:
        await self.runtime.sleep(self._options.startup_s)
        self._recorder.forget()
        node = await self._node()
        if node is not None:
            await self._report_node(node)
            self._recorder.event(node_reference(self.node_name), "Normal", "Starting", "Starting kubelet.")
            self._agent.tell_node_is_well()
        self._spawn("housekeeping", self._clean_up())
        await self._watch()

    async def _report_node(self, node: JsonObject) -> None:
        """The first heartbeat of a new life. What it says of the node's health is for its heartbeats to tell."""
        now = rfc3339(self.runtime.unix_ns())
        kinds = [c["type"] for c in (node.get("status") or {}).get("conditions") or () if c["status"] != "Unknown"]
        if kinds:
            conditions = [{"type": kind, "lastHeartbeatTime": now} for kind in kinds]
            patch = {"status": {"conditions": conditions}}
            with suppress(ApiError):
                await self._client.patch(NODE, self.node_name, patch, patch_type="strategic", subresource="status")

    async def run(self) -> None:
        """Watch this node's pods and look after them, for ever."""
        task = self.runtime.spawn(self._agent.name, self._watch())
        self._tasks.append(task)
        await task

    # Pods come and go

    async def _watch(self) -> None:
        selector = f"spec.nodeName={self.node_name}"
        while True:
            try:
                found = await self._client.list(POD, field_selector=selector)
                stream = await self._client.watch(POD, resource_version=found.resource_version, field_selector=selector)
            except ApiError:
                await self.runtime.sleep(_LIST_RETRY_S)
                continue
            present = {uid_of(pod): None for pod in found.items}
            for pod in found.items:
                if self._observe(pod, None):
                    await self._take(pod, None)
            for uid, worker in list(self._workers.items()):
                if uid not in present:
                    self._gone(worker.pod, None)
            try:
                while True:
                    event = await stream.next()
                    if self._agent.frozen is not None:
                        await self._agent.frozen
                    if event.type is WatchType.DELETED:
                        self.runtime.cause = event.cause
                        self._gone(event.object, event.cause)
                    elif event.type is not WatchType.BOOKMARK:
                        self.runtime.cause = event.cause
                        if self._observe(event.object, event.cause):
                            await self._take(event.object, event.cause)
            except (Gone, StopAsyncIteration):
                continue
            finally:
                stream.close()

    def _observe(self, pod: JsonObject, cause: int | None) -> bool:
        """The object of a pod of this node, new or changed. True when the pod is to be taken."""
        uid = uid_of(pod)
        self._statuses.observe(uid, pod)
        worker = self._workers.get(uid)
        is_to_go = bool(pod["metadata"].get("deletionTimestamp"))
        if worker is None:
            key = key_of(pod)
            former = self._uids.get(key)
            if former is not None and former != uid and former in self._workers:
                self._gone(self._workers[former].pod, cause)
            told = self._statuses.computed(uid) or pod.get("status") or {}
            if is_terminal(told) and uid not in self._records:
                # It ended in a former life of this kubelet, or was never let in.
                if is_to_go:
                    self._statuses.set_status(uid, dict(told), finished=True)
                return False
            self._uids[key] = uid
            return True
        known = worker.pod
        worker.see(pod)
        if is_to_go:
            if not known["metadata"].get("deletionTimestamp"):
                worker.end(cause)
        elif _asks_for_sync(known, pod):
            worker.wake(cause=cause)
        return False

    async def _take(self, pod: JsonObject, cause: int | None) -> None:
        uid = uid_of(pod)
        record = self._records.get(uid)
        if record is None and not pod["metadata"].get("deletionTimestamp"):
            node = await self._node()
            if node is not None:
                self._room.describe(node)
            rejection = self._room.take(pod)
            if rejection is not None:
                self._agent.pod_event(pod, "Warning", rejection.reason, rejection.message)
                status = {
                    "phase": "Failed",
                    "reason": rejection.reason,
                    "message": f"Pod was rejected: {rejection.message}",
                }
                self._statuses.set_status(uid, status, finished=True)
                return
        else:
            self._room.keep(pod_needs(pod))
            if not self._agent.host_ip:
                await self._node()
        adopted = record is not None
        if record is None:
            record = self._records[uid] = PodRecord(pod)
        worker = PodWorker(self._agent, self, self._statuses, pod, record, self._room.give_back, self._done)
        self._workers[uid] = worker
        if adopted:
            self._adopt(worker)
        if pod["metadata"].get("deletionTimestamp"):
            worker.end(cause)
        worker.wake(cause=cause)
        worker.task = self.runtime.spawn(f"{self._agent.name}/{namespace_of(pod)}/{name_of(pod)}", worker.run())

    async def _node(self) -> JsonObject | None:
        """This node's object, if there is one; teaches the host IP by the way."""
        try:
            node = await self._client.get(NODE, self.node_name)
        except ApiError:
            return None
        if not self._agent.host_ip:
            for address in (node.get("status") or {}).get("addresses") or ():
                if address.get("type") == "InternalIP":
                    self._agent.host_ip = address["address"]
        return node

    def _adopt(self, worker: PodWorker) -> None:
        """A container that ran on while the kubelet was away keeps what was believed of it, unless it is young.

        Whether its startup probe has succeeded is not known any more: it is taken to have.
        """
        young_ns = self.runtime.unix_ns() - self.age_ns - _YOUNG_NS
        status = worker.pod.get("status") or {}
        for part in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(part) or ():
                identity, running = container.get("containerID"), container["state"].get("running")
                if not identity or running is None or parse_rfc3339(running["startedAt"]) >= young_ns:
                    continue
                worker.probes.adopt(identity, ProbeKind.STARTUP, Belief.SUCCESS)
                worker.probes.adopt(
                    identity, ProbeKind.READINESS, Belief.SUCCESS if container.get("ready") else Belief.FAILURE
                )

    def _gone(self, pod: JsonObject, cause: int | None) -> None:
        """The object is gone; what still runs of it is stopped."""
        uid = uid_of(pod)
        self._statuses.forget(uid)
        if self._uids.get(key_of(pod)) == uid:
            del self._uids[key_of(pod)]
        worker = self._workers.get(uid)
        if worker is None:
            return
        worker.see(pod)
        worker.is_gone = True
        if worker.stage is Stage.DONE:
            self._done(worker)
        else:
            worker.end(cause)

    def _done(self, worker: PodWorker) -> None:
        """The pod has ended; when its object is gone too, nothing of it is kept."""
        if worker.is_gone:
            self._workers.pop(worker.uid, None)
            self._records.pop(worker.uid, None)
            worker.let_go()
            self._recorder.forget_about({"kind": "Pod", "metadata": worker.pod["metadata"]})

    async def _clean_up(self) -> None:
        """Stop containers whose pod went away while nobody looked."""
        await self.runtime.sleep(_HOUSEKEEPING_S)
        for uid, record in list(self._records.items()):
            if uid not in self._workers:
                del self._records[uid]
                lifecycle = ContainerLifecycle(self._agent, record)
                name = f"orphan/{namespace_of(record.pod)}/{name_of(record.pod)}"
                self._spawn(name, lifecycle.stop_all(record.pod, LEAST_GRACE_S))

    # What its parts ask of it

    @property
    def frozen(self) -> Signal[None] | None:
        return self._agent.frozen

    @property
    def prober(self) -> Prober:
        return self._agent.prober

    @property
    def age_ns(self) -> int:
        return self._agent.age_ns

    def cached_status(self, uid: str) -> JsonObject | None:
        return self._statuses.status(uid)

    def pod_event(self, pod: JsonObject, type_: EventType, reason: str, note: str, field_path: str = "") -> None:
        self._agent.pod_event(pod, type_, reason, note, field_path)

    def belief_changed(self, uid: str, container_id: str, kind: ProbeKind, belief: Belief, cause: int | None) -> None:
        worker = self._workers.get(uid)
        if worker is None:
            return
        if kind is ProbeKind.READINESS:
            self._statuses.set_readiness(uid, container_id, belief is Belief.SUCCESS, cause)
        elif kind is ProbeKind.STARTUP:
            self._statuses.set_started(uid, container_id, belief is Belief.SUCCESS, cause)
        if kind is not ProbeKind.LIVENESS or belief is Belief.FAILURE:
            worker.wake(cause=cause)

    def _could_be_running(self, uid: str) -> bool:
        worker = self._workers.get(uid)
        return worker is not None and worker.may_run

    # What others may ask

    def probe_history(self, namespace: str, name: str) -> list[ProbeObservation]:
        """The last probes of a pod, oldest first; nothing when it is not here or has no probes."""
        history = self.probe_log.of(self._uids.get((namespace, name), ""))
        return history.observations(_LAST_PROBES) if history is not None else []

    def all_probes(self) -> dict[str, list[ProbeRun]]:
        """What the probes of its pods got, by uid and oldest first, also of pods that are gone as long as they are remembered."""
        return self.probe_log.all_runs()

    def pods(self) -> list[JsonObject]:
        """Objects of the pods this kubelet looks after, in the order in which it took them."""
        return [worker.pod for worker in self._workers.values()]


def _asks_for_sync(known: JsonObject, pod: JsonObject) -> bool:
    """Whether a change of the object concerns the worker: its manifest, or a readiness gate."""
    if _differ(known["spec"], pod["spec"]):
        return True
    before, now = known["metadata"], pod["metadata"]
    if _differ(before.get("labels"), now.get("labels")) or _differ(before.get("annotations"), now.get("annotations")):
        return True
    gates = pod["spec"].get("readinessGates")
    if not gates:
        return False
    kinds = {gate["conditionType"] for gate in gates}
    return _values(known, kinds) != _values(pod, kinds)


def _differ(before: JsonObject | None, now: JsonObject | None) -> bool:
    """Parts that nobody touched are the same object."""
    return before is not now and before != now


def _values(pod: JsonObject, kinds: set[str]) -> list[tuple[str, str]]:
    return [(c["type"], c["status"]) for c in (pod.get("status") or {}).get("conditions") or () if c["type"] in kinds]
