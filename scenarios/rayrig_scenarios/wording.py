"""Events of a trace in words: what a subject is called, what happened to it, and how it is named as a cause.

Pure functions of single events. Which events are worth telling is the business of `rayrig.report.timeline`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rayrig_core.trace import Kind, TraceEvent

_DEFAULT_NAMESPACE = "default"

#: Names of kinds by the first part of a subject.
_NOUNS = {
    "pods": "pod",
    "nodes": "node",
    "services": "Service",
    "rayservices": "RayService",
    "rayclusters": "RayCluster",
    "traffic": "traffic",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
}


def subject_text(subjects: Sequence[str]) -> str:
    """One or several subjects of one kind: `pod a-head-x`, `pods a-worker-{x,y}`, `applications f, m in fruit-stand-ldpsv`."""
    nouns = dict.fromkeys(_noun(subject) for subject in subjects)
    if len(nouns) > 1:
        return ", ".join(_one(subject) for subject in subjects)
    if len(subjects) == 1:
        return _one(subjects[0])
    (noun,) = nouns
    plural = f"{noun}s" if noun else ""
    parts = subjects[0].split("/")
    if parts[0] == "serve" and len(parts) > 3:
        if noun == "Serve proxy":
            return f"Serve proxies on {_braced([subject.split('/')[4] for subject in subjects])}"
        return f"{plural} {', '.join(subject.rpartition('/')[2] for subject in subjects)} {_in(parts)}"
    return f"{plural} {_braced([_names(subject) for subject in subjects])}".strip()


def _noun(subject: str) -> str:
    parts = subject.split("/")
    if parts[0] != "serve":
        return _NOUNS.get(parts[0], "")
    if len(parts) == 4:
        return "application"
    if len(parts) == 5:
        return "Serve proxy" if parts[3] == "proxies" else "deployment"
    return "replica"


def _in(parts: list[str]) -> str:
    """Where in Serve a subject is: `of fruit_app in fruit-stand-ldpsv`."""
    cluster = f"in {_name(parts[1], parts[2])}"
    return cluster if len(parts) == 4 else f"of {'/'.join(parts[3:-1])} {cluster}"


def _one(subject: str) -> str:
    parts = subject.split("/")
    noun = _noun(subject)
    if noun == "Serve proxy":
        return f"Serve proxy on {parts[4]}"
    if parts[0] == "serve" and len(parts) > 3:
        return f"{noun} {parts[-1]} {_in(parts)}"
    if not noun:
        return subject.replace(f"/{_DEFAULT_NAMESPACE}/", "/", 1)
    return f"{noun} {_names(subject)}"


def _names(subject: str) -> str:
    parts = subject.split("/")
    if parts[0] in ("nodes", "traffic"):
        return "/".join(parts[1:2])
    return _name(*parts[1:3])


def _name(namespace: str, name: str = "") -> str:
    return name if namespace == _DEFAULT_NAMESPACE or not name else f"{namespace}/{name}".rstrip("/")


def _braced(names: list[str]) -> str:
    """`a-{x,y}` for names that differ only behind their last hyphen."""
    heads = {name.rpartition("-")[0]: None for name in names}
    if len(heads) == 1 and "" not in heads:
        (head,) = heads
        return f"{head}-{{{','.join(name.rpartition('-')[2] for name in names)}}}"
    return ", ".join(names)


def tell(event: TraceEvent) -> str | None:
    """What happened, without the subject; None for what nobody would tell."""
    teller = _TELLERS.get(event.kind)
    return teller(event) if teller is not None else None


def one_line(text: object, *, most: int = 240) -> str:
    """Text on one line, cut where it goes on and on."""
    words = " ".join(str(text or "").split()).replace(f" {_DEFAULT_NAMESPACE}/", " ")
    return words if len(words) <= most else f"{words[:most]} …"


def _event(event: TraceEvent) -> str:
    message = one_line(event["message"], most=180)
    return f"{event['reason']}: {message}" if event["type"] == "Warning" else message[:1].lower() + message[1:]


def _write(event: TraceEvent) -> str | None:
    if event["verb"] != "delete":
        return None
    if event["detail"] != "terminating":
        if event.subject.startswith("pods/"):
            return "gone"
        return f"deleted{_by(event.actor)}"
    return f"deletion asked for{_by(event.actor)}"


def _by(actor: str) -> str:
    who = actor.partition("/")[0]
    return "" if who in ("", "scenario", "test") else f" by the {who}" if who == "operator" else f" by {actor}"


def _container(event: TraceEvent) -> str | None:
    if event["state"] == "terminated" and event["exit_code"] not in (0, None):
        return f"container {event['container']} ended with {event['exit_code']} ({event['reason']})"
    if event["state"] == "waiting" and str(event["reason"]).startswith("CrashLoopBackOff"):
        return f"container {event['container']} waits: {event['reason']}"
    return None


def _probe(event: TraceEvent) -> str:
    if event["result"] == "success":
        return f"{event['probe']} probe succeeded"
    # The text is what the probe printed, and the wording of a probe that failed may well be "success".
    printed = one_line(event["message"])
    return f"{event['probe']} probe failed" + (f', it says "{printed}"' if printed else "")


def _endpoints(event: TraceEvent) -> str:
    count = event["ready"]
    return "no ready endpoint" if count == 0 else f"{count} ready endpoint{'' if count == 1 else 's'}"


def _ray(event: TraceEvent) -> str:
    component, state, detail = str(event["component"]), str(event["state"]), one_line(event["detail"])
    if component == "gcs":
        component = "GCS"
    if component == "node":
        pod, colon, more = detail.partition(":")
        return (
            f"Ray node {pod} joined" + (f" ({more.strip()})" if more else "")
            if state == "joined"
            else (f"Ray node {pod} {state}{colon}{more}")
        )
    if state in ("running", "recovered", "restarted"):
        return f"{component} {state}"
    return f"{component} {state}" + (f": {detail}" if detail else "")


_ABOUT_ITSELF = re.compile(r"^Deployment '[^']*' in application '[^']*' (has )?")


def _status(event: TraceEvent) -> str:
    """Status and message of an application or deployment: the first sentence, and the last line if there is a traceback."""
    lines = [line for line in str(event["message"] or "").splitlines() if line.strip()]
    if not lines:
        return str(event["status"])
    message = _ABOUT_ITSELF.sub("", one_line(lines[0])).partition(". ")[0].rstrip(".")
    if len(lines) > 1:
        message += f" … {one_line(lines[-1])}"
    return f"{event['status']}: {message}"


_AUTOSCALED = re.compile(r"(\d+) thousandths of a request on (\d+) replicas?")


def autoscale_reason(event: TraceEvent) -> str:
    """What made the autoscaler decide, in requests."""
    detail = str(event["detail"] or "")
    found = _AUTOSCALED.fullmatch(detail)
    if found is None:
        return detail
    return f"{int(found[1]) / 1000:g} requests on {found[2]} replica{'' if found[2] == '1' else 's'}"


def _request(event: TraceEvent) -> str | None:
    if event["fate"] == "ok":
        return None
    detail = f": {one_line(event['detail'])}" if event["detail"] else ""
    return f"request lost ({event['fate']}){detail}"


def _step(event: TraceEvent) -> str | None:
    if event["state"] == "started":
        return f"step: {event['detail']}"
    return f"step failed: {one_line(event['detail'])}" if event["state"] == "failed" else None


_TELLERS: dict[Kind, Callable[[TraceEvent], str | None]] = {
    Kind.STEP: _step,
    Kind.API_WRITE: _write,
    Kind.EVENT: _event,
    Kind.UNSCHEDULABLE: lambda event: f"fits nowhere: {one_line(event['message'])}",
    Kind.IMAGE: lambda event: f"image {event['image']} {event['state']}",
    Kind.CONTAINER: _container,
    Kind.PROBE: _probe,
    Kind.NODE: lambda event: f"{event['state']} {event['reason']}".strip(),
    Kind.ENDPOINTS: _endpoints,
    Kind.RAY: _ray,
    Kind.APPLICATION: _status,
    Kind.DEPLOYMENT: _status,
    Kind.PROXY: lambda event: f"{event['state']}" + (f": {event['detail']}" if event["detail"] else ""),
    Kind.AUTOSCALE: lambda event: f"autoscaled from {event['from']} to {event['to']} replicas",
    Kind.REQUEST: _request,
    Kind.FAULT: lambda event: f"fault: {event['kind']} {event['detail']}".strip(),
    Kind.NOTE: lambda event: one_line(event["detail"]),
}
