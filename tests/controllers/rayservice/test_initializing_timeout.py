"""A service that does not become ready in time gives up (kuberay-operator 2.15)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE

LIMITED = {"annotations": {"ray.io/initializing-timeout": "10s"}}


@pytest.fixture
def timed_out(stage: Any) -> Any:
    stage.ready_after_s = None
    stage.create(stage.manifest(metadata=LIMITED))
    stage.run(20)
    return stage


@pytest.mark.accepts("RS-095")
def test_a_service_gives_up_after_its_limit(timed_out: Any) -> None:
    assert timed_out.condition("Ready") == (
        "False",
        "InitializingTimeout",
        "RayService failed to become ready within the configured timeout of 10s. Time spent initializing: 10.01s",
    )
    assert (timed_out.active(), timed_out.pending()) == ("", "")
    assert timed_out.events("RayServiceInitializingTimeout") == [
        (
            "RayServiceInitializingTimeout",
            "RayService initializing timeout exceeded after 10.01s (configured timeout: 10s)",
        )
    ]
    assert timed_out.condition("UpgradeInProgress")[1] == "Initializing"


@pytest.mark.accepts("RS-096")
def test_nothing_revives_it(timed_out: Any) -> None:
    timed_out.ready_after_s = 0.0
    timed_out.edit(rayVersion="2.53.0")
    timed_out.patch({"metadata": {"annotations": {"ray.io/initializing-timeout": "10h"}}})
    timed_out.run(200)
    assert timed_out.reason("Ready") == "InitializingTimeout"
    assert timed_out.names(RAY_CLUSTER) == []


@pytest.mark.accepts("RS-097")
def test_its_cluster_goes_after_the_delay_and_then_all_is_quiet(timed_out: Any) -> None:
    assert len(timed_out.names(RAY_CLUSTER)) == 1
    timed_out.run(70)
    assert len(timed_out.names(RAY_CLUSTER)) == 1
    timed_out.run(80)
    assert timed_out.names(RAY_CLUSTER) == []
    reconciles = timed_out.operator.controllers["rayservice-controller"].reconciles
    timed_out.run(600)
    assert timed_out.operator.controllers["rayservice-controller"].reconciles == reconciles


@pytest.mark.accepts("RS-098")
def test_a_service_that_was_ready_once_never_times_out(stage: Any) -> None:
    stage.create(stage.manifest(metadata=LIMITED))
    stage.run(9)
    assert stage.ready() == "True"
    cluster = stage.active()
    stage.ray[cluster].proxy_status = 503
    stage.do(stage.set_pod(f"{cluster}-worker", ready=False))
    stage.run(60)
    assert stage.reason("Ready") == "ZeroServeEndpoints"


def test_a_number_is_seconds(stage: Any) -> None:
    stage.ready_after_s = None
    stage.create(stage.manifest(metadata={"annotations": {"ray.io/initializing-timeout": "90"}}))
    stage.run(89)
    assert stage.reason("Ready") == "Initializing"
    stage.run(93)
    assert "timeout of 1m30s" in stage.condition("Ready")[2]


@pytest.mark.accepts("RS-108")
def test_a_timed_out_service_can_be_deleted(timed_out: Any) -> None:
    timed_out.delete(RAY_SERVICE, "rs")
    timed_out.run(24)
    assert timed_out.names(RAY_SERVICE) == []


def test_suspension_and_resumption_arm_it_anew(timed_out: Any) -> None:
    timed_out.ready_after_s = 0.0
    timed_out.patch({"spec": {"suspend": True}})
    timed_out.run(30)
    timed_out.patch({"spec": {"suspend": False}})
    timed_out.run(50)
    assert timed_out.ready() == "True"
