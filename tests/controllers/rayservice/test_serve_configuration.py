"""The Serve configuration: when it is submitted, to whom, and what happens when that fails (kuberay-operator 2.8)."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.reconciler import Request
from rayrig_core.http import Failure
from rayrig_core.resource_types import RAY_CLUSTER, SECRET
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_fakes.kubernetes.calls import ApiCall

FAILED = "FailedToUpdateServeApplications"


@pytest.fixture
def running(stage: Any) -> Any:
    stage.create(stage.manifest())
    stage.run(10)
    assert stage.ready() == "True"
    return stage


@pytest.mark.accepts("RS-041")
def test_a_new_configuration_goes_to_the_active_cluster(running: Any) -> None:
    cluster = running.active()
    text = running.service()["spec"]["serveConfigV2"].replace("MangoStand", "PearStand")
    running.patch({"spec": {"serveConfigV2": text}})
    running.run(30)
    puts = running.ray[cluster].puts()
    assert len(puts) == 2
    assert puts[1]["applications"][0]["deployments"] == [{"name": "PearStand"}]
    assert [reason for reason, _ in running.events("UpdatedServeApplications")] == ["UpdatedServeApplications"] * 2
    assert (running.active(), running.pending(), running.names(RAY_CLUSTER)) == (cluster, "", [cluster])
    assert running.ready() == "True"


@pytest.mark.accepts("RS-043")
def test_an_unchanged_configuration_is_only_looked_at(running: Any) -> None:
    cluster = running.active()
    begin = len(running.ray[cluster].calls())
    running.run(30)
    assert {method for _, method in running.ray[cluster].calls()[begin:]} == {"GET"}
    assert [at for at, _ in running.ray[cluster].calls()[begin:]][:3] == [10.01, 12.01, 14.01]


@pytest.mark.accepts("RS-044")
def test_a_cluster_that_lost_its_applications_gets_them_again(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].config = None
    running.run(13)
    assert len(running.ray[cluster].puts()) == 2


@pytest.mark.accepts("RS-045")
def test_a_restarted_operator_submits_once_more(running: Any) -> None:
    cluster = running.active()
    running.restart_operator()
    running.run(20)
    assert len(running.ray[cluster].puts()) == 2
    assert running.names(RAY_CLUSTER) == [cluster]


@pytest.mark.accepts("RS-046")
def test_a_refused_configuration_is_tried_again_with_growing_pauses(stage: Any) -> None:
    stage.ray.defaults = {"put_code": 500}
    stage.create(stage.manifest())
    stage.run(2.2)
    cluster = stage.pending()
    puts = [at for at, method in stage.ray[cluster].calls() if method == "PUT"]
    assert [round(b - a, 3) for a, b in pairwise(puts)] == [0.02, 0.04, 0.08]
    (event, *_) = stage.events(FAILED)
    assert event[1].startswith(
        f"Failed to update serve applications to the RayCluster default/{cluster}: fail to create / update Serve applications. "
    )
    assert event[1].endswith("err: UpdateDeployments fail: 500 Internal Server Error no luck")
    stage.ray[cluster].put_code = 200
    stage.run_until_ready()


@pytest.mark.accepts("RS-047")
@pytest.mark.parametrize("trouble", ["500", "refused", "timeout", "garbage"])
def test_a_dashboard_that_does_not_answer_gets_no_configuration(stage: Any, trouble: str) -> None:
    settings: dict[str, Any] = {
        "500": {"code": 500},
        "refused": {"failure": Failure.REFUSED},
        "timeout": {"failure": Failure.TIMEOUT},
        "garbage": {"raw": b"<html>"},
    }[trouble]
    stage.ray.defaults = settings
    stage.create(stage.manifest())
    stage.run(8)
    cluster = stage.pending()
    assert stage.ray[cluster].puts() == []
    assert [reason for reason, _ in stage.events()] == ["CreatedRayCluster"]
    assert stage.writes(since_s=2.5) == []


@pytest.mark.accepts("RS-047")
def test_trouble_with_the_dashboard_freezes_the_status(running: Any) -> None:
    cluster = running.active()
    before = running.status()
    running.ray[cluster].code = 500
    running.do(running.set_pod(f"{cluster}-worker", ready=False))
    running.run(20)
    assert running.status() == before
    running.ray[cluster].code = 200
    running.run(45)
    assert running.status()["numServeEndpoints"] == 1


@pytest.mark.accepts("RS-048")
def test_text_that_is_no_yaml_never_reaches_the_dashboard(stage: Any) -> None:
    stage.create(stage.manifest(serveConfigV2="applications: [unclosed\n"))
    stage.run(8)
    assert stage.ray[stage.pending()].puts() == []
    assert stage.events(FAILED)[0][1].endswith(
        "error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"
    )


@pytest.mark.accepts("RS-049")
def test_a_trailing_blank_is_a_change(running: Any) -> None:
    text = running.service()["spec"]["serveConfigV2"]
    running.patch({"spec": {"serveConfigV2": text + " "}})
    running.run(20)
    puts = running.ray[running.active()].puts()
    assert puts[0] == puts[1]
    assert len(puts) == 2


def test_no_configuration_is_submitted_as_an_empty_one_on_every_tick(stage: Any) -> None:
    manifest = stage.manifest()
    del manifest["spec"]["serveConfigV2"]
    stage.create(manifest)
    stage.run(9)
    assert stage.ray[stage.pending()].puts() == [{}, {}, {}, {}]


@pytest.mark.accepts("RS-050")
def test_in_token_mode_every_request_carries_the_token(stage: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}}
    secret["data"] = {"auth_token": b64encode(b"s3cret").decode()}  # type: ignore[assignment]
    stage.server.call(ApiCall("create", SECRET, "default", body=secret))
    config = stage.cluster_config(authOptions={"mode": "token", "secretName": "mine"})
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run_until_ready()
    requests = [r for r in stage.ray[stage.active()].requests if r.path.startswith("/api/")]
    assert {r.method for r in requests} == {"GET", "PUT"}
    assert {r.headers["x-ray-authorization"] for r in requests} == {"Bearer s3cret"}


def test_without_the_token_secret_nothing_is_asked(stage: Any) -> None:
    config = stage.cluster_config(authOptions={"mode": "token", "secretName": "missing"})
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run(8)
    assert stage.ray[stage.pending()].calls() == []


@pytest.mark.accepts("RS-051")
def test_a_head_without_a_dashboard_port_gets_no_configuration(stage: Any) -> None:
    ports = [{"name": "serve", "containerPort": 8000}]
    stage.create(stage.manifest(rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(8)
    assert stage.ray[stage.pending()].calls() == []
    outcomes = [str(e["outcome"]) for e in stage.kernel.trace if e.kind.label == "reconcile"]
    assert "error: dashboard port is not found" in outcomes


def test_through_the_api_server_the_dashboard_is_a_proxied_service(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(use_kubernetes_proxy=True))
    stage.create(stage.manifest())
    stage.run_until_ready()
    paths = {request.path for request in stage.ray[stage.active()].requests}
    base = f"/api/v1/namespaces/default/services/{stage.active()}-head-svc:dashboard/proxy"
    assert f"{base}/api/serve/applications/?api_type=declarative" in paths
    assert f"/api/v1/namespaces/default/pods/{stage.active()}-head:8000/proxy/-/healthz" in paths


def test_a_secret_without_a_token_is_said(stage: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": {"other": "eA=="}}
    stage.server.call(ApiCall("create", SECRET, "default", body=secret))
    config = stage.cluster_config(authOptions={"mode": "token", "secretName": "mine"})
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run(8)
    outcomes = [str(e["outcome"]) for e in stage.kernel.trace if e.kind.label == "reconcile"]
    assert "error: auth token key 'auth_token' is not found in Secret mine" in outcomes


def test_the_body_is_the_configuration_as_compact_json(stage: Any) -> None:
    stage.create(
        stage.manifest(serveConfigV2="applications:\n- {name: b, import_path: x, args: {z: 1, a: 2.5, ä: yes}}\n")
    )
    stage.run(5)
    (config,) = stage.ray[stage.pending()].puts()
    assert config == {"applications": [{"name": "b", "import_path": "x", "args": {"z": 1, "a": 2.5, "ä": True}}]}


def test_a_submission_that_failed_is_not_remembered(stage: Any) -> None:
    stage.ray.defaults = {"put_code": 500}
    stage.create(stage.manifest())
    stage.run(3)
    memory = stage.operator.controllers["rayservice-controller"].reconciler.memory
    request = Request("default", "rs")
    assert memory.configs.get(request, stage.pending()) is None
    stage.ray[stage.pending()].put_code = 200
    stage.ray.defaults = {}
    stage.run(20)
    assert memory.configs.get(request, stage.active()) == stage.service()["spec"]["serveConfigV2"]
    stage.edit(rayVersion="2.53.0")
    before = stage.active()
    stage.run(40)
    assert stage.active() != before
    assert memory.configs.get(request, before) is None, "what is neither active nor pending is forgotten"


def test_a_head_is_ready_by_its_pod_where_clusters_have_no_conditions(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(gates=FeatureGates(ray_cluster_status_conditions=False)))
    stage.ready_after_s = 7.0
    stage.create(stage.manifest())
    stage.run(5)
    cluster = stage.pending()
    stage.do(stage.set_head_ready(cluster, "True"))
    stage.run(8.9)
    assert stage.ray[cluster].calls() == [], "its condition says nothing here"
    stage.run(30)
    assert stage.ready() == "True"
    stage.do(stage.set_head_ready(cluster, "False"))
    before = len(stage.ray[cluster].calls())
    stage.run(34)
    assert len(stage.ray[cluster].calls()) > before
    stage.do(stage.set_pod(f"{cluster}-head", ready=False))
    before = len(stage.ray[cluster].calls())
    stage.run(40)
    assert len(stage.ray[cluster].calls()) == before
