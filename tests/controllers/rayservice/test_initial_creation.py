"""From an applied manifest to a ready service: the worked timeline of kuberay-operator 2.17."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from rayrig_core.objects import annotations_of, labels_of
from rayrig_core.resource_types import POD, RAY_CLUSTER, RAY_SERVICE, SERVICE

FINALIZER = "ray.io/rayservice-finalizer"


@pytest.mark.accepts("RS-017", "RS-018", "RS-019", "RS-023", "RS-024", "RS-027", "RS-028")
def test_a_service_comes_up_tick_by_tick(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(30)
    cluster = stage.active()
    assert stage.writes() == [
        (
            0.0,
            "update rayservices/default/rs",
        ),  # the finalizer, which bumps the generation: the next tick follows at once
        (0.0, "update rayservices/default/rs"),  # status: a name for the pending cluster
        (2.0, f"create rayclusters/default/{cluster}"),
        (4.01, f"update pods/default/{cluster}-head"),  # the serve label, now that the proxy answers
        (4.01, "update rayservices/default/rs"),  # applications DEPLOYING
        (6.01, "create services/default/rs-head-svc"),
        (6.01, "create services/default/rs-serve-svc"),
        (6.01, "update rayservices/default/rs"),  # promoted
        (6.01, "update rayservices/default/rs"),  # the new Services woke the controller: endpoints counted
    ]
    assert stage.ray[cluster].calls()[:4] == [(2.01, "GET"), (2.01, "PUT"), (4.01, "GET"), (6.01, "GET")]
    assert stage.condition("Ready") == (
        "True",
        "NonZeroServeEndpoints",
        "Number of serve endpoints is greater than 0",
    )
    assert stage.status()["serviceStatus"] == "Running"
    assert stage.status()["numServeEndpoints"] == 2


@pytest.mark.accepts("RS-017", "RS-018")
def test_the_name_comes_first_and_the_object_later(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(1)
    assert stage.service()["metadata"]["finalizers"] == [FINALIZER]
    assert re.fullmatch(r"rs-[bcdfghjklmnpqrstvwxz2456789]{5}", stage.pending())
    assert stage.condition("Ready") == ("False", "Initializing", "RayService is initializing")
    assert stage.condition("UpgradeInProgress") == ("False", "Initializing", "RayService is initializing")
    assert stage.all(RAY_CLUSTER) == []
    assert stage.all(SERVICE) == []


@pytest.mark.accepts("RS-019")
def test_the_cluster_gets_the_name_that_was_chosen(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(1)
    name = stage.pending()
    stage.run(3)
    assert stage.names(RAY_CLUSTER) == [name]
    assert ("CreatedRayCluster", f"Created the RayCluster default/{name}") in stage.events()


@pytest.mark.accepts("RS-020")
def test_the_cluster_is_built_from_the_newest_spec(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(1)
    stage.edit(rayVersion="2.53.0")
    stage.run(30)
    (cluster,) = stage.all(RAY_CLUSTER)
    assert cluster["spec"]["rayVersion"] == "2.53.0"
    assert stage.active() == cluster["metadata"]["name"]


@pytest.mark.accepts("RS-021")
def test_labels_annotations_and_marks_of_the_cluster(stage: Any) -> None:
    stage.create(stage.manifest(metadata={"labels": {"team": "fruit"}, "annotations": {"ray.io/ft-enabled": "false"}}))
    stage.run(3)
    (cluster,) = stage.all(RAY_CLUSTER)
    assert labels_of(cluster) == {
        "team": "fruit",
        "ray.io/originated-from-cr-name": "rs",
        "ray.io/originated-from-crd": "RayService",
    }
    annotations = annotations_of(cluster)
    assert re.fullmatch(r"[0-9A-V]{32}", annotations.pop("ray.io/hash-without-replicas-and-workers-to-delete"))
    assert annotations == {
        "ray.io/ft-enabled": "false",
        "ray.io/num-worker-groups": "1",
        "ray.io/kuberay-version": "v1.7.0",
    }
    service = stage.service()
    assert cluster["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "name": "rs",
            "uid": service["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


@pytest.mark.accepts("RS-022")
def test_nothing_is_asked_of_ray_before_the_head_is_ready(stage: Any) -> None:
    stage.ready_after_s = 9.0
    stage.create(stage.manifest())
    stage.run(10.9)
    cluster = stage.pending()
    assert stage.ray[cluster].calls() == []
    assert stage.names(SERVICE) == [f"{cluster}-head-svc"]
    stage.run(12.1)
    assert [method for _, method in stage.ray[cluster].calls()] == ["GET", "PUT"]


def test_a_missing_head_pod_is_looked_for_with_growing_pauses(stage: Any) -> None:
    stage.head_after_s = None
    stage.create(stage.manifest())
    stage.run(2.2)
    reconciles = [e for e in stage.kernel.trace if e.kind.label == "reconcile" and "found 0 head" in str(e["outcome"])]
    cluster = stage.pending()
    assert reconciles[0]["outcome"] == f"error: found 0 head. cluster name {cluster}, namespace default"
    assert [e["requeue_ms"] for e in reconciles[:6]] == [5, 10, 20, 40, 80, 160]


@pytest.mark.accepts("RS-025")
@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED", "UNHEALTHY", "NOT_STARTED", "DELETING"])
def test_one_application_that_is_not_running_holds_up_the_promotion(stage: Any, status: str) -> None:
    stage.ray.defaults = {"statuses": {"math_app": status}}
    stage.create(stage.manifest())
    stage.run(40)
    assert stage.active() == ""
    apps = stage.status()["pendingServiceStatus"]["applicationStatuses"]
    assert {name: app["status"] for name, app in apps.items()} == {"fruit_app": "RUNNING", "math_app": status}


@pytest.mark.accepts("RS-026")
@pytest.mark.parametrize("status", ["UPDATING", "UNHEALTHY"])
def test_the_status_of_deployments_does_not_matter(stage: Any, status: str) -> None:
    stage.ray.defaults = {"deployment_status": status}
    stage.create(stage.manifest())
    stage.run_until_ready()
    apps = stage.status()["activeServiceStatus"]["applicationStatuses"]
    assert apps["fruit_app"]["serveDeploymentStatuses"] == {"MangoStand": {"status": status}}


@pytest.mark.accepts("RS-027")
def test_a_cluster_is_promoted_before_it_has_endpoints(stage: Any) -> None:
    stage.workers_ready = False
    stage.ray.defaults = {"proxy_status": 503}
    stage.create(stage.manifest())
    stage.run(20)
    assert stage.active() != ""
    assert stage.pending() == ""
    assert stage.condition("UpgradeInProgress") == (
        "False",
        "NoPendingCluster",
        "Active Ray cluster exists and no pending Ray cluster",
    )
    assert stage.condition("Ready") == ("False", "Initializing", "RayService is initializing")
    assert "numServeEndpoints" not in stage.status()


def test_what_is_submitted_is_compact_json_with_sorted_keys(stage: Any) -> None:
    stage.create(
        stage.manifest(serveConfigV2="applications:\n- name: a\n  import_path: m:a\n  args: {z: 1.0, b: on}\n")
    )
    stage.run(3)
    assert stage.ray[stage.pending()].puts() == [
        {"applications": [{"args": {"b": True, "z": 1}, "import_path": "m:a", "name": "a"}]}
    ]
    put = next(r for r in stage.ray[stage.pending()].requests if r.method == "PUT")
    assert (put.path, put.headers["content-type"]) == ("/api/serve/applications/", "application/json")
    assert json.dumps(put.body)


@pytest.mark.accepts("RS-002")
def test_a_name_of_47_characters_leads_to_whole_service_names(stage: Any) -> None:
    name = "n" * 47
    stage.create(stage.manifest(name))
    stage.run_until_ready(name)
    assert f"{name}-head-svc" in stage.names(SERVICE)
    assert f"{name}-serve-svc" in stage.names(SERVICE)


@pytest.mark.accepts("RS-010")
def test_another_managers_service_is_left_alone(stage: Any) -> None:
    stage.create(stage.manifest(managedBy="kueue.x-k8s.io/multikueue"))
    stage.run(20)
    service = stage.service()
    assert "status" not in service
    assert "finalizers" not in service["metadata"]
    assert stage.all(RAY_CLUSTER) == []
    assert stage.events() == []


@pytest.mark.accepts("RS-013")
def test_a_service_managed_by_the_operator_comes_up(stage: Any) -> None:
    stage.create(stage.manifest(managedBy="ray.io/kuberay-operator"))
    stage.run_until_ready()


@pytest.mark.accepts("RS-030")
def test_a_cluster_of_a_head_only_has_one_endpoint(stage: Any) -> None:
    stage.workers_ready = False
    stage.create(stage.manifest())
    stage.run_until_ready()
    assert stage.status()["numServeEndpoints"] == 1
    assert stage.get(POD, f"{stage.active()}-head") is not None


def test_the_first_write_fills_in_what_always_serialises(stage: Any) -> None:
    stage.create(stage.manifest())
    assert "scaleStrategy" not in stage.service()["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    stage.run(1)
    service = stage.service()
    assert service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["scaleStrategy"] == {}
    assert service["metadata"]["generation"] == 2
    assert stage.status()["observedGeneration"] == 2


def test_two_services_do_not_mind_each_other(stage: Any) -> None:
    stage.create(stage.manifest("one"))
    stage.create(stage.manifest("two"))
    stage.run(20)
    assert stage.ready("one") == stage.ready("two") == "True"
    assert stage.active("one") != stage.active("two")
    stage.delete(RAY_SERVICE, "one")
    stage.run(30)
    assert stage.names(RAY_SERVICE) == ["two"]
    assert stage.names(RAY_CLUSTER) == [stage.active("two")]
