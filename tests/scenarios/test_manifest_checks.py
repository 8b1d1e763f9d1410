"""`rayrig validate`: each thing wrong is told with line, field and remedy, whoever would refuse it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayrig_core.errors import InputError
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_scenarios.manifest_checks.capacity import nodes_from, room_findings
from rayrig_scenarios.manifest_checks.checks import check_file
from rayrig_scenarios.manifest_checks.finding import Level, place_of

SERVICE = """\
apiVersion: ray.io/v1
kind: RayService
metadata:
  name: stand
spec:
  serveConfigV2: |
    applications:
      - name: a
        import_path: fruit:app
  rayClusterConfig:
    headGroupSpec:
      rayStartParams: {}
      template:
        spec:
          containers:
            - {name: h, image: i, resources: {limits: {cpu: 2, memory: 4Gi}}}
    workerGroupSpecs:
      - groupName: w
        replicas: 2
        maxReplicas: 2
        template:
          spec:
            containers:
              - {name: c, image: i, resources: {limits: {cpu: 4, memory: 8Gi, nvidia.com/gpu: 1}}}
"""


def found(folder: Path, text: str, gates: str = "") -> list[tuple[int, str, str]]:
    """(line, field, level) of each finding."""
    file = folder / "service.yaml"
    file.write_text(text)
    _, findings = check_file(file, FeatureGates.parse(gates))
    return [(each.line, each.field, str(each.level)) for each in findings]


def test_a_good_manifest_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, SERVICE) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "level"),
    [
        (
            "        replicas: 2\n",
            '        replicas: "2"\n',
            19,
            "spec.rayClusterConfig.workerGroupSpecs[0].replicas",
            "error",
        ),
        ("maxReplicas: 2", "maxReplica: 2", 20, "spec.rayClusterConfig.workerGroupSpecs[0].maxReplica", "error"),
        ("name: stand", "name: Stand", 4, "metadata.name", "error"),
        (
            "maxReplicas: 2",
            "maxReplicas: 2\n        minReplicas: 3",
            21,
            "spec.rayClusterConfig.workerGroupSpecs[0].minReplicas",
            "error",
        ),
        ("fruit:app", "fruit", 9, "spec.serveConfigV2.applications[0].import_path", "error"),
        ("fruit:app", "fruit:app\n        odd: 1", 10, "spec.serveConfigV2.applications[0].odd", "warning"),
        ("- name: a", "- name: [", 10, "spec.serveConfigV2", "error"),
        ("spec:\n  serve", "spec:\n  upgradeStrategy: {type: Odd}\n  serve", 6, "spec.upgradeStrategy.type", "error"),
    ],
)
def test_a_mistake_is_found_where_it_is(tmp_path: Path, old: str, new: str, line: int, field: str, level: str) -> None:
    assert old in SERVICE
    assert (line, field, level) in found(tmp_path, SERVICE.replace(old, new, 1))


def test_all_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        SERVICE.replace("name: stand", "name: Stand")
        .replace("fruit:app", "fruit")
        .replace("replicas: 2", "replicas: x", 1)
    )
    assert [line for line, _, _ in found(tmp_path, text)] == [4, 9, 19]


def test_feature_gates_are_the_operators(tmp_path: Path) -> None:
    text = SERVICE.replace("  rayClusterConfig:\n", "  rayClusterConfig:\n    networkPolicy: {mode: DenyAll}\n")
    (with_gate_off,) = found(tmp_path, text)
    assert with_gate_off[1] == "spec.rayClusterConfig.networkPolicy"
    assert found(tmp_path, text, "RayClusterNetworkPolicy=true") == []


def test_a_file_without_ray_objects_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    with pytest.raises(InputError, match="no RayService or RayCluster in it"):
        check_file(file)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("5xcpu=8,memory=32Gi,nvidia.com/gpu=1", []),
        (
            "4xcpu=3,memory=32Gi,nvidia.com/gpu=1",
            ["error: a pod that asks for cpu 4, memory 8Gi, nvidia.com/gpu 1 fits on no node"],
        ),
        ("1xcpu=8,memory=64Gi,nvidia.com/gpu=2", ["error: its pods ask for cpu 10, all nodes have cpu 8"]),
        (
            "2xcpu=8,memory=64Gi,nvidia.com/gpu=1",
            [
                (
                    "warning: an upgrade runs two clusters, which ask for cpu 20, nvidia.com/gpu 4; "
                    "all nodes have cpu 16, nvidia.com/gpu 2"
                )
            ],
        ),
    ],
)
def test_nodes_must_have_room(tmp_path: Path, node: str, said: list[str]) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(SERVICE)
    (written,), _ = check_file(file)
    findings = list(room_findings(written, [nodes_from(node)]))
    assert [f"{each.level}: {each.what}" for each in findings] == said
    assert all(each.line == 10 for each in findings)


@pytest.mark.parametrize("text", ["foo", "cpu", "cpu=many", "2x", "=1"])
def test_nodes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--node"):
        nodes_from(text)


def test_a_path_leads_to_its_place() -> None:
    assert place_of("spec.groups[0].labels[ray.io/x]") == ("spec", "groups", 0, "labels", "ray.io/x")
    assert place_of("") == ()
    assert f"{Level.ERROR}" == "error"
