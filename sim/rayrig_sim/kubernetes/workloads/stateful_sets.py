"""The StatefulSet controller: pods with stable names and claims, made and removed one after the other, updated from the last.

Not modelled: adding labels of identity that somebody removed, and several pods unavailable at once in an update.
Source: Kubernetes, "StatefulSets" (deployment and scaling guarantees, update strategies).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    copy_json,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime
from rayrig_core.resource_types import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.selectors import label_selector
from rayrig_sim.kubernetes.workloads.controller_revisions import Revisions, bring_revisions, forget_revisions
from rayrig_sim.kubernetes.workloads.pod_owners import PodOwners
from rayrig_sim.kubernetes.workloads.pod_templates import available_in_s, is_ready, phase_of, pod_of

REVISION_LABEL = "controller-revision-hash"
_HASH_LABEL = "controller.kubernetes.io/hash"
_NAME_LABEL, _INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)$")


@dataclass(slots=True)
class _Round:
    """One look at a set: its pods by place, those without one (highest first), and the status that comes of it."""

    owner: JsonObject
    revisions: Revisions
    current: str
    status: JsonObject
    wanted: list[int]
    places: dict[int, JsonObject] = field(default_factory=dict)
    condemned: list[JsonObject] = field(default_factory=list)

    @property
    def update(self) -> str:
        return name_of(self.revisions.update)

    @property
    def is_ordered(self) -> bool:
        return bool(self.owner["spec"].get("podManagementPolicy") != "Parallel")

    @property
    def partition(self) -> int:
        strategy = self.owner["spec"].get("updateStrategy") or {}
        return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)

    @property
    def rolls(self) -> bool:
        strategy = self.owner["spec"].get("updateStrategy") or {}
        return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")

    def count(self, field_name: str, by: int) -> None:
        self.status[field_name] = self.status.get(field_name, 0) + by


class StatefulSetController:
    """Works in the handlers of its caches; there is an actor for a StatefulSet while there is something to do for it."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        caches: ObjectCaches,
        pods: ControlledObjects,
        revisions: ControlledObjects,
        recorder: EventRecorder,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._recorder = recorder
        self._sets = ControlledObjects(caches, STATEFUL_SET)
        self._pods = pods
        self._revisions = revisions
        self._claims = ControlledObjects(caches, PERSISTENT_VOLUME_CLAIM)
        self._work = KeyedWork(runtime, caches, "statefulset-controller", self._sync)
        self._owners = PodOwners(caches, STATEFUL_SET, self._work.touch)
        self._work.follow(caches.of(STATEFUL_SET))

    async def _sync(self, key: Key) -> None:
        owner = self._sets.get(key)
        if owner is None:
            return
        selector = label_selector(owner["spec"].get("selector"))
        await self._revisions.claim(self._client, owner, STATEFUL_SET, selector)
        pods = await self._pods.claim(
            self._client, owner, STATEFUL_SET, selector, lambda pod: _place_of(pod, name_of(owner)) is not None
        )
        revisions = await bring_revisions(self._client, self._revisions, owner, STATEFUL_SET, _HASH_LABEL)
        work = self._begin(owner, revisions, pods)
        try:
            if not is_being_deleted(owner):
                await self._act(work)
        finally:
            await self._report(work)
        live = {work.current, work.update, *(labels_of(pod).get(REVISION_LABEL, "") for pod in pods)}
        await forget_revisions(self._client, self._revisions, owner, revisions.known, live)

    def _begin(self, owner: JsonObject, revisions: Revisions, pods: Sequence[JsonObject]) -> _Round:
        spec, before = owner["spec"], owner.get("status") or {}
        names = [name_of(each) for each in revisions.known]
        current = before.get("currentRevision")
        if current not in names:
            current = name_of(revisions.update)
        status: JsonObject = {"observedGeneration": owner["metadata"].get("generation", 0), "replicas": 0}
        status |= {"currentRevision": current, "updateRevision": name_of(revisions.update)}
        status |= {"collisionCount": revisions.collisions, "availableReplicas": 0}
        if before.get("conditions"):
            status["conditions"] = before["conditions"]
        start = int((spec.get("ordinals") or {}).get("start") or 0)
        wanted = list(range(start, start + spec.get("replicas", 1)))
        work = _Round(owner, revisions, current, status, wanted)
        now_ns, min_ready_s = self._runtime.unix_ns(), spec.get("minReadySeconds") or 0
        for pod in pods:
            work.count("replicas", 1)
            if _runs(pod) and is_ready(pod):
                work.count("readyReplicas", 1)
                wait = available_in_s(pod, min_ready_s, now_ns)
                if wait == 0:
                    work.count("availableReplicas", 1)
                elif wait:
                    self._work.touch_after(key_of(owner), wait)
            if not is_being_deleted(pod):
                self._count_revision(work, pod, 1)
            place = _place_of(pod, name_of(owner))
            if place in wanted and place is not None:
                work.places[place] = pod
            else:
                work.condemned.append(pod)
        work.condemned.sort(key=lambda pod: _place_of(pod, name_of(owner)) or 0, reverse=True)
        return work

    def _count_revision(self, work: _Round, pod: JsonObject, by: int) -> None:
        revision = labels_of(pod).get(REVISION_LABEL)
        if revision == work.current:
            work.count("currentReplicas", by)
        if revision == work.update:
            work.count("updatedReplicas", by)

    # What is to be done, one thing after the other where the set is ordered

    async def _act(self, work: _Round) -> None:
        for place in work.wanted:
            if not await self._settle(work, place):
                return
        unhealthy = self._first_unhealthy(work)
        for pod in work.condemned:
            if is_being_deleted(pod):
                if work.is_ordered:
                    return
                continue
            if work.is_ordered and not self._is_available(work, pod) and pod is not unhealthy:
                return
            await self._delete(work, pod)
            if work.is_ordered:
                return
        if not work.rolls:
            return
        for place in reversed(work.wanted):
            if place < work.partition:
                return
            pod = work.places[place]
            if labels_of(pod).get(REVISION_LABEL) != work.update and not is_being_deleted(pod):
                await self._delete(work, pod)
                return
            if is_being_deleted(pod) or not self._is_available(work, pod):
                return

    async def _settle(self, work: _Round, place: int) -> bool:
        """Whether the next place may be looked at."""
        pod = work.places.get(place)
        if pod is not None and phase_of(pod) in ("Failed", "Succeeded"):
            failed = phase_of(pod) == "Failed"
            who = f"StatefulSet {namespace_of(pod)}/{name_of(work.owner)}"
            if failed:
                note = f"{who} is recreating failed Pod {name_of(pod)}"
                self._recorder.event(work.owner, "Warning", "RecreatingFailedPod", note)
            else:
                note = f"{who} is recreating terminated Pod {name_of(pod)}"
                self._recorder.event(work.owner, "Normal", "RecreatingTerminatedPod", note)
            if not is_being_deleted(pod):
                await self._delete(work, pod)
            return False
        if pod is None:
            await self._create(work, place)
            return not work.is_ordered
        if not work.is_ordered:
            return True
        return not is_being_deleted(pod) and self._is_available(work, pod)

    def _first_unhealthy(self, work: _Round) -> JsonObject | None:
        for pod in [*(work.places[place] for place in work.wanted if place in work.places), *reversed(work.condemned)]:
            if is_being_deleted(pod) or not self._is_available(work, pod):
                return pod
        return None

    def _is_available(self, work: _Round, pod: JsonObject) -> bool:
        min_ready_s = work.owner["spec"].get("minReadySeconds") or 0
        return _runs(pod) and available_in_s(pod, min_ready_s, self._runtime.unix_ns()) == 0

    async def _create(self, work: _Round, place: int) -> None:
        """The pod of a place, after its claims. Of the old revision below the partition."""
        owner = work.owner
        revision = work.revisions.update
        if work.rolls and work.current != work.update and place < work.wanted[0] + work.partition:
            revision = next(each for each in work.revisions.known if name_of(each) == work.current)
        pod = new_pod(owner, revision, place)
        name = name_of(pod)
        try:
            await self._create_claims(owner, pod, place)
            made = await self._client.create(POD, pod, namespace_of(owner))
        except ApiError as refused:
            note = f"create Pod {name} in StatefulSet {name_of(owner)} failed error: {refused.message}"
            self._recorder.event(owner, "Warning", "FailedCreate", note)
            raise
        self._pods.wrote(made)
        work.places[place] = made
        work.count("replicas", 1)
        self._count_revision(work, made, 1)
        note = f"Create Pod {name} in StatefulSet {name_of(owner)} successful"
        self._recorder.event(owner, "Normal", "SuccessfulCreate", note)

    async def _create_claims(self, owner: JsonObject, pod: JsonObject, place: int) -> None:
        namespace = namespace_of(owner)
        for template in owner["spec"].get("volumeClaimTemplates") or ():
            metadata = copy_json(template.get("metadata") or {})
            metadata["name"] = f"{metadata['name']}-{name_of(owner)}-{place}"
            if self._claims.get((namespace, metadata["name"])) is not None:
                continue
            matched = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
            metadata |= {"namespace": namespace, "labels": {**(metadata.get("labels") or {}), **matched}}
            body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
            body["spec"] = copy_json(template["spec"])
            self._claims.wrote(await self._client.create(PERSISTENT_VOLUME_CLAIM, body, namespace))
            note = f"Create Claim {metadata['name']} Pod {name_of(pod)} in StatefulSet {name_of(owner)} success"
            self._recorder.event(owner, "Normal", "SuccessfulCreate", note)

    async def _delete(self, work: _Round, pod: JsonObject) -> None:
        owner = work.owner
        try:
            answer = await self._client.delete(POD, name_of(pod), namespace_of(pod))
        except NotFound:
            self._pods.removed(pod)
            return
        if answer.get("kind") == "Status":
            self._pods.removed(pod)
        else:
            self._pods.wrote(answer)
        self._count_revision(work, pod, -1)
        note = f"Delete Pod {name_of(pod)} in StatefulSet {name_of(owner)} successful"
        self._recorder.event(owner, "Normal", "SuccessfulDelete", note)

    async def _report(self, work: _Round) -> None:
        status, spec = work.status, work.owner["spec"]
        replicas = spec.get("replicas", 1)
        if work.rolls and all(
            status.get(each, 0) == replicas for each in ("updatedReplicas", "readyReplicas", "replicas")
        ):
            status["currentReplicas"] = status.get("updatedReplicas", 0)
            status["currentRevision"] = status["updateRevision"]
        for counter in ("readyReplicas", "currentReplicas", "updatedReplicas"):
            if not status.get(counter):
                status.pop(counter, None)
        if status != (work.owner.get("status") or {}):
            body = {**work.owner, "status": status}
            self._sets.wrote(await self._client.update(STATEFUL_SET, body, subresource="status"))


def new_pod(owner: JsonObject, revision: JsonObject, place: int) -> JsonObject:
    """The pod of a place, of the template that a revision keeps."""
    template = {name: value for name, value in revision["data"]["spec"]["template"].items() if name != "$patch"}
    pod = pod_of(owner, STATEFUL_SET, copy_json(template))
    name = f"{name_of(owner)}-{place}"
    metadata, spec = pod["metadata"], pod["spec"]
    identity = {_NAME_LABEL: name, _INDEX_LABEL: str(place), REVISION_LABEL: name_of(revision)}
    metadata |= {"name": name, "generateName": f"{name_of(owner)}-"}
    metadata["labels"] = {**(metadata.get("labels") or {}), **identity}
    spec["hostname"] = name
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    claims = {
        each["metadata"]["name"]: f"{each['metadata']['name']}-{name}"
        for each in owner["spec"].get("volumeClaimTemplates") or ()
    }
    if claims:
        kept = [each for each in spec.get("volumes") or () if each["name"] not in claims]
        spec["volumes"] = [
            *({"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()),
            *kept,
        ]
    return pod


def _place_of(pod: JsonObject, owner: str) -> int | None:
    """The number behind the set's name; None for a pod that is not of that set."""
    found = _NAME.fullmatch(name_of(pod))
    return int(found[2]) if found is not None and found[1] == owner else None


def _runs(pod: JsonObject) -> bool:
    return phase_of(pod) == "Running"
