"""Deletion: all clusters at once, the finalizer last (kuberay-operator 2.11)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    return stage


@pytest.mark.accepts("RS-107")
def test_all_clusters_go_at_once_and_the_service_follows(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.ready_after_s = None
    running.run(14)
    assert len(running.names(RAY_CLUSTER)) == 2
    old, new = running.active(), running.pending()
    running.delete(RAY_SERVICE, "rs")
    running.run(20)
    assert sorted(what for at, what in running.writes(since_s=14)) == sorted(
        [f"delete rayclusters/default/{old}", f"delete rayclusters/default/{new}", "update rayservices/default/rs"]
    )
    assert running.writes(since_s=14)[-1][1] == "update rayservices/default/rs"
    assert (running.names(RAY_CLUSTER), running.names(RAY_SERVICE)) == ([], [])


@pytest.mark.accepts("RS-109")
def test_the_service_waits_for_a_cluster_that_is_held(running: Any) -> None:
    cluster = running.active()
    running.patch({"metadata": {"finalizers": ["ray.io/gcs-ft-redis-cleanup-finalizer"]}}, cluster, RAY_CLUSTER)
    running.delete(RAY_SERVICE, "rs")
    running.run(60)
    assert running.names(RAY_SERVICE) == ["rs"]
    running.patch({"metadata": {"finalizers": None}}, cluster, RAY_CLUSTER)
    running.run(64)
    assert running.names(RAY_SERVICE) == []
