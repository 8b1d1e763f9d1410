"""Which pods of a ReplicaSet go first when it has too many. Pure.

In this order: without a node; pending, unknown, then running; unready; cheap to delete (annotation); with many of their kind on
their node; ready for a shorter time; with many restarts; young. Times are compared by powers of two only, and ties broken by uid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key

from rayrig_core.objects import JsonObject, annotations_of, condition_of, uid_of
from rayrig_core.timestamps import parse_rfc3339
from rayrig_sim.kubernetes.workloads.pod_templates import is_active, is_ready, phase_of

_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def choose_victims(
    pods: Sequence[JsonObject], related: Sequence[JsonObject], count: int, now_ns: int
) -> list[JsonObject]:
    """`count` of `pods`; `related` are all pods of the same kind, those of sibling ReplicaSets among them."""
    if count >= len(pods):
        return list(pods)
    on_node: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = _node(pod)
            on_node[node] = on_node.get(node, 0) + 1

    def compare(left: JsonObject, right: JsonObject) -> int:
        return _compare(left, right, on_node, now_ns)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def _compare(left: JsonObject, right: JsonObject, on_node: dict[str, int], now_ns: int) -> int:
    """Negative when `left` goes first."""
    for one, other in (
        (bool(_node(left)), bool(_node(right))),
        (_PHASES.get(phase_of(left), 0), _PHASES.get(phase_of(right), 0)),
        (is_ready(left), is_ready(right)),
        (_cost(left), _cost(right)),
        (-on_node.get(_node(left), 0), -on_node.get(_node(right), 0)),
    ):
        if one != other:
            return -1 if one < other else 1
    if is_ready(left):
        since = _ready_since(left), _ready_since(right)
        if since[0] != since[1]:
            return _by_age(left, right, since[0], since[1], now_ns)
    restarts = _restarts(left), _restarts(right)
    if restarts[0] != restarts[1]:
        return -1 if restarts[0] > restarts[1] else 1
    made = _created(left), _created(right)
    if made[0] != made[1]:
        return _by_age(left, right, made[0], made[1], now_ns)
    return 0


def _by_age(left: JsonObject, right: JsonObject, since: int, other_since: int, now_ns: int) -> int:
    ages = _power(now_ns - since), _power(now_ns - other_since)
    if ages[0] == ages[1]:
        return -1 if uid_of(left) < uid_of(right) else 1
    return ages[0] - ages[1]


def _power(age_ns: int) -> int:
    return age_ns.bit_length() if age_ns > 0 else -1


def _node(pod: JsonObject) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""


def _cost(pod: JsonObject) -> int:
    try:
        return int(annotations_of(pod).get(_COST, "0"))
    except ValueError:
        return 0


def _ready_since(pod: JsonObject) -> int:
    return parse_rfc3339(
        (condition_of(pod, "Ready") or {}).get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    )


def _created(pod: JsonObject) -> int:
    return parse_rfc3339(pod["metadata"]["creationTimestamp"])


def _restarts(pod: JsonObject) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((each.get("restartCount") or 0 for each in statuses), default=0)
