"""Completion indexes of a Job: as text and numbers, and what becomes of those whose pods fail under a limit for each index.

Under such a limit an index has failures of its own: its pods carry how many there were before them (annotations), a failed pod is
kept, uncounted, until its replacement exists, so that the number is not lost, and waits for the replacement are the index's own.
Source: Kubernetes, "Job" (backoff limit per index).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rayrig_core.objects import JsonObject, annotations_of, is_being_deleted, labels_of

INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 10, 600

#: What the failure policy does about a failed pod: `Count`, `Ignore`, `FailIndex` or `FailJob`.
ActionOn = Callable[[JsonObject], str]


def index_of(pod: JsonObject) -> int:
    index = labels_of(pod).get(INDEX_LABEL) or ""
    return int(index) if index.isdecimal() else 0


def indexes(ranges: str) -> list[int]:
    """`0,1,3-5` as numbers."""
    found: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def ranges(numbers: Sequence[int]) -> str:
    """`0,1,3-5`: three and more in a row are a range."""
    groups: list[list[int]] = []
    for index in numbers:
        if groups and groups[-1][-1] == index - 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    return ",".join(f"{group[0]}-{group[-1]}" if len(group) > 2 else ",".join(map(str, group)) for group in groups)


def has_limit_per_index(spec: JsonObject) -> bool:
    return spec.get("completionMode") == "Indexed" and spec.get("backoffLimitPerIndex") is not None


def has_failed(pod: JsonObject, spec: JsonObject) -> bool:
    """Also that of a pod on its way out, which may never come to say so, unless replacements wait for the end."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Failed":
        return True
    return phase != "Succeeded" and is_being_deleted(pod) and spec.get("podReplacementPolicy") != "Failed"


def failures_before(pod: JsonObject) -> tuple[int, int]:
    """(counted, ignored) failures of its index before this pod."""
    annotations = annotations_of(pod)
    return int(annotations.get(FAILURES) or 0), int(annotations.get(IGNORED_FAILURES) or 0)


def failures_with(pod: JsonObject, action_on: ActionOn) -> tuple[int, int]:
    """(counted, ignored) failures of its index once this pod, which has failed, is among them."""
    counted, ignored = failures_before(pod)
    return (counted, ignored + 1) if action_on(pod) == "Ignore" else (counted + 1, ignored)


def failure_annotations(failures: tuple[int, int]) -> dict[str, str]:
    """Of a pod that replaces another."""
    counted, ignored = failures
    return {FAILURES: str(counted), **({IGNORED_FAILURES: str(ignored)} if ignored else {})}


def failed_indexes(spec: JsonObject, status: JsonObject, pods: Sequence[JsonObject], action_on: ActionOn) -> list[int]:
    """Those that get no further pod."""
    found = set(indexes(status.get("failedIndexes") or ""))
    for pod in pods:
        if index_of(pod) < spec.get("completions", 1) and has_failed(pod, spec):
            action = action_on(pod)
            is_last = action != "Ignore" and failures_before(pod)[0] >= spec["backoffLimitPerIndex"]
            if action == "FailIndex" or is_last:
                found.add(index_of(pod))
    return sorted(found)


def awaiting_replacement(
    spec: JsonObject, pods: Sequence[JsonObject], settled: Sequence[int], active: Sequence[JsonObject]
) -> dict[int, JsonObject]:
    """The last failed pod of each index that has no active pod and is neither done nor given up (`settled`)."""
    taken = {*settled, *(index_of(pod) for pod in active)}
    found: dict[int, JsonObject] = {}
    for pod in pods:
        index = index_of(pod)
        if index in taken or index >= spec.get("completions", 1) or not has_failed(pod, spec):
            continue
        last = found.get(index)
        if last is None or sum(failures_before(last)) <= sum(failures_before(pod)):
            found[index] = pod
    return found


def pause_s(pod: JsonObject) -> int:
    """Seconds from the end of a failed pod to its replacement: 10, doubled with each failure of its index."""
    return min(_FIRST_BACKOFF_S << min(sum(failures_before(pod)), 10), _LAST_BACKOFF_S)
