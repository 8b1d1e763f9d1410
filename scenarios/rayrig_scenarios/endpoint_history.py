"""Endpoints of a Kubernetes Service now, and how many of them were ready over time."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_backends.world import World
from rayrig_core.objects import labels_of
from rayrig_core.resource_types import ENDPOINT_SLICE
from rayrig_core.trace import Kind, Trace

_SERVICE_NAME = "kubernetes.io/service-name"
#: What the nodes' rules follow later is not the slices.
_IN_EFFECT = "in effect"


@dataclass(frozen=True, slots=True)
class ReadyOverTime:
    """From the first ready endpoint on. `unavailable_ns` is the time in which there was none."""

    fewest: int = 0
    most: int = 0
    unavailable_ns: int = 0


def ready_over_time(trace: Trace, service: str, namespace: str, *, since_seq: int, now_ns: int) -> ReadyOverTime:
    """Of a Service, from a place in the trace on, or from its first ready endpoint if that came later."""
    since_ns = trace[since_seq].t_ns if since_seq < len(trace) else now_ns
    counts: list[tuple[int, int]] = []
    for event in trace.select(Kind.ENDPOINTS, subject=f"services/{namespace}/{service}"):
        ready = int(event["ready"] or 0)
        if event["detail"] != _IN_EFFECT and (counts or ready):
            counts.append((max(event.t_ns, since_ns), ready))
    if not counts:
        return ReadyOverTime()
    ends = [t_ns for t_ns, _ in counts[1:]] + [now_ns]
    # What was over when the time began does not count; what there is at its beginning does.
    lasting = [
        (ready, end - t_ns) for (t_ns, ready), end in zip(counts, ends, strict=True) if end > since_ns or end == now_ns
    ]
    numbers = [ready for ready, _ in lasting]
    return ReadyOverTime(min(numbers), max(numbers), sum(ns for ready, ns in lasting if not ready))


def endpoint_counts(world: World, service: str, namespace: str) -> dict[str, int]:
    """How many endpoints its EndpointSlices list, and how many of them are ready, serving and terminating."""
    counts = dict.fromkeys(("total", "ready", "serving", "terminating"), 0)
    for slice_ in world.objects(ENDPOINT_SLICE, namespace):
        if labels_of(slice_).get(_SERVICE_NAME) != service:
            continue
        for endpoint in slice_.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            ready = conditions.get("ready") is not False
            counts["total"] += 1
            counts["ready"] += ready
            counts["serving"] += bool(conditions.get("serving", ready))
            counts["terminating"] += conditions.get("terminating") is True
    return counts
