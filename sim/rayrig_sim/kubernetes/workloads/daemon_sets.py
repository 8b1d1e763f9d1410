"""The DaemonSet controller: a pod on each node that its template fits, replaced node by node when the template changes.

With `maxSurge` the new pod is started beside the old one, which goes when the new one is available. Not modelled: the pause before
a failed pod is removed again. Source: Kubernetes, "DaemonSet" (how daemon pods are scheduled, taints and tolerations, rolling
update).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rayrig_core.errors import NotFound
from rayrig_core.objects import (
    JsonObject,
    annotations_of,
    copy_json,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from rayrig_core.ports import EventRecorder, KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import DAEMON_SET, NODE, POD
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.scheduling.needs import PodNeeds, pod_needs
from rayrig_sim.kubernetes.selectors import label_selector
from rayrig_sim.kubernetes.taints import NO_EXECUTE, NO_SCHEDULE, taints_of, tolerated
from rayrig_sim.kubernetes.workloads.controller_revisions import bring_revisions, forget_revisions, hash_of
from rayrig_sim.kubernetes.workloads.int_or_percent import amount_of
from rayrig_sim.kubernetes.workloads.pod_owners import PodOwners
from rayrig_sim.kubernetes.workloads.pod_templates import available_in_s, is_ready, phase_of, pod_of

REVISION_LABEL = "controller-revision-hash"
_GENERATION_LABEL = "pod-template-generation"
_GENERATION = "deprecated.daemonset.template.generation"
#: What pods of a DaemonSet stand besides what they say themselves: (key, effect).
_TOLERATED = (
    ("node.kubernetes.io/not-ready", NO_EXECUTE),
    ("node.kubernetes.io/unreachable", NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/unschedulable", NO_SCHEDULE),
)


@dataclass(slots=True)
class _Place:
    """A node: whether a pod is to be made there, whether one may stay, and the pods that are there or meant for it."""

    node: str
    runs: bool
    keeps: bool
    pods: list[JsonObject]


class DaemonSetController:
    """Works in the handlers of its caches; there is an actor for a DaemonSet while there is something to do for it."""

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
        self._sets = ControlledObjects(caches, DAEMON_SET)
        self._pods = pods
        self._revisions = revisions
        self._nodes = caches.of(NODE)
        self._known: dict[Key, None] = {}
        self._work = KeyedWork(runtime, caches, "daemonset-controller", self._sync)
        self._owners = PodOwners(caches, DAEMON_SET, self._work.touch)
        caches.of(DAEMON_SET).on_change(self._on_set)
        self._nodes.on_change(self._on_node)

    def _on_set(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED:
            self._known.pop(key_of(new), None)
        else:
            self._known[key_of(new)] = None
            self._work.touch(key_of(new), cause)

    def _on_node(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if old is not None and type_ is WatchType.MODIFIED and _shown(old) == _shown(new):
            return
        for key in self._known:
            self._work.touch(key, cause)

    async def _sync(self, key: Key) -> None:
        owner = self._sets.get(key)
        if owner is None:
            return
        selector = label_selector(owner["spec"].get("selector"))
        await self._revisions.claim(self._client, owner, DAEMON_SET, selector)
        revisions = await bring_revisions(self._client, self._revisions, owner, DAEMON_SET, REVISION_LABEL)
        hash_ = hash_of(revisions.update, REVISION_LABEL)
        if not is_being_deleted(owner):
            pods = await self._pods.claim(self._client, owner, DAEMON_SET, selector)
            await self._place(owner, self._places(owner, pods), hash_)
            if (owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate":
                await self._roll(owner, self._places(owner, self._pods.of(owner["metadata"]["uid"])), hash_)
        pods = self._pods.of(owner["metadata"]["uid"])
        live = {name_of(each) for each in revisions.known if _is_used(each, pods)} | {name_of(revisions.update)}
        await forget_revisions(self._client, self._revisions, owner, revisions.known, live)
        await self._report(owner, self._places(owner, pods), hash_)

    def _places(self, owner: JsonObject, pods: Sequence[JsonObject]) -> list[_Place]:
        """The nodes there are, and those that are gone and still have pods."""
        by_node: dict[str, list[JsonObject]] = {}
        for pod in pods:
            by_node.setdefault(_node_of(pod), []).append(pod)
        trial = self._new_pod(owner, "")
        trial["metadata"]["name"] = ""
        needs = pod_needs(trial)
        places = []
        for node in self._nodes:
            found = sorted(by_node.pop(name_of(node), []), key=_age)
            places.append(_Place(name_of(node), *_fit(needs, trial, node), found))
        places += [_Place(node, False, False, found) for node, found in by_node.items()]
        return places

    async def _place(self, owner: JsonObject, places: Sequence[_Place], hash_: str) -> None:
        for place in places:
            present = [pod for pod in place.pods if not is_being_deleted(pod)]
            if not place.keeps:
                for pod in present:
                    await self._delete(owner, pod)
                continue
            over = [pod for pod in present if phase_of(pod) in ("Failed", "Succeeded")]
            for pod in over:
                who = f"daemon pod {namespace_of(pod)}/{name_of(pod)} on node {place.node}"
                if phase_of(pod) == "Failed":
                    note = f"Found failed {who}, will try to kill it"
                    self._recorder.event(owner, "Warning", "FailedDaemonPod", note)
                else:
                    note = f"Found succeeded {who}, will try to delete it"
                    self._recorder.event(owner, "Normal", "SucceededDaemonPod", note)
                await self._delete(owner, pod)
            running = [pod for pod in present if pod not in over]
            excess = self._beyond_two(owner, running, hash_) if _most_surging(owner, 1) else running[1:]
            for pod in excess:
                await self._delete(owner, pod)
            if place.runs and not place.pods:
                await self._create(owner, place.node, hash_)

    def _beyond_two(self, owner: JsonObject, running: Sequence[JsonObject], hash_: str) -> list[JsonObject]:
        """Of a node's pods those that are to go where an old and a new one may be side by side."""
        if len(running) < 2:
            return []
        new = [pod for pod in running if labels_of(pod).get(REVISION_LABEL) == hash_]
        old = [pod for pod in running if pod not in new]
        excess = [*new[1:], *old[1:]]
        if new and old and (not is_ready(old[0]) or self._is_available(owner, new[0])):
            excess.append(old[0])
        return excess

    async def _surge(self, owner: JsonObject, places: Sequence[_Place], hash_: str, most: int) -> None:
        """New pods are made beside old ones: at once where the old one is not available, elsewhere `most` at a time."""
        surging = 0
        at_once: list[_Place] = []
        candidates: list[_Place] = []
        leaving: list[JsonObject] = []
        for place in places:
            present = [pod for pod in place.pods if not is_being_deleted(pod)]
            new = next((pod for pod in present if labels_of(pod).get(REVISION_LABEL) == hash_), None)
            old = next((pod for pod in present if labels_of(pod).get(REVISION_LABEL) != hash_), None)
            if old is None:
                continue
            if new is None:
                if not place.runs:
                    leaving.append(old)
                elif self._is_available(owner, old):
                    candidates.append(place)
                else:
                    at_once.append(place)
            elif self._is_available(owner, new):
                leaving.append(old)
            else:
                surging += 1
        for pod in leaving:
            await self._delete(owner, pod)
        for place in [*at_once, *candidates[: max(0, most - surging)]]:
            await self._create(owner, place.node, hash_)

    async def _roll(self, owner: JsonObject, places: Sequence[_Place], hash_: str) -> None:
        """Old pods that are not available go at once, the others as far as enough stay available."""
        wanted = [place for place in places if place.runs]
        surge = _most_surging(owner, len(wanted))
        if surge:
            await self._surge(owner, places, hash_, surge)
            return
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        most = amount_of(rolling.get("maxUnavailable", 1), len(wanted), round_up=True)
        unavailable = 0
        at_once: list[JsonObject] = []
        candidates: list[JsonObject] = []
        for place in wanted:
            present = [pod for pod in place.pods if not is_being_deleted(pod)]
            new = next((pod for pod in present if labels_of(pod).get(REVISION_LABEL) == hash_), None)
            if new is not None or not present:
                unavailable += new is None or not self._is_available(owner, new)
            elif self._is_available(owner, present[0]):
                candidates.append(present[0])
            else:
                unavailable += 1
                at_once.append(present[0])
        for pod in [*at_once, *candidates[: max(0, most - unavailable)]]:
            await self._delete(owner, pod)

    def _is_available(self, owner: JsonObject, pod: JsonObject) -> bool:
        wait = available_in_s(pod, owner["spec"].get("minReadySeconds") or 0, self._runtime.unix_ns())
        if wait:
            self._work.touch_after(key_of(owner), wait)
        return wait == 0

    def _new_pod(self, owner: JsonObject, hash_: str) -> JsonObject:
        pod = pod_of(owner, DAEMON_SET, copy_json(owner["spec"]["template"]))
        spec = pod["spec"]
        pod["metadata"]["generateName"] = f"{name_of(owner)}-"
        generation = annotations_of(owner).get(_GENERATION, "")
        labels = {**(pod["metadata"].get("labels") or {}), _GENERATION_LABEL: generation, REVISION_LABEL: hash_}
        pod["metadata"]["labels"] = labels
        tolerations = list(spec.get("tolerations") or ())
        wanted = [*_TOLERATED]
        if spec.get("hostNetwork"):
            wanted.append(("node.kubernetes.io/network-unavailable", NO_SCHEDULE))
        for key, effect in wanted:
            toleration = {"key": key, "operator": "Exists", "effect": effect}
            if toleration not in tolerations:
                tolerations.append(toleration)
        spec["tolerations"] = tolerations
        return pod

    async def _create(self, owner: JsonObject, node: str, hash_: str) -> None:
        pod = self._new_pod(owner, hash_)
        _bind_by_affinity(pod["spec"], node)
        made = await self._client.create(POD, pod, namespace_of(owner))
        self._pods.wrote(made)
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(made)}")

    async def _delete(self, owner: JsonObject, pod: JsonObject) -> None:
        try:
            answer = await self._client.delete(POD, name_of(pod), namespace_of(pod))
        except NotFound:
            self._pods.removed(pod)
            return
        if answer.get("kind") == "Status":
            self._pods.removed(pod)
        else:
            self._pods.wrote(answer)
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    async def _report(self, owner: JsonObject, places: Sequence[_Place], hash_: str) -> None:
        counts = dict.fromkeys(("current", "misscheduled", "desired", "ready", "available", "updated"), 0)
        for place in places:
            if not place.runs:
                counts["misscheduled"] += bool(place.pods)
                continue
            counts["desired"] += 1
            if place.pods:
                pod = place.pods[0]
                counts["current"] += 1
                counts["ready"] += is_ready(pod)
                counts["available"] += self._is_available(owner, pod)
                counts["updated"] += labels_of(pod).get(REVISION_LABEL) == hash_
        before = owner.get("status") or {}
        status: JsonObject = {
            "currentNumberScheduled": counts["current"],
            "numberMisscheduled": counts["misscheduled"],
            "desiredNumberScheduled": counts["desired"],
            "numberReady": counts["ready"],
            "observedGeneration": owner["metadata"].get("generation", 0),
        }
        for field, count in (
            ("updatedNumberScheduled", counts["updated"]),
            ("numberAvailable", counts["available"]),
            ("numberUnavailable", counts["desired"] - counts["available"]),
        ):
            if count:
                status[field] = count
        for field in ("collisionCount", "conditions"):
            if field in before:
                status[field] = before[field]
        if status != before:
            body = {**owner, "status": status}
            self._sets.wrote(await self._client.update(DAEMON_SET, body, subresource="status"))


def _most_surging(owner: JsonObject, nodes: int) -> int:
    """On how many of so many nodes a new pod may be beside an available old one; 0: new ones come when old ones have gone."""
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    return amount_of((strategy.get("rollingUpdate") or {}).get("maxSurge", 0), nodes, round_up=True)


def _fit(needs: PodNeeds, pod: JsonObject, node: JsonObject) -> tuple[bool, bool]:
    """Whether a pod is to be made there, and whether one may stay."""
    wanted = pod["spec"].get("nodeName")
    if wanted and wanted != name_of(node):
        return False, False
    labels = labels_of(node)
    if not all(requirement.matches(labels) for requirement in needs.node_selector):
        return False, False
    terms = needs.required_terms
    if terms is not None and not any(term.matches(name_of(node), labels) for term in terms):
        return False, False
    taints = [taint for taint in taints_of(node) if not tolerated(taint, needs.tolerations)]
    effects = [taint.effect for taint in taints if taint.effect in (NO_SCHEDULE, NO_EXECUTE)]
    return not effects, NO_EXECUTE not in effects


def _bind_by_affinity(spec: JsonObject, node: str) -> None:
    """The scheduler is to bind it, and to that node only."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = (
        spec.setdefault("affinity", {})
        .setdefault("nodeAffinity", {})
        .setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    )
    terms = required.get("nodeSelectorTerms") or [{}]
    required["nodeSelectorTerms"] = [{**term, "matchFields": [field]} for term in terms]


def _node_of(pod: JsonObject) -> str:
    """Where it is, or where it is meant to go."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def _is_used(revision: JsonObject, pods: Sequence[JsonObject]) -> bool:
    hash_ = hash_of(revision, REVISION_LABEL)
    return any(labels_of(pod).get(REVISION_LABEL) == hash_ for pod in pods)


def _age(pod: JsonObject) -> tuple[int, str]:
    return parse_rfc3339(pod["metadata"]["creationTimestamp"]), name_of(pod)


def _shown(node: JsonObject) -> tuple[object, ...]:
    spec = node.get("spec") or {}
    return labels_of(node), spec.get("taints"), spec.get("unschedulable")
