"""Scenarios of workloads that are not Ray's: from the file to report, replay and verdict; mistakes in their scripts and steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_core.errors import InputError
from rayrig_scenarios.determinism import verify
from rayrig_scenarios.language.load import load, load_text
from rayrig_scenarios.language.script_files import script_file
from rayrig_scenarios.results import RunResult, Verdict
from rayrig_scenarios.runner import run

WEB = """\
name: web
description: a web server and nothing of Ray's
containers:
- image: web
  http: {"8080": {/ready: {0s: 503, 10s: 200}, "*": 200:hello}}
manifests: [web.yaml]
traffic:
- {name: users, service: web, port: 80, rate: 10/s, requests: {path: /}}
steps:
- apply: all
- wait: {for: {endpoints: {name: web, ready: 2}}, timeout: 1m}
- sleep: 1s
- request: {service: web, port: 80, expect: {text: hello}}
- start-traffic: users
- sleep: 10s
expect:
- requests: {failed: 0}
- endpoints: {name: web, fewest: ">= 1", most: 2, unavailable: 0}
- pods: {ready: 2, restarts: 0}
"""
MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "web:1", readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenario.yaml").write_text(WEB)
    (tmp_path / "web.yaml").write_text(MANIFESTS)
    return tmp_path


def problems(result: RunResult) -> list[str]:
    failed = [step.detail for step in result.steps if step.state.value != "done"]
    return failed + [each.detail for each in result.expectations if each.verdict is not Verdict.PASS]


def test_it_runs_from_a_file_and_holds(folder: Path) -> None:
    result = run(load(folder / "scenario.yaml"))
    assert problems(result) == []
    assert result.verdict is Verdict.PASS
    assert result.replay == f"rayrig run {folder}/scenario.yaml --seed 0"
    assert [row[0] for row in result.tables["deployments"].rows] == ["web"]
    assert "rayservices" in result.tables
    assert not result.objects["rayservices"]


def test_it_is_the_same_in_two_processes(folder: Path) -> None:
    (outcome,) = verify(str(folder / "scenario.yaml"), [3])
    assert (outcome.equal, outcome.error) == (True, "")


def test_what_its_containers_play_is_part_of_the_fingerprint(folder: Path) -> None:
    before = load(folder / "scenario.yaml").fingerprint
    (folder / "scenario.yaml").write_text(WEB.replace("10s: 200}", "11s: 200}"))
    assert load(folder / "scenario.yaml").fingerprint != before


HEAD = "name: test\ndescription: a test\n"


def mistake(text: str) -> str:
    with pytest.raises(InputError) as caught:
        load_text(HEAD + text, "test.yaml")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("containers", "told"),
    [
        (
            "- {image: web, htp: 200}",
            'test.yaml:4 containers[0].htp: no field is called "htp" (did you mean "http"?)',
        ),
        (
            '- image: web\n  http:\n    "8080":\n      /ready: {0s: 503, "40": 200}',
            (
                'test.yaml:7 containers[0].http.8080./ready.40: "40" is no duration '
                "(write one such as 30s, 1m30s or 250ms)"
            ),
        ),
        (
            "- image: web\n  runs:\n  - {for: 30}",
            'test.yaml:6 containers[0].runs[0].for: 30 has no unit (write "30s" or "30ms")',
        ),
        (
            "- image: web\n  term:\n    afer: 3s",
            'test.yaml:6 containers[0].term.afer: no field is called "afer" (did you mean "after"?)',
        ),
        (
            "- image: web\n  exec:\n  - match: a\n    schedule: {5s: 1, 2s: 0}",
            'test.yaml:7 containers[0].exec[0].schedule.2s: "2s" comes after 5 s (let ages grow from entry to entry)',
        ),
        (
            "- image: web\n  pull:\n  - {delay: 1s}\n  - {eror: x}",
            'test.yaml:7 containers[0].pull[1].eror: no field is called "eror" (did you mean "error"?)',
        ),
        (
            '- http: {"80": 200}',
            "test.yaml:4 containers[0]: says not which containers (give one or more of: image, container, pod, namespace, labels)",
        ),
    ],
)
def test_a_mistake_in_a_script_names_line_and_field(containers: str, told: str) -> None:
    found = mistake(f"containers:\n{containers}\nsteps: [{{sleep: 1s}}]\n")
    assert found == told


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("drain: node-7", 'test.yaml:5 steps[0].drain: no node is called "node-7" (did you mean "node-1"?)'),
        ("cordon: noed-0", 'test.yaml:5 steps[0].cordon: no node is called "noed-0" (did you mean "node-0"?)'),
        ("drain: {}", "test.yaml:5 steps[0].drain: names no node (give node: NAME, or labels of a pod that is on it)"),
        (
            "drain: {node: node-0, grace-period: 1500ms}",
            "test.yaml:5 steps[0].drain: 1.5 s are no whole seconds (Kubernetes knows whole seconds only)",
        ),
        (
            "drain: {node: node-0, refused: x, background: true}",
            "test.yaml:5 steps[0].drain: wants an error and does not wait for one (leave out refused or background)",
        ),
        (
            "drain: {node: node-0, ignore-daemonset: true}",
            (
                'test.yaml:5 steps[0].drain.ignore-daemonset: no field is called "ignore-daemonset" '
                '(did you mean "ignore-daemonsets"?)'
            ),
        ),
        (
            "wait: {for: {endpoints: {name: web, since: change}}}",
            (
                "test.yaml:5 steps[0].wait.for.endpoints: demands nothing "
                "(give one or more of: total, ready, serving, terminating, without, fewest, most, unavailable)"
            ),
        ),
    ],
)
def test_a_mistake_in_a_step_names_line_and_field(step: str, told: str) -> None:
    assert mistake(f"nodes: [{{count: 2}}]\nsteps:\n- {step}\n") == told


def test_a_drain_that_ends_otherwise_breaks_the_run(folder: Path) -> None:
    (folder / "scenario.yaml").write_text(WEB.replace("- sleep: 10s\n", "- drain: {node: node-0, refused: budget}\n"))
    result = run(load(folder / "scenario.yaml"))
    assert result.verdict is Verdict.FAIL
    assert result.steps[-1].detail == 'node/node-0 drained: 2 pods evicted; wanted an error with "budget"'


# Files of scripts


def test_a_file_of_scripts_is_a_list_or_containers_or_a_scenario(folder: Path) -> None:
    (folder / "list.yaml").write_text("- {image: web, term: ignore}\n")
    (folder / "containers.yaml").write_text("containers:\n- {image: web, term: ignore}\n")
    (one,) = script_file(folder / "list.yaml")
    assert (one.image, one.script) == ("web", {"term": {"ignore": True}})
    assert script_file(folder / "containers.yaml") == (one,)
    (of_scenario,) = script_file(folder / "scenario.yaml")
    assert of_scenario.image == "web"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {image: web, trem: 1s}\n", ':1 containers[0].trem: no field is called "trem" (did you mean "term"?)'),
        ("containers: []\n", ":1 containers: the list is empty (give at least 1)"),
        ("scripts: []\n", ':1 scripts: no field is called "scripts" (known: containers)'),
        ("text\n", ":1: this is no script (write containers: and their scripts)"),
        ("", ": there is nothing in it (write containers: and their scripts, once)"),
    ],
)
def test_a_mistake_in_a_file_of_scripts_names_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "scripts.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        script_file(path)
    assert str(caught.value) == f"{path}{told}"
