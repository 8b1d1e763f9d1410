"""The way down: for each stage of a pod's life, the links from the verdict to the cause."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, condition_of, name_of, namespace_of
from rayrig_core.trace import Kind
from rayrig_scenarios.why.chain import Chain, Link
from rayrig_scenarios.why.containers import noun, why_image_is_missing, why_it_ended, why_not_started
from rayrig_scenarios.why.ending import why_deleted, why_ended
from rayrig_scenarios.why.evidence import Evidence, key_text
from rayrig_scenarios.why.nodes import is_looked_after, why_node_is_not_ready
from rayrig_scenarios.why.probing import asked, started_at, told_runs, why_probe_has_not_passed
from rayrig_scenarios.why.scheduling import why_unscheduled
from rayrig_scenarios.why.scripts import why_script_fails_probe, why_script_runs_on
from rayrig_scenarios.why.serve_reasons import (
    GCS_WAIT,
    ExplainPod,
    is_ray_pod,
    why_gcs_is_missing,
    why_gcs_was_lost,
    why_ray_probe_fails,
)
from rayrig_scenarios.why.stages import Stage, Standing, of_container, standing, status_of_container
from rayrig_scenarios.why.unready_times import unready_times
from rayrig_scenarios.wording import one_line
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, ProbeSettings, Verdict

#: A worker's chain goes on with its head's, which has no other pod to blame.
_DEPTH = 1
_LOST_GCS = "connect to GCS"


def explain(key: str, evidence: Evidence) -> Chain | None:
    """Why the pod `namespace/name` is as it is at the evidence's moment; None when there never was such a pod until then."""
    versions = evidence.versions(key)
    if not versions:
        return None
    last = versions[-1]
    pod = last.object
    if last.is_gone:
        stage, links = Stage.GONE, why_deleted(pod, evidence)
        since_ns: int | None = last.t_ns
    else:
        stage, links = _links(pod, evidence, _DEPTH)
        since_ns = evidence.condition_since(versions, "Ready") or versions[0].t_ns
        if stage is Stage.DELETION:
            since_ns = links[0].t_ns
    return Chain(
        namespace=namespace_of(pod),
        pod=name_of(pod),
        node=str(pod["spec"].get("nodeName") or ""),
        at_ns=evidence.at_ns,
        stage=stage,
        since_ns=since_ns,
        links=tuple(links),
        unready=tuple(unready_times(versions, evidence)),
        clock=evidence.clock,
    )


def _links(pod: JsonObject, evidence: Evidence, depth: int) -> tuple[Stage, list[Link]]:
    found = standing(pod)
    stage = found.stage
    if stage is Stage.DELETION:
        return stage, why_deleted(pod, evidence)
    if stage in (Stage.ENDED, Stage.DONE):
        return stage, why_ended(pod, evidence)
    if stage is Stage.UNSCHEDULED:
        return stage, why_unscheduled(pod, evidence)
    if not is_looked_after(pod, evidence):
        links = why_node_is_not_ready(pod, evidence)
        if stage is Stage.READY:
            return stage, [*_why_ready(pod, evidence), *links]
        return Stage.NODE, links
    if stage is Stage.READY:
        return stage, _why_ready(pod, evidence)

    def explain_pod(other: JsonObject) -> list[Link]:
        if depth:
            return _links(other, evidence, depth - 1)[1]
        return [Link("it is not ready")]

    verdict, *behind = _of_container(pod, found, evidence, explain_pod)
    others = _others(pod, found)
    return stage, [Link(verdict.text, verdict.t_ns, (*verdict.details, *others), verdict.source), *behind]


def _of_container(pod: JsonObject, found: Standing, evidence: Evidence, explain_pod: ExplainPod) -> list[Link]:
    container = found.container
    versions = evidence.versions(key_text(pod))
    since_ns = evidence.since(versions, lambda obj: standing(obj) == found)
    if since_ns is None:
        since_ns = started_at(pod, container, evidence) or evidence.condition_since(versions, "Ready")
    match found.stage:
        case Stage.IMAGE:
            return why_image_is_missing(pod, container, evidence, since_ns)
        case Stage.INITIALIZING:
            return _why_initializing(pod, container, evidence, since_ns, explain_pod)
        case Stage.STARTING:
            return why_not_started(pod, container, evidence, since_ns)
        case Stage.CRASHED:
            return _why_crashed(pod, container, evidence)
        case Stage.STARTUP_PROBE:
            verdict, run = why_probe_has_not_passed(pod, container, ProbeKind.STARTUP, evidence, since_ns)
            behind = why_script_fails_probe(pod, container, ProbeKind.STARTUP, run, evidence) if run is not None else []
            return [verdict, *behind, *_former_end(pod, container, evidence)]
        case Stage.READINESS_PROBE:
            verdict, run = why_probe_has_not_passed(pod, container, ProbeKind.READINESS, evidence, since_ns)
            if run is None:
                return [verdict, *_former_end(pod, container, evidence)]
            behind = why_ray_probe_fails(pod, container, run, evidence, explain_pod)
            if behind:
                return [verdict, *behind]
            behind = why_script_fails_probe(pod, container, ProbeKind.READINESS, run, evidence)
            return [verdict, *behind, *_former_end(pod, container, evidence)]
        case Stage.READINESS_GATE:
            return [_why_gate(pod, since_ns)]
        case Stage.NODE:
            ready = condition_of(pod, "Ready") or {}
            reason = str(ready.get("reason") or "")
            text = "its containers are ready; the node lifecycle controller has set it unready"
            if reason:
                text = f"its kubelet reports {reason}: {one_line(ready.get('message'))}".rstrip(": ")
            return [Link(text, evidence.condition_since(versions, "Ready"))]
        case _:
            ready = condition_of(pod, "Ready") or {}
            if ready.get("message") or ready.get("reason"):
                return [Link(f"{ready.get('reason') or ''}: {one_line(ready.get('message'))}".strip(": "), since_ns)]
            bound_ns = evidence.since(versions, lambda obj: bool(obj["spec"].get("nodeName")))
            return [Link(f"the kubelet of its node {pod['spec'].get('nodeName')} has not reported yet", bound_ns)]


def _why_initializing(
    pod: JsonObject, container: str, evidence: Evidence, since_ns: int | None, explain_pod: ExplainPod
) -> list[Link]:
    state = status_of_container(pod, container).get("state") or {}
    if state.get("running") is not None:
        link = Link(f"init container {container} is still running", since_ns)
        if container == GCS_WAIT and is_ray_pod(pod):
            link = Link(f"init container {container} waits for the GCS of the Ray cluster", since_ns)
            return [link, *why_gcs_is_missing(pod, evidence, explain_pod)]
        return [link, *why_script_runs_on(pod, container, evidence)]
    has_ended = (status_of_container(pod, container).get("lastState") or {}).get("terminated") is not None
    if has_ended or state.get("terminated") is not None:
        return why_it_ended(pod, container, evidence)
    return why_not_started(pod, container, evidence, since_ns)


def _why_crashed(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    links = why_it_ended(pod, container, evidence)
    ended_ns = links[0].t_ns
    if len(links) == 1 and is_ray_pod(pod) and ended_ns is not None and any(_LOST_GCS in d for d in links[0].details):
        return [*links, *why_gcs_was_lost(pod, ended_ns, evidence)]
    return links


def _former_end(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    """Why the container had to be started anew, if it was."""
    if (status_of_container(pod, container).get("lastState") or {}).get("terminated") is None:
        return []
    first, *more = _why_crashed(pod, container, evidence)
    return [Link(f"it had to be started anew: {first.text}", first.t_ns, first.details, first.source), *more]


def _why_gate(pod: JsonObject, since_ns: int | None) -> Link:
    conditions = {c["type"]: c.get("status") for c in (pod.get("status") or {}).get("conditions") or ()}
    closed = [
        f"{gate['conditionType']} is {conditions.get(gate['conditionType']) or 'not set'}"
        for gate in pod["spec"].get("readinessGates") or ()
        if conditions.get(gate["conditionType"]) != "True"
    ]
    details = ("its containers are ready; whoever looks after a gate sets the condition of that name to True",)
    return Link(f"a readiness gate is closed: {', '.join(closed)}", since_ns, details)


def _others(pod: JsonObject, found: Standing) -> list[str]:
    """The pod's other containers that are not ready, if their turn has come."""
    if found.stage in (Stage.INITIALIZING, Stage.UNREPORTED, Stage.NODE, Stage.READINESS_GATE):
        return []
    others = [
        f"{status['name']} ({of_container(status).stage})"
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if not status.get("ready") and status["name"] != found.container
    ]
    return [f"not ready either: {', '.join(others)}"] if others else []


def _why_ready(pod: JsonObject, evidence: Evidence) -> list[Link]:
    """When it became ready, and what its readiness probes have got since."""
    versions = evidence.versions(key_text(pod))
    since_ns = evidence.condition_since(versions, "Ready")
    details: list[str] = []
    failing: list[Link] = []
    for container in pod["spec"]["containers"]:
        probe = container.get("readinessProbe")
        if not probe:
            details.append(f"{container['name']} has no readiness probe: it is ready while it runs")
            continue
        runs = evidence.probes(pod, container["name"], ProbeKind.READINESS)
        details.append(f"{noun(pod, container['name'])}: {asked(probe, ProbeSettings.of(probe))}")
        details += told_runs(runs[-2:], evidence)
        if runs and runs[-1].verdict is Verdict.FAILURE and not failing and evidence.has_all_probes:
            failing = _still_ready(pod, container, runs, evidence)
    verdict = Link("it is ready", since_ns, tuple(details))
    ends = [
        event
        for event in evidence.trace_events(f"pods/{key_text(pod)}", Kind.CONTAINER)
        if since_ns is not None and event.t_ns >= since_ns
    ]
    if ends and ends[-1]["state"] == "terminated":
        how = f"container {ends[-1]['container']} has just ended with code {ends[-1]['exit_code']}"
        text = f"{how}, which its status does not show yet"
        return [verdict, Link(text, ends[-1].t_ns, (), ends[-1].seq)]
    return [verdict, *failing]


def _still_ready(pod: JsonObject, container: JsonObject, runs: list[ProbeRun], evidence: Evidence) -> list[Link]:
    """Its probe fails, not often enough yet to make it unready."""
    failures = 0
    for run in reversed(runs):
        if run.verdict is not Verdict.FAILURE:
            break
        failures, first_ns = failures + run.count, run.first_ns
    threshold = ProbeSettings.of(container["readinessProbe"]).failure_threshold
    times = "once" if failures == 1 else f"{failures} times in a row"
    link = Link(f"the readiness probe of {container['name']} has failed {times}; {threshold} make it unready", first_ns)
    return [
        link,
        *why_ray_probe_fails(pod, container["name"], runs[-1], evidence, lambda head: [Link("it is not ready")]),
    ]
