"""RayService and RayCluster are refused for the operator's reasons, in the operator's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rayrig_core.resources.validation import (
    Problem,
    first_problem,
    ray_cluster_metadata_problems,
    ray_cluster_problems,
    ray_cluster_spec_problems,
    ray_cluster_upgrade_problems,
    ray_cluster_warnings,
    ray_service_metadata_problems,
    ray_service_problems,
    ray_service_spec_problems,
)

RECORDED = Path(__file__).parents[3] / "shared" / "golden" / "operator" / "validation"


def with_defaults(manifest: dict[str, Any]) -> dict[str, Any]:
    spec = manifest.get("spec") or {}
    for group in (spec.get("rayClusterConfig") or spec).get("workerGroupSpecs") or ():
        for field, value in (("minReplicas", 0), ("maxReplicas", 2**31 - 1)):
            if group.get(field) is None:
                group[field] = value
    return manifest


def note_of(manifest: dict[str, Any]) -> tuple[str, str] | None:
    """Reason and note of the event the operator emits about a manifest, if any."""
    who = f"<NS>/{manifest['metadata']['name']}"
    if manifest["kind"] == "RayService":
        checks = (
            ("InvalidRayServiceMetadata", f"{who}: ", ray_service_metadata_problems(manifest)),
            ("InvalidRayServiceSpec", f"{who}: ", ray_service_spec_problems(manifest)),
        )
    else:
        checks = (
            (
                "InvalidRayClusterMetadata",
                f"The RayCluster metadata is invalid {who}: ",
                ray_cluster_metadata_problems(manifest),
            ),
            ("InvalidRayClusterSpec", f"The RayCluster spec is invalid {who}: ", ray_cluster_spec_problems(manifest)),
            (
                "InvalidRayClusterSpec",
                f"The RayCluster UpgradeStrategy is invalid {who}: ",
                ray_cluster_upgrade_problems(manifest),
            ),
            (
                "InvalidRayClusterSpec",
                f"RayCluster spec warning {who}: ",
                ray_cluster_warnings(manifest.get("spec") or {}),
            ),
        )
    for reason, prefix, problems in checks:
        problem = first_problem(problems)
        if problem is not None:
            return reason, prefix + problem.message
    return None


def admitted(path: Path) -> bool:
    """Whether the schema let it through, so that the operator got to judge it."""
    return bool(json.loads(path.read_text())["recorded"]["responses"][0]["code"] == 201)


CASES = [path for pattern in ("op-*.json", "name-*.json") for path in sorted(RECORDED.glob(pattern)) if admitted(path)]


@pytest.mark.skipif(not CASES, reason="the recordings are not here")
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
@pytest.mark.accepts("RS-001", "RS-003", "RS-004", "RS-014", "RS-015", "RS-016")
def test_recorded_refusals_are_told_word_for_word(path: Path) -> None:
    case = json.loads(path.read_text())
    manifest = next(step["object"] for step in case["steps"] if step["op"] == "create")
    told = [
        (event["reason"], event["note"])
        for event in case["recorded"]["events"]
        if event["reason"].startswith("Invalid") and event["regarding"].endswith(f"/{manifest['metadata']['name']}")
    ]
    assert note_of(with_defaults(manifest)) == (told[0] if told else None)


def cluster(**spec: Any) -> dict[str, Any]:
    container = {"name": "ray", "image": "rayproject/ray:2.52.0"}
    return {
        "kind": "RayCluster",
        "metadata": {"name": "c"},
        "spec": {"headGroupSpec": {"template": {"spec": {"containers": [container]}}}, **spec},
    }


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "RayService",
        "metadata": {"name": name},
        "spec": {"rayClusterConfig": cluster()["spec"], **spec},
    }


@pytest.mark.accepts("RS-005")
def test_an_unknown_upgrade_type_names_the_three_that_there_are() -> None:
    assert ray_service_problems(service(upgradeStrategy={"type": "Blue"})) == [
        Problem(
            "spec.upgradeStrategy.type",
            "The RayService spec is invalid: Spec.UpgradeStrategy.Type value Blue is invalid, valid options are "
            "NewClusterWithIncrementalUpgrade, NewCluster, or None",
            "choose one of these",
        )
    ]


@pytest.mark.accepts("RS-014")
@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("0", "must be a positive duration, got: 0"),
        ("-5s", "must be a positive duration, got: -5s"),
        ("-1", "must be a positive integer (seconds), got: -1"),
        (
            "abc",
            "has invalid format: abc. Expected Go duration format (e.g., '5m', '1h') or positive integer seconds",
        ),
        ("10s", ""),
        ("1h30m", ""),
        ("300", ""),
    ],
)
def test_the_initializing_timeout_is_a_positive_duration_or_number_of_seconds(value: str, complaint: str) -> None:
    manifest = service()
    manifest["metadata"]["annotations"] = {"ray.io/initializing-timeout": value}
    prefix = (
        "The RayService metadata is invalid: RayService annotations is invalid: annotation ray.io/initializing-timeout "
    )
    assert [p.message for p in ray_service_metadata_problems(manifest)] == ([prefix + complaint] if complaint else [])


@pytest.mark.accepts("RS-001", "RS-002")
def test_a_service_name_may_have_47_characters() -> None:
    assert ray_service_problems(service("n" * 47)) == []
    assert [p.message for p in ray_service_problems(service("n" * 48))] == [
        "The RayService metadata is invalid: RayService name should be no more than 47 characters"
    ]


@pytest.mark.accepts("RS-006")
def test_a_deletion_delay_may_not_be_negative() -> None:
    assert ray_service_problems(service(rayClusterDeletionDelaySeconds=0)) == []
    assert [p.message for p in ray_service_problems(service(rayClusterDeletionDelaySeconds=-1))] == [
        "The RayService spec is invalid: Spec.RayClusterDeletionDelaySeconds should be a non-negative integer, got -1"
    ]


@pytest.mark.accepts("RS-016")
@pytest.mark.parametrize(
    ("autoscaling", "options", "message"),
    [
        (False, {}, "Ray Autoscaler is required for NewClusterWithIncrementalUpgrade"),
        (True, None, "ClusterUpgradeOptions are required for NewClusterWithIncrementalUpgrade"),
        (True, {"maxSurgePercent": 101}, "maxSurgePercent must be between 0 and 100"),
        (True, {"stepSizePercent": -1}, "stepSizePercent must be between 0 and 100"),
        (
            True,
            {"stepSizePercent": 30, "maxSurgePercent": 20},
            "stepSizePercent must be less than or equal to maxSurgePercent",
        ),
        (True, {"intervalSeconds": 0}, "intervalSeconds must be greater than 0"),
        (True, {"gatewayClassName": ""}, "gatewayClassName is required for NewClusterWithIncrementalUpgrade"),
    ],
)
def test_an_incremental_upgrade_needs_its_options(autoscaling: bool, options: Any, message: str) -> None:
    good = {"stepSizePercent": 10, "intervalSeconds": 5, "gatewayClassName": "istio", "maxSurgePercent": 100}
    strategy: dict[str, Any] = {"type": "NewClusterWithIncrementalUpgrade"}
    if options is not None:
        strategy["clusterUpgradeOptions"] = {**good, **options}
    manifest = service(upgradeStrategy=strategy)
    manifest["spec"]["rayClusterConfig"]["enableInTreeAutoscaling"] = autoscaling
    assert [p.message for p in ray_service_problems(manifest)] == ["The RayService spec is invalid: " + message]


def test_all_problems_are_told_with_their_paths() -> None:
    manifest = cluster(
        workerGroupSpecs=[
            {"groupName": "g", "minReplicas": 5, "maxReplicas": -1, "template": {"spec": {"containers": []}}}
        ]
    )
    assert [(p.path, p.message) for p in ray_cluster_problems(manifest)] == [
        ("spec.workerGroupSpecs[0].template.spec.containers", "workerGroupSpec should have at least one container"),
        ("spec.workerGroupSpecs[0].maxReplicas", "worker group g has negative maxReplicas -1"),
        ("spec.workerGroupSpecs[0].minReplicas", "worker group g has minReplicas 5 greater than maxReplicas -1"),
    ]


def test_a_cluster_cannot_be_suspending_and_suspended() -> None:
    manifest = cluster()
    manifest["status"] = {
        "conditions": [
            {"type": "RayClusterSuspending", "status": "True"},
            {"type": "RayClusterSuspended", "status": "True"},
        ]
    }
    assert [p.path for p in ray_cluster_problems(manifest)] == ["status.conditions"]
