"""What happened when, and why: the events of a run that a person would tell, each with the nearest cause worth naming.

A fold over the trace. What is left out stays in the trace: bookkeeping, what another row says better, the same thing said
again, and the last convulsions of a Ray cluster whose deletion has been told. Rows of one instant that differ in their subject
only become one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from rayrig.report.serve_proxies import ServeProxies
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, Trace, TraceEvent
from rayrig_scenarios.wording import autoscale_reason, one_line, subject_text, tell


class Tone(Enum):
    """How a row is meant."""

    STEP = "step"
    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the story. `subjects` are those of the trace; a step has none. `why` is empty when nothing in particular led
    to it, or only the passing of time. `seq` is the (first) event's place in the trace."""

    t_ns: int
    subjects: tuple[str, ...]
    what: str
    why: str
    tone: Tone
    seq: int

    @property
    def subject(self) -> str:
        """The subjects in words."""
        return subject_text(self.subjects) if self.subjects else ""

    @property
    def text(self) -> str:
        """`pod a-head-x: readiness probe succeeded`."""
        return f"{self.subject}: {self.what}" if self.subjects else self.what


def timeline(trace: Trace) -> list[Row]:
    """The story of a run, in order."""
    story = _Story(trace)
    for seq, record in enumerate(trace.records()):
        # Most of a trace is answered requests and writes; events are made only of what may be told.
        label, data = record[2], record[4]
        if label not in _TOLD or (label == _REQUEST and data[1] == "ok"):
            continue
        if label == _WRITE and data[0] != "delete" and not record[1].startswith(_USERS):
            continue
        story.hear(trace[seq])
    return _merged(story.told())


#: Kubernetes Events that another row tells better, or that say nothing of the service.
_SILENT_REASONS = frozenset(
    {
        "Scheduled",
        "Pulling",
        "Pulled",
        "Created",
        "Started",
        "FailedScheduling",
        "Unhealthy",
        "DeletedRayCluster",
        "SuccessfulCreate",
        # Of nodes their own states are told.
        "Starting",
        "NodeHasSufficientMemory",
        "NodeHasNoDiskPressure",
        "NodeHasSufficientPID",
        "NodeAllocatableEnforced",
        "RegisteredNode",
        "NodeReady",
    }
)
_BAD_STATES = ("UNHEALTHY", "DEPLOY_FAILED")
#: Rows within this time of each other are told together.
_TOGETHER_NS = NS // 20
_SLOW_PULL_NS = NS
_WORTH_A_LAST_NS = NS


class _Story:
    """What has been said so far, and what must be remembered to say the rest."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._rows: list[Row] = []
        self._said: dict[tuple[str, ...], str] = {}
        self._clusters: dict[str, str] = {}
        self._doomed: dict[str, str] = {}
        self._retired: dict[str, str] = {}
        self._active = ""
        self._unlabelled = False
        self._asked: dict[str, str] = {}
        self._ready: dict[str, dict[str, bool]] = {}
        self._pulls: dict[tuple[str, str], int] = {}
        self._served: dict[str, bool] = {}
        self._lost: dict[tuple[str, str, str], tuple[int, Row, TraceEvent]] = {}
        self._proxies = ServeProxies()
        self._failing: dict[str, bool] = {}

    def hear(self, event: TraceEvent) -> None:
        _HEARERS[event.kind](self, event)

    def told(self) -> list[Row]:
        """All rows, with the ends of what was lost in between."""
        rows = list(self._rows)
        for count, first, last in self._lost.values():
            if count > 1 and last.t_ns - first.t_ns >= _WORTH_A_LAST_NS:
                subject, fate = _traffic(last.subject), last["fate"]
                rows.append(
                    Row(last.t_ns, (subject,), f"last of {count} requests lost ({fate})", "", Tone.BAD, last.seq)
                )
        return sorted(rows, key=lambda row: (row.t_ns, row.seq))

    # Saying

    def say(
        self,
        event: TraceEvent,
        what: str | None = None,
        *,
        why: str | None = None,
        tone: Tone = Tone.PLAIN,
        once: tuple[str, ...] = (),
    ) -> None:
        """Add a row. With `once`, only when the last thing said under that key was another."""
        text = tell(event) if what is None else what
        if text is None:
            return
        if once:
            key = (event.subject, event.kind.label, *once)
            if self._said.get(key) == text:
                return
            self._said[key] = text
        reason = self.why(event) if why is None else why
        self._rows.append(Row(event.t_ns, (event.subject,), text, reason, tone, event.seq))

    def forget(self, subject: str) -> None:
        """What was said of it holds no longer, so that it is said again."""
        for key in [key for key in self._said if key[0] == subject]:
            del self._said[key]

    def why(self, event: TraceEvent, *, only: Callable[[TraceEvent], bool] | None = None) -> str:
        """The nearest cause worth naming. Earlier states of the same thing are its history, not its cause."""
        for cause in self._trace.causes_of(event.seq):
            if cause.kind is Kind.STEP:
                return "" if only is not None else f"step: {cause['detail']}"
            if cause.subject == event.subject and cause.kind is event.kind and not _is_bad(cause):
                continue
            if only is not None and not only(cause):
                continue
            words = _as_cause(cause)
            if words:
                return words
        return ""

    def after_trouble(self, event: TraceEvent) -> str:
        """For what normally needs no reason: why it had to happen again."""
        return self.why(event, only=_is_bad)

    # Hearing, kind by kind

    def step(self, event: TraceEvent) -> None:
        what = tell(event)
        if what is not None:
            tone = Tone.STEP if event["state"] == "started" else Tone.BAD
            self._rows.append(Row(event.t_ns, (), what, "", tone, event.seq))

    def write(self, event: TraceEvent) -> None:
        resource = str(event["resource"]).partition(".")[0]
        if event["verb"] != "delete":
            if resource == "rayservices":
                self._asked[event.subject] = self.why(event)
            return
        asked_for = event["detail"] == "terminating"
        if resource in ("rayservices", "rayclusters"):
            if resource == "rayclusters":
                self._doomed[event.subject.partition("/")[2]] = event.subject
            why = self._retired.get(event.subject.rpartition("/")[2]) if resource == "rayclusters" else None
            self.say(event, why=why, once=("delete",))
        elif resource == "pods":
            by_machinery = event.actor.startswith(("kubelet/", "generic-garbage-collector", "operator/"))
            if asked_for and not by_machinery and not self._is_told_as_fault(event):
                self.say(event, once=("delete",))
            elif not asked_for:
                self.say(event, once=("gone",))
        elif resource == "services" and event.actor.startswith(_USERS):
            self.say(event)

    def _is_told_as_fault(self, event: TraceEvent) -> bool:
        causes = self._trace.causes_of(event.seq)
        return bool(causes) and causes[0].kind is Kind.FAULT and causes[0].subject == event.subject

    def kubernetes_event(self, event: TraceEvent) -> None:
        reason = str(event["reason"])
        if reason in _SILENT_REASONS or (reason == "Killing" and "failed" not in str(event["message"])):
            return
        tone = Tone.BAD if event["type"] == "Warning" else Tone.PLAIN
        why = None
        if reason == "UpdatedHeadPodServeLabel":
            # The operator asks the head's proxy at each tick; no event tells it to. The first answer is nothing to tell.
            healthy = '"true"' in str(event["message"])
            if healthy and not self._unlabelled:
                return
            self._unlabelled = not healthy
            why = "the Serve proxy on it answers" if healthy else "the Serve proxy on it does not answer"
        elif reason == "CreatedRayCluster":
            # Whatever woke the operator last, this is what it saw.
            why = self._asked.get(event.subject)
        self.say(event, tone=tone, why=why, once=(reason, str(event["message"])))

    def unschedulable(self, event: TraceEvent) -> None:
        self.say(event, tone=Tone.BAD, once=("fit",))

    def image(self, event: TraceEvent) -> None:
        key = (event.subject, str(event["image"]))
        if event["state"] == "pulling":
            self._pulls.setdefault(key, event.t_ns)
        elif event["state"] == "failed":
            self.say(event, f"image {event['image']} cannot be pulled", tone=Tone.BAD, once=("pull",))
        else:
            took = event.t_ns - self._pulls.pop(key, event.t_ns)
            if took >= _SLOW_PULL_NS:
                self.say(event, f"image {event['image']} pulled in {took / NS:.1f} s", why="", once=("pull",))

    def container(self, event: TraceEvent) -> None:
        if event["state"] == "terminated":
            self.forget(event.subject)
        if not self._is_doomed(event.subject):
            self.say(event, why=self.why(event, only=_is_trouble), tone=Tone.BAD)

    def probe(self, event: TraceEvent) -> None:
        if self._is_doomed(event.subject):
            return
        _, namespace, pod = event.subject.split("/", 2)
        is_readiness = event["probe"] == "readiness"
        why = ""
        if event["result"] == "success":
            if is_readiness and self._failing.pop(event.subject, False) and self._proxies.is_healthy(namespace, pod):
                why = "its Serve proxy is healthy now"
            why, tone = why or self.after_trouble(event), Tone.GOOD
        else:
            tone = Tone.BAD
            if is_readiness:
                self._failing[event.subject] = True
                why = self._proxies.why_unready(namespace, pod)
            why = why or self.why(event, only=_is_trouble)
        self.say(event, why=why, tone=tone, once=(str(event["container"]), str(event["probe"])))

    def node(self, event: TraceEvent) -> None:
        good = event["state"] in ("registered", "ready", "restored")
        self.say(event, why="" if good else None, tone=Tone.PLAIN if good else Tone.BAD, once=("state",))

    def endpoints(self, event: TraceEvent) -> None:
        # Nodes follow within a second; the head Services carry no requests of users.
        if event["detail"] == "in effect" or event.subject.endswith("-head-svc"):
            return
        pods = self._ready.setdefault(event.subject, {})
        for change in str(event["detail"] or "").split(", "):
            pod, _, state = change.rpartition(" ")
            pods[pod] = state == "ready"
        if event["ready"] == 0 and (event.subject, event.kind.label, "ready") not in self._said:
            return
        what = tell(event)
        namespace = event.subject.split("/")[1]
        of = dict.fromkeys(self._cluster_of(namespace, pod) for pod, ready in pods.items() if ready)
        if of and all(of):
            what = f"{what} in {' and '.join(of)}"
        self.say(event, what, tone=Tone.BAD if event["ready"] == 0 else Tone.PLAIN, once=("ready",))

    def _cluster_of(self, namespace: str, pod: str) -> str:
        for cluster, name in self._clusters.items():
            if f"{namespace}/{pod}".startswith(f"{cluster}-"):
                return name
        return ""

    def ray(self, event: TraceEvent) -> None:
        self._proxies.see(event)
        cluster = event.subject.partition("/")[2]
        self._clusters.setdefault(cluster, cluster.rpartition("/")[2])
        if event["component"] == "serve controller" and event["state"] == "died":
            # What it deploys when it is back is a first deployment again.
            self._served = {app: True for app in self._served if not app.startswith(f"serve/{cluster}/")}
        if self._is_doomed(event.subject):
            return
        good = event["state"] not in ("gone", "died")
        if good and event["component"] == "dashboard":
            return
        why = self.after_trouble(event) if good and event["component"] != "serve controller" else None
        self.say(event, why=why, tone=Tone.PLAIN if good else Tone.BAD)

    def application(self, event: TraceEvent) -> None:
        if self._is_doomed(event.subject):
            return
        status = str(event["status"])
        if status == "RUNNING":
            self._served[event.subject] = True
        tone = Tone.BAD if status in _BAD_STATES else Tone.GOOD if status == "RUNNING" else Tone.PLAIN
        self.say(event, tone=tone, once=("status",))

    def deployment(self, event: TraceEvent) -> None:
        status, application = str(event["status"]), event.subject.rpartition("/")[0]
        bad = status in _BAD_STATES
        # Of a first deployment the application tells; of scaling the autoscaler.
        if (
            self._is_doomed(event.subject)
            or status in ("UPSCALING", "DOWNSCALING")
            or not (bad or event["message"] or self._served.get(application))
        ):
            return
        why = "" if status == "HEALTHY" else None
        self.say(event, why=why, tone=Tone.BAD if bad else Tone.PLAIN, once=("status",))

    def proxy(self, event: TraceEvent) -> None:
        self._proxies.see(event)
        if self._is_doomed(event.subject) or event["state"] in ("STARTING", "DRAINED"):
            return
        good = event["state"] == "HEALTHY"
        why = self.after_trouble(event) if good else ""
        self.say(event, why=why, tone=Tone.PLAIN if good or event["detail"] == "drained" else Tone.BAD, once=("state",))

    def autoscale(self, event: TraceEvent) -> None:
        self.say(event, why=autoscale_reason(event))

    def request(self, event: TraceEvent) -> None:
        traffic = _traffic(event.subject)
        key = (traffic, str(event["fate"]), str(event["detail"]))
        count, first, _ = self._lost.get(key, (0, None, None))
        if first is None:
            first = Row(event.t_ns, (traffic,), f"first {tell(event)}", self.why(event), Tone.BAD, event.seq)
            self._rows.append(first)
        self._lost[key] = (count + 1, first, event)

    def fault(self, event: TraceEvent) -> None:
        # A fault of a scenario is told each time it strikes, one of many calls only once.
        of_scenario = str(event["kind"]).islower()
        over = str(event["detail"]).endswith("over")
        self.say(event, why="", tone=Tone.PLAIN if over else Tone.BAD, once=() if of_scenario else ("call",))

    def note(self, event: TraceEvent) -> None:
        detail, why = one_line(event["detail"]), None
        if " is active now" in detail:
            self._active = detail.partition(" instead of ")[0]
        elif " is no longer used" in detail:
            self._retired[detail.split()[1]] = detail
            why = self._active or None
        self.say(event, why=why, once=("note", detail))

    def _is_doomed(self, subject: str) -> bool:
        """Whether it belongs to a Ray cluster whose deletion has been told."""
        if not self._doomed:
            return False
        parts = subject.split("/")
        if parts[0] in ("serve", "rayclusters"):
            return "/".join(parts[1:3]) in self._doomed
        return any(subject.startswith(f"{parts[0]}/{cluster}-") for cluster in self._doomed)


_HEARERS: dict[Kind, Callable[[_Story, TraceEvent], None]] = {
    Kind.STEP: _Story.step,
    Kind.API_WRITE: _Story.write,
    Kind.EVENT: _Story.kubernetes_event,
    Kind.UNSCHEDULABLE: _Story.unschedulable,
    Kind.IMAGE: _Story.image,
    Kind.CONTAINER: _Story.container,
    Kind.PROBE: _Story.probe,
    Kind.NODE: _Story.node,
    Kind.ENDPOINTS: _Story.endpoints,
    Kind.RAY: _Story.ray,
    Kind.APPLICATION: _Story.application,
    Kind.DEPLOYMENT: _Story.deployment,
    Kind.PROXY: _Story.proxy,
    Kind.AUTOSCALE: _Story.autoscale,
    Kind.REQUEST: _Story.request,
    Kind.FAULT: _Story.fault,
    Kind.NOTE: _Story.note,
}
_TOLD = frozenset(kind.label for kind in _HEARERS)
_REQUEST = Kind.REQUEST.label
_WRITE = Kind.API_WRITE.label
#: Actors that write what a user asks for.
_USERS = ("scenario/", "test")


def _traffic(subject: str) -> str:
    """`traffic/shoppers` of `traffic/shoppers/POST /fruit/`."""
    return "/".join(subject.split("/")[:2])


# Causes


def _is_bad(event: TraceEvent) -> bool:
    """Trouble that explains why something had to begin again."""
    if event.kind is Kind.FAULT:
        return True
    if event.kind is Kind.CONTAINER:
        return event["state"] == "terminated" and event["exit_code"] not in (0, None)
    if event.kind is Kind.RAY:
        return event["state"] in ("gone", "died")
    return event.kind is Kind.NODE and event["state"] in ("lost", "unknown", "draining")


def _is_trouble(event: TraceEvent) -> bool:
    return _is_bad(event) or event.kind in (Kind.PROXY, Kind.PROBE)


def _as_cause(event: TraceEvent) -> str:
    """The event as a reason for another; empty when it explains nothing."""
    if event.kind is Kind.API_WRITE:
        return _write_as_cause(event)
    if event.kind in (Kind.EVENT, Kind.IMAGE, Kind.REQUEST, Kind.NOTE) or (
        event.kind is Kind.PROXY and event["state"] == "STARTING"
    ):
        return ""
    if event.kind is Kind.REPLICA:
        return one_line(event["detail"], most=120) if event["state"] == "STOPPING" else ""
    what = tell(event)
    return f"{subject_text((event.subject,))}: {what}" if what else ""


def _write_as_cause(event: TraceEvent) -> str:
    verb, detail = event["verb"], event["detail"]
    kind = event.subject.partition("/")[0]
    if kind not in ("rayclusters", "services", "rayservices") or detail in ("status", "scale"):
        return ""
    if event.actor.startswith(_USERS) and verb != "delete":
        # The step says it better.
        return ""
    done = {"create": "created", "delete": "deleted"}.get(str(verb), "changed")
    if kind == "rayservices" and done == "changed":
        return ""
    return f"{subject_text((event.subject,))} {done}"


# Rows of one instant


def _merged(rows: list[Row]) -> list[Row]:
    """Neighbours that say the same of several subjects of one kind become one row."""
    merged: list[Row] = []
    for row in rows:
        last = merged[-1] if merged else None
        if (
            last is not None
            and row.subjects
            and last.what == row.what
            and last.why == row.why
            and _family(last.subjects[0]) == _family(row.subjects[0])
            and row.t_ns - last.t_ns <= _TOGETHER_NS
        ):
            merged[-1] = replace(last, subjects=(*last.subjects, *row.subjects))
        else:
            merged.append(row)
    return merged


def _family(subject: str) -> tuple[str, ...]:
    """What two subjects must share to be told in one row: all but the last part, and so kind, cluster and application."""
    return tuple(subject.split("/")[:-1])
