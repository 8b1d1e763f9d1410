"""Why a container does not run: its image, what it waits for, how it ended and when it is started again."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, TraceEvent
from rayrig_scenarios.why.causes import causes_of, fault_before, subjects_of, with_causes
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, SeenEvent, key_text, time_of
from rayrig_scenarios.why.probing import told_runs
from rayrig_scenarios.why.scripts import (
    why_script_delays_image,
    why_script_ends_it,
    why_script_fails_probe,
    why_script_fails_sandbox,
)
from rayrig_scenarios.why.stages import IMAGE_REASONS, is_init_container, spec_of_container, status_of_container
from rayrig_scenarios.wording import one_line, subject_text
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind

_TOGETHER_NS = NS


def noun(pod: JsonObject, container: str) -> str:
    return f"{'init ' if is_init_container(pod, container) else ''}container {container}"


def why_image_is_missing(pod: JsonObject, container: str, evidence: Evidence, since_ns: int | None) -> list[Link]:
    status = status_of_container(pod, container)
    waiting = (status.get("state") or {}).get("waiting") or {}
    image = spec_of_container(pod, container).get("image") or status.get("image") or ""
    failed = [
        event for event in evidence.events(pod, "Failed") if "pull" in event.message and event.container == container
    ]
    details = [f"{waiting.get('reason')}: {one_line(waiting.get('message'))}"]
    first_ns = min((event.first_ns for event in failed), default=since_ns)
    told = [
        event
        for event in evidence.trace_events(f"pods/{key_text(pod)}", Kind.IMAGE)
        if event["image"] == image and event["state"] == "failed"
    ]
    if told:
        attempts = ", ".join(evidence.tell(event.t_ns) for event in told[-6:])
        details.append(f"pulls failed {_count(len(told))}: at {attempts}")
    elif failed:
        last = failed[-1]
        details.append(f"pulls failed {_count(last.times)}, last at {evidence.tell(last.last_ns)}")
    links = [Link(f"image {image} of {noun(pod, container)} cannot be pulled", first_ns, tuple(details))]
    faults = [
        event
        for event in evidence.trace_select(Kind.FAULT)
        if event["kind"] == "image-pull-failure"
        and event["detail"] != "over"
        and event.subject.partition("/")[2] in image
    ]
    if faults and told:
        links += with_causes(evidence, faults[-1])
    return links if links[1:] else [*links, *why_script_delays_image(pod, container, evidence)]


def why_not_started(pod: JsonObject, container: str, evidence: Evidence, since_ns: int | None) -> list[Link]:
    """It waits for its first start."""
    waiting = (status_of_container(pod, container).get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), one_line(waiting.get("message"))
    name = noun(pod, container)
    if reason in IMAGE_REASONS:
        return why_image_is_missing(pod, container, evidence, since_ns)
    if reason not in ("ContainerCreating", "PodInitializing", ""):
        refused = Link(f"{name} cannot be started: {reason}", since_ns, (message,) if message else ())
        return [refused, *why_script_ends_it(pod, container, evidence)]
    sandbox = evidence.events(pod, "FailedCreatePodSandBox", "FailedMount")
    if sandbox and not evidence.events(pod, "Pulling", "Pulled"):
        last = sandbox[-1]
        tries = (one_line(last.message), f"tried {_count(last.times)}, last at {evidence.tell(last.last_ns)}")
        failed = Link("the sandbox of the pod cannot be made", last.first_ns, tries)
        return [failed, *why_script_fails_sandbox(pod, evidence)]
    hooks = [e for e in evidence.events(pod, "Started") if e.container == container]
    if hooks and ((spec_of_container(pod, container).get("lifecycle") or {}).get("postStart")):
        return [Link(f"the postStart hook of {name} has not ended yet", hooks[-1].last_ns)]
    pulling = _pull_under_way(pod, container, evidence)
    if pulling is not None:
        return _why_pull_lasts(pod, container, _quoted(pulling.message), pulling.last_ns, evidence)
    return [Link(f"{name} is being created", since_ns)]


def _why_pull_lasts(pod: JsonObject, container: str, image: str, asked_ns: int, evidence: Evidence) -> list[Link]:
    """It is under way, or waits for its turn: a node pulls one image at a time."""
    name = noun(pod, container)
    under_way = Link(f"image {image} of {name} is being pulled", asked_ns)
    node = pod["spec"].get("nodeName")
    now_pulling: dict[str, TraceEvent] = {}
    for event in evidence.trace_select(Kind.IMAGE):
        if event.actor.startswith(f"kubelet/{node}/"):
            if event["state"] == "pulling":
                now_pulling[event.subject] = event
            else:
                now_pulling.pop(event.subject, None)
    if f"pods/{key_text(pod)}" in now_pulling or not now_pulling:
        return [under_way, *why_script_delays_image(pod, container, evidence)]
    first = min(now_pulling.values(), key=lambda event: event.seq)
    return [
        Link(
            f"image {image} of {name} waits for its turn to be pulled", asked_ns, ("a node pulls one image at a time",)
        ),
        Link(f"{node} pulls image {first['image']} for {subject_text((first.subject,))}", first.t_ns, (), first.seq),
    ]


def _pull_under_way(pod: JsonObject, container: str, evidence: Evidence) -> SeenEvent | None:
    asked = [event for event in evidence.events(pod, "Pulling") if event.container == container]
    done = [event for event in evidence.events(pod, "Pulled") if event.container == container]
    if asked and (not done or done[-1].last_ns < asked[-1].last_ns):
        return asked[-1]
    return None


def _quoted(message: str) -> str:
    return message.partition('"')[2].partition('"')[0]


def why_it_ended(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    """How the container ended last, what killed it, and when it is tried again."""
    status = status_of_container(pod, container)
    state = status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    name = noun(pod, container)
    code, reason = ended.get("exitCode"), ended.get("reason") or ""
    told = [
        event
        for event in evidence.trace_events(f"pods/{key_text(pod)}", Kind.CONTAINER)
        if event["container"] == container and event["state"] == "terminated"
    ]
    last = told[-1] if told else None
    finished_ns = time_of(ended.get("finishedAt"))
    ended_ns = last.t_ns if last is not None else None
    if ended_ns is None and finished_ns is not None:
        ended_ns = finished_ns - evidence.clock.origin_unix_ns
    details = []
    if ended.get("message"):
        details.append(f"its last words: {one_line(ended['message'])}")
    restarts = int(status.get("restartCount") or 0)
    if restarts or len(told) > 1:
        times = ", ".join(evidence.tell(event.t_ns) for event in told[-6:])
        details.append(
            f"it has been started anew {_count(restarts)}" + (f"; it ended at {times}" if len(told) > 1 else "")
        )
    details += _back_off(pod, container, state, evidence)
    how = f"code {code}" + (f" ({reason})" if reason and reason != "Error" else "")
    verdict = f"{name} ended with {how}"
    if reason == "OOMKilled":
        verdict = f"{name} was killed for want of memory (OOMKilled, code {code})"
        limit = ((spec_of_container(pod, container).get("resources") or {}).get("limits") or {}).get("memory")
        if limit:
            details.insert(0, f"its memory limit is {limit}")
    links = [Link(verdict, ended_ns, tuple(details), last.seq if last is not None else None)]
    if ended_ns is None:
        return links
    started_ns = time_of(ended.get("startedAt"))
    began_ns = 0 if started_ns is None else started_ns - evidence.clock.origin_unix_ns
    killer = _killer(pod, container, evidence, began_ns, ended_ns)
    behind = killer or (causes_of(evidence, last.seq) if last is not None else [])
    return [*links, *(behind or why_script_ends_it(pod, container, evidence))]


def _back_off(pod: JsonObject, container: str, state: JsonObject, evidence: Evidence) -> list[str]:
    waiting = state.get("waiting") or {}
    if waiting.get("reason") == "CrashLoopBackOff":
        return [f"CrashLoopBackOff: {one_line(waiting.get('message'))}"]
    if waiting:
        return [f"{waiting.get('reason')}: {one_line(waiting.get('message'))}".rstrip(": ")]
    backoff = [event for event in evidence.events(pod, "BackOff") if event.container == container]
    return ["it waits for the end of its back-off before it is started again"] if backoff else []


def _killer(pod: JsonObject, container: str, evidence: Evidence, began_ns: int, ended_ns: int) -> list[Link]:
    """What killed a container that ran from `began_ns` on: a failed liveness or startup probe, or a fault."""
    for event in reversed(evidence.events(pod, "Killing")):
        if event.container == container and began_ns <= event.last_ns <= ended_ns + _TOGETHER_NS:
            for kind in (ProbeKind.LIVENESS, ProbeKind.STARTUP):
                if f"failed {kind.word.lower()} probe" in event.message:
                    runs = [run for run in evidence.probes(pod, container, kind) if run.first_ns <= event.last_ns]
                    text = f"its {kind.word.lower()} probe failed, so the kubelet killed it"
                    killed = Link(text, event.last_ns, tuple(told_runs(runs, evidence)))
                    return [killed, *(why_script_fails_probe(pod, container, kind, runs[-1], evidence) if runs else [])]
    return fault_before(evidence, ended_ns, *subjects_of(pod))


def _count(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"
