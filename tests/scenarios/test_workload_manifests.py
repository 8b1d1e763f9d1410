"""A manifest of plain workloads is a scenario: deploy, wait until the pods are there, roll each workload once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rayrig_core.errors import InputError
from rayrig_scenarios.language.applying import choose_manifests
from rayrig_scenarios.language.load import load, load_text
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run

WEB = """\
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
SCRIPT = 'containers: [{image: web, http: {"8080": {/ready: {0s: 503, 10s: 200}}}}]\n'
ONE_OF_EACH = """\
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {containers: [{name: main, image: a}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {completions: 2, template: {spec: {restartPolicy: Never, containers: [{name: main, image: job}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: each}
spec:
  selector: {matchLabels: {a: each}}
  template: {metadata: {labels: {a: each}}, spec: {containers: [{name: main, image: b}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: store
  selector: {matchLabels: {a: store}}
  template: {metadata: {labels: {a: store}}, spec: {containers: [{name: main, image: c}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: bare}
spec:
  selector: {matchLabels: {a: bare}}
  template: {metadata: {labels: {a: bare}}, spec: {containers: [{name: main, image: d}]}}
"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return tmp_path / "web.yaml"


def test_a_deployment_is_rolled_and_its_service_watched(web: Path) -> None:
    scenario = load(str(web), script=web.parent / "script.yaml")
    assert scenario.warnings == ()
    result = run(scenario)
    assert result.verdict is Verdict.PASS, result.expectations
    titles = {record.title: record.detail for record in result.expectations}
    assert titles == {
        "Deployment/web rolled out": "2 of 2 updated pods available",
        "Service web is never without a ready endpoint, once it has one": "most 2, unavailable 0 s",
    }
    first, second = (step for step in result.steps if step.action == "wait")
    assert 10e9 <= (first.ended_ns or 0) < 12e9
    # Ten seconds for each of two pods, one after the other.
    assert 20e9 <= (second.ended_ns or 0) - (second.started_ns or 0) < 24e9
    assert result.replay == f"rayrig run {web} --script {web.parent / 'script.yaml'} --seed 0"


def test_an_outage_breaks_the_run(web: Path) -> None:
    (web.parent / "script.yaml").write_text(SCRIPT.replace("10s: 200", "10s: 200, 15s: 503, 25s: 200"))
    result = run(load(str(web), script=web.parent / "script.yaml"))
    (broken,) = [record for record in result.expectations if record.verdict is Verdict.FAIL]
    assert re.fullmatch(r"most 2, unavailable [78]\.\d+ s, wanted <= 0 s", broken.detail)


def test_without_a_script_nobody_answers_and_it_is_said_before_and_after(web: Path) -> None:
    scenario = load(str(web))
    (warning,) = scenario.warnings
    assert warning.startswith("Deployment web: container main has no script: its probes will find nobody listening")
    result = run(scenario)
    assert result.verdict is Verdict.FAIL
    (failed,) = [step for step in result.steps if step.detail.startswith("not within")]
    assert "0 of 2 updated pods available; progress deadline exceeded; web-" in failed.detail
    assert "connection refused" in failed.detail


def test_each_kind_has_its_own_way_to_be_all_there() -> None:
    script = 'metadata: {annotations: {script: \'{"main": {"runs": [{"for": 5}]}}\'}}, spec'
    scenario = load_text(
        ONE_OF_EACH.replace("template: {spec: {restartPolicy", f"template: {{{script}: {{restartPolicy"), "x"
    )
    assert scenario.warnings == ()
    result = run(scenario)
    assert result.verdict is Verdict.PASS, result.expectations
    assert {record.title: record.detail for record in result.expectations} == {
        "Pod/alone rolled out": "Running, ready",
        "Job/once rolled out": "2 of 2 pods succeeded",
        "DaemonSet/each rolled out": "1 of 1 pods available",
        "StatefulSet/store rolled out": "1 of 1 pods ready",
        "ReplicaSet/bare rolled out": "1 of 1 pods ready",
    }
    assert [step.title for step in result.steps if step.title.startswith("roll")] == [
        "roll DaemonSet each, as kubectl rollout restart",
        "roll StatefulSet store, as kubectl rollout restart",
    ]
    assert result.unready == (), "what has succeeded is done"


def test_a_job_without_a_script_will_not_end() -> None:
    (warning,) = load_text(ONE_OF_EACH, "x").warnings
    assert warning.startswith("Job once: container main has no script: it will not end")


def test_two_of_one_name_in_two_namespaces() -> None:
    pods = "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: m, image: i}]}}}"
    each = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: %s}\nspec: %s\n"
    both = "---\n".join(each % (namespace, pods) for namespace in ("a", "b"))
    result = run(load_text(both, "x"))
    assert result.verdict is Verdict.PASS, result.expectations
    file = load_text(both, "x").manifests
    with pytest.raises(InputError, match="write one of: Deployment/a/web, Deployment/b/web"):
        choose_manifests("Deployment/web", list(file))


def test_a_failed_job_says_so() -> None:
    text = """\
name: job
description: fails
containers: [{image: job, runs: {for: 1s, exit: 3}}]
manifests:
- inline:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: once}
    spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: job}]}}}
steps: [{apply: all}, {wait: {for: {rolled-out: Job/once}, timeout: 30s}}]
"""
    (failed,) = [step for step in run(load_text(text, "x")).steps if step.action == "wait"]
    assert failed.detail.startswith("not within 30 s: it has failed: Job has reached the specified backoff limit")


@pytest.mark.parametrize(
    ("workload", "what"),
    [("Service/web", "a Service has no pods of its own"), ("Deploymnet/web", 'no kind is called "Deploymnet"')],
)
def test_only_what_has_pods_rolls_out(workload: str, what: str) -> None:
    text = f"name: n\ndescription: d\nsteps: [{{wait: {{for: {{rolled-out: {workload}}}}}}}]\n"
    with pytest.raises(InputError, match=what):
        load_text(text, "x")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("3", "x:4 spec: this is the number 3 (give a mapping)"),
        ("{template: [1]}", "x:4 spec.template: this is a list (give a mapping)"),
        ("{template: {spec: {containers: {}}}}", "spec.template.spec.containers: this is a mapping (give a list of containers)"),
        ("{template: {spec: {containers: [a]}}}", 'containers[0]: this is the text "a" (give a mapping with name and image)'),
        ("{template: {metadata: {annotations: {script: '{x'}}}}", "template.metadata.annotations.script: no script: Expecting"),
    ],
)  # fmt: skip
def test_what_has_no_pods_in_it_is_refused_with_its_place(spec: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        load_text(f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec: {spec}\n", "x")
    assert told in str(error.value)


def test_scripts_beside_a_scenario_stand_before_its_own(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    (tmp_path / "scenario.yaml").write_text(
        """\
name: web
description: d
containers: [{image: web, http: {"8080": 503}}]
manifests: [web.yaml]
steps: [{apply: all}, {wait: {for: {rolled-out: Deployment/web}, timeout: 30s}}]
"""
    )
    assert run(load(tmp_path / "scenario.yaml")).verdict is Verdict.FAIL
    assert run(load(tmp_path / "scenario.yaml", script=tmp_path / "script.yaml")).verdict is Verdict.PASS
