"""What a ReplicaSet has of pods, counted as they change, and which of them go first when it has too many.

A look at a workload then costs the same for ten pods and ten thousand. Pods to go are taken in this order: without a node; pending,
unknown, then running; unready; cheap to delete (annotation); with many of their kind on their node; ready for a shorter time; with
many restarts; young. Times are compared by powers of two only, and ties broken by uid.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TypeAlias

from rayrig_core.objects import JsonObject, annotations_of, condition_of, controller_of, key_of, uid_of
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects, same_owners
from rayrig_sim.kubernetes.object_cache import Key
from rayrig_sim.kubernetes.pod_states import PodState, PodStates
from rayrig_sim.kubernetes.selectors import LabelSelector, label_selector

_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

#: Node or none, phase, readiness, cost, pods of the kind on its node, time of readiness, restarts, age, uid: the least goes first.
_Rank: TypeAlias = tuple[bool, int, bool, int, int, int, int, int, str]


class _Facts:
    """A pod as it is counted."""

    __slots__ = ("is_active", "is_labelled", "is_stranger", "is_terminating", "pod", "state")

    def __init__(self, pod: JsonObject, state: PodState) -> None:
        self.pod = pod
        self.state = state
        self.is_active = not state.is_over and not state.is_deleting
        self.is_terminating = state.is_deleting and not state.is_over
        self.is_labelled = self.is_stranger = False


class PodTally:
    """The pods of one ReplicaSet. `strangers` are pods of its own that its selector does not find."""

    __slots__ = (
        "_by_node",
        "_crowded",
        "_heap",
        "_kin",
        "_number",
        "_pods",
        "_risen",
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
        #: Pods by rank, and by node, once pods were to go. No rank is higher than that of the pod; entries that are too low, or of
        #: former revisions, stay in it until they come up.
        self._heap: list[tuple[_Rank, int, _Facts]] | None = None
        self._by_node: dict[str, dict[Key, None]] = {}
        #: Pods, and nodes whose pods, may go earlier than the heap has it.
        self._risen: dict[Key, None] = {}
        self._crowded: dict[str, None] = {}
        #: Of the newest entry, so that facts are never compared.
        self._number = 0

    def is_of(self, owner: JsonObject) -> bool:
        """Whether it still counts what the ReplicaSet asks for."""
        spec = owner["spec"]
        return self.selector_spec == spec.get("selector") and self.template_labels == _template_labels(owner)

    def pods(self) -> list[JsonObject]:
        """Those that are neither over nor on their way out, in the order in which they came."""
        return [facts.pod for facts in self._pods.values() if facts.is_active]

    # Changes

    def put(self, key: Key, pod: JsonObject, state: PodState) -> None:
        before = self._pods.get(key)
        if before is not None and before.state == state:
            before.pod = pod
            if self._heap is not None and before.is_active:
                self._risen[key] = None
            return
        facts = _Facts(pod, state)
        if before is not None and before.state.labels == state.labels:
            facts.is_labelled, facts.is_stranger = before.is_labelled, before.is_stranger
        else:
            facts.is_labelled = self._wanted <= state.labels.items()
            facts.is_stranger = not self._selector.matches(state.labels)
        if facts.is_stranger:
            facts.is_active = facts.is_terminating = False
        if before is not None:
            self._count(before, -1)
        self._count(facts, 1)
        self._pods[key] = facts
        was = before.state.node if before is not None and before.is_active else None
        now = state.node if facts.is_active else None
        if was != now:
            self._moved(key, was, now)
        if self._heap is not None and now is not None:
            self._risen[key] = None

    def drop(self, key: Key) -> None:
        before = self._pods.pop(key, None)
        if before is not None:
            self._count(before, -1)
            if before.is_active:
                self._moved(key, before.state.node, None)
            if not self._pods:
                self._heap = None
                self._by_node.clear()

    def _count(self, facts: _Facts, by: int) -> None:
        if facts.is_active:
            self.active += by
            self.ready += by * facts.state.is_ready
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
            self._crowded[node] = None

    # Who goes

    def victims(self, count: int, now_ns: int) -> list[JsonObject]:
        """`count` of the active pods."""
        if count >= self.active:
            return self.pods()
        heap = self._heap
        if heap is None or len(heap) > 64 + 4 * len(self._pods):
            heap = self._begin(now_ns)
        else:
            self._raise(now_ns)
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
                self._push(ranked, facts)
                continue
            chosen[uid] = None
            found.append(facts)
            ranks.append(ranked)
        for each, at in zip(found, ranks, strict=True):
            # Until it is seen that it went.
            self._push(at, each)
        return [facts.pod for facts in found]

    def _begin(self, now_ns: int) -> list[tuple[_Rank, int, _Facts]]:
        self._by_node = {}
        self._risen.clear()
        self._crowded.clear()
        heap = []
        for number, (key, facts) in enumerate(self._pods.items()):
            if facts.is_active:
                self._by_node.setdefault(facts.state.node, {})[key] = None
                heap.append((self._rank(facts, now_ns), number, facts))
        heapify(heap)
        self._heap = heap
        self._number = len(self._pods)
        return heap

    def _raise(self, now_ns: int) -> None:
        """Enter the pods anew that may have risen since the last look."""
        for node in self._crowded:
            self._risen.update(self._by_node.get(node, {}))
        for key in self._risen:
            facts = self._pods.get(key)
            if facts is not None and facts.is_active:
                self._push(self._rank(facts, now_ns), facts)
        self._risen.clear()
        self._crowded.clear()

    def _push(self, rank: _Rank, facts: _Facts) -> None:
        assert self._heap is not None
        self._number += 1
        heappush(self._heap, (rank, self._number, facts))

    def _rank(self, facts: _Facts, now_ns: int) -> _Rank:
        pod, node, is_ready = facts.pod, facts.state.node, facts.state.is_ready
        status = pod.get("status") or {}
        kin = sum(each.active_on.get(node, 0) for each in self._kin)
        age = _power(now_ns - parse_rfc3339(pod["metadata"]["creationTimestamp"]))
        since = _power(now_ns - _ready_since(pod)) if is_ready else -1
        restarts = max((each.get("restartCount") or 0 for each in status.get("containerStatuses") or ()), default=0)
        phase = _PHASES.get(status.get("phase") or "Pending", 0)
        return bool(node), phase, is_ready, _cost(pod), -kin, since, -restarts, age, uid_of(pod)


class PodTallies:
    """The tallies of all ReplicaSets that were asked for, kept as their pods change."""

    def __init__(self, pods: ControlledObjects, sets: ControlledObjects, states: PodStates) -> None:
        self._pods = pods
        self._states = states
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
            found.put(key_of(pod), pod, self._states.of(pod))
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

    def _on_pod(self, key: Key, before: JsonObject | None, now: JsonObject | None) -> None:
        had = controller_of(before) if before is not None else None
        has = had if before is not None and now is not None and same_owners(before, now) else None
        if has is None and now is not None:
            has = controller_of(now)
        if before is not None and had is not None and (has is None or has["uid"] != had["uid"]):
            tally = self._tallies.get(had["uid"])
            if tally is not None:
                tally.drop(key)
        if now is not None and has is not None:
            tally = self._tallies.get(has["uid"])
            if tally is not None:
                tally.put(key, now, self._states.of(now))

    def _on_set(self, key: Key, before: JsonObject | None, now: JsonObject | None) -> None:
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
