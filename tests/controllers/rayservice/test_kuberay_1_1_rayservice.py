"""RayServices under the operator of KubeRay 1.1: each row of kuberay-operator 6.1 as a story."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.rayservice.goal import Goal
from rayrig_controllers.rayservice.memory import CACHED_SERVICES, SubmittedConfigs
from rayrig_controllers.reconciler import Request
from rayrig_controllers.releases import KUBERAY_1_1
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.http import Failure
from rayrig_core.objects import annotations_of
from rayrig_core.resource_types import CORE_EVENT, ENDPOINTS, POD, RAY_CLUSTER, RAY_SERVICE, SERVICE
from rayrig_core.trace import Kind

OLD = OperatorOptions(profile="1.1")
GET, PUT = ("GET", "/api/serve/applications/"), ("PUT", "/api/serve/applications/")
NOT_READY = "The service is not ready yet. Controller will perform a round of actions in 2s."


@pytest.fixture
def old(stage_with: Any) -> Any:
    return stage_with(OLD)


@pytest.fixture
def running(old: Any) -> Any:
    old.create(old.manifest())
    old.run(10)
    assert old.status()["serviceStatus"] == "Running"
    return old


def calls(stage: Any, cluster: str, path: str = "/api/") -> list[tuple[float, str, str]]:
    return [(round(r.at_s, 2), r.method, r.path) for r in stage.ray[cluster].requests if r.path.startswith(path)]


def word(stage: Any) -> str:
    return str(stage.status().get("serviceStatus", ""))


# From the manifest to a service


def test_a_service_comes_up_pass_by_pass(old: Any) -> None:
    old.create(old.manifest())
    old.run(9)
    cluster = old.active()
    assert old.writes() == [
        (0.0, "update rayservices/default/rs"),  # a name for the pending cluster, Restarting
        (2.0, f"create rayclusters/default/{cluster}"),
        (4.0, "update rayservices/default/rs"),  # applications DEPLOYING
        (6.0, "create services/default/rs-head-svc"),
        (6.0, f"update pods/default/{cluster}-head"),  # its label, in between the two Services
        (6.0, "create services/default/rs-serve-svc"),
        (6.0, "update rayservices/default/rs"),  # Running
        (6.005, "update rayservices/default/rs"),  # the new Services woke the controller: endpoints counted
    ]


def test_the_status_says_restarting_then_waits_then_runs(old: Any) -> None:
    old.create(old.manifest())
    seen = []
    for second in (1, 3, 5, 7):
        old.run(second)
        seen.append((word(old), bool(old.pending()), bool(old.active())))
    assert seen == [
        ("Restarting", True, False),
        ("Restarting", True, False),
        ("WaitForServeDeploymentReady", True, False),
        ("Running", False, True),
    ]
    assert re.fullmatch(r"rs-raycluster-[bcdfghjklmnpqrstvwxz2456789]{5}", old.active())


def test_running_is_when_applications_run_though_nobody_can_serve(old: Any) -> None:
    old.workers_ready = False
    old.ray.defaults = {"proxy_status": 503}
    old.create(old.manifest())
    old.run(20)
    assert word(old) == "Running"
    assert "numServeEndpoints" not in old.status()


def test_there_are_neither_conditions_nor_a_finalizer(running: Any) -> None:
    assert "conditions" not in running.status()
    assert "finalizers" not in running.service()["metadata"]
    assert running.service()["metadata"]["generation"] == 1


def test_the_status_tells_when_it_looked(running: Any) -> None:
    applications = running.status()["activeServiceStatus"]["applicationStatuses"]
    assert applications["fruit_app"] == {
        "status": "RUNNING",
        "healthLastUpdateTime": "2026-01-01T00:00:06Z",
        "serveDeploymentStatuses": {
            "MangoStand": {"status": "HEALTHY", "healthLastUpdateTime": "2026-01-01T00:00:06Z"},
        },
    }
    # Later looks alone are not worth a write.
    assert [second for second, _ in running.writes(since_s=6.1)] == []


def test_what_is_unhealthy_keeps_the_time_since_when(running: Any) -> None:
    dashboard = running.ray[running.active()]
    dashboard.statuses, dashboard.deployment_status = {"fruit_app": "UNHEALTHY"}, "UNHEALTHY"
    running.run(20)
    applications = running.status()["activeServiceStatus"]["applicationStatuses"]
    assert applications["fruit_app"]["healthLastUpdateTime"] == "2026-01-01T00:00:10Z"
    assert applications["math_app"]["healthLastUpdateTime"] > "2026-01-01T00:00:17Z"
    stand = applications["fruit_app"]["serveDeploymentStatuses"]["MangoStand"]
    assert stand == {"status": "UNHEALTHY", "healthLastUpdateTime": "2026-01-01T00:00:10Z"}
    assert word(running) == "WaitForServeDeploymentReady"
    # Both of these count as unhealthy of an application; only the one does of a deployment.
    dashboard.statuses, dashboard.deployment_status = {"fruit_app": "DEPLOY_FAILED"}, "HEALTHY"
    running.run(30)
    fruit = running.status()["activeServiceStatus"]["applicationStatuses"]["fruit_app"]
    assert fruit["healthLastUpdateTime"] == "2026-01-01T00:00:10Z"
    assert fruit["serveDeploymentStatuses"]["MangoStand"]["healthLastUpdateTime"] > "2026-01-01T00:00:27Z"


# The dashboard


def test_it_submits_first_and_looks_then(old: Any) -> None:
    old.create(old.manifest())
    old.run(7)
    assert calls(old, old.active())[:3] == [(4.0, *PUT), (4.0, *GET), (6.0, *GET)]


def test_a_service_may_be_ready_in_the_pass_of_its_submission(old: Any) -> None:
    old.ray.defaults = {"deploying_gets": 0}
    old.create(old.manifest())
    old.run(5)
    assert (word(old), bool(old.active())) == ("Running", True)


def test_a_dashboard_that_fails_is_asked_again_in_two_seconds(old: Any) -> None:
    old.ray.defaults = {"code": 500}
    old.create(old.manifest())
    old.run(11)
    cluster = old.pending()
    assert [call[:2] for call in calls(old, cluster)] == [
        (4.0, "PUT"),
        (4.0, "GET"),
        (6.0, "PUT"),  # no application was seen: the configuration counts as lost
        (6.0, "GET"),
        (8.0, "PUT"),
        (8.0, "GET"),
        (10.0, "PUT"),
        (10.0, "GET"),
    ]
    assert word(old) == "FailedToGetServeDeploymentStatus"
    assert old.told("FailedToGetServeDeploymentStatus", "ServiceNotReady") == [
        (second, "FailedToGetServeDeploymentStatus") for second in (4.0, 6.0, 8.0, 10.0)
    ]
    assert old.operator.errors == 0
    notes = [e["detail"] for e in old.kernel.trace.select(Kind.NOTE) if e.subject == "rayservices/default/rs"]
    assert [note[:24] for note in notes] == ["cannot reconcile Serve: "] * 2, (
        "no head pod, then the dashboard; each once"
    )
    old.ray[cluster].code = 200
    old.run(15)
    assert word(old) == "Running"


def test_a_refused_configuration_is_waited_for(old: Any) -> None:
    old.ray.defaults = {"put_code": 500}
    old.create(old.manifest())
    old.run(9)
    assert [call[:2] for call in calls(old, old.pending())] == [(4.0, "PUT"), (6.0, "PUT"), (8.0, "PUT")]
    assert word(old) == "WaitForServeDeploymentReady"
    assert [reason for _, reason in old.told()] == ["WaitForServeDeploymentReady"] * 3
    ((_, note),) = old.events("WaitForServeDeploymentReady")
    assert "500 Internal Server Error no luck" in note


def test_a_configuration_that_is_no_yaml_is_never_sent(old: Any) -> None:
    old.create(old.manifest(serveConfigV2="applications: ["))
    old.run(7)
    assert calls(old, old.pending()) == []
    assert word(old) == "WaitForServeDeploymentReady"


def test_an_empty_configuration_is_sent_in_each_pass(old: Any) -> None:
    old.create(old.manifest(serveConfigV2=""))
    old.run(7)
    assert [call[:2] for call in calls(old, old.pending())] == [(4.0, "PUT"), (4.0, "GET"), (6.0, "PUT"), (6.0, "GET")]
    assert old.ray[old.pending()].puts() == [{}, {}] or old.ray[old.pending()].puts() == [None, None]


def test_a_changed_configuration_goes_to_the_running_cluster_once(running: Any) -> None:
    cluster = running.active()
    running.patch({"spec": {"serveConfigV2": "applications: [{name: fruit_app, import_path: fruit:app}]"}})
    running.run(15)
    assert [at for at, method, _ in calls(running, cluster) if method == "PUT" and at >= 10] == [10.0]
    assert running.active() == cluster
    assert word(running) == "Running"


# Events


def test_until_it_is_ready_each_pass_tells_so_and_then_that_it_runs(old: Any) -> None:
    old.create(old.manifest())
    old.run(11)
    assert old.told() == [
        (4.0, "SubmittedServeDeployment"),
        (4.0, "ServiceNotReady"),
        (6.0, "Running"),
        (6.0, "Running"),
        (6.005, "Running"),
        (8.005, "Running"),
        (10.005, "Running"),
    ]
    assert ("ServiceNotReady", NOT_READY) in old.events()


def test_events_are_core_events_that_count(running: Any) -> None:
    (event,) = (e for e in running.all(CORE_EVENT) if e["reason"] == "Running")
    assert event["count"] == len(running.told("Running"))
    assert event["source"] == {"component": "rayservice-controller"}
    assert (event["type"], event["message"]) == ("Normal", "The Serve applicaton is now running and healthy.")
    assert event["involvedObject"]["kind"] == "RayService"
    assert event["eventTime"] is None
    assert "series" not in event


def test_a_head_that_is_not_ready_is_not_asked(old: Any) -> None:
    old.ready_after_s = 5.5
    old.create(old.manifest())
    old.run(7)
    assert calls(old, old.pending()) == []
    assert old.told() == [(4.0, "ServiceNotReady"), (6.0, "ServiceNotReady")]
    assert word(old) == "Restarting", "the pass ends before the status"


# Upgrades


def test_an_upgrade_pass_by_pass(running: Any) -> None:
    before = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(10.001)
    after = running.pending()
    assert (word(running), running.active()) == ("Restarting", before)
    running.run(80)
    assert running.writes(since_s=10) == [
        (10.0, "update rayservices/default/rs"),  # a name
        (12.0, f"create rayclusters/default/{after}"),
        (12.0, "update rayservices/default/rs"),  # both its head and its applications are there
        (14.0, "update services/default/rs-head-svc"),
        (14.0, f"update pods/default/{after}-head"),
        (14.0, "update services/default/rs-serve-svc"),
        (14.0, "update rayservices/default/rs"),
        (76.0, f"delete rayclusters/default/{before}"),  # first seen dangling at 14
    ]
    assert (running.active(), running.pending(), word(running)) == (after, "", "Running")
    assert running.names(RAY_CLUSTER) == [after]


def test_a_cluster_is_promoted_before_the_services_point_at_it(running: Any) -> None:
    before = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(13.9)
    running.refusals.left = {("update", "services"): 1}
    running.run(14.002)
    assert running.active() not in ("", before)
    assert running.selected("rs-head-svc") == before
    assert word(running) == "FailedToUpdateService"
    assert running.told("FailedToUpdateService") == [(14.0, "FailedToUpdateService")]
    running.run(14.02)
    assert running.selected("rs-head-svc") == running.selected("rs-serve-svc") == running.active()
    assert word(running) == "Running"


def test_the_old_cluster_is_asked_for_its_applications_meanwhile(running: Any) -> None:
    before = running.active()
    running.ray.defaults = {"deploying_gets": 4}
    running.edit(rayVersion="2.53.0")
    running.run(17)
    asked = [call[:2] for call in calls(running, before) if call[0] >= 10]
    # Twice at first: before the head pod is there, and when it is.
    assert asked == [(12.0, "GET"), (12.0, "GET"), (14.0, "GET"), (16.0, "GET")]
    active, pending = running.status()["activeServiceStatus"], running.status()["pendingServiceStatus"]
    assert active["applicationStatuses"]["fruit_app"]["status"] == "RUNNING"
    assert active["applicationStatuses"]["fruit_app"]["healthLastUpdateTime"] == "2026-01-01T00:00:16Z"
    assert pending["applicationStatuses"]["fruit_app"]["status"] == "DEPLOYING"
    # That it does not answer is no reason to stop.
    running.ray[before].code = 500
    running.run(30)
    assert running.active() == pending["rayClusterName"]


def test_only_the_cluster_found_ready_has_its_head_looked_at(running: Any) -> None:
    before = running.active()
    running.edit(rayVersion="2.53.0")
    running.run(20)
    asked = [at for at, *_ in calls(running, before, "/-/")]
    assert [at for at in asked if at >= 10] == [], "from the change on"
    assert next(at for at, *_ in calls(running, running.active(), "/-/")) == 14.0


def test_a_head_that_stops_to_serve_keeps_its_label_while_the_service_is_not_ready(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].proxy_status = 503
    running.ray[cluster].statuses = {"fruit_app": "DEPLOYING"}
    running.run(20)
    assert running.serve_label(cluster) == "true"
    running.ray[cluster].statuses = {}
    running.run(24)
    assert running.serve_label(cluster) == "false"


@pytest.mark.parametrize(
    ("status", "label"), [(200, "true"), (204, "true"), (299, "true"), (300, "false"), (199, "false")]
)
def test_any_success_of_the_proxy_will_do_within_20_ms(old: Any, status: int, label: str) -> None:
    old.ray.defaults = {"proxy_status": status}
    old.create(old.manifest())
    old.run(7)
    assert old.serve_label(old.active()) == label
    assert {r.timeout_s for r in old.ray[old.active()].requests if r.path == "/-/healthz"} == {0.02}


def test_another_spec_while_one_is_pending_makes_the_cluster_anew_under_its_name(running: Any) -> None:
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(13)
    name = running.pending()
    (first,) = (c for c in running.all(RAY_CLUSTER) if c["metadata"]["name"] == name)
    running.edit(rayVersion="2.54.0")
    running.run(17)
    (second,) = (c for c in running.all(RAY_CLUSTER) if c["metadata"]["name"] == name)
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert (first["spec"]["rayVersion"], second["spec"]["rayVersion"]) == ("2.53.0", "2.54.0")
    assert running.pending() == name
    assert [write for write in running.writes(since_s=13) if "rayclusters" in write[1]] == [
        (13.0, f"delete rayclusters/default/{name}"),
        (13.0, f"create rayclusters/default/{name}"),
    ]


def test_groups_appended_while_one_is_pending_are_put_into_it(running: Any) -> None:
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(13)
    running.edit(workerGroupSpecs=[running.group("small"), running.group("large")])
    running.run(15)
    cluster = running.get(RAY_CLUSTER, running.pending())
    assert [group["groupName"] for group in cluster["spec"]["workerGroupSpecs"]] == ["small", "large"]
    assert annotations_of(cluster)["ray.io/num-worker-groups"] == "2"
    assert [verb for _, verb in running.writes(since_s=13)] == [f"update rayclusters/default/{running.pending()}"]


def test_appended_groups_are_put_into_the_active_cluster(running: Any) -> None:
    cluster = running.active()
    running.edit(workerGroupSpecs=[running.group("small", replicas=3), running.group("large")])
    running.run(12)
    spec = running.get(RAY_CLUSTER, cluster)["spec"]
    assert [group["replicas"] for group in spec["workerGroupSpecs"]] == [3, 1], "and the other groups with them"
    assert (running.active(), running.pending()) == (cluster, "")


@pytest.mark.parametrize(
    ("change", "upgrades"),
    [
        ({"replicas": 2}, False),
        ({"scaleStrategy": {"workersToDelete": ["a"]}}, False),
        ({"minReplicas": 0}, True),
        ({"maxReplicas": 9}, True),
        ({"template": {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}}, True),
    ],
)
def test_of_a_group_only_replicas_and_named_victims_do_not_count(running: Any, change: Any, upgrades: bool) -> None:
    group = running.group("small")
    if "template" in change:
        change["template"]["spec"]["containers"] = group["template"]["spec"]["containers"]
    running.edit(workerGroupSpecs=[{**group, **change}])
    running.run(11)
    assert bool(running.pending()) == upgrades


def test_suspend_of_the_cluster_counts_too(running: Any) -> None:
    running.edit(suspend=True)
    running.run(11)
    assert running.pending()


def test_another_version_of_the_operator_leaves_clusters_alone(stage_with: Any) -> None:
    stage = stage_with(OLD)
    stage.create(stage.manifest())
    stage.run(10)
    stage.options = OperatorOptions(profile="1.1", kuberay_version="v1.1.1")
    stage.restart_operator()
    stage.run(20)
    assert [write for write in stage.writes(since_s=10) if "rayclusters" in write[1]] == []
    (cluster,) = stage.all(RAY_CLUSTER)
    assert sorted(annotations_of(cluster)) == [
        "ray.io/hash-without-replicas-and-workers-to-delete",
        "ray.io/num-worker-groups",
    ]


def test_the_environment_alone_switches_upgrades_off(stage_with: Any) -> None:
    stage = stage_with(OperatorOptions(profile="1.1", zero_downtime=False))
    stage.create(stage.manifest(upgradeStrategy={"type": "NewCluster"}))
    stage.run(10)
    cluster = stage.active()
    stage.edit(rayVersion="2.53.0")
    stage.run(20)
    assert (stage.active(), stage.pending(), word(stage)) == (cluster, "", "Running")
    assert stage.told("ServiceNotReady") == [(4.0, "ServiceNotReady")]


def test_a_deleted_active_cluster_is_not_replaced(running: Any) -> None:
    cluster = running.active()
    running.delete(RAY_CLUSTER, cluster)
    running.run(30)
    assert (running.active(), running.pending(), running.names(RAY_CLUSTER)) == (cluster, "", [])


# What there was not


def test_fields_of_later_releases_do_nothing(old: Any) -> None:
    later = {
        "suspend": True,
        "managedBy": "kueue.x-k8s.io/multikueue",
        "upgradeStrategy": {"type": "None"},
        "rayClusterDeletionDelaySeconds": 5,
        "excludeHeadPodFromServeSvc": True,
    }
    annotations = {"ray.io/initializing-timeout": "5s"}
    old.create(old.manifest(metadata={"annotations": annotations}, **later))
    old.ready_after_s = 6.0
    old.run(20)
    before = old.active()
    assert word(old) == "Running"
    assert old.serve_label(before) == "true"
    assert not later.keys() & old.service()["spec"].keys(), "the API server knows none of them"
    old.ready_after_s = 0.0
    old.edit(rayVersion="2.53.0")
    old.run(60)
    assert old.active() != before
    assert before in old.names(RAY_CLUSTER), "a minute, not five seconds"


def test_a_goal_is_the_same_with_and_without_fields_of_later_releases() -> None:
    config = {"headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": [{"name": "ray"}]}}}}
    group = {"groupName": "g", "rayStartParams": {}, "template": {"spec": {"containers": [{"name": "ray"}]}}}
    plain = Goal({**config, "workerGroupSpecs": [group]}, KUBERAY_1_1)
    later = Goal(
        {
            "headGroupSpec": {**config["headGroupSpec"], "labels": {"zone": "a"}},
            "workerGroupSpecs": [{**group, "idleTimeoutSeconds": 5, "suspend": True}],
            "upgradeStrategy": {"type": "Recreate"},
            "gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
        },
        KUBERAY_1_1,
    )
    assert later.hash == plain.hash
    assert later.spec == plain.spec


def test_a_deleted_service_is_gone_at_once_and_the_operator_does_nothing(running: Any) -> None:
    running.delete(RAY_SERVICE, "rs")
    running.run(14)
    assert running.all(RAY_SERVICE) == []
    assert running.writes(since_s=10) == []


def test_almost_nothing_is_refused(old: Any) -> None:
    manifest = old.manifest()
    head = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]
    head["template"]["spec"]["containers"][0]["env"] = [{"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}]
    manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"] = [old.group("small"), old.group("small", maxReplicas=0)]
    old.create(manifest)
    old.run(3)
    assert old.names(RAY_CLUSTER) == [old.pending()]


# Services and endpoints


def test_endpoints_are_counted_in_the_endpoints_object(running: Any) -> None:
    assert running.status()["numServeEndpoints"] == 2
    addresses = [{"ip": f"10.9.0.{n}"} for n in (1, 2, 3)]
    running.patch(
        {"subsets": [{"addresses": addresses[:2]}, {"addresses": addresses[2:], "notReadyAddresses": addresses}]},
        "rs-serve-svc",
        ENDPOINTS,
    )
    running.run(14)
    assert running.status()["numServeEndpoints"] == 3
    running.patch({"subsets": []}, "rs-serve-svc", ENDPOINTS)
    running.run(16)
    assert "numServeEndpoints" not in running.status()
    assert word(running) == "Running"


def ports_named(stage: Any, *names: str) -> dict[str, Any]:
    ports = [{"name": name, "containerPort": 8000 + n} for n, name in enumerate(names)]
    return {"rayClusterConfig": stage.cluster_config(ports=[*ports, {"name": "dashboard", "containerPort": 8265}])}


def test_the_serve_service_has_the_port_called_serve_and_no_other(old: Any) -> None:
    old.create(old.manifest(**ports_named(old, "serve", "serve-grpc")))
    old.run(8)
    service = old.get(SERVICE, "rs-serve-svc")
    assert [port["name"] for port in service["spec"]["ports"]] == ["serve"]


def test_without_a_port_called_serve_there_is_no_serve_service(old: Any) -> None:
    old.create(old.manifest(**ports_named(old, "serve-grpc")))
    old.run(8)
    assert old.get(SERVICE, "rs-head-svc") is not None
    assert old.get(SERVICE, "rs-serve-svc") is None
    assert (word(old), bool(old.active())) == ("FailedToUpdateService", True)
    ((_, note),) = old.events("FailedToUpdateService")
    assert note == (
        "Please specify the port named 'serve' in the Ray head container; "
        "otherwise, the Kubernetes service for Ray Serve will not be created."
    )


def test_of_the_users_own_serve_service_only_one_port_stays(old: Any) -> None:
    own = {"spec": {"ports": [{"name": "other", "port": 1}, {"name": "serve", "port": 9000, "targetPort": 8000}]}}
    old.create(old.manifest(serveService=own, **ports_named(old, "other")))
    old.run(8)
    service = old.get(SERVICE, "rs-serve-svc")
    assert [(port["name"], port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [
        ("serve", 9000, 9000)
    ]


def test_the_head_service_has_an_address(running: Any) -> None:
    assert running.get(SERVICE, "rs-head-svc")["spec"]["clusterIP"].startswith("10.")


def test_a_head_service_that_is_there_already_is_no_error(old: Any) -> None:
    old.create(old.manifest())
    old.run(5)
    spec = {"selector": {"ray.io/cluster": "another"}, "ports": [{"port": 1}]}
    old.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "rs-head-svc"}, "spec": spec})
    address = old.get(SERVICE, "rs-head-svc")["spec"]["clusterIP"]
    old.run(8)
    assert old.selected("rs-head-svc") == old.active()
    assert old.get(SERVICE, "rs-head-svc")["spec"]["clusterIP"] == address


def test_remembered_configurations_are_never_dropped() -> None:
    bounded, unbounded = SubmittedConfigs(), SubmittedConfigs(None)
    for number in range(CACHED_SERVICES + 1):
        for configs in (bounded, unbounded):
            configs.put(Request("default", f"rs-{number}"), "cluster", "text")
    first = Request("default", "rs-0")
    assert (bounded.get(first, "cluster"), unbounded.get(first, "cluster")) == (None, "text")


# Failures


def test_a_cluster_that_cannot_be_made_is_told_of_and_tried_again_with_growing_pauses(old: Any) -> None:
    old.create(old.manifest())
    old.run(1)
    old.refusals.left = {("create", "rayclusters"): 3}
    old.run(2.5)
    assert old.told("FailedToGetOrCreateRayCluster") == [
        (2.0, "FailedToGetOrCreateRayCluster"),
        (2.005, "FailedToGetOrCreateRayCluster"),
        (2.015, "FailedToGetOrCreateRayCluster"),
    ]
    assert old.events("FailedToGetOrCreateRayCluster") == [("FailedToGetOrCreateRayCluster", "no luck")]
    assert word(old) == "FailedToGetOrCreateRayCluster"
    assert [write[0] for write in old.writes() if "create rayclusters" in write[1]] == [2.035]


def test_a_head_that_cannot_be_labelled_is_told_of(old: Any) -> None:
    old.create(old.manifest())
    old.run(5)
    old.refusals.left = {("update", "pods"): 1}
    old.run(7)
    assert old.told("FailedToUpdateServingPodLabel") == [(6.0, "FailedToUpdateServingPodLabel")]
    # The failure came between the two Services, and shows until the next good pass.
    assert [write[1] for write in old.writes(since_s=5)][:4] == [
        "create services/default/rs-head-svc",
        "update rayservices/default/rs",
        f"update pods/default/{old.active()}-head",
        "create services/default/rs-serve-svc",
    ]
    assert word(old) == "Running"
    assert old.get(SERVICE, "rs-serve-svc") is not None


def test_a_failure_that_cannot_even_be_written_is_not_told(old: Any) -> None:
    old.create(old.manifest())
    old.run(1)
    old.refusals.left = {("create", "rayclusters"): 1, ("update", "rayservices"): 1}
    old.run(2.002)
    assert old.told("FailedToGetOrCreateRayCluster") == []
    assert old.operator.errors == 1
    old.run(7)
    assert word(old) == "Running"


def test_a_dangling_cluster_that_is_gone_already_is_shown_as_a_failure_and_is_no_error(running: Any) -> None:
    running.edit(rayVersion="2.53.0")
    running.run(75.9)
    errors = running.operator.errors
    running.refusals.left = {("delete", "rayclusters"): 1}
    running.refusals.reaction = ErrorBefore(404, "NotFound", "gone")
    running.run(76.1)
    assert word(running) == "FailedToGetOrCreateRayCluster"
    assert running.operator.errors == errors
    running.run(78.1)
    assert len(running.names(RAY_CLUSTER)) == 1
    assert word(running) == "Running"


def test_two_heads_are_no_head(running: Any) -> None:
    cluster = running.active()
    running.do(
        running.client.create(
            POD,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "another",
                    "namespace": "default",
                    "labels": {"ray.io/cluster": cluster, "ray.io/node-type": "head"},
                },
                "spec": {"containers": [{"name": "ray", "image": "ray"}]},
            },
        )
    )
    asked = len(running.ray[cluster].requests)
    running.run(20)
    assert len(running.ray[cluster].requests) == asked
    (note, *_) = [e["detail"] for e in running.kernel.trace.select(Kind.NOTE) if e.t_s > 10]
    assert note == f"cannot reconcile Serve: Found 2 head pods for RayCluster {cluster} in the namespace default"


def test_clusters_are_deleted_with_their_children_in_the_background(running: Any) -> None:
    before = running.active()
    running.ready_after_s = None
    running.edit(rayVersion="2.53.0")
    running.run(13)
    pending = running.pending()
    running.ready_after_s = 0.0
    running.edit(rayVersion="2.54.0")
    running.run(100)
    assert running.deletions == [(f"rayclusters/{pending}", "Background"), (f"rayclusters/{before}", "Background")]


def test_a_cluster_updated_in_place_is_looked_at_in_the_same_pass(running: Any) -> None:
    cluster = running.active()
    running.edit(workerGroupSpecs=[running.group("small"), running.group("large")])
    running.run(10.1)
    assert running.writes(since_s=10) == [(10.0, f"update rayclusters/default/{cluster}")]
    assert next(call[:2] for call in calls(running, cluster) if call[0] >= 10) == (10.0, "GET")
    assert running.status()["activeServiceStatus"]["rayClusterName"] == cluster
    assert [e["detail"] for e in running.kernel.trace.select(Kind.NOTE) if e.t_s >= 10] == []


def test_a_failure_that_cannot_be_written_has_both_errors(old: Any) -> None:
    old.create(old.manifest())
    old.run(1)
    old.refusals.left = {("create", "rayclusters"): 1, ("update", "rayservices"): 1}
    old.run(2.002)
    outcomes = [e["outcome"] for e in old.kernel.trace.select(Kind.RECONCILE) if e.t_s > 1]
    assert outcomes[0] == "error: combined error: no luck no luck"


def test_a_name_that_cannot_be_written_is_logged_and_chosen_anew(old: Any) -> None:
    old.refusals.left = {("update", "rayservices"): 1}
    old.create(old.manifest())
    old.run(1)
    assert (old.status(), old.operator.errors) == ({}, 0)
    old.run(3)
    assert word(old) == "Restarting"
    notes = [e["detail"] for e in old.kernel.trace.select(Kind.NOTE)]
    assert notes == ["cannot write the status: no luck"]


def test_an_active_cluster_that_cannot_be_asked_is_logged(running: Any) -> None:
    before = running.active()
    running.ray.defaults = {"deploying_gets": 3}
    running.edit(rayVersion="2.53.0")
    running.run(11)
    running.ray[before].failure = Failure.REFUSED
    running.run(15)
    (note, *_) = [e["detail"] for e in running.kernel.trace.select(Kind.NOTE) if e.t_s > 11]
    assert note.startswith("cannot tell how the active RayCluster is: failed to get Serve application statuses")


def test_a_status_that_cannot_be_written_is_logged_while_not_ready_and_an_error_when_ready(old: Any) -> None:
    old.create(old.manifest())
    old.run(3)
    old.refusals.left = {("update", "rayservices"): 1}
    old.run(4.1)
    assert (word(old), old.operator.errors) == ("Restarting", 0)
    assert old.told("ServiceNotReady") == []
    # What was submitted is not in the status, so it is submitted again.
    old.run(7.9)
    assert [at for at, method, _ in calls(old, old.pending()) if method == "PUT"] == [4.0, 6.0]
    errors = old.operator.errors
    old.refusals.left = {("update", "rayservices"): 1}
    old.run(9)
    assert old.operator.errors == errors + 1
    assert word(old) == "Running"


def test_a_deleted_service_is_forgotten(running: Any) -> None:
    running.delete(RAY_SERVICE, "rs")
    running.run(11)
    memory = running.operator.controllers["rayservice-controller"].reconciler.memory
    assert memory.goals._known == {}
    assert memory.logged == {}


def test_the_cluster_as_it_is_built(old: Any) -> None:
    old.create(old.manifest(metadata={"labels": {"team": "fruit"}, "annotations": {"note": "kept"}}))
    old.run(3)
    (cluster,) = old.all(RAY_CLUSTER)
    assert cluster["metadata"]["labels"] == {
        "team": "fruit",
        "ray.io/originated-from-cr-name": "rs",
        "ray.io/originated-from-crd": "RayService",
    }
    annotations = annotations_of(cluster)
    assert re.fullmatch(r"[0-9A-V]{32}", annotations.pop("ray.io/hash-without-replicas-and-workers-to-delete"))
    assert annotations == {"note": "kept", "ray.io/num-worker-groups": "1"}
    (owner,) = cluster["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("RayService", "rs", True)


def test_the_status_copies_the_status_of_the_cluster_in_hand(running: Any) -> None:
    before = running.active()
    running.patch({"status": {"state": "ready"}}, before, RAY_CLUSTER, "status")
    running.ray[before].statuses = {"fruit_app": "DEPLOYING"}
    running.run(12)
    assert running.status()["activeServiceStatus"]["rayClusterStatus"]["state"] == "ready"
    assert running.status()["observedGeneration"] == 1


def test_what_is_right_is_not_written_again(running: Any) -> None:
    running.run(11)
    running.refusals.asked.clear()
    running.run(20)
    told = [call for call in running.refusals.asked if not call.startswith("deliver")]
    assert told, "events of each pass"
    assert [call for call in told if not call.split()[1].startswith("events")] == []


def test_a_configuration_that_was_taken_away_is_sent_once_while_applications_are_left(running: Any) -> None:
    cluster = running.active()
    running.ray[cluster].raw = b'{"applications": {"left": {"status": "RUNNING"}}}'
    running.patch({"spec": {"serveConfigV2": None}})
    running.run(20)
    assert [at for at, method, _ in calls(running, cluster) if method == "PUT" and at >= 10] == [10.0]
    assert list(running.status()["activeServiceStatus"]["applicationStatuses"]) == ["left"]


def test_a_cluster_of_somebody_else_is_left_alone(running: Any) -> None:
    running.head_after_s = None
    spec = running.get(RAY_CLUSTER, running.active())["spec"]
    for name, owner in (("plain", {}), ("anothers", {"ray.io/originated-from-cr-name": "other"})):
        marks = {**owner, "ray.io/originated-from-crd": "RayService"} if owner else {}
        metadata = {"name": name, "labels": marks}
        running.create({"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": spec})
    running.run(200)
    assert {"plain", "anothers"} <= set(running.names(RAY_CLUSTER))
