"""The scheduler: an actor that gives each pending pod a node, or says why none takes it.

It decides with `rayrig_sim.kubernetes.scheduling` on its own picture of the cluster, assumes each decision at once and binds beside
the next one, as the real scheduler does. Nothing is tried periodically. Source: kubelet.md 14, kubernetes-api.md 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    Vouched,
    condition_of,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import NODE, POD, POD_DISRUPTION_BUDGET, SERVICE
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.endpoints.services_by_label import ServicesByLabel
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.pod_disruption import DisruptionReason, mark_disrupted
from rayrig_sim.kubernetes.scheduling.cluster import ClusterState
from rayrig_sim.kubernetes.scheduling.filters import Filter, Fit, fit
from rayrig_sim.kubernetes.scheduling.hints import (
    NodeFacts,
    assigned_pod_helps,
    changed_claim_helps,
    changed_node_helps,
    freed_pod_helps,
    lost_node_helps,
    new_node_helps,
    relabelled_pod_helps,
)
from rayrig_sim.kubernetes.scheduling.needs import NeedsParser, PodNeeds
from rayrig_sim.kubernetes.scheduling.preemption import Eviction, Surroundings, plan_preemption
from rayrig_sim.kubernetes.scheduling.queue import Place, QueuedPod, SchedulingQueue
from rayrig_sim.kubernetes.scheduling.reasons import NO_NODES, refused_message, unschedulable_message
from rayrig_sim.kubernetes.scheduling.scores import best
from rayrig_sim.kubernetes.scheduling.standings import Standings
from rayrig_sim.kubernetes.selectors import LabelSelector, Requirement
from rayrig_sim.kubernetes.volumes.binder import VolumeBinder

DEFAULT_SCHEDULER = "default-scheduler"
_GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"
_TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class _Decision:
    """What an attempt came to: a node, or why there is none."""

    node: str = ""
    message: str = ""
    refused_by: dict[Filter, None] = field(default_factory=dict)
    eviction: Eviction | None = None


class Scheduler:
    """One scheduler for the pods that name it. `run` is its actor."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        recorder: EventRecorder,
        *,
        latency: Distribution,
        rng: Random,
        name: str = DEFAULT_SCHEDULER,
        volumes: VolumeBinder | None = None,
    ) -> None:
        """Without `volumes` claims are taken to be bound: nobody binds any."""
        self.name = name
        self._runtime = runtime
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._latency = latency
        self._volumes = volumes
        self._rng = rng
        self._cluster = ClusterState()
        self._standings = Standings(self._cluster)
        self._spread_groups: dict[tuple[str, tuple[tuple[str, str], ...]], LabelSelector | None] = {}
        self._queue = SchedulingQueue(phase_ns=rng.randrange(30 * NS))
        self._needs: dict[str, PodNeeds] = {}
        self._parser = NeedsParser()
        self._nominated: dict[str, tuple[PodNeeds, str]] = {}
        self._said: dict[str, str] = {}
        self._wake = runtime.signal()
        #: Selectors of the Services that have one.
        self._selectors: dict[tuple[str, str], Mapping[str, str]] = {}
        self._selecting = ServicesByLabel()
        self._budgets = caches.of(POD_DISRUPTION_BUDGET)
        caches.of(SERVICE).on_change(self._on_service)
        caches.of(NODE).on_change(self._on_node)
        caches.of(POD).on_change(self._on_pod)

    async def run(self) -> None:
        """Take pods from the queue for ever."""
        runtime, queue = self._runtime, self._queue
        await self._caches.wait_synced()
        while True:
            entry = queue.pop(runtime.monotonic_ns())
            if entry is None:
                self._wake = runtime.signal()
                due_ns = queue.next_look_ns()
                if due_ns is None:
                    await self._wake
                else:
                    await runtime.wait(self._wake, max(0, due_ns - runtime.monotonic_ns()) / NS)
                continue
            if entry.needs.claims and self._volumes is not None:
                await self._volumes.follow(self._on_claim)
            runtime.cause = entry.cause
            # The cluster is looked at when the attempt begins; what changes while it lasts is weighed by `put_back`.
            decision = self._decide(entry)
            await runtime.sleep(self._latency.draw_ns(self._rng) / NS)
            if queue.get(entry.needs.uid) is entry:
                self._conclude(entry, decision)

    # Deciding

    def _decide(self, entry: QueuedPod) -> _Decision:
        needs = entry.needs
        if is_being_deleted(entry.pod):
            return _Decision()
        if not len(self._cluster):
            return _Decision(message=NO_NODES)
        if needs.claims and self._volumes is not None:
            refusal = self._volumes.refusal(needs.namespace, needs.claims)
            if refusal:
                message = refused_message(len(self._cluster), refusal)
                return _Decision(message=message, refused_by={Filter.VOLUMES: None})
        if not self._nominated and not entry.nominated:
            name = self._standings.best(needs, self._services_selector)
            if name:
                return _Decision(node=name)
        found = self._fit(needs)
        if found.feasible:
            node_names = {node.name for node in found.feasible}
            node = entry.nominated if entry.nominated in node_names else self._best(needs, found)
            return _Decision(node=node)
        around = Surroundings(self._object_of, list(self._budgets))
        planned = plan_preemption(needs, self._cluster, found.rejections, around, entry.nominated)
        eviction = planned if isinstance(planned, Eviction) else None
        message = unschedulable_message(
            len(self._cluster), found.rejections.values(), "" if isinstance(planned, Eviction) else planned
        )
        return _Decision(
            message=message,
            refused_by={rejection.filter: None for rejection in found.rejections.values()},
            eviction=eviction,
        )

    def _conclude(self, entry: QueuedPod, decision: _Decision) -> None:
        uid = entry.needs.uid
        if is_being_deleted(entry.pod):
            # It ends with its finalizers; nobody will run it.
            self._queue.remove(uid)
        elif decision.node:
            self._assign(entry, decision.node)
        else:
            now_ns = self._runtime.monotonic_ns()
            self._queue.put_back(entry, decision.refused_by, now_ns, after_error=decision.message == NO_NODES)
            if decision.eviction is not None:
                self._nominated[uid] = (entry.needs, decision.eviction.node)
                entry.nominated = decision.eviction.node
            self._fail(entry, decision.message, decision.eviction)

    def _fit(self, needs: PodNeeds) -> Fit:
        """Filter with room kept for the pods for which others were evicted, unless they are of lower priority."""
        held = [
            (other, node)
            for uid, (other, node) in self._nominated.items()
            if uid != needs.uid and other.priority >= needs.priority and self._cluster.home_of(uid) is None
        ]
        for other, node in held:
            self._cluster.put_pod(other, node)
        try:
            return fit(needs, self._cluster)
        finally:
            for other, _ in held:
                self._cluster.remove_pod(other.uid)

    def _best(self, needs: PodNeeds, found: Fit) -> str:
        selector = None if needs.spread or len(found.feasible) == 1 else self._services_selector(needs)
        return best(needs, found.feasible, self._cluster, selector).name

    def _services_selector(self, needs: PodNeeds) -> LabelSelector | None:
        """What all services that select the pod select together: the group that is spread by default."""
        key = (needs.namespace, tuple(needs.labels.items()))
        if len(self._spread_groups) > 4096:
            self._spread_groups.clear()
        if key in self._spread_groups:
            return self._spread_groups[key]
        requirements: dict[Requirement, None] = {}
        for name in self._selecting.of(needs.namespace, needs.labels):
            wanted = self._selectors[needs.namespace, name]
            requirements.update((Requirement(key, "In", (value,)), None) for key, value in wanted.items())
        found = self._spread_groups[key] = LabelSelector(tuple(requirements)) if requirements else None
        return found

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        self._spread_groups.clear()
        namespace, name = key = key_of(new)
        wanted = (new.get("spec") or {}).get("selector") if type_ is not WatchType.DELETED else None
        if wanted == self._selectors.get(key):
            return
        if wanted:
            self._selectors[key] = wanted
            self._selecting.put(namespace, name, wanted)
        else:
            self._selectors.pop(key, None)
            self._selecting.drop(namespace, name)

    def _assign(self, entry: QueuedPod, node: str) -> None:
        needs = entry.needs
        self._queue.remove(needs.uid)
        self._cluster.put_pod(needs, node)
        self._needs[needs.uid] = needs
        self._nominated.pop(needs.uid, None)
        self._said.pop(needs.uid, None)
        subject = f"pods/{needs.namespace}/{needs.name}"
        decision = self._runtime.trace.emit(Kind.SCHEDULED, subject, node)
        self._wake_pods(lambda other: assigned_pod_helps(other, needs), decision)
        self._runtime.spawn(f"{self.name}/bind", self._bind(entry, node, decision))

    async def _bind(self, entry: QueuedPod, node: str, decision: int) -> None:
        needs = entry.needs
        self._runtime.cause = decision
        if needs.claims and self._volumes is not None:
            failure = await self._volumes.bind(needs.namespace, needs.claims, node)
            if failure:
                self._unassign(entry, f'running PreBind plugin "VolumeBinding": {failure}')
                return
        body: JsonObject = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": needs.name, "namespace": needs.namespace, "uid": needs.uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            await self._client.create_subresource(POD, needs.name, "binding", Vouched(body), needs.namespace)
        except ApiError as error:
            is_gone = isinstance(error, NotFound)
            self._unassign(entry, f'running Bind plugin "DefaultBinder": {error.message}', is_gone=is_gone)
            return
        note = f"Successfully assigned {needs.namespace}/{needs.name} to {node}"
        self._recorder.event(entry.pod, "Normal", "Scheduled", note, action="Binding")

    def _unassign(self, entry: QueuedPod, note: str, *, is_gone: bool = False) -> None:
        """The binding was refused: the room is free again, and the pod, if it is still there, waits."""
        needs = entry.needs
        now = self._caches.of(POD).get(needs.name, needs.namespace)
        if now is not None and uid_of(now) == needs.uid and (now.get("spec") or {}).get("nodeName"):
            return
        self._free(needs.uid)
        self._recorder.event(entry.pod, "Warning", "FailedScheduling", note, action="Scheduling")
        gone = is_gone or now is None or uid_of(now) != needs.uid or is_being_deleted(now)
        if not gone:
            self._queue.restore(entry)
            self._queue.put_back(entry, {}, self._runtime.monotonic_ns(), after_error=True)
            self._wake.set(None)

    # Saying why not

    def _fail(self, entry: QueuedPod, message: str, eviction: Eviction | None) -> None:
        runtime, needs = self._runtime, entry.needs
        if self._said.get(needs.uid) != message:
            self._said[needs.uid] = message
            subject = f"pods/{needs.namespace}/{needs.name}"
            runtime.cause = runtime.trace.emit(Kind.UNSCHEDULABLE, subject, message)
        self._recorder.event(entry.pod, "Warning", "FailedScheduling", message, action="Scheduling")
        if eviction is not None or _says_otherwise(entry.pod, message):
            runtime.spawn(f"{self.name}/report", self._report(entry, message, eviction))

    async def _report(self, entry: QueuedPod, message: str, eviction: Eviction | None) -> None:
        nominated = eviction.node if eviction is not None else None
        await self._write_condition(entry.pod, "Unschedulable", message, nominated)
        if eviction is not None:
            for victim in eviction.victims:
                await self._evict(victim, entry, eviction.node)

    def _object_of(self, needs: PodNeeds) -> JsonObject | None:
        pod = self._caches.of(POD).get(needs.name, needs.namespace)
        return pod if pod is not None and uid_of(pod) == needs.uid else None

    async def _evict(self, victim: PodNeeds, entry: QueuedPod, node: str) -> None:
        pod = self._object_of(victim)
        if pod is None or is_being_deleted(pod):
            return
        message = f"{self.name}: preempting to accommodate a higher priority pod"
        try:
            await mark_disrupted(self._client, self._runtime, pod, DisruptionReason.PREEMPTION, message)
            await self._client.delete(POD, victim.name, victim.namespace)
        except ApiError:
            return
        note = f"Preempted by pod {entry.needs.uid} on node {node}"
        self._recorder.event(pod, "Normal", "Preempted", note, action="Preempting")

    async def _write_condition(self, pod: JsonObject, reason: str, message: str, nominated: str | None = None) -> None:
        before = condition_of(pod, "PodScheduled")
        since = before.get("lastTransitionTime") if before is not None and before.get("status") == "False" else None
        condition: JsonObject = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": since or rfc3339(self._runtime.unix_ns()),
        }
        generation = pod["metadata"].get("generation")
        if generation is not None:
            condition["observedGeneration"] = generation
        status: JsonObject = {"conditions": [condition]}
        if nominated is not None:
            status["nominatedNodeName"] = nominated
        try:
            await self._client.patch(
                POD,
                name_of(pod),
                {"status": status},
                namespace_of(pod),
                patch_type="strategic",
                subresource="status",
                field_manager=self.name,
            )
        except ApiError:
            # The pod is gone, or the next attempt writes it again.
            return

    # Watching

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        spec: JsonObject = new.get("spec") or {}
        node = spec.get("nodeName")
        is_over = type_ is WatchType.DELETED or _is_terminal(new)
        if node and not is_over and old is not None and _is_of_status(old, new) and not _is_terminal(old):
            return
        uid = uid_of(new)
        if is_over:
            self._forget(uid, cause)
        elif node:
            self._on_assigned(uid, old, new, node, cause)
        elif spec.get("schedulerName", DEFAULT_SCHEDULER) == self.name:
            self._on_pending(uid, old, new, spec, cause)

    def _forget(self, uid: str, cause: int | None) -> None:
        self._queue.remove(uid)
        self._nominated.pop(uid, None)
        self._said.pop(uid, None)
        gone = self._free(uid)
        if gone is not None:
            self._wake_pods(lambda entry: freed_pod_helps(entry, gone), cause)

    def _free(self, uid: str) -> PodNeeds | None:
        needs = self._needs.pop(uid, None)
        self._cluster.remove_pod(uid)
        return needs

    def _on_assigned(self, uid: str, old: JsonObject | None, new: JsonObject, node: str, cause: int | None) -> None:
        known = self._cluster.home_of(uid) == node
        if known and old is not None and not _differs(old, new):
            return
        self._queue.remove(uid)
        self._nominated.pop(uid, None)
        had = self._needs.get(uid)
        if had is not None and old is not None and old["spec"] is new["spec"] and labels_of(old) == labels_of(new):
            needs = had.of(new)
        else:
            needs = self._parser.needs(new)
        self._needs[uid] = needs
        self._cluster.put_pod(needs, node)
        if not known:
            self._wake_pods(lambda entry: assigned_pod_helps(entry, needs), cause)
        elif had is not None and had.labels != needs.labels:
            self._wake_pods(lambda entry: relabelled_pod_helps(entry, had, needs), cause)

    def _on_pending(
        self, uid: str, old: JsonObject | None, new: JsonObject, spec: JsonObject, cause: int | None
    ) -> None:
        if self._cluster.home_of(uid) is not None:
            return  # assumed: its binding is on its way
        gated = bool(spec.get("schedulingGates"))
        entry = self._queue.get(uid)
        if entry is None:
            if is_being_deleted(new):
                return
            entry = self._queue.add(new, self._parser.needs(new), gated=gated)
            entry.cause = cause
            entry.nominated = (new.get("status") or {}).get("nominatedNodeName") or ""
            if gated and condition_of(new, "PodScheduled") is None:
                report = self._write_condition(new, "SchedulingGated", _GATED_MESSAGE)
                self._runtime.spawn(f"{self.name}/report", report)
        else:
            entry.pod = new
            if old is None or not _differs(old, new):
                return
            entry.needs = self._parser.needs(new)
            entry.cause = cause
            if entry.place is Place.GATED and not gated:
                self._queue.activate(entry)
            elif entry.place is Place.UNSCHEDULABLE:
                self._queue.retry(entry, self._runtime.monotonic_ns())
            elif entry.place is Place.IN_FLIGHT:
                self._queue.note(entry, lambda same: True, cause)
        self._wake.set(None)

    def _on_claim(self, namespace: str, name: str, cause: int | None) -> None:
        self._wake_pods(lambda entry: changed_claim_helps(entry, namespace, name), cause)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        cluster, name = self._cluster, name_of(new)
        if type_ is WatchType.DELETED:
            cluster.remove_node(name)
            self._wake_pods(lost_node_helps, cause)
            return
        state = cluster.node(name)
        if state is None:
            cluster.put_node(new)
            added = cluster.node(name)
            assert added is not None
            self._wake_pods(lambda entry: new_node_helps(entry, added), cause)
            return
        before = NodeFacts.of(state)
        cluster.put_node(new)
        if NodeFacts.of(state) != before:
            self._wake_pods(lambda entry: changed_node_helps(entry, before, state), cause)

    def _wake_pods(self, helps: Callable[[QueuedPod], bool], cause: int | None) -> None:
        if self._queue.wake(helps, self._runtime.monotonic_ns(), cause):
            self._wake.set(None)


def _is_terminal(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") in _TERMINAL


def _is_of_status(old: JsonObject, new: JsonObject) -> bool:
    """As most changes are: the spec was not even touched."""
    return old.get("spec") is new.get("spec") and not _differs(old, new)


def _differs(old: JsonObject, new: JsonObject) -> bool:
    """Whether anything the scheduler looks at may have changed. The generation spares the comparison of specs."""
    before, now = old["metadata"], new["metadata"]
    if before.get("labels") != now.get("labels") or before.get("deletionTimestamp") != now.get("deletionTimestamp"):
        return True
    generation = now.get("generation")
    if generation is not None and before.get("generation") == generation:
        return False
    return bool(old.get("spec") != new.get("spec"))


def _says_otherwise(pod: JsonObject, message: str) -> bool:
    condition = condition_of(pod, "PodScheduled")
    return (
        condition is None
        or condition.get("status") != "False"
        or condition.get("reason") != "Unschedulable"
        or condition.get("message") != message
    )
