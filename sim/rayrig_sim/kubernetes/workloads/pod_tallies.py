"""What a ReplicaSet has of pods, counted as they change, and which of them go first when it has too many.

A look at a workload then costs the same for ten pods and ten thousand. Pods to go are taken in this order: without a node; pending,
unknown, then running; unready; cheap to delete (annotation); with many of their kind on their node; ready for a shorter time; with
many restarts; young. Times are compared by powers of two only, and ties broken by uid.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TypeAlias

from rayrig_core.objects import JsonObject, annotations_of, condition_of, controller_of, key_of, labels_of, uid_of
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects, same_owners
from rayrig_sim.kubernetes.object_cache import Key
from rayrig_sim.kubernetes.selectors import LabelSelector, label_selector

_COST = "controller.kubernetes.io/pod-deletion-cost"
_OVER = ("Succeeded", "Failed")
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

#: Node or none, phase, readiness, cost, pods of the kind on its node, time of readiness, restarts, age, uid: the least goes first.
_Rank: TypeAlias = tuple[bool, int, bool, int, int, int, int, int, str]


class _Facts:
    """What is looked at of one revision of a pod."""

    __slots__ = ("is_active", "is_labelled", "is_ready", "is_stranger", "is_terminating", "node", "pod")

    def __init__(self, pod: JsonObject) -> None:
        self.pod = pod
        status = pod.get("status") or {}
        is_over = status.get("phase") in _OVER
        is_deleting = "deletionTimestamp" in pod["metadata"]
        self.is_active = not is_over and not is_deleting
        self.is_terminating = is_deleting and not is_over
        self.is_ready = False
        for condition in status.get("conditions") or ():
            if condition["type"] == "Ready":
                self.is_ready = condition["status"] == "True"
                break
        self.node: str = (pod.get("spec") or {}).get("nodeName") or ""
        self.is_labelled = self.is_stranger = False

    def tell_the_same(self, before: _Facts) -> bool:
        """Whether nothing that is counted has changed since then."""
        return (
            before.is_active is self.is_active
            and before.is_ready is self.is_ready
            and before.is_terminating is self.is_terminating
            and not before.is_stranger
            and before.node == self.node
            and before.pod["metadata"].get("labels") is self.pod["metadata"].get("labels")
        )


class PodTally:
    """The pods of one ReplicaSet. `strangers` are pods of its own that its selector does not find."""

    __slots__ = (
        "_by_node",
        "_heap",
        "_kin",
        "_pods",
        "_selector",
        "_wanted",
        "active",
        "active_on",
        "labelled",
        "ready",
        "selector_spec",
        "strangers",
        "template_labels",
        "terminating",
    )

    def __init__(self, owner: JsonObject, kin: list[PodTally]) -> None:
        self._kin = kin
        self.selector_spec: JsonObject | None = owner["spec"].get("selector")
        self.template_labels: JsonObject = _template_labels(owner)
        self._selector: LabelSelector = label_selector(self.selector_spec)
        self._wanted = self.template_labels.items()
        self._pods: dict[Key, _Facts] = {}
        self.active = self.terminating = self.ready = self.labelled = self.strangers = 0
        #: Active pods on each node.
        self.active_on: dict[str, int] = {}
        #: Pods by rank, and by node, once pods were to go. Entries of former revisions stay in it until they come up.
        self._heap: list[tuple[_Rank, int, _Facts]] | None = None
        self._by_node: dict[str, dict[Key, None]] = {}

    def is_of(self, owner: JsonObject) -> bool:
        """Whether it still counts what the ReplicaSet asks for."""
        spec = owner["spec"]
        return self.selector_spec == spec.get("selector") and self.template_labels == _template_labels(owner)

    def pods(self) -> list[JsonObject]:
        """Those that are neither over nor on their way out, in the order in which they came."""
        return [facts.pod for facts in self._pods.values() if facts.is_active]

    # Changes

    def put(self, key: Key, pod: JsonObject) -> None:
        facts, before = _Facts(pod), self._pods.get(key)
        if before is not None and self._heap is None and facts.tell_the_same(before):
            before.pod = pod
            return
        if before is not None and (
            before.pod["metadata"].get("labels") is (labels := pod["metadata"].get("labels"))
            or before.pod["metadata"].get("labels") == labels
        ):
            facts.is_labelled, facts.is_stranger = before.is_labelled, before.is_stranger
        else:
            facts.is_labelled = self._wanted <= labels_of(pod).items()
            facts.is_stranger = not self._selector.matches(labels_of(pod))
        if facts.is_stranger:
            facts.is_active = facts.is_terminating = False
        if before is not None:
            self._count(before, -1)
        self._count(facts, 1)
        self._pods[key] = facts
        was = before.node if before is not None and before.is_active else None
        now = facts.node if facts.is_active else None
        if was != now:
            self._moved(key, was, now)
        if self._heap is not None and now is not None:
            self._push(facts)

    def drop(self, key: Key) -> None:
        before = self._pods.pop(key, None)
        if before is not None:
            self._count(before, -1)
            if before.is_active:
                self._moved(key, before.node, None)
            if not self._pods:
                self._heap = None
                self._by_node.clear()

    def _count(self, facts: _Facts, by: int) -> None:
        if facts.is_active:
            self.active += by
            self.ready += by * facts.is_ready
            self.labelled += by * facts.is_labelled
        elif facts.is_terminating:
            self.terminating += by
        self.strangers += by * facts.is_stranger

    def _moved(self, key: Key, was: str | None, now: str | None) -> None:
        on = self.active_on
        if was is not None:
            left = on[was] - 1
            if left:
                on[was] = left
            else:
                del on[was]
            if self._heap is not None:
                del self._by_node[was][key]
        if now is not None:
            on[now] = on.get(now, 0) + 1
            if self._heap is not None:
                self._by_node.setdefault(now, {})[key] = None
            for each in self._kin:
                each.crowd(now)

    def crowd(self, node: str) -> None:
        """There is one more of the kind on that node: its pods go earlier."""
        if self._heap is not None:
            for key in self._by_node.get(node, ()):
                self._push(self._pods[key])

    # Who goes

    def victims(self, count: int, now_ns: int) -> list[JsonObject]:
        """`count` of the active pods."""
        if count >= self.active:
            return self.pods()
        heap = self._heap
        if heap is None or len(heap) > 64 + 4 * len(self._pods):
            heap = self._begin(now_ns)
        found: list[_Facts] = []
        ranks: list[_Rank] = []
        chosen: dict[str, None] = {}
        while len(found) < count:
            rank, _, facts = heappop(heap)
            uid = rank[8]
            if not facts.is_active or uid in chosen or self._pods.get(key_of(facts.pod)) is not facts:
                continue
            ranked = self._rank(facts, now_ns)
            if ranked > rank:
                # Time has passed, or its node is less crowded.
                heappush(heap, (ranked, len(heap), facts))
                continue
            chosen[uid] = None
            found.append(facts)
            ranks.append(ranked)
        for each, at in zip(found, ranks, strict=True):
            # Until it is seen that it went.
            heappush(heap, (at, len(heap), each))
        return [facts.pod for facts in found]

    def _begin(self, now_ns: int) -> list[tuple[_Rank, int, _Facts]]:
        self._by_node = {}
        heap = []
        for number, (key, facts) in enumerate(self._pods.items()):
            if facts.is_active:
                self._by_node.setdefault(facts.node, {})[key] = None
                heap.append((self._rank(facts, now_ns), number, facts))
        heapify(heap)
        self._heap = heap
        return heap

    def _push(self, facts: _Facts) -> None:
        """Ranked as if it were young: the least it can be."""
        heap = self._heap
        assert heap is not None
        heappush(heap, (self._rank(facts, None), len(heap), facts))

    def _rank(self, facts: _Facts, now_ns: int | None) -> _Rank:
        pod, node = facts.pod, facts.node
        status = pod.get("status") or {}
        kin = sum(each.active_on.get(node, 0) for each in self._kin)
        since = age = -1
        if now_ns is not None:
            age = _power(now_ns - parse_rfc3339(pod["metadata"]["creationTimestamp"]))
            if facts.is_ready:
                since = _power(now_ns - _ready_since(pod))
        restarts = max((each.get("restartCount") or 0 for each in status.get("containerStatuses") or ()), default=0)
        phase = _PHASES.get(status.get("phase") or "Pending", 0)
        return bool(node), phase, facts.is_ready, _cost(pod), -kin, since, -restarts, age, uid_of(pod)


class PodTallies:
    """The tallies of all ReplicaSets that were asked for, kept as their pods change."""

    def __init__(self, pods: ControlledObjects, sets: ControlledObjects) -> None:
        self._pods = pods
        self._sets = sets
        self._tallies: dict[str, PodTally] = {}
        #: Tallies of ReplicaSets with the same controller, by its uid.
        self._kin: dict[str, list[PodTally]] = {}
        pods.observe(self._on_pod)
        sets.observe(self._on_set)

    def of(self, owner: JsonObject) -> PodTally:
        """The tally of a ReplicaSet, made when it is first asked for."""
        uid = uid_of(owner)
        found = self._tallies.get(uid)
        if found is not None:
            if found.is_of(owner):
                return found
            self._forget(uid)
        above = controller_of(owner)
        kin = self._kin.setdefault(above["uid"], []) if above is not None else []
        found = self._tallies[uid] = PodTally(owner, kin)
        kin.append(found)
        for pod in self._pods.of(uid):
            found.put(key_of(pod), pod)
        return found

    def victims(self, owner: JsonObject, count: int, now_ns: int) -> list[JsonObject]:
        """`count` of its active pods."""
        above = controller_of(owner)
        for each in self._sets.of(above["uid"]) if above is not None else ():
            self.of(each)
        return self.of(owner).victims(count, now_ns)

    def _forget(self, uid: str) -> None:
        gone = self._tallies.pop(uid)
        for above, kin in self._kin.items():
            if gone in kin:
                kin.remove(gone)
                if not kin:
                    del self._kin[above]
                return

    def _on_pod(self, before: JsonObject | None, now: JsonObject | None) -> None:
        had = controller_of(before) if before is not None else None
        has = had if before is not None and now is not None and same_owners(before, now) else None
        if has is None and now is not None:
            has = controller_of(now)
        if before is not None and had is not None and (has is None or has["uid"] != had["uid"]):
            tally = self._tallies.get(had["uid"])
            if tally is not None:
                tally.drop(key_of(before))
        if now is not None and has is not None:
            tally = self._tallies.get(has["uid"])
            if tally is not None:
                tally.put(key_of(now), now)

    def _on_set(self, before: JsonObject | None, now: JsonObject | None) -> None:
        if now is None and before is not None and uid_of(before) in self._tallies:
            self._forget(uid_of(before))


def _template_labels(owner: JsonObject) -> JsonObject:
    return ((owner["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}


def _power(age_ns: int) -> int:
    return age_ns.bit_length() if age_ns > 0 else -1


def _cost(pod: JsonObject) -> int:
    try:
        return int(annotations_of(pod).get(_COST, "0"))
    except ValueError:
        return 0


def _ready_since(pod: JsonObject) -> int:
    return parse_rfc3339(
        (condition_of(pod, "Ready") or {}).get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    )
