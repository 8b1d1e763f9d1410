"""Every mistake in a scenario or manifest is told in one line: file, line, field, what is wrong, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_core.errors import InputError
from rayrig_scenarios.language.load import load, load_text
from rayrig_scenarios.language.manifests import bundled_manifests

GOOD = """\
name: test
description: a test
manifests: [{bundled: one-per-node}]
traffic:
- {name: shoppers, service: orchard-serve-svc, rate: 10/s, requests: {path: /}}
steps:
- apply: orchard
"""


def mistake(text: str, folder: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_text(text, "test.yaml", folder=folder)
    told = str(caught.value)
    assert "\n" not in told
    assert caught.value.remedy
    return told


def test_a_good_scenario_loads() -> None:
    assert load_text(GOOD, "test.yaml").name == "test"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        # Unknown fields, with the nearest known one
        ("- aply: orchard", 'test.yaml:8 steps[1].aply: no field is called "aply" (did you mean "apply"?)'),
        (
            "- wait:\n    for: {raedy: orchard}",
            'test.yaml:9 steps[1].wait.for.raedy: no field is called "raedy" (did you mean "ready"?)',
        ),
        (
            "- request: {service: a, expects: {json: 6}}",
            'test.yaml:8 steps[1].request.expects: no field is called "expects" (did you mean "expect"?)',
        ),
        # Wrong types
        ("- wait: {for: {ready: [a]}}", "test.yaml:8 steps[1].wait.for.ready: this is a list (give a mapping)"),
        (
            "- request: {service: 7}",
            "test.yaml:8 steps[1].request.service: this is the number 7 (give a text, in quotes if it looks like a number)",
        ),
        (
            "- request: {service: a, port: http}",
            'test.yaml:8 steps[1].request.port: this is the text "http" (give a whole number)',
        ),
        ("- sleep: 30", 'test.yaml:8 steps[1].sleep: 30 has no unit (write "30s" or "30ms")'),
        ("- sleep: soon", 'test.yaml:8 steps[1].sleep: "soon" is no duration (write one such as 30s, 1m30s or 250ms)'),
        ("- just a text", 'test.yaml:8 steps[1]: this is the text "just a text" (give a mapping)'),
        # One thing per step
        (
            "- {name: rest}",
            "test.yaml:8 steps[1]: says nothing (give one of: apply, patch, delete, wait, hold, remember, fault, drain",
        ),
        (
            "- {sleep: 1s, apply: orchard}",
            "test.yaml:8 steps[1]: says several things at once: apply, sleep (make it one entry for each)",
        ),
        # Faults
        (
            "- fault: head-crush",
            'test.yaml:8 steps[1].fault: no fault is called "head-crush" (did you mean "head-crash"?)',
        ),
        (
            "- fault:\n    kind: head-crash\n    sevice: orchard",
            'fault head-crash has no parameter "sevice" (did you mean "service"?)',
        ),
        ("- fault: {kind: head-crash, mode: both}", "mode of fault head-crash is 'both' (one of: container, pod)"),
        ("- fault: {kind: api-latency}", 'fault api-latency needs "delay"'),
        ("- fault: {kind: operator-crash, restart-after: 5}", '5 has no unit (write "5s" or "5ms")'),
        (
            "- fault: {kind: head-crash, service: orchid}",
            'test.yaml:8 steps[1].fault.service: no RayService is called "orchid" (did you mean "orchard"?)',
        ),
        # References
        ("- apply: orchrd", 'test.yaml:8 steps[1].apply: no manifest is called "orchrd" (did you mean "orchard"?)'),
        (
            "- start-traffic: shopers",
            'test.yaml:8 steps[1].start-traffic: no traffic is called "shopers" (did you mean "shoppers"?)',
        ),
        (
            "- wait: {for: {ready: orchid}}",
            'test.yaml:8 steps[1].wait.for.ready.service: no RayService is called "orchid" (did you mean "orchard"?)',
        ),
        (
            "- wait: {for: {requests: {traffic: shopers, failed: 0}}}",
            'steps[1].wait.for.requests.traffic: no traffic is called "shopers"',
        ),
        # Manifests
        ("- apply: {file: missing.yaml}", "steps[1].apply: no such file: missing.yaml"),
        (
            "- apply: {bundled: fruitstand}",
            'steps[1].apply.bundled: no bundled manifest is called "fruitstand" (did you mean "fruit-stand"?)',
        ),
        (
            "- apply:\n    manifest: orchard\n    set:\n      spec.rayClusterConfig.workerGroupSpecs[stairs].replicas: 2",
            "workerGroupSpecs[stairs].replicas: spec.rayClusterConfig.workerGroupSpecs has no entry stairs; it has ladders",
        ),
        (
            "- apply: {manifest: orchard, set: {spec.rayClusterConfig.rayVersio: 2}}",
            'test.yaml:8 steps[1].apply: after this change: no field is called "rayVersio" (did you mean "rayVersion"?)',
        ),
        (
            '- apply: {manifest: orchard, set: {"spec.serveConfigV2.applications[0].deployments[0].num_replicas": 0}}',
            "steps[1].apply: after this change: invalid Serve config:",
        ),
        # Conditions
        (
            "- wait: {for: {pods: {service: orchard}}}",
            "counts nothing (give one or more of: total, ready, unready, pending, restarts)",
        ),
        (
            "- wait: {for: {pods: {ready: some}}}",
            """'some' is no bound (write a number, or "<= 3", ">= 1", "< 5", "> 0", "!= 2")""",
        ),
        (
            "- wait: {for: {field: {kind: RayServce, name: a, path: a, exists: true}}}",
            'steps[1].wait.for.field.kind: no kind is called "RayServce" (did you mean "RayService"?)',
        ),
        ('- wait: {for: {field: {name: a, path: "a[", exists: true}}}', '"a[" is no path: cannot read it from "["'),
        ("- wait: {for: {happened: serve.deploymnt}}", 'did you mean "serve.deployment"?'),
        ("- wait: {for: {happened: {what: step, with: {stat: 1}}}}", 'step has no "stat" (did you mean "state"?)'),
        ("- wait: {for: {requests: {fates: {resett: 0}}}}", 'no fate of a request is called "resett"'),
        (
            "- request: {path: /}",
            (
                "test.yaml:8 steps[1].request: has neither service nor gateway "
                "(give service: NAME (a Service) or gateway: NAME (a Gateway))"
            ),
        ),
        ("- hold: {that: {ready: orchard}}", 'test.yaml:8 steps[1].hold: "for" is missing (add for)'),
        ("- hold: {that: {ready: orchrd}, for: 5s}", 'no RayService is called "orchrd" (did you mean "orchard"?)'),
        (
            "- wait: {for: {endpoints: {name: a}}}",
            "demands nothing (give one or more of: total, ready, serving, terminating, without",
        ),
        ("- wait: {for: {objects: {kind: Pod}}}", '"count" is missing (add count)'),
        # What is remembered
        (
            "- remember: {First: {name: orchard, path: a}}",
            'steps[1].remember: "First" is no name for a value (use small letters, digits and hyphens)',
        ),
        (
            "- remember: {}",
            "steps[1].remember: remembers nothing (write a name and the field whose value it stands for)",
        ),
        ("- remember: {one: {name: orchard}}", 'steps[1].remember.one: "path" is missing (add path)'),
        (
            "- wait: {for: {gone: RayCluster/$(first)}}",
            'test.yaml:8 steps[1].wait.for.gone: nothing is remembered as "first" (remember it in a step before)',
        ),
        (
            "- sleep: 1s\n- request: {service: $(first)-head-svc}\n- remember: {first: {name: orchard, path: a}}",
            'test.yaml:9 steps[2].request.service: "first" is remembered only later (remember it in a step before)',
        ),
        (
            "- remember: {first: {name: orchard, path: a}}\n- patch: {name: $(frst), merge: {a: $(POD_IP)}}",
            'test.yaml:9 steps[2].patch.name: nothing is remembered as "frst" (did you mean "first"?)',
        ),
        (
            "- delete: orchard",
            'steps[1].delete: "orchard" names no object (write Kind/name, such as "RayService/fruit-stand")',
        ),
    ],
)
def test_a_mistake_in_a_step_is_told_with_line_field_and_remedy(steps: str, told: str) -> None:
    assert told in mistake(GOOD + steps + "\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\n\tsteps: []\n", "(indent with spaces, not tabs)"),
        ("name: a\nsteps: [\n", "test.yaml:3: not YAML:"),
        ("name: a: b\n", "test.yaml:1: not YAML: mapping values are not allowed"),
        ("name: *nobody\n", "test.yaml:1: not YAML: found undefined alias"),
        ("a: \x00\n", "test.yaml:1: not YAML:"),
        ("a: &x [*x]\n", "test.yaml:1: an alias refers to what it is part of (write it out)"),
        ("name: a\nname: b\n", 'test.yaml:2: "name" is written twice, first on line 1 (remove one of them)'),
        ("1: a\n", 'test.yaml:1: key 1 is no text (quote it: "1")'),
        ("", "test.yaml: the file is empty"),
        ("- a\n- b\n", "test.yaml:1: this is no scenario (write name, description and steps)"),
        ("name: a\ndescription: b\n", 'test.yaml:1: "steps" is missing (add steps)'),
        ("name: a\ndescription: b\nsteps: []\n", "test.yaml:3 steps: the list is empty (give at least 1)"),
        (GOOD + "---\nname: other\n", "test.yaml:9: a second document begins here"),
        (GOOD + "seed: seven\n", 'test.yaml:8 seed: this is the text "seven" (give a whole number)'),
        (GOOD + "kuberay: v0.1\n", "test.yaml:8 kuberay: there is no KubeRay v0.1 here (write v1.7.0 or v1.1.0)"),
        (GOOD + "kuberay: 1.2\n", "test.yaml:8 kuberay: there is no KubeRay 1.2 here (write v1.7.0 or v1.1.0)"),
        (GOOD + "kuberay: []\n", "test.yaml:8 kuberay"),
        (
            GOOD + "kuberay: 1.1\nfeature-gates: {RayClusterNetworkPolicy: true}\n",
            "KubeRay v1.1.0 has no feature gates (leave feature-gates out, or write kuberay: v1.7.0)",
        ),
        (GOOD + "nodes:\n- gpu: 2\n", 'test.yaml:9 nodes[0].gpu: no field is called "gpu" (did you mean "gpus"?)'),
        (GOOD + "nodes:\n- memory: 64GB\n", 'test.yaml:9 nodes[0].memory: "64GB" is no quantity'),
        (GOOD + "nodes:\n- taints: [a]\n", 'nodes[0].taints[0]: "a" is no taint (write key=value:NoSchedule)'),
        (
            GOOD + "calibration:\n  image_pul: 8s\n",
            'test.yaml:9 calibration.image_pul: no calibration entry is called "image_pul" (did you mean "image_pull"?)',
        ),
        (GOOD + "applications:\n  a.b: {latency: fast}\n", "test.yaml:9 applications.a.b.latency:"),
        (
            GOOD + "applications:\n  a.b: {handler: no_such_module_here:app}\n",
            'test.yaml:9 applications.a.b.handler: no Python module "no_such_module_here"',
        ),
        (
            GOOD + "applications:\n  a.b: {handler: json:dumbs}\n",
            'applications.a.b.handler: module json has no "dumbs" (did you mean "dumps"?)',
        ),
        (
            GOOD.replace("rate: 10/s", "rate: 10"),
            "test.yaml:5 traffic[0].rate: 10 is no rate (write one such as 50/s or 600/m)",
        ),
        (
            GOOD.replace("rate: 10/s", "rate: 10/s, clients: 2"),
            "test.yaml:5 traffic[0]: has both rate and clients",
        ),
        (
            GOOD.replace("rate: 10/s", "rate: 10/s, gateway: orchard-gateway"),
            "test.yaml:5 traffic[0]: has both service and gateway",
        ),
        (
            GOOD.replace("service: orchard-serve-svc, rate", "rate"),
            "test.yaml:5 traffic[0]: has neither service nor gateway (give service: NAME",
        ),
        (
            GOOD.replace("traffic:", "traffic:\n- {name: shoppers, service: a, clients: 1, requests: {path: /}}"),
            'test.yaml:6 traffic[1].name: a second traffic is called "shoppers"',
        ),
        (
            GOOD.replace("{bundled: one-per-node}", "{bundled: one-per-node}, {bundled: one-per-node}"),
            'a second RayService is called "orchard", the first is at one-per-node.yaml:2',
        ),
    ],
)
def test_a_mistake_in_the_file_is_told_with_line_field_and_remedy(text: str, told: str) -> None:
    assert told in mistake(text)


MANIFEST = """\
apiVersion: ray.io/v1
kind: RayService
metadata:
  name: stand
spec:
  serveConfigV2: |
    applications:
      - name: app
        import_path: fruit.deployment_graph
        route_prefix: /
  rayClusterConfig:
    headGroupSpec:
      template:
        spec:
          containers:
            - name: ray-head
              image: rayproject/ray:2.52.0
    workerGroupSpecs:
      - groupName: workers
        replicas: 1
        template: {spec: {containers: [{name: ray-worker}]}}
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("replicas: 1", "replicas: one"),
            ':20 spec.rayClusterConfig.workerGroupSpecs[0].replicas: this is the text "one"',
        ),
        (("replicas: 1", "replica: 1"), 'no field is called "replica" (did you mean "replicas"?)'),
        (("kind: RayService", "kind: RayServise"), ':2 kind: no kind is called "RayServise" here'),
        (("ray.io/v1", "ray.io/v9"), ":1 apiVersion: apiVersion of the RayService is 'ray.io/v9' (write ray.io/v1)"),
        (("  name: stand", "  labels: {}"), ":3 metadata: the RayService has no name (add metadata.name)"),
        (("headGroupSpec:", "headGroup:"), 'no field is called "headGroup" (did you mean "headGroupSpec"?)'),
        (("import_path: fruit", "import: fruit"), ":8 applications[0].import_path: invalid Serve config:"),
        (
            ("route_prefix: /", "deployments: [{num_replicas: 1}]"),
            "applications[0].deployments[0].name: invalid Serve config:",
        ),
        (("    applications:", "    applications: ["), ": not YAML:"),
    ],
)
def test_a_mistake_in_a_manifest_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    (tmp_path / "stand.yaml").write_text(MANIFEST.replace(*change, 1))
    (tmp_path / "test.yaml").write_text("name: a\ndescription: b\nmanifests: [stand.yaml]\nsteps: [{apply: all}]\n")
    for reference in ("stand.yaml", "test.yaml"):
        with pytest.raises(InputError) as caught:
            load(tmp_path / reference)
        assert "stand.yaml" in str(caught.value)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)


def test_two_rayservices_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "stand.yaml").write_text(MANIFEST + "---\n" + MANIFEST)
    with pytest.raises(InputError, match=r'stand\.yaml:26 metadata\.name: a second RayService is called "stand"'):
        load(tmp_path / "stand.yaml")


def test_a_manifest_of_nothing_that_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    with pytest.raises(InputError, match="there is no RayService, no RayCluster and no workload"):
        load(tmp_path / "pod.yaml")


@pytest.mark.parametrize("name", ["no-such.yaml", "folder/no-such.yaml"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "no-sach.yaml").write_text("")
    with pytest.raises(InputError, match="no such file") as caught:
        load(tmp_path / name)
    assert ('did you mean "no-sach.yaml"?' in str(caught.value)) == ("/" not in name)


def test_what_is_no_text_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        load(tmp_path / "binary.yaml")
    with pytest.raises(InputError, match="is a directory"):
        load(f"{tmp_path}/")


def test_an_unknown_name_suggests_the_nearest_scenario() -> None:
    with pytest.raises(
        InputError, match=r'no scenario is called "zero-downtime-upgrad" .did you mean "zero-downtime-upgrade"'
    ):
        load("zero-downtime-upgrad")


def test_bundled_manifests_are_named_after_what_they_show() -> None:
    assert "fruit-stand" in bundled_manifests()
