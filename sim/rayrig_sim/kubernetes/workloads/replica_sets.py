"""The ReplicaSet controller: as many pods as asked for, adopted, released, made and removed; and its status.

Source: Kubernetes, "ReplicaSet" (acquisition of pods, scaling down, conditions).
"""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    Vouched,
    is_being_deleted,
    key_of,
    name_of,
    namespace_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime
from rayrig_core.resource_types import POD, REPLICA_SET
from rayrig_core.timestamps import rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.pod_states import PodStates
from rayrig_sim.kubernetes.selectors import label_selector
from rayrig_sim.kubernetes.workloads.pod_owners import PodOwners
from rayrig_sim.kubernetes.workloads.pod_tallies import PodTallies, PodTally
from rayrig_sim.kubernetes.workloads.pod_templates import available_in_s, pod_of

#: Pods made or removed at a time.
_BURST = 500


@dataclass(frozen=True, slots=True)
class _Counts:
    """A ReplicaSet's pods at one moment, and when the next of them will count as available."""

    active: int
    terminating: int
    labelled: int
    ready: int
    available: int
    next_available_s: float | None = None

    @classmethod
    def of(cls, tally: PodTally, min_ready_s: int, now_ns: int) -> _Counts:
        plain = tally.active, tally.terminating, tally.labelled, tally.ready
        if not min_ready_s:
            return cls(*plain, tally.ready)
        waits = [available_in_s(pod, min_ready_s, now_ns) for pod in tally.pods()]
        return cls(*plain, sum(wait == 0 for wait in waits), min((wait for wait in waits if wait), default=None))


class ReplicaSetController:
    """Works in the handlers of its caches; there is an actor for a ReplicaSet while there is something to do for it."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        sets: ControlledObjects,
        pods: ControlledObjects,
        recorder: EventRecorder,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._sets = sets
        self._pods = pods
        self._tallies = PodTallies(pods, sets, caches.shared(PodStates))
        self._work = KeyedWork(runtime, caches, "replicaset-controller", self._sync)
        self._owners = PodOwners(caches, REPLICA_SET, self._work.touch)
        self._work.follow(caches.of(REPLICA_SET))

    async def _sync(self, key: Key) -> None:
        found = self._sets.get(key)
        if found is None:
            return
        spec = found["spec"]
        tally = self._tallies.of(found)
        if tally.strangers or self._pods.has_orphans(key[0]):
            await self._pods.claim(self._client, found, REPLICA_SET, label_selector(spec.get("selector")))
        counts = _Counts.of(tally, spec.get("minReadySeconds") or 0, self._runtime.unix_ns())
        problem: tuple[str, ApiError] | None = None
        if not is_being_deleted(found):
            missing = spec.get("replicas", 1) - counts.active
            if missing > 0:
                problem = await self._create(found, min(missing, _BURST))
            elif missing < 0:
                problem = await self._delete(found, min(-missing, _BURST))
        # The status is of the pods as they were found, not of those just made: those tell of themselves.
        await self._report(found, counts, problem)
        if problem is not None:
            raise problem[1]

    async def _create(self, owner: JsonObject, count: int) -> tuple[str, ApiError] | None:
        """In batches of 1, 2, 4, …: when the API server refuses, it is not asked for all of them."""
        template = owner["spec"].get("template") or {}
        body = Vouched(pod_of(owner, REPLICA_SET, template))
        body["metadata"]["generateName"] = f"{name_of(owner)}-"
        left, batch = count, 1
        while left > 0:
            refusal: ApiError | None = None
            for _ in range(min(batch, left)):
                try:
                    pod = await self._client.create(POD, body, namespace_of(owner))
                except ApiError as refused:
                    if _is_of_terminating_namespace(refused):
                        return None
                    refusal = refused
                    self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {refused.message}")
                else:
                    self._pods.wrote(pod)
                    self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")
            if refusal is not None:
                return "FailedCreate", refusal
            left -= batch
            batch *= 2
        return None

    async def _delete(self, owner: JsonObject, count: int) -> tuple[str, ApiError] | None:
        refusal: ApiError | None = None
        for pod in self._tallies.victims(owner, count, self._runtime.unix_ns()):
            try:
                answer = await self._client.delete(POD, name_of(pod), namespace_of(pod))
            except NotFound:
                self._pods.removed(pod)
                continue
            except ApiError as refused:
                refusal = refused
                self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {refused.message}")
                continue
            if answer.get("kind") == "Status":
                self._pods.removed(pod)
            else:
                self._pods.wrote(answer)
            self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        return ("FailedDelete", refusal) if refusal is not None else None

    async def _report(self, found: JsonObject, counts: _Counts, problem: tuple[str, ApiError] | None) -> None:
        now_ns = self._runtime.unix_ns()
        status: JsonObject = {"replicas": counts.active}
        for field, count in (
            ("fullyLabeledReplicas", counts.labelled),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
        ):
            if count:
                status[field] = count
        status["terminatingReplicas"] = counts.terminating
        status["observedGeneration"] = found["metadata"].get("generation", 0)
        before = found.get("status") or {}
        conditions = list(before.get("conditions") or ())
        failed = next((each for each in conditions if each.get("type") == "ReplicaFailure"), None)
        if problem is not None and failed is None:
            conditions.append(
                {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "lastTransitionTime": rfc3339(now_ns),
                    "reason": problem[0],
                    "message": problem[1].message,
                }
            )
        elif problem is None and failed is not None:
            conditions.remove(failed)
        if conditions:
            status["conditions"] = conditions
        if status != before:
            written = await self._client.update(REPLICA_SET, Vouched(found, status=status), subresource="status")
            self._sets.wrote(written)
        if counts.next_available_s is not None:
            self._work.touch_after(key_of(found), counts.next_available_s)


def _is_of_terminating_namespace(refused: ApiError) -> bool:
    causes = (refused.status.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
