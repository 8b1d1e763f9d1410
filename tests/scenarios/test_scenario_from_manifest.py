"""A RayService manifest is a scenario: deploy, light traffic, a changed cluster configuration, the upgrade."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_world import ScriptedWorld

from rayrig_scenarios.language.from_manifest import scenario_from_manifest
from rayrig_scenarios.language.load import bundled_scenarios, load
from rayrig_scenarios.language.manifests import bundled_manifests
from rayrig_scenarios.runner import run

LIBRARY = Path(str(__import__("rayrig_scenarios").__path__[0])) / "library"
SAMPLES = Path(__file__).parents[3] / "shared" / "kuberay" / "samples"


def test_a_manifest_is_deployed_and_upgraded_under_traffic() -> None:
    scenario = load(LIBRARY / "manifests" / "fruit-stand.yaml")
    assert [step.chosen for step in scenario.file.steps] == [
        "apply",
        "wait",
        "sleep",
        "start_traffic",
        "sleep",
        "apply",
        "wait",
        "wait",
        "sleep",
        "stop_traffic",
    ]
    assert {name: spec.classes[0].path for name, spec in scenario.traffic.items()} == {
        "fruit-stand/fruit_app": "/fruit/",
        "fruit-stand/math_app": "/calc/",
    }
    assert {spec.service for spec in scenario.traffic.values()} == {"fruit-stand-serve-svc"}


def test_its_run_says_how_to_repeat_it() -> None:
    path = LIBRARY / "manifests" / "one-per-node.yaml"
    result = run(scenario_from_manifest(path), world_factory=ScriptedWorld)
    assert result.replay == f"rayrig run {path} --seed 0"


def test_the_change_touches_nothing_but_an_annotation() -> None:
    scenario = load(LIBRARY / "manifests" / "one-per-node.yaml")
    changes = [step.apply.set for step in scenario.file.steps if step.apply is not None and step.apply.set]
    (change,) = changes
    assert list(change) == ['spec.rayClusterConfig.headGroupSpec.template.metadata.annotations."rayrig.dev/upgrade"']


def test_without_an_upgrade_strategy_no_upgrade_is_awaited(tmp_path: Path) -> None:
    text = (LIBRARY / "manifests" / "one-per-node.yaml").read_text()
    path = tmp_path / "service.yaml"
    path.write_text(text.replace("spec:\n", "spec:\n  upgradeStrategy: {type: None}\n", 1).replace("None}", '"None"}'))
    scenario = load(path)
    waits = [condition.chosen for step in scenario.file.steps if step.wait for condition in step.wait.for_]
    assert waits == ["ready"]


def test_a_serve_port_of_its_own_gets_the_traffic(tmp_path: Path) -> None:
    text = (LIBRARY / "manifests" / "one-per-node.yaml").read_text()
    ports = "            - name: ray-head\n              ports: [{containerPort: 9000, name: serve}]\n"
    path = tmp_path / "service.yaml"
    path.write_text(text.replace("            - name: ray-head\n", ports))
    assert [spec.port for spec in load(path).traffic.values()] == [9000]


def test_fields_that_serve_drops_are_remarked_upon(tmp_path: Path) -> None:
    text = (LIBRARY / "manifests" / "one-per-node.yaml").read_text()
    path = tmp_path / "service.yaml"
    path.write_text(text.replace("num_replicas: 2", "num_replica: 2"))
    (remark,) = load(path).warnings
    assert remark.endswith(
        "service.yaml:14 applications[0].deployments[0].num_replica: Serve knows no such field and drops it"
    )


def test_secrets_that_are_not_in_the_manifest_get_stand_ins(tmp_path: Path) -> None:
    text = (LIBRARY / "manifests" / "one-per-node.yaml").read_text()
    env = (
        "            - name: ray-head\n              env:\n"
        "                - {name: TOKEN, valueFrom: {secretKeyRef: {name: hub, key: token}}}\n"
        "                - {name: SPARE, valueFrom: {secretKeyRef: {name: spare, key: token, optional: true}}}\n"
    )
    path = tmp_path / "service.yaml"
    path.write_text(text.replace("            - name: ray-head\n", env))
    scenario = load(path)
    assert [written.key for written in scenario.manifests] == [
        ("Secret", "default", "hub"),
        ("RayService", "default", "orchard"),
    ]
    assert scenario.manifests[0].object["stringData"] == {"token": "set-by-rayrig"}
    assert scenario.warnings == (f"Secret hub is not in {path}: a stand-in takes its place",)


@pytest.mark.parametrize("name", bundled_scenarios())
def test_every_bundled_scenario_is_called_like_its_file_and_says_why_it_is_there(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert len(scenario.description.split()) > 15
    assert scenario.file.expect
    assert not scenario.warnings


@pytest.mark.parametrize("name", bundled_manifests())
def test_every_bundled_manifest_is_a_scenario_of_its_own(name: str) -> None:
    assert load(LIBRARY / "manifests" / f"{name}.yaml").traffic


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="KubeRay's sample manifests are not beside this repository")
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("ray-service.*.yaml")), ids=lambda path: path.stem)
def test_every_rayservice_sample_of_kuberay_becomes_a_scenario(path: Path) -> None:
    scenario = load(path)
    assert scenario.traffic
    assert scenario.nodes


@pytest.mark.parametrize("strategy", ['"None"', "NewClusterWithIncrementalUpgrade"])
def test_kuberay_1_1_upgrades_whatever_the_strategy_that_it_does_not_know(tmp_path: Path, strategy: str) -> None:
    later = f"spec:\n  upgradeStrategy: {{type: {strategy}}}\n  rayClusterDeletionDelaySeconds: 600\n"
    path = tmp_path / "service.yaml"
    path.write_text((LIBRARY / "manifests" / "one-per-node.yaml").read_text().replace("spec:\n", later, 1))
    scenario = load(path, kuberay="1.1")
    waits = [condition.chosen for step in scenario.file.steps if step.wait for condition in step.wait.for_]
    assert waits == ["ready", "upgrade_complete", "old_cluster_gone"]
    assert {(spec.gateway, spec.connection_age_s) for spec in scenario.traffic.values()} == {("", 20.0)}
    assert scenario.world_spec(0).profile == "v1.1.0"
