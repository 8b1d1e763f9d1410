"""A RayService that the schema admits and the operator refuses (kuberay-operator 1.6, step 7 of 2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE, SERVICE

BLUE = (
    "The RayService spec is invalid: Spec.UpgradeStrategy.Type value Blue is invalid, valid options are "
    "NewClusterWithIncrementalUpgrade, NewCluster, or None"
)


@pytest.mark.accepts("RS-001")
def test_a_name_of_48_characters_is_refused(stage: Any) -> None:
    name = "n" * 48
    stage.create(stage.manifest(name))
    stage.run(10)
    message = "The RayService metadata is invalid: RayService name should be no more than 47 characters"
    assert stage.condition("Ready", name) == ("False", "ValidationFailed", message)
    assert stage.events() == [("InvalidRayServiceMetadata", f"default/{name}: {message}")]
    assert stage.all(RAY_CLUSTER) == []


@pytest.mark.accepts("RS-003")
def test_a_name_that_begins_with_a_digit_is_refused(stage: Any) -> None:
    stage.create(stage.manifest("1st"))
    stage.run(10)
    assert stage.reason("Ready", "1st") == "ValidationFailed"
    assert [reason for reason, _ in stage.events()] == ["InvalidRayServiceMetadata"]


@pytest.mark.accepts("RS-004")
def test_the_head_service_may_not_be_named(stage: Any) -> None:
    config = stage.cluster_config()
    config["headGroupSpec"]["headService"] = {"metadata": {"name": "mine"}}
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run(10)
    assert stage.condition("Ready")[2] == (
        "The RayService spec is invalid: spec.rayClusterConfig.headGroupSpec.headService.metadata.name should not be set"
    )


@pytest.mark.accepts("RS-005", "RS-007")
def test_a_refused_service_is_not_looked_at_again_until_it_changes(stage: Any) -> None:
    stage.create(stage.manifest(upgradeStrategy={"type": "Blue"}))
    stage.run(600)
    assert stage.condition("Ready") == ("False", "ValidationFailed", BLUE)
    assert stage.operator.controllers["rayservice-controller"].reconciles == 2
    stage.patch({"spec": {"upgradeStrategy": {"type": "NewCluster"}}})
    stage.run(620)
    assert stage.ready() == "True"


@pytest.mark.accepts("RS-006")
def test_a_negative_deletion_delay_is_refused_by_the_schema(stage: Any) -> None:
    with pytest.raises(Invalid, match="rayClusterDeletionDelaySeconds"):
        stage.create(stage.manifest(rayClusterDeletionDelaySeconds=-1))
    stage.create(stage.manifest(rayClusterDeletionDelaySeconds=0))


@pytest.mark.accepts("RS-008", "RS-009")
def test_an_invalid_edit_of_a_running_service_leaves_everything_running(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(10)
    before = stage.status()
    things = (stage.names(RAY_CLUSTER), stage.names(SERVICE))
    stage.patch({"spec": {"upgradeStrategy": {"type": "Blue"}}})
    stage.run(30)
    after = stage.status()
    assert stage.condition("Ready") == ("False", "ValidationFailed", BLUE)
    for field in ("activeServiceStatus", "serviceStatus", "numServeEndpoints", "observedGeneration"):
        assert after[field] == before[field]
    assert (stage.names(RAY_CLUSTER), stage.names(SERVICE)) == things
    stage.patch({"spec": {"upgradeStrategy": None}})
    stage.run(32)
    assert stage.reason("Ready") == "NonZeroServeEndpoints"


@pytest.mark.accepts("RS-015")
def test_the_old_way_to_redis_is_refused(stage: Any) -> None:
    config = stage.cluster_config()
    template = config["headGroupSpec"]["template"]
    template["metadata"] = {"annotations": {"ray.io/ft-enabled": "true"}}
    template["spec"]["containers"][0]["env"] = [{"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}]
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run(10)
    assert stage.reason("Ready") == "ValidationFailed"
    assert "GcsFaultToleranceOptions" in stage.condition("Ready")[2]


@pytest.mark.accepts("RS-108")
def test_an_invalid_service_can_be_deleted(stage: Any) -> None:
    stage.create(stage.manifest(upgradeStrategy={"type": "Blue"}))
    stage.run(10)
    stage.delete(RAY_SERVICE, "rs")
    stage.run(12)
    assert stage.names(RAY_SERVICE) == []


def test_a_service_that_was_never_valid_shows_it_once_mended(stage: Any) -> None:
    stage.create(stage.manifest(upgradeStrategy={"type": "Blue"}))
    stage.run(10)
    stage.patch({"spec": {"upgradeStrategy": None}})
    stage.run(11)
    assert stage.reason("Ready") == "ValidationFailed"
    assert stage.condition("UpgradeInProgress")[:2] == ("Unknown", "NoActiveCluster")
    stage.run(40)
    assert stage.ready() == "True"
