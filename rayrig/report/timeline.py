"""What happened when, and why: the events of a run that a person would tell, each with the nearest cause worth telling.

A table of tellers, one for each kind of event; what a teller returns None for stays in the trace and out of the story.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rayrig_core.trace import Kind, Trace, TraceEvent

#: Kubernetes Events that repeat what another row says better, or say nothing about the service.
_SILENT_REASONS = frozenset(
    {"Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing", "FailedScheduling", "SuccessfulCreate"}
)
_DELETED_KINDS = ("rayservices", "rayclusters", "pods", "services")
_FAILED_STATES = ("UNHEALTHY", "DEPLOY_FAILED")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the story. `why` is empty when the cause is a step or the passing of time."""

    t_ns: int
    subject: str
    what: str
    why: str
    seq: int


def timeline(trace: Trace) -> list[Row]:
    """The story of a run, in order. The same thing said again of the same subject is left out."""
    rows: list[Row] = []
    last_said: dict[tuple[str, Kind], str] = {}
    failures: dict[tuple[str, str], int] = {}
    for event in trace:
        what = _tell(event)
        if what is None:
            continue
        if event.kind is Kind.REQUEST:
            # The first of its kind; how many there were is the business of the table of fates.
            key = (str(event["fate"]), str(event["detail"]))
            failures[key] = failures.get(key, 0) + 1
            if failures[key] > 1:
                continue
        elif event.kind in (Kind.PROBE, Kind.UNSCHEDULABLE, Kind.APPLICATION, Kind.DEPLOYMENT, Kind.ENDPOINTS):
            told = (event.subject, event.kind)
            if last_said.get(told) == what:
                continue
            last_said[told] = what
        rows.append(Row(event.t_ns, short(event.subject), what, _why(trace, event), event.seq))
    return rows


def short(subject: str) -> str:
    """`pods/default/x` as `pods/x`: nearly everything is in one namespace."""
    return subject.replace("/default/", "/", 1)


def _why(trace: Trace, event: TraceEvent) -> str:
    for cause in trace.causes_of(event.seq):
        if cause.kind is Kind.STEP:
            return f"step: {cause['detail']}"
        told = _tell(cause)
        if told is not None and not (cause.subject == event.subject and told == _tell(event)):
            return f"{short(cause.subject)} {told}"
    return ""


def _tell(event: TraceEvent) -> str | None:
    teller = _TELLERS.get(event.kind)
    return teller(event) if teller is not None else None


def _step(event: TraceEvent) -> str | None:
    return f"step: {event['detail']}" if event["state"] == "started" else None


def _write(event: TraceEvent) -> str | None:
    if event["verb"] == "delete" and str(event["resource"]).split(".")[0] in _DELETED_KINDS:
        if event.actor.startswith("kubelet/"):
            # A kubelet confirms the end of a pod whose deletion somebody else asked for.
            return None if event["detail"] else "gone"
        return f"deletion asked for by {event.actor}" if event.actor else "deletion asked for"
    return None


def _event(event: TraceEvent) -> str | None:
    if event["reason"] in _SILENT_REASONS or event["count"] != 1:
        return None
    return f"{event['reason']}: {event['message']}"


def _container(event: TraceEvent) -> str | None:
    if event["state"] == "terminated" and event["exit_code"] not in (0, None):
        return f"container {event['container']} ended with {event['exit_code']} ({event['reason']})"
    return None


def _probe(event: TraceEvent) -> str | None:
    message = f": {event['message']}" if event["message"] else ""
    return f"{event['probe']} probe {event['result']}{message}"


def _deployment(event: TraceEvent) -> str | None:
    if event["status"] in _FAILED_STATES:
        return f"deployment {event['status']}: {_first_line(event['message'])}"
    return None


def _application(event: TraceEvent) -> str | None:
    message = _first_line(event["message"])
    return f"application {event['status']}" + (f": {message}" if message else "")


def _first_line(text: object) -> str:
    lines = str(text or "").splitlines()
    return lines[0] if lines else ""


def _request(event: TraceEvent) -> str | None:
    if event["fate"] == "ok":
        return None
    detail = f": {event['detail']}" if event["detail"] else ""
    return f"first request lost ({event['fate']}){detail}"


_TELLERS: dict[Kind, Callable[[TraceEvent], str | None]] = {
    Kind.STEP: _step,
    Kind.API_WRITE: _write,
    Kind.EVENT: _event,
    Kind.UNSCHEDULABLE: lambda event: f"fits nowhere: {event['message']}",
    Kind.CONTAINER: _container,
    Kind.PROBE: _probe,
    Kind.NODE: lambda event: f"{event['state']} {event['reason']}".strip(),
    Kind.ENDPOINTS: lambda event: f"{event['ready']} ready endpoints",
    Kind.RAY: lambda event: f"{event['component']} {event['state']} {event['detail']}".strip(),
    Kind.APPLICATION: _application,
    Kind.DEPLOYMENT: _deployment,
    Kind.PROXY: lambda event: f"proxy {event['state']} {event['detail']}".strip(),
    Kind.AUTOSCALE: lambda event: f"autoscaled from {event['from']} to {event['to']} replicas",
    Kind.REQUEST: _request,
    Kind.FAULT: lambda event: f"fault: {event['kind']} {event['detail']}".strip(),
    Kind.NOTE: lambda event: str(event["detail"]),
}
