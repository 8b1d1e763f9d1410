"""What the trace says led to an event: faults, deaths, losses and deletions, down to the step of the scenario that began it."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, key_text
from rayrig_scenarios.wording import one_line, subject_text, tell

#: A fault and what it does to its target at once are of one moment; the kubelet sees an exit up to a second later.
_AT_ONCE_NS = 2 * NS
_MOST = 6
_BAD_NODE = ("lost", "unknown", "draining", "not ready")


def causes_of(evidence: Evidence, seq: int) -> list[Link]:
    """The causes worth naming of a trace event, nearest first. A step is named when a fault or a deletion led there."""
    trace = evidence.trace
    if trace is None:
        return []
    links: list[Link] = []
    origin = trace[seq]
    for event in trace.causes_of(seq):
        if event.kind is Kind.STEP:
            # A step without a name of its own says only which fault it is.
            if links and not str(event["detail"]).startswith("fault "):
                links.append(Link(f"the scenario took the step: {event['detail']}", event.t_ns, (), event.seq))
            break
        # Earlier states of the same thing are its history, not its cause.
        if _is_worth_naming(event) and (event.subject, event.kind) != (origin.subject, origin.kind):
            links.append(as_link(event))
        if len(links) == _MOST:
            break
    return links


def fault_before(evidence: Evidence, t_ns: int, *subjects: str) -> list[Link]:
    """The fault that struck one of these subjects at that moment, and the step it came from."""
    found = [
        event
        for subject in subjects
        for event in evidence.trace_events(subject, Kind.FAULT)
        if t_ns - _AT_ONCE_NS <= event.t_ns <= t_ns and not str(event["detail"]).endswith("over")
    ]
    return with_causes(evidence, max(found, key=lambda event: event.seq)) if found else []


def lasting_fault(evidence: Evidence, *kinds: str, subjects: tuple[str, ...], after: int = -1) -> list[Link]:
    """A fault of these kinds that lasts on one of the subjects; `after` is the trace event that began what it struck."""
    lasting: dict[tuple[str, str], TraceEvent] = {}
    for subject in subjects:
        for event in evidence.trace_events(subject, Kind.FAULT):
            if event["kind"] in kinds and event.seq > after:
                if event["detail"] == "over":
                    lasting.pop((subject, str(event["kind"])), None)
                else:
                    lasting[subject, str(event["kind"])] = event
    return with_causes(evidence, max(lasting.values(), key=lambda event: event.seq)) if lasting else []


def with_causes(evidence: Evidence, event: TraceEvent) -> list[Link]:
    """The event and what led to it."""
    return [as_link(event), *causes_of(evidence, event.seq)]


def as_link(event: TraceEvent) -> Link:
    return Link(_told(event), event.t_ns, (), event.seq)


def subjects_of(pod: JsonObject) -> tuple[str, ...]:
    """Subjects whose faults strike a pod: itself and its node."""
    node = pod["spec"].get("nodeName")
    return (f"pods/{key_text(pod)}", *((f"nodes/{node}",) if node else ()))


def _is_worth_naming(event: TraceEvent) -> bool:
    match event.kind:
        case Kind.FAULT:
            return True
        case Kind.CONTAINER:
            return event["state"] == "terminated" and event["exit_code"] not in (0, None)
        case Kind.RAY:
            return event["state"] in ("gone", "died", "scales")
        case Kind.NODE:
            return event["state"] in _BAD_NODE
        case Kind.API_WRITE:
            return event["verb"] == "delete" and event.subject.partition("/")[0] in (
                "rayclusters",
                "rayservices",
                "nodes",
            )
        case Kind.NOTE:
            return " is no longer used" in str(event["detail"])
        case _:
            return False


def _told(event: TraceEvent) -> str:
    if event.kind is Kind.FAULT:
        detail = one_line(event["detail"])
        return f"fault {event['kind']} struck {subject_text((event.subject,))}" + (f": {detail}" if detail else "")
    if event.kind is Kind.NODE:
        reason = f" ({event['reason']})" if event["reason"] else ""
        return f"{subject_text((event.subject,))} is {event['state']}{reason}"
    return f"{subject_text((event.subject,))}: {tell(event) or event['detail']}"
