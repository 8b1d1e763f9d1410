"""RayClusters in scenarios: manifests become one, `cluster-ready` says what is missing, feature gates reach the operator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rayrig_core.errors import InputError
from rayrig_scenarios.api import Rig
from rayrig_scenarios.language.load import load, load_text
from rayrig_scenarios.results import Verdict
from rayrig_scenarios.runner import run

MANIFEST = """
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: orchard}
spec:
  headGroupSpec:
    rayStartParams: {}
    template: {spec: {containers: [{name: ray-head, image: "rayproject/ray:2.52.0"}]}}
  workerGroupSpecs:
    - groupName: trees
      replicas: 2
      minReplicas: 2
      maxReplicas: 2
      rayStartParams: {}
      template:
        spec:
          containers:
            - {name: ray-worker, image: "rayproject/ray:2.52.0", resources: {limits: {google.com/tpu: "4", cpu: "2"}}}
"""
SCENARIO = """
name: a cluster that denies all
description: The operator takes it only with its gate.
feature-gates: {RayClusterNetworkPolicy: true}
manifests: [cluster.yaml]
steps:
  - apply: all
  - wait: {for: {cluster-ready: orchard}, timeout: 5m}
expect:
  - cluster-ready: orchard
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(MANIFEST)
    return path


def test_a_manifest_is_applied_and_waited_for(manifest: Path) -> None:
    scenario = load(manifest)
    assert [step.chosen for step in scenario.file.steps] == ["apply", "wait", "sleep"]
    assert scenario.traffic == {}
    assert [(nodes.count, dict(nodes.extended)) for nodes in scenario.nodes] == [(1, {}), (2, {"google.com/tpu": "4"})]
    result = run(scenario)
    assert result.verdict is Verdict.PASS
    assert result.steps[1].detail == "ready, 2 of 2 workers ready"


def test_a_cluster_is_not_ready_while_one_of_its_workers_is_not(manifest: Path) -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    rig.apply(manifest)
    with pytest.raises(AssertionError) as broken:
        rig.wait({"cluster-ready": "orchard"}, timeout="2m")
    assert "state is not set, 0 of 2 workers ready; orchard-trees-worker-" in str(broken.value)
    assert "Unschedulable: 0/1 nodes are available: 1 Insufficient google.com/tpu." in str(broken.value)


def test_of_several_clusters_one_must_be_named(manifest: Path) -> None:
    rig = Rig()
    rig.node("node", cpu=16)
    rig.apply(manifest)
    other = load_text(MANIFEST.replace("orchard", "meadow"), "other.yaml").manifests[0].object
    rig.apply(other)
    with pytest.raises(InputError, match="several RayClusters: meadow, orchard"):
        rig.holds({"cluster-ready": ""})
    assert not rig.holds({"cluster-ready": "nowhere"})


def test_gates_of_the_file_are_on_and_those_given_beside_it_hold_over_them(manifest: Path) -> None:
    text = MANIFEST.replace("spec:\n  head", "spec:\n  networkPolicy: {mode: DenyAll}\n  head").replace(
        'google.com/tpu: "4", ', ""
    )
    manifest.write_text(text)
    path = manifest.parent / "scenario.yaml"
    path.write_text(SCENARIO)
    assert run(load(path)).verdict is Verdict.PASS
    refused = run(load(path).with_gates("RayClusterNetworkPolicy=false"))
    assert refused.verdict is Verdict.FAIL
    assert "spec.networkPolicy requires the RayClusterNetworkPolicy feature gate" in refused.steps[-1].detail
    assert refused.replay == f"rayrig run {path} --feature-gates RayClusterNetworkPolicy=false --seed 0"


def test_a_gate_that_there_is_not_is_named_with_its_line(manifest: Path) -> None:
    text = SCENARIO.replace("RayClusterNetworkPolicy", "RayClusterNetworkPolicies")
    with pytest.raises(InputError, match="feature-gates: there is no feature gate") as error:
        load_text(text, "scenario.yaml", folder=manifest.parent)
    assert "RayClusterNetworkPolicy" in error.value.remedy


def test_under_kuberay_1_1_pods_say_what_its_status_does_not(manifest: Path) -> None:
    ready = run(load(manifest, kuberay="1.1"))
    assert ready.verdict is Verdict.PASS
    assert ready.steps[1].detail == "ready, 2 of 2 workers ready"
    assert ready.replay == f"rayrig run {manifest} --kuberay 1.1 --seed 0"
    manifest.write_text(MANIFEST.replace('google.com/tpu: "4"', "example.com/none: 1"))
    scenario = load(manifest, kuberay="v1.1.0")
    stuck = run(replace(scenario, nodes=scenario.nodes[:1]))
    assert stuck.steps[1].detail.startswith(
        "not within 900 s: state is not set, 0 of 2 workers ready; orchard-worker-trees-"
    )
