"""Deletion: all clusters at once, the finalizer last (kuberay-operator 2.11)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.reconciler import Request
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


def test_the_finalizers_of_others_are_left_alone(stage: Any) -> None:
    stage.create(stage.manifest(metadata={"finalizers": ["example.org/first"]}))
    stage.run(10)
    assert stage.service()["metadata"]["finalizers"] == ["example.org/first", "ray.io/rayservice-finalizer"]
    stage.delete(RAY_SERVICE, "rs")
    stage.run(14)
    assert stage.service()["metadata"]["finalizers"] == ["example.org/first"]
    writes = len(stage.writes())
    stage.patch({"metadata": {"labels": {"a": "b"}}})
    stage.run(20)
    assert stage.writes()[writes:] == [], "it has let go already"


def test_what_was_remembered_of_a_service_goes_with_it(running: Any) -> None:
    cluster = running.active()
    reconciler = running.operator.controllers["rayservice-controller"].reconciler
    request = Request("default", "rs")
    assert reconciler.memory.configs.get(request, cluster) is not None
    running.delete(RAY_SERVICE, "rs")
    running.run(14)
    assert reconciler.memory.configs.get(request, cluster) is None
    assert reconciler.memory.goals._known == {}
    assert reconciler._valid == {}


def test_a_service_of_the_same_name_begins_anew(running: Any) -> None:
    before = running.active()
    running.delete(RAY_SERVICE, "rs")
    running.run(14)
    running.create(running.manifest())
    running.run(30)
    assert running.ready() == "True"
    assert running.active() != before
    assert len(running.ray[running.active()].puts()) == 1


def test_a_cluster_of_somebody_else_is_left_alone(running: Any) -> None:
    running.head_after_s = None
    spec = running.get(RAY_CLUSTER, running.active())["spec"]
    for name, owner in (("plain", {}), ("anothers", {"ray.io/originated-from-cr-name": "other"})):
        marks = {**owner, "ray.io/originated-from-crd": "RayService"} if owner else {}
        metadata = {"name": name, "labels": marks}
        running.create({"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": spec})
    running.run(200)
    assert {"plain", "anothers"} <= set(running.names(RAY_CLUSTER))
