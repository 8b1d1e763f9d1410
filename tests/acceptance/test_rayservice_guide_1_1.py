"""The RayService guide under the release it was written for: what `kubectl` prints there is what it prints here.

Differences of content that release 1.1.0 itself had from the guide's outputs are named where they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.objects import condition_of, labels_of, name_of
from rayrig_core.resource_types import CORE_EVENT
from rayrig_core.trace import Kind

Walk = Any

SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"


@pytest.fixture(scope="module", params=["bundled", "sample"])
def walk(request: pytest.FixtureRequest, begin_walk: Callable[..., Walk]) -> Walk:
    """Steps 3 to 8 and 10, on a node with room for two clusters."""
    walk = begin_walk(request.param, profile="v1.1.0")
    rig, name = walk.rig, walk.name
    rig.wait_ready(name)
    rig.wait({"pods": {"service": name, "ready": 2}})
    rig.sleep("3s")
    walk.take("4")
    walk.answers["6"] = (walk.fruit(), walk.pizzas())
    with rig.traffic(f"{name}-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2]) as shoppers:
        walk.change({walk.mango_stand("user_config.price"): 4})
        rig.wait({"deployment": {"application": "fruit_app", "name": "MangoStand", "status": "UPDATING"}}, timeout="5s")
        walk.take("7.3")
        rig.sleep("5s")
    walk.answers["7 shoppers"] = shoppers.fates
    walk.answers["7"] = walk.fruit()
    walk.take("7")
    walk.change({walk.worker_group("replicas"): 2})
    rig.sleep("1m")
    walk.take("8.3")
    shopping = rig.traffic(f"{name}-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2], connection_age="20s")
    with shopping as shoppers:
        walk.change({"spec.rayClusterConfig.rayVersion": "2.100.0"})
        rig.wait({"clusters": {"service": name, "count": 2}})
        walk.take("8.4 begun")
        rig.wait({"upgrade-complete": name})
        rig.wait({"pods": {"service": name, "ready": 5}}, timeout="1m")
        rig.sleep("3s")
        walk.take("8.5")
        rig.wait({"old-cluster-gone": name}, timeout="2m")
        rig.sleep("10s")
        walk.take("8.6")
    walk.answers["8 shoppers"] = shoppers.fates
    walk.answers["8"] = walk.fruit()
    assert rig.delete("RayService", name) == f"RayService/{name} deleted"
    rig.wait({"gone": f"RayService/{name}"}, timeout="1s")
    rig.sleep("40s")
    walk.take("10")
    return walk


def test_step_4_1_the_service_is_listed(walk: Walk) -> None:
    # The guide's output, with an age and nothing else, is older than release 1.1.
    assert walk["4"].rows("RayService") == [
        {"NAME": walk.name, "SERVICE STATUS": "Running", "NUM SERVE ENDPOINTS": "2"}
    ]


def test_step_4_2_the_cluster_is_listed_as_ready_with_one_worker(walk: Walk) -> None:
    (row,) = walk["4"].rows("RayCluster")
    assert re.fullmatch(f"{walk.name}-raycluster-{SUFFIX}", row["NAME"])
    assert (row["DESIRED WORKERS"], row["AVAILABLE WORKERS"], row["STATUS"]) == ("1", "1", "ready")


def test_step_4_3_the_pods_have_the_guides_names(walk: Walk) -> None:
    cluster = walk["4"].active
    head, worker = sorted(walk["4"].names("Pod"), key=lambda name: "worker" in name)
    assert re.fullmatch(f"{cluster}-head-{SUFFIX}", head)
    stem = f"{cluster}-worker-{walk.group}-"[-50:]
    assert re.fullmatch(f"{stem}{SUFFIX}", worker)
    if walk.name == "rayservice-sample":
        assert worker.startswith("ervice-sample-raycluster-")
    assert [(row["READY"], row["STATUS"], row["RESTARTS"]) for row in walk["4"].rows("Pod")] == [
        ("1/1", "Running", "0")
    ] * 2


def test_step_4_4_the_services_have_addresses_and_the_guides_ports(walk: Walk) -> None:
    cluster = walk["4"].active
    rows = {row["NAME"]: row for row in walk["4"].rows("Service")}
    assert sorted(rows) == sorted([f"{walk.name}-head-svc", f"{cluster}-head-svc", f"{walk.name}-serve-svc"])
    assert {row["TYPE"] for row in rows.values()} == {"ClusterIP"}
    assert all(row["CLUSTER-IP"].startswith("10.96.") for row in rows.values())
    if walk.name == "fruit-stand":
        ports = "10001/TCP,8265/TCP,52365/TCP,6379/TCP,8080/TCP,8000/TCP"
    else:
        # KubeRay's sample declares no ports: then the agent's is not exposed, and `redis` comes after `metrics`.
        ports = "10001/TCP,8265/TCP,8080/TCP,6379/TCP,8000/TCP"
    assert rows[f"{walk.name}-head-svc"]["PORT(S)"] == rows[f"{cluster}-head-svc"]["PORT(S)"] == ports
    assert rows[f"{walk.name}-serve-svc"]["PORT(S)"] == "8000/TCP"


def test_step_5_1_the_status_tells_of_each_application_when_it_was_seen(walk: Walk) -> None:
    applications = walk["4"].service["status"]["activeServiceStatus"]["applicationStatuses"]
    assert list(applications) == ["fruit_app", "math_app"]
    for application in applications.values():
        assert application["status"] == "RUNNING"
        assert re.fullmatch(r"2026-01-01T00:00:\d\dZ", application["healthLastUpdateTime"])
        for deployment in application["serveDeploymentStatuses"].values():
            assert deployment["status"] == "HEALTHY"
            assert deployment["healthLastUpdateTime"] == application["healthLastUpdateTime"]


def test_step_6_six_and_fifteen_pizzas(walk: Walk) -> None:
    assert walk.answers["6"] == (6, "15 pizzas please!")


def test_step_7_mango_stand_is_updating_in_the_status_and_nobody_notices(walk: Walk) -> None:
    status = walk["7.3"].service["status"]
    stand = status["activeServiceStatus"]["applicationStatuses"]["fruit_app"]["serveDeploymentStatuses"]["MangoStand"]
    # Release 1.1 wrote the status of a service that is not ready in each pass.
    assert stand["status"] == "UPDATING"
    assert status["serviceStatus"] == "WaitForServeDeploymentReady"
    assert walk["7"].service["status"]["serviceStatus"] == "Running"
    assert walk["7"].active == walk["4"].active
    assert (walk.answers["7"], list(walk.answers["7 shoppers"])) == (8, ["ok"])


def test_step_8_3_the_number_of_workers_does_not_reach_the_cluster(walk: Walk) -> None:
    before, after = walk["7"], walk["8.3"]
    assert after.service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["replicas"] == 2
    (cluster,) = after.objects["RayCluster"]
    assert cluster["spec"]["workerGroupSpecs"][0]["replicas"] == 1
    assert after.names("Pod") == before.names("Pod")


def test_step_8_4_the_version_brings_a_second_cluster(walk: Walk) -> None:
    begun = walk["8.4 begun"]
    assert begun.service["status"]["serviceStatus"] == "Restarting"
    assert condition_of(begun.service, "UpgradeInProgress") is None
    assert begun.active == walk["8.3"].active


def test_step_8_5_both_clusters_are_listed(walk: Walk) -> None:
    shown = {
        row["NAME"]: (row["DESIRED WORKERS"], row["AVAILABLE WORKERS"], row["STATUS"])
        for row in walk["8.5"].rows("RayCluster")
    }
    assert shown == {walk["8.3"].active: ("1", "1", "ready"), walk["8.5"].active: ("2", "2", "ready")}


def test_step_8_6_the_old_cluster_goes_a_minute_after_the_switch(walk: Walk) -> None:
    old = walk["8.3"].active
    (switched_s,) = walk.when(Kind.API_WRITE, f"services/default/{walk.name}-serve-svc", verb="update")
    (deleted_s,) = walk.when(Kind.API_WRITE, f"rayclusters/default/{old}", verb="delete")
    assert 60 < deleted_s - switched_s <= 62.1
    assert walk["8.6"].clusters == [walk["8.5"].active]


def test_step_8_7_the_answer_is_the_same_and_nobody_noticed(walk: Walk) -> None:
    assert (walk.answers["8"], list(walk.answers["8 shoppers"])) == (8, ["ok"])


def test_step_10_nothing_is_left(walk: Walk) -> None:
    for kind in ("RayService", "RayCluster", "Pod", "Service", "EndpointSlice"):
        assert walk["10"].names(kind) == [], kind


def test_step_9_a_worker_without_replica_is_not_ready_and_says_why(begin_walk: Callable[..., Walk]) -> None:
    walk = begin_walk("bundled", cpu=6, profile="v1.1.0")
    rig, name = walk.rig, walk.name
    rig.wait_ready(name)
    walk.change({walk.worker_group("replicas"): 2, "spec.rayClusterConfig.rayVersion": "2.100.0"})
    rig.wait({"upgrade-complete": name})
    # There was no room for the second worker until now that all replicas have their places.
    rig.node("late", cpu=1)
    rig.wait({"old-cluster-gone": name}, timeout="3m")
    rig.wait({"pods": {"service": name, "total": 3}}, timeout="1m")
    rig.wait({"pods": {"service": name, "unready": 1, "reason": "Readiness probe"}}, timeout="2m")
    rig.sleep("30s")
    picture = walk.take("9.1")
    assert sorted(row["READY"] for row in picture.rows("Pod")) == ["0/1", "1/1", "1/1"]
    (idle,) = (pod for pod in picture.pods() if not pod["status"]["containerStatuses"][0]["ready"])
    assert labels_of(idle)["ray.io/node-type"] == "worker"
    command = idle["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    assert command[:2] == ["bash", "-c"]
    assert command[2].endswith("&& wget -T 2 -q -O- http://localhost:8000/-/healthz | grep success")
    (event,) = (
        event
        for event in rig.world.objects(CORE_EVENT)
        if event["involvedObject"]["name"] == name_of(idle) and event["reason"] == "Unhealthy"
    )
    assert (event["type"], event["message"].rstrip()) == ("Warning", "Readiness probe failed: success")
    walk.change({walk.mango_stand("num_replicas"): 3})
    rig.wait({"pods": {"service": name, "total": 3, "ready": 3}}, timeout="1m")
