"""What a container's probes got, and when: the verdict of a startup or readiness probe."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.objects import JsonObject, name_of, namespace_of
from rayrig_core.timestamps import NS, seconds
from rayrig_core.trace import Kind
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence, time_of
from rayrig_scenarios.why.stages import spec_of_container, status_of_container
from rayrig_scenarios.wording import one_line
from rayrig_sim.kubernetes.kubelet import health_commands
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, ProbeSettings, Verdict

#: So many of the latest runs of equal answers are told.
_MOST_RUNS = 6
_TIMED_OUT = 'command timed out: "'
_WORDS = {
    Verdict.SUCCESS: "succeeded",
    Verdict.WARNING: "succeeded with a warning",
    Verdict.FAILURE: "failed",
    Verdict.ERROR: "could not be made",
}


def why_probe_has_not_passed(
    pod: JsonObject, container: str, kind: ProbeKind, evidence: Evidence, since_ns: int | None
) -> tuple[Link, ProbeRun | None]:
    """The verdict, with each probe's time and answer; and the last failures, if that is what stands in the way."""
    spec = spec_of_container(pod, container)
    probe = spec.get(kind.field)
    name = kind.word.lower()
    if not probe:
        return Link(f"container {container} runs, but its kubelet has not reported it ready yet", since_ns), None
    settings = ProbeSettings.of(probe)
    started_ns = started_at(pod, container, evidence)
    runs = [
        run
        for run in evidence.probes(pod, container, kind)
        # A probe at the second of the start: `startedAt` is cut off.
        if evidence.clock.is_live or started_ns is None or run.last_ns >= started_ns
    ]
    asks = asked(probe, settings)
    if not runs:
        details = [asks]
        if settings.initial_delay_s and started_ns is not None:
            earliest_ns = started_ns + settings.initial_delay_s * NS
            turn = f"at the next turn of its {settings.period_s} s from {evidence.tell(earliest_ns)} on"
            details.append(f"{turn}: initialDelaySeconds is {settings.initial_delay_s}")
        text = f"the {name} probe of {container} has not been made yet"
        if not evidence.has_all_probes:
            text = f"the {name} probe of {container} has not succeeded yet, and no failure was reported"
        return Link(text, since_ns or started_ns, tuple(details)), None
    last = runs[-1]
    details = [asks, *told_runs(runs, evidence)]
    others = [other.word.lower() for other in ProbeKind if other is not kind and spec.get(other.field)]
    if kind is ProbeKind.STARTUP and others:
        details.append(f"until it has succeeded, no {' and no '.join(others)} probe is made")
    if evidence.has_all_probes and last.step_ns:
        next_ns = last.last_ns + settings.period_s * NS
        if next_ns > evidence.at_ns:
            details.append(f"the next is due at {evidence.tell(next_ns)}")
    if last.verdict in (Verdict.SUCCESS, Verdict.WARNING):
        passed = _in_a_row(runs)
        wanted = settings.success_threshold
        if passed < wanted:
            text = f"the {name} probe of {container} has succeeded {passed} of the {wanted} times it takes"
        else:
            text = f"the {name} probe of {container} has succeeded, its kubelet has not reported it yet"
        return Link(text, last.first_ns, tuple(details)), None
    first_ns = _first_of_failures(runs)
    if last.verdict is Verdict.ERROR:
        return Link(f"the {name} probe of {container} cannot be made", first_ns, tuple(details)), last
    seq = _believed(pod, container, kind, evidence)
    return Link(f"the {name} probe of {container} fails", first_ns, tuple(details), seq), last


def _believed(pod: JsonObject, container: str, kind: ProbeKind, evidence: Evidence) -> int | None:
    """The trace event of the kubelet's belief that it fails."""
    told = [
        event.seq
        for event in evidence.trace_events(f"pods/{namespace_of(pod)}/{name_of(pod)}", Kind.PROBE)
        if event["container"] == container and event["probe"] == kind.word.lower() and event["result"] == "failure"
    ]
    return told[-1] if told else None


def told_runs(runs: list[ProbeRun], evidence: Evidence) -> list[str]:
    """A line for each run, with what it got: the latest."""
    shown = runs[-_MOST_RUNS:]
    lines = (
        [f"({sum(run.count for run in runs[:-_MOST_RUNS])} earlier probes not shown)"] if len(runs) > len(shown) else []
    )
    said = ""
    for run in shown:
        line = told_run(run, evidence)
        got = run.detail
        lines.append(f"{line} ({got})" if got and got != said else line)
        said = got
    return lines


def told_run(run: ProbeRun, evidence: Evidence) -> str:
    """`51.27 to 91.27 s, every 5 s: failed 9 times, it printed "success"`."""
    printed = one_line(run.text)
    if printed.startswith(_TIMED_OUT):
        # The command stands above.
        printed = f"timed out{printed.rpartition(' timed out')[2]}"
    answer = f', "{printed}"' if printed and run.verdict is not Verdict.SUCCESS else ""
    word = _WORDS[run.verdict]
    if run.count == 1:
        return f"{evidence.tell(run.first_ns)}: {word}{answer}"
    first = evidence.tell(run.first_ns).removesuffix(" s")
    last = evidence.tell(run.last_ns)
    if not evidence.has_all_probes:
        return f"{first} to {last}, as Events tell: {word} {run.count} times{answer}"
    if run.count == 2:
        return f"{first} and {last}: {word} twice{answer}"
    every = f"every {round(seconds(run.step_ns), 2):g} s"
    return f"{first} to {last}, {every}: {word} {run.count} times{answer}"


def asked(probe: JsonObject, settings: ProbeSettings) -> str:
    """What the probe asks, and when it is believed: `it asks :8080/ready each 5 s, timeout 1 s; 3 failures in a row count`."""
    if "httpGet" in probe:
        http = probe["httpGet"]
        what = f"asks {http.get('host') or ''}:{http.get('port')}{http.get('path') or '/'}"
    elif "tcpSocket" in probe:
        what = f"connects to {probe['tcpSocket'].get('host') or ''}:{probe['tcpSocket'].get('port')}"
    elif "grpc" in probe:
        what = f"asks :{probe['grpc'].get('port')} for gRPC health"
    else:
        what = _command((probe.get("exec") or {}).get("command") or ())
    failures = settings.failure_threshold
    return (
        f"it {what} each {settings.period_s} s, timeout {settings.timeout_s} s; "
        + ("one failure counts" if failures == 1 else f"{failures} failures in a row count")
        + (f", {settings.success_threshold} successes" if settings.success_threshold > 1 else "")
    )


def _command(command: Sequence[str]) -> str:
    """KubeRay's commands by the addresses they ask."""
    try:
        checks = health_commands.parse(tuple(command))
    except (health_commands.NotUnderstood, ValueError):
        return "runs " + one_line(" ".join(command), most=200)
    return "asks " + ", then ".join(f":{check.port}{check.path}" for check in checks)


def started_at(pod: JsonObject, container: str, evidence: Evidence) -> int | None:
    """When the running container was started, on the chain's clock; whole seconds."""
    running = (status_of_container(pod, container).get("state") or {}).get("running") or {}
    started_ns = time_of(running.get("startedAt"))
    return None if started_ns is None else started_ns - evidence.clock.origin_unix_ns


def _in_a_row(runs: list[ProbeRun]) -> int:
    count = 0
    for run in reversed(runs):
        if run.verdict not in (Verdict.SUCCESS, Verdict.WARNING):
            break
        count += run.count
    return count


def _first_of_failures(runs: list[ProbeRun]) -> int:
    first_ns = runs[-1].first_ns
    for run in reversed(runs):
        if run.verdict in (Verdict.SUCCESS, Verdict.WARNING):
            break
        first_ns = run.first_ns
    return first_ns
