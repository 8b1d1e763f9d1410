"""What scripts have to do with it: why a probe gets what it gets, why a container ends, why an image cannot be pulled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_scenarios.why.chain import Link
from rayrig_scenarios.why.evidence import Evidence
from rayrig_scenarios.why.stages import spec_of_container, status_of_container
from rayrig_scenarios.wording import one_line
from rayrig_sim.kubernetes.kubelet.container_scripts import Script
from rayrig_sim.kubernetes.kubelet.probe_history import ProbeRun
from rayrig_sim.kubernetes.kubelet.probes import ProbeKind, Verdict, resolve_port

_REFUSED = "connection refused"
_SAYS_SO = "its script says so: "


def why_script_fails_probe(
    pod: JsonObject, container: str, kind: ProbeKind, run: ProbeRun, evidence: Evidence
) -> list[Link]:
    """Nothing where no script is known of, or the kubelet could not even ask."""
    scripts = evidence.scripts_of(pod)
    if scripts is None or run.verdict is not Verdict.FAILURE:
        return []
    if container not in scripts:
        if _REFUSED not in run.text:
            return []
        remedy = "docs/scripted-containers.md: without one a container runs, and listens nowhere"
        return [Link(f"no script says what {container} answers, so nobody listens", None, (remedy,))]
    probe = spec_of_container(pod, container).get(kind.field) or {}
    told = _probed(probe, spec_of_container(pod, container), _attempt(scripts[container], pod, container))
    return [Link(_SAYS_SO + told)] if told else []


def why_script_ends_it(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    """Why the container's last run ended, or could not begin, if its script said so."""
    status = status_of_container(pod, container)
    is_again = (status.get("state") or {}).get("running") is not None
    script = _attempt((evidence.scripts_of(pod) or {}).get(container) or {}, pod, container, before=is_again)
    error = script.get("create_error") or script.get("start_error")
    if error:
        return [Link(f'{_SAYS_SO}it is not started, "{error}"')]
    if "for" not in script:
        return []
    how = f"as {script['reason']}" if script.get("reason") else f"with {script.get('exit', 0)}"
    log = str(script.get("log") or "").splitlines()
    details = (f'the end of its log: "{one_line(log[-1])}"',) if log else ()
    return [Link(f"{_SAYS_SO}it runs for {script['for']:g} s and ends {how}", None, details)]


def why_script_runs_on(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    """Why a container that is to end has not ended."""
    scripts = evidence.scripts_of(pod) or {}
    if container not in scripts:
        return []
    lasts = _attempt(scripts[container], pod, container).get("for")
    return [Link(f"{_SAYS_SO}it runs {'for ever' if lasts is None else f'for {lasts:g} s'}")]


def why_script_fails_sandbox(pod: JsonObject, evidence: Evidence) -> list[Link]:
    sandbox = (evidence.scripts_of(pod) or {}).get("sandbox") or {}
    times = f", the first {sandbox['times']} times" if sandbox.get("times") else ""
    return [Link(f'{_SAYS_SO}"{sandbox["error"]}"{times}')] if sandbox.get("error") else []


def why_script_delays_image(pod: JsonObject, container: str, evidence: Evidence) -> list[Link]:
    """Why its image is not there, if a script has something to do with it."""
    images = (evidence.scripts_of(pod) or {}).get("images") or {}
    told = [
        " ".join(
            words
            for words in (
                f"after {pull['delay']:g} s" if pull.get("delay") else "",
                f'with "{pull["error"]}"' if pull.get("error") else "",
            )
            if words
        )
        or "at once"
        for pull in images.get(spec_of_container(pod, container).get("image") or "") or ()
    ]
    return [Link(f"{_SAYS_SO}its pulls end {', then '.join(told)}")] if told else []


def _attempt(script: Script, pod: JsonObject, container: str, *, before: bool = False) -> Mapping[str, Any]:
    """What it plays in its present run, or in the one before."""
    runs = script.get("runs") or [{}]
    number = int(status_of_container(pod, container).get("restartCount") or 0) - before
    return {**script, **runs[max(min(number, len(runs) - 1), 0)]}


def _probed(probe: JsonObject, spec: JsonObject, script: Mapping[str, Any]) -> str:
    """What the script has for a probe, in words."""
    if "exec" in probe:
        command = " ".join(probe["exec"].get("command") or ())
        for rule in script.get("exec") or ():
            if rule.get("match", "") in command:
                return f'commands with "{rule.get("match", "")}" get {_over_time(rule["schedule"])}'
        return ""
    kind = next((kind for kind in ("httpGet", "tcpSocket", "grpc") if kind in probe), None)
    if kind is None:
        return ""
    port = resolve_port(probe[kind].get("port") or 0, spec)
    if kind == "grpc":
        schedule = (script.get("grpc") or {}).get(str(port))
        return f":{port} says {_over_time(schedule)}" if schedule else f"nobody listens for gRPC on :{port}"
    ports = script.get("http") or {}
    answers = ports.get(str(port))
    if answers is None:
        listens = f"; it listens on {', '.join(f':{each}' for each in ports)}" if ports else ""
        return f"nobody listens on :{port}{listens}"
    listening = f"; it listens on :{port}: {_over_time(answers['listen'])}" if answers.get("listen") else ""
    if kind == "tcpSocket":
        return listening.removeprefix("; ")
    path = str(probe[kind].get("path") or "/").partition("?")[0]
    schedule = answers.get(path) or answers.get("*")
    if schedule is None:
        known = ", ".join(each for each in answers if each.startswith("/"))
        return f":{port} has no answer to {path}, which is 404{f'; it knows {known}' if known else ''}{listening}"
    return f":{port}{path} is answered {_over_time(schedule)}{listening}"


def _over_time(schedule: Sequence[Sequence[Any]]) -> str:
    """`503 from the start, 200 when it is 40 s old`."""
    return ", ".join(
        f"{_answer(answer)} {f'when it is {age:g} s old' if age else 'from its start'}" for age, answer in schedule
    )


def _answer(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return f"exit code {answer.get('exit', 0)}" if "error" not in answer else f'"{answer["error"]}"'
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return {"hang": "by nothing", "reset": "by a closed connection"}.get(answer, f"{answer}".removesuffix(":"))
