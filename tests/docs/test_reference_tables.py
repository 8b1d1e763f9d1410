"""The reference pages hold every field, fault, verb and duration, and no other.

`RAYRIG_UPDATE=1` writes the generated pages anew.
"""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from rayrig_backends.faults import FAULTS, Param, ParamType
from rayrig_fakes.kubernetes.fault_rules import KINDS
from rayrig_scenarios.api import Rig
from rayrig_scenarios.language import conditions, container_scripts, node_steps, scenario_file, steps
from rayrig_scenarios.language.model import Model, yaml_name
from rayrig_scenarios.language.world_values import SERVICE_PORT
from rayrig_scenarios.rig_traffic import RigTraffic
from rayrig_sim.calibration import Calibration, Constant, Exponential, LogNormal, Uniform

DOCS = Path(__file__).parents[2] / "docs"


def tables(page: str, heading: str) -> list[str]:
    """First cells, in order, of the tables under a heading up to the next one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    section = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    return re.findall(r"^\| `([^`(]+)", section[1], re.MULTILINE)


def names(*models: type[Model]) -> list[str]:
    """Fields of models as they are written, in order; those that several have once."""
    return list(dict.fromkeys(yaml_name(name) for model in models for name in model.model_fields))


@pytest.mark.parametrize(
    ("heading", "written"),
    [
        ("The file", names(scenario_file.ScenarioFile)),
        ("Nodes", names(scenario_file.Nodes)),
        ("Manifests", names(steps.Manifest)),
        ("Applications", names(scenario_file.Application)),
        ("Containers", names(container_scripts.ContainerScript)),
        ("Traffic", names(scenario_file.TrafficSource) + names(scenario_file.TrafficRequest)),
        ("Steps", names(steps.Step)),
        ("apply", names(steps.Apply)),
        ("patch", names(steps.Patch)),
        ("wait", names(steps.Wait)),
        ("hold", names(steps.Hold)),
        ("remember", names(steps.ObjectField)),
        ("drain, cordon, uncordon", names(node_steps.DrainOf)),
        ("request", names(steps.Request) + names(steps.ExpectedAnswer)),
        ("Conditions", [*names(conditions.Condition), "digest", "name"]),
        ("ready, upgrade-started, upgrade-complete, old-cluster-gone", names(conditions.ServiceRef)),
        ("rolled-out, gone", names(conditions.ObjectRef)),
        ("condition", names(conditions.ConditionOf)),
        ("field", names(conditions.FieldOf)),
        (
            "application, deployment",
            [*names(conditions.ApplicationOf)[:3], "application", *names(conditions.ApplicationOf)[3:]],
        ),
        ("objects", names(conditions.ObjectsOf)),
        ("pods", names(conditions.PodsOf)),
        ("endpoints", names(conditions.EndpointsOf)),
        ("clusters", names(conditions.ClustersOf)),
        ("event", names(conditions.EventOf)),
        ("happened", names(conditions.HappeningOf)),
        ("requests", names(conditions.RequestsOf)),
        ("peak", names(conditions.PeakOf)),
    ],
)
def test_the_language_reference_has_every_field(heading: str, written: list[str]) -> None:
    assert tables("scenarios.md", heading) == written


def test_a_deployment_has_the_fields_of_an_application_and_its_name() -> None:
    assert set(names(conditions.DeploymentOf)) == {*names(conditions.ApplicationOf), "application"}


def test_an_expectation_is_a_condition_or_a_digest_with_a_name() -> None:
    assert set(names(conditions.Expectation)) == {*names(conditions.Condition), "digest", "name"}


def defaults(model: type[Model]) -> dict[str, Any]:
    return {yaml_name(name): field.default for name, field in model.model_fields.items() if not field.is_required()}


@pytest.mark.parametrize(
    ("heading", "model", "field", "shown"),
    [
        ("The file", scenario_file.ScenarioFile, "duration", (3600.0, "`1h`")),
        ("The file", scenario_file.ScenarioFile, "seed", (0, "`0`")),
        ("Nodes", scenario_file.Nodes, "cpu", ("16", "`16`")),
        ("Nodes", scenario_file.Nodes, "memory", ("64Gi", "`64Gi`")),
        ("Nodes", scenario_file.Nodes, "pods", (110, "`110`")),
        ("Traffic", scenario_file.TrafficSource, "timeout", (30.0, "`30s`")),
        # None: that of a Service or of a Gateway.
        ("Traffic", scenario_file.TrafficSource, "port", (None, f"`{SERVICE_PORT}`")),
        ("wait", steps.Wait, "timeout", (600.0, "`10m`")),
        ("request", steps.Request, "timeout", (10.0, "`10s`")),
    ],
)
def test_defaults_are_as_they_are_written(heading: str, model: type[Model], field: str, shown: tuple[Any, str]) -> None:
    value, text = shown
    assert defaults(model)[field] == value
    page = (DOCS / "scenarios.md").read_text(encoding="utf-8")
    section = page[page.index(f"# {heading}\n") :]
    row = next(line for line in section.splitlines() if line.startswith(f"| `{field}` |"))
    assert row.endswith(f"| {text} |")


# Verbs of the fixture


def test_the_pytest_page_has_every_verb() -> None:
    verbs = [name for name in vars(Rig) if not name.startswith("_")]
    headings = ("Before the world is there", "Acting", "Looking")
    assert sorted(name for heading in headings for name in tables("pytest.md", heading)) == sorted(verbs)


def test_the_pytest_page_has_everything_traffic_offers() -> None:
    page = (DOCS / "pytest.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `traffic("))
    assert [name for name in vars(RigTraffic) if not name.startswith("_") and f"`{name}" not in row] == []


# Generated pages


def generated(page: str, text: str) -> None:
    path = DOCS / page
    if os.environ.get("RAYRIG_UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{page} is out of date: RAYRIG_UPDATE=1 pytest tests/docs"


FAULTS_HEAD = """\
# Faults

What a `fault` step (or `rayrig.fault` in pytest) can do. Parameters are written with hyphens or underscores. A fault with a
`duration` ends by itself. A target that does not exist ends the run with exit code 2.

```yaml
- fault: {kind: head-crash, mode: pod}
- fault: {kind: api-error, actor: operator, verb: create, resource: pods, count: 3, code: 500}
- fault: {kind: traffic-surge, traffic: shoppers, factor: 5, duration: 2m}
```
"""


SERVED_FAULTS = """\
## Faults of a served Kubernetes

`rayrig kube` and the fixture `rayrig_kubernetes` take faults while they run, for any client:

```
curl -X POST http://127.0.0.1:8001/rayrig/faults -d '{"kind": "error", "verb": "create", "count": 3, "code": 503}'
curl http://127.0.0.1:8001/rayrig/faults          # what is set, and how often each has struck
curl -X DELETE http://127.0.0.1:8001/rayrig/faults/1        # or all of them, without a number
```

<!-- pytest -->
```python
def test_a_client_that_reads_old_pods(rayrig_kubernetes):
    number = rayrig_kubernetes.fault("stale-read", resource="pods", lag="5s")
    # Here your client does its work.
    assert rayrig_kubernetes.faults()[0]["struck"] == 0
    rayrig_kubernetes.end_fault(number)
```

All kinds take `actor` (the user where there are tokens, otherwise the client's User-Agent up to `/`; `*` matches any text), `verb`,
`resource`, `namespace`, `name` (with `*`), `subresource`, `skip` (let so many pass first), `count` and `duration`. What is left out
matches everything. Of those that match, the one that was set first strikes. The built-in controllers are struck only by name.
Events are struck on watches that are open already, too.

`GET /rayrig/requests` shows the last requests as events of audit.k8s.io/v1; the parameters `user`, `verb`, `resource`, `namespace`,
`name`, `code` and `limit` choose. `--audit-log FILE` writes all of them. `POST /rayrig/compact?revision=N` forgets history. Where
RBAC is on, a role must allow these `nonResourceURLs`.

`POST /rayrig/logs/NAMESPACE/POD[/CONTAINER]` gives a container lines of log; `?restart=true` begins a new run of it first.
"""


def test_the_page_of_faults() -> None:
    parts = [FAULTS_HEAD]
    for kind, fault in FAULTS.items():
        parts.append(f"## {kind}\n\n{fault.doc}\n")
        if fault.params:
            rows = ["| parameter | what it says | default |", "| --- | --- | --- |"]
            rows += [
                f"| `{yaml_name(name)}` | {_param(param)} | {_default(param)} |" for name, param in fault.params.items()
            ]
            parts.append("\n".join(rows) + "\n")
    parts.append(SERVED_FAULTS)
    rows = ["| kind | what happens | takes |", "| --- | --- | --- |"]
    for name, words in KINDS.items():
        takes = ", ".join(f"`{each}`" for each in words.fields)
        rows.append(f"| `{name}` | {words.doc} | {takes} |")
    parts.append("\n".join(rows) + "\n")
    generated("faults.md", "\n".join(parts))


def _param(param: Param) -> str:
    words = param.doc.replace("|", "\\|")
    if param.choices:
        words += ": " + " or ".join(f"`{choice}`" for choice in param.choices)
    elif param.type is not ParamType.TEXT:
        words += f" ({param.type.value})"
    return words


def _default(param: Param) -> str:
    if param.required:
        return "must be given"
    if param.default is None:
        return ""
    if param.type is ParamType.DURATION:
        return f"`{param.default:g}s`"
    return f"`{str(param.default).lower() if isinstance(param.default, bool) else param.default}`"


CALIBRATION_HEAD = """\
# Calibration

Durations that no manifest states: how long an image is pulled, a process started, an endpoint heard of. Each is a distribution,
drawn anew each time it is needed. "Recorded" means that recordings of the real systems say so; "guess" that nobody measured
it: measure yours.

A scenario overrides them by name:

```yaml
calibration:
  image_pull: 90s
  replica_init: {lognormal: {median: 45s, sigma: 0.2}}
```

in pytest it is `rayrig.calibrate(image_pull="90s")`. Sources named below are the project's reference documents.

| duration | default | what it is |
| --- | --- | --- |
"""


def test_the_page_of_durations() -> None:
    comments: dict[str, str] = {}
    comment: list[str] = []
    for line in inspect.getsource(Calibration).splitlines():
        text = line.strip()
        if text.startswith("#: "):
            comment.append(text.removeprefix("#: "))
            continue
        if found := re.match(r"(\w+): Distribution", text):
            comments[found[1]] = " ".join(comment)
        comment = []
    calibration = Calibration()
    rows = []
    for field in fields(calibration):
        assert comments[field.name], f"{field.name} says not what it is"
        rows.append(f"| `{field.name}` | {_distribution(getattr(calibration, field.name))} | {comments[field.name]} |")
    generated("calibration.md", CALIBRATION_HEAD + "\n".join(rows) + "\n")


def _distribution(value: Any) -> str:
    match value:
        case Constant(value_s=seconds):
            return f"`{_duration(seconds)}`"
        case Uniform(low_s=low, high_s=high):
            return f"`uniform: [{_duration(low)}, {_duration(high)}]`"
        case LogNormal(median_s=median, sigma=sigma):
            return f"`lognormal: {{median: {_duration(median)}, sigma: {sigma:g}}}`"
        case Exponential(mean_s_above=mean, least_s=least):
            return f"`exponential: {{mean: {_duration(mean)}, least: {_duration(least)}}}`"
    raise AssertionError(value)


def _duration(seconds: float) -> str:
    return f"{seconds:g}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:g}ms"
