"""The RayService guide, step by step, with its sample service: what it says one sees is what there is to see.

Each walk is taken once; the tests look at the pictures taken on it. Where release 1.7 of the operator differs from the 1.1 that
the guide speaks of (kuberay-operator section 6), it is 1.7 that is followed, and the difference is named here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.objects import condition_of, has_condition, labels_of, name_of
from rayrig_core.trace import Kind

Walk = Any
Picture = Any

DEPLOYMENTS = {
    "fruit_app": ["MangoStand", "OrangeStand", "PearStand", "FruitMarket"],
    "math_app": ["Adder", "Multiplier", "Router"],
}
HEAD_PORTS = {"client": 10001, "dashboard": 8265, "gcs-server": 6379, "metrics": 8080, "serve": 8000}
#: Release 1.7 exposes the agent's port where the head declares it, release 1.1 always.
DECLARED = {"fruit-stand": {"dashboard-agent": 52365}, "rayservice-sample": {}}


@pytest.fixture(scope="module", params=["bundled", "sample"])
def walk(request: pytest.FixtureRequest, begin_walk: Callable[..., Walk]) -> Walk:
    """Steps 3 to 10 on a node with room for two clusters."""
    walk = begin_walk(request.param)
    rig, name = walk.rig, walk.name
    # Step 3
    rig.sleep("1s")
    walk.take("3 applied")
    rig.sleep("2s")
    walk.take("3 starting")
    rig.wait({"pods": {"service": name, "role": "head", "ready": 1}})
    walk.take("3 head ready")
    # Steps 4 to 6
    rig.wait_ready(name)
    rig.wait({"pods": {"service": name, "ready": 2}})
    rig.sleep("3s")
    walk.take("4")
    walk.answers["5"] = walk.applications()
    walk.answers["6"] = (walk.fruit(), walk.pizzas())
    # Step 7
    with rig.traffic(f"{name}-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2]) as shoppers:
        walk.change({walk.mango_stand("user_config.price"): 4})
        walk.answers["7 while updating"] = [
            (rig.now_s, walk.applications()["fruit_app"]) for _ in range(50) if not rig.sleep("20ms")
        ]
        rig.sleep("5s")
    walk.answers["7 shoppers"] = shoppers.fates
    walk.take("7")
    walk.answers["7"] = walk.fruit()
    # Step 8
    walk.change({walk.worker_group("replicas"): 2})
    rig.sleep("1m")
    walk.take("8.3")
    shopping = rig.traffic(f"{name}-serve-svc", rate="20/s", path="/fruit/", json=["MANGO", 2], connection_age="20s")
    with shopping as shoppers:
        walk.change({"spec.rayClusterConfig.rayVersion": "2.100.0"})
        rig.wait({"clusters": {"service": name, "count": 2}})
        walk.take("8.4 begun")
        rig.wait({"upgrade-complete": name})
        walk.take("8.5")
        rig.sleep("55s")
        walk.take("8.6 nearly")
        rig.wait({"old-cluster-gone": name}, timeout="10s")
        rig.sleep("10s")
        walk.take("8.6")
    walk.answers["8 shoppers"] = shoppers.fates
    walk.answers["8"] = walk.fruit()
    # Step 10
    walk.answers["10 began"] = rig.now_s
    assert rig.delete("RayService", name) == f"RayService/{name} deleted"
    rig.wait({"gone": f"RayService/{name}"}, timeout="10s")
    walk.answers["10 gone"] = rig.now_s
    rig.sleep("10s")
    walk.take("10")
    return walk


@pytest.fixture(scope="module", params=["bundled", "sample"])
def tight(request: pytest.FixtureRequest, begin_walk: Callable[..., Walk]) -> Walk:
    """Step 9. The node has no room for the new cluster's second worker until the old cluster is gone: it comes when all replicas
    have their places, and gets none."""
    walk = begin_walk(request.param, cpu=6 if request.param == "bundled" else 5)
    rig, name = walk.rig, walk.name
    rig.wait_ready(name)
    walk.change({walk.worker_group("replicas"): 2, "spec.rayClusterConfig.rayVersion": "2.100.0"})
    rig.wait({"upgrade-complete": name})
    rig.wait({"old-cluster-gone": name}, timeout="2m")
    rig.wait({"pods": {"service": name, "unready": 1, "reason": "Readiness probe"}}, timeout="2m")
    walk.take("9.1 first")
    rig.sleep("75s")
    walk.take("9.1 early")
    rig.sleep("7m")
    walk.take("9.1")
    walk.answers["9.1 why"] = [rig.why_unready(pod) for pod in rig.objects("Pod")]
    walk.change({walk.mango_stand("num_replicas"): 3})
    rig.wait({"pods": {"service": name, "total": 3, "ready": 3}}, timeout="1m")
    rig.sleep("5s")
    walk.take("9.2")
    walk.answers["9.2"] = [walk.fruit() for _ in range(10)]
    return walk


def ports(picture: Picture, service: str) -> dict[str, int]:
    return {port["name"]: port["port"] for port in picture.one("Service", service)["spec"]["ports"]}


# Step 3


@pytest.mark.accepts("RS-018")
def test_step_3_a_second_after_apply_there_is_a_name_and_no_cluster(walk: Walk) -> None:
    picture = walk["3 applied"]
    status = picture.service["status"]
    assert picture.service["metadata"]["finalizers"] == ["ray.io/rayservice-finalizer"]
    assert status["pendingServiceStatus"]["rayClusterName"].startswith(f"{walk.name}-")
    assert {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]} == {
        "Ready": ("False", "Initializing"),
        "UpgradeInProgress": ("False", "Initializing"),
    }
    assert (picture.clusters, picture.names("Pod"), picture.names("Service")) == ([], [], [])


@pytest.mark.accepts("RS-019", "RS-052")
def test_step_3_then_the_cluster_of_that_name_with_its_pods_and_head_service(walk: Walk) -> None:
    picture = walk["3 starting"]
    (cluster,) = picture.clusters
    assert cluster == walk["3 applied"].service["status"]["pendingServiceStatus"]["rayClusterName"]
    (created_s,) = walk.when(Kind.API_WRITE, f"rayclusters/default/{cluster}", verb="create")
    assert 2.0 <= created_s <= 2.1, "one tick after the name"
    assert [labels_of(pod)["ray.io/node-type"] for pod in picture.pods(cluster)] == ["head", "worker"]
    assert [labels_of(pod)["ray.io/serve"] for pod in picture.pods(cluster)] == ["false", "true"]
    assert picture.names("Service") == [f"{cluster}-head-svc"]
    assert picture.service["status"]["conditions"] == walk["3 applied"].service["status"]["conditions"]


@pytest.mark.accepts("RS-022", "RS-023")
def test_step_3_the_configuration_is_submitted_once_the_head_is_ready(walk: Walk) -> None:
    picture = walk["3 head ready"]
    assert picture.names("Service") == [f"{picture.clusters[0]}-head-svc"]
    head_ready_s = picture.t_s
    # The first PUT starts Serve, which takes longer than the 2 s that the operator waits for an answer; it asks again at once.
    (gave_up, *_) = walk.when(Kind.EVENT, f"rayservices/default/{walk.name}", reason="FailedToUpdateServeApplications")
    assert head_ready_s < gave_up - 2 < head_ready_s + 2.5
    (first, *_) = walk.when(Kind.EVENT, f"rayservices/default/{walk.name}", reason="UpdatedServeApplications")
    assert gave_up < first < gave_up + 4.5
    (running, *_) = walk.when(Kind.RAY, component="gcs", state="running")
    assert running < head_ready_s


# Step 4


def test_step_4_1_the_ray_service_is_listed(walk: Walk) -> None:
    # The guide's output, with an age and nothing else, is older than release 1.1.
    assert walk["4"].rows("RayService") == [
        {"NAME": walk.name, "SERVICE STATUS": "Running", "NUM SERVE ENDPOINTS": "2"}
    ]


def test_step_4_2_the_ray_cluster_is_listed_as_ready(walk: Walk) -> None:
    picture = walk["4"]
    (row,) = picture.rows("RayCluster")
    assert row["NAME"] == picture.active
    assert (row["DESIRED WORKERS"], row["AVAILABLE WORKERS"], row["STATUS"]) == ("1", "1", "ready")
    assert row["AGE"] == f"{int(picture.t_s) - 2}s"


def test_step_4_3_head_and_worker_are_listed_as_ray_pods(walk: Walk) -> None:
    picture = walk["4"]
    cluster = picture.active
    pods = picture.objects["Pod"]
    assert [labels_of(pod)["ray.io/is-ray-node"] for pod in pods] == ["yes", "yes"]
    head, worker = (name_of(pod) for pod in pods)
    # Release 1.1 called the worker ervice-sample-raycluster-6mj28-worker-small-group-kg4v5.
    assert head.startswith(f"{cluster}-head-")
    assert worker.startswith(f"{cluster}-{walk.group}-worker-")
    rows = picture.rows("Pod")
    assert [(row["READY"], row["STATUS"], row["RESTARTS"]) for row in rows] == [("1/1", "Running", "0")] * 2


@pytest.mark.accepts("RS-024", "RS-089", "RS-094")
def test_step_4_4_three_services_with_their_ports(walk: Walk) -> None:
    picture = walk["4"]
    cluster = picture.active
    head, own, serve = f"{walk.name}-head-svc", f"{cluster}-head-svc", f"{walk.name}-serve-svc"
    assert sorted(picture.names("Service")) == sorted([head, own, serve])
    assert ports(picture, head) == HEAD_PORTS | DECLARED[walk.name]
    assert ports(picture, own) == HEAD_PORTS | DECLARED[walk.name]
    assert ports(picture, serve) == {"serve": 8000}
    assert {picture.selected_cluster(service) for service in (head, own, serve)} == {cluster}
    assert picture.one("Service", serve)["spec"]["selector"]["ray.io/serve"] == "true"
    # Both exist at one moment, and only once the applications run.
    (head_s,) = walk.when(Kind.API_WRITE, f"services/default/{head}", verb="create")
    (serve_s,) = walk.when(Kind.API_WRITE, f"services/default/{serve}", verb="create")
    running = [
        walk.when(Kind.APPLICATION, f"{cluster}/{application}", status="RUNNING")[0] for application in DEPLOYMENTS
    ]
    assert max(running) < head_s < serve_s < head_s + 0.1


def test_step_4_4_with_the_guides_release_the_head_services_have_addresses(
    begin_walk: Callable[..., Walk],
) -> None:
    walk = begin_walk("bundled", profile="v1.1.0")
    walk.change({"spec.rayClusterConfig.headGroupSpec.template.spec.containers[ray-head].ports": []})
    walk.rig.wait({"ready": walk.name}, timeout="5m")
    picture = walk.take("ready")
    (cluster,) = picture.clusters
    assert cluster.startswith(f"{walk.name}-raycluster-")
    for service in (f"{walk.name}-head-svc", f"{cluster}-head-svc"):
        # The guide lists 52365 as well: an older operator's default, which release 1.1 only had where the head declares it.
        assert set(ports(picture, service).values()) == {10001, 8265, 6379, 8080, 8000}
        assert picture.one("Service", service)["spec"]["clusterIP"].startswith("10."), "release 1.1 gave it an address"


@pytest.mark.accepts("RS-028")
def test_step_4_the_serve_service_leads_to_head_and_worker(walk: Walk) -> None:
    picture = walk["4"]
    assert picture.endpoints(f"{walk.name}-serve-svc") == dict.fromkeys(picture.names("Pod"), True)
    (head,) = picture.pods(role="head")
    assert picture.endpoints(f"{walk.name}-head-svc") == {name_of(head): True}
    assert picture.service["status"]["numServeEndpoints"] == 2


def test_step_4_owners_go_from_service_to_cluster_to_pods(walk: Walk) -> None:
    picture = walk["4"]
    cluster = picture.one("RayCluster", picture.active)
    owners = {
        name_of(obj): [(owner["kind"], owner["name"]) for owner in obj["metadata"]["ownerReferences"]]
        for kind in ("RayCluster", "Pod", "Service")
        for obj in picture.objects[kind]
    }
    by_service, by_cluster = [("RayService", walk.name)], [("RayCluster", name_of(cluster))]
    assert owners == {
        name_of(cluster): by_service,
        f"{walk.name}-head-svc": by_service,
        f"{walk.name}-serve-svc": by_service,
        f"{name_of(cluster)}-head-svc": by_cluster,
        **dict.fromkeys(picture.names("Pod"), by_cluster),
    }


# Step 5


def test_step_5_1_the_status_tells_of_applications_and_deployments(walk: Walk) -> None:
    applications = walk["4"].service["status"]["activeServiceStatus"]["applicationStatuses"]
    assert list(applications) == list(DEPLOYMENTS)
    for name, deployments in DEPLOYMENTS.items():
        assert applications[name]["status"] == "RUNNING"
        statuses = applications[name]["serveDeploymentStatuses"]
        # Release 1.1 told the time of the last update as well.
        assert statuses == {deployment: {"status": "HEALTHY"} for deployment in deployments}


def test_step_5_2_the_dashboard_shows_the_same(walk: Walk) -> None:
    applications = walk.answers["5"]
    assert {name: app["status"] for name, app in applications.items()} == dict.fromkeys(DEPLOYMENTS, "RUNNING")
    assert applications["fruit_app"]["route_prefix"] == "/fruit"
    stand = applications["fruit_app"]["deployments"]["MangoStand"]
    assert [replica["state"] for replica in stand["replicas"]] == ["RUNNING", "RUNNING"]
    assert len({replica["node_id"] for replica in stand["replicas"]}) == 2, "max_replicas_per_node is 1"


# Step 6


@pytest.mark.accepts("RS-029")
def test_step_6_six_and_fifteen_pizzas(walk: Walk) -> None:
    fruit, pizzas = walk.answers["6"]
    assert fruit == 6
    assert pizzas == "15 pizzas please!"


# Step 7


@pytest.mark.accepts("RS-041")
def test_step_7_the_new_price_goes_to_the_running_cluster(walk: Walk) -> None:
    before, after = walk["4"], walk["7"]
    assert after.clusters == before.clusters
    assert after.active == before.active
    assert [pod["metadata"]["uid"] for pod in after.objects["Pod"]] == [
        pod["metadata"]["uid"] for pod in before.objects["Pod"]
    ]
    submitted = walk.when(Kind.EVENT, f"rayservices/default/{walk.name}", reason="UpdatedServeApplications")
    assert [before.t_s < t_s < after.t_s for t_s in submitted] == [False, True, False]


def test_step_7_3_mango_stand_is_updating_and_then_healthy(walk: Walk) -> None:
    seen = walk.answers["7 while updating"]
    statuses = [app["deployments"]["MangoStand"]["status"] for _, app in seen]
    assert statuses[0] in ("HEALTHY", "UPDATING")
    assert "UPDATING" in statuses
    assert statuses[-1] == "HEALTHY"
    changes = [new for old, new in itertools.pairwise(statuses) if old != new]
    assert changes in (["UPDATING", "HEALTHY"], ["HEALTHY"]), "it goes there and back once"
    others = {app["deployments"]["OrangeStand"]["status"] for _, app in seen}
    assert others == {"HEALTHY"}, "the other deployments are left alone"
    status = walk["7"].service["status"]["activeServiceStatus"]["applicationStatuses"]["fruit_app"]
    assert status["serveDeploymentStatuses"]["MangoStand"] == {"status": "HEALTHY"}


@pytest.mark.accepts("RS-042")
def test_step_7_4_two_mangos_cost_eight_from_the_same_replicas(walk: Walk) -> None:
    assert walk.answers["7"] == 8
    assert list(walk.answers["7 shoppers"]) == ["ok"], "nobody noticed"
    stand = walk.answers["7 while updating"][-1][1]["deployments"]["MangoStand"]
    assert [replica["replica_id"] for replica in stand["replicas"]] == [
        replica["replica_id"] for replica in walk.answers["5"]["fruit_app"]["deployments"]["MangoStand"]["replicas"]
    ]


# Step 8


@pytest.mark.accepts("RS-078")
def test_step_8_3_the_number_of_workers_does_not_reach_the_cluster(walk: Walk) -> None:
    before, after = walk["7"], walk["8.3"]
    (group,) = after.service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert group["replicas"] == 2
    assert after.objects["RayCluster"] == before.objects["RayCluster"]
    assert after.objects["Pod"] == before.objects["Pod"]
    assert after.service["status"]["observedGeneration"] == after.service["metadata"]["generation"]


def test_step_8_4_the_version_brings_a_second_cluster_with_two_workers(walk: Walk) -> None:
    before, begun = walk["8.3"], walk["8.4 begun"]
    status = begun.service["status"]
    pending = status["pendingServiceStatus"]["rayClusterName"]
    assert begun.active == before.active
    assert sorted(begun.clusters) == sorted([begun.active, pending])
    assert condition_of(begun.service, "UpgradeInProgress")["status"] == "True"
    assert condition_of(begun.service, "Ready")["status"] == "True"
    assert begun.one("RayCluster", pending)["spec"]["rayVersion"] == "2.100.0"
    assert begun.one("RayCluster", pending)["spec"]["workerGroupSpecs"][0]["replicas"] == 2
    assert begun.one("RayCluster", begun.active)["spec"]["rayVersion"] == "2.52.0"
    assert begun.t_s - before.t_s == pytest.approx(2.0, abs=0.1), "name at once, cluster one tick later"


def test_step_8_5_both_clusters_are_listed_while_the_old_one_drains(walk: Walk) -> None:
    picture = walk["8.5"]
    old = walk["8.3"].active
    shown = {row["NAME"]: (row["DESIRED WORKERS"], row["AVAILABLE WORKERS"]) for row in picture.rows("RayCluster")}
    assert picture.active != old
    assert shown == {old: ("1", "1"), picture.active: ("2", "2")}
    assert len(picture.pods(picture.active, "worker")) == 2


def test_step_8_5_both_services_are_turned_to_the_new_cluster_in_one_tick(walk: Walk) -> None:
    before, after = walk["8.4 begun"], walk["8.5"]
    for service in (f"{walk.name}-head-svc", f"{walk.name}-serve-svc"):
        assert before.selected_cluster(service) == before.active
        assert after.selected_cluster(service) == after.active
        assert before.one("Service", service)["spec"]["clusterIP"] == after.one("Service", service)["spec"]["clusterIP"]
    (head_s,) = walk.when(Kind.API_WRITE, f"services/default/{walk.name}-head-svc", verb="update")
    (serve_s,) = walk.when(Kind.API_WRITE, f"services/default/{walk.name}-serve-svc", verb="update")
    assert head_s < serve_s < head_s + 0.1
    # What a client reaches follows within a second.
    settled = walk["8.6 nearly"]
    assert set(settled.endpoints(f"{walk.name}-serve-svc")) == {name_of(pod) for pod in settled.pods(settled.active)}


@pytest.mark.accepts("RS-071")
def test_step_8_6_the_old_cluster_goes_a_minute_after_it_was_left(walk: Walk) -> None:
    old, new = walk["8.3"].active, walk["8.5"].active
    assert sorted(walk["8.6 nearly"].clusters) == sorted([old, new])
    assert walk["8.6"].clusters == [new]
    (switched_s,) = walk.when(Kind.API_WRITE, f"services/default/{walk.name}-serve-svc", verb="update")
    (deleted_s,) = walk.when(Kind.API_WRITE, f"rayclusters/default/{old}", verb="delete")
    assert 60 < deleted_s - switched_s <= 62.1, "the first tick after 60 s"
    told_s, *_ = walk.when(Kind.EVENT, f"rayservices/default/{walk.name}", reason="DeletedRayCluster")
    assert told_s == pytest.approx(deleted_s, abs=0.1)
    assert walk["8.6"].pods(old) == []
    assert f"{old}-head-svc" not in walk["8.6"].names("Service")


def test_step_8_there_are_never_more_than_two_clusters(walk: Walk) -> None:
    live: set[str] = set()
    peak = 0
    for event in walk.events(Kind.API_WRITE):
        if event["resource"] == "rayclusters" and event["verb"] == "create":
            live.add(event.subject)
        elif event["resource"] == "rayclusters" and event["verb"] == "delete":
            live.discard(event.subject)
        peak = max(peak, len(live))
    assert peak == 2
    assert live == set()


@pytest.mark.accepts("RS-061")
def test_step_8_7_the_answer_is_the_same_and_nobody_noticed(walk: Walk) -> None:
    assert walk.answers["8"] == 8
    assert list(walk.answers["8 shoppers"]) == ["ok"]
    assert walk.answers["8 shoppers"]["ok"] > 1500
    # Some of them came before the switch, some after.
    asked = {str(event["pod"]).rsplit("-", 2)[0] for event in walk.events(Kind.REQUEST)}
    assert len(asked) >= 2


# Step 9


@pytest.mark.accepts("RS-058")
def test_step_9_1_a_worker_without_replica_is_not_ready_and_gets_no_traffic(tight: Walk) -> None:
    picture = tight["9.1"]
    workers = picture.pods(picture.active, "worker")
    by_column = {"0/1": [], "1/1": []}
    for pod in workers:
        statuses = pod["status"]["containerStatuses"]
        by_column[f"{sum(status['ready'] for status in statuses)}/1"].append(pod)
        assert pod["status"]["phase"] == "Running"
        assert [status["restartCount"] for status in statuses] == [0]
        assert labels_of(pod)["ray.io/serve"] == "true", "its label is what it always is"
    (idle,) = by_column["0/1"]
    assert len(by_column["1/1"]) == 1
    assert picture.endpoints(f"{tight.name}-serve-svc")[name_of(idle)] is False
    # The cluster's state never became ready, for its pods never were all ready at one time; the service is.
    assert "state" not in picture.one("RayCluster", picture.active)["status"]
    assert picture.service["status"]["serviceStatus"] == "Running"
    assert picture.service["status"]["numServeEndpoints"] == 2


@pytest.mark.accepts("KL-037")
def test_step_9_1_events_tell_of_the_failing_readiness_probe_and_count(tight: Walk) -> None:
    first, early, late = tight["9.1 first"], tight["9.1 early"], tight["9.1"]
    (idle,) = (pod for pod in late.pods(late.active, "worker") if not has_condition(pod, "Ready"))
    command = idle["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
    assert command[:2] == ["bash", "-c"]
    assert "http://localhost:8000/-/healthz | grep success" in command[2]
    failures = walk_failures(tight, name_of(idle))
    assert first.t_s < failures[0] + 1.0, "who waits for it hears of it"
    (soon,) = early.events(name_of(idle), "Unhealthy")
    (event,) = late.events(name_of(idle), "Unhealthy")
    assert (event["type"], event["note"].rstrip()) == ("Warning", "Readiness probe failed: success")
    assert event["reportingController"] == "kubelet"
    # A probe every 5 s. The first 25 are told, then one in 300 s; but all are counted.
    assert soon["deprecatedCount"] == 16
    assert event["deprecatedCount"] == 61
    assert [round(later - failures[0]) for later in failures] == [*range(0, 125, 5), 300]
    (why,) = (why for why in tight.answers["9.1 why"] if why)
    assert "Readiness probe" in why
    assert "success" in why


def walk_failures(walk: Walk, pod: str) -> list[float]:
    """When the kubelet told that the readiness probe of a pod had failed."""
    return walk.when(Kind.EVENT, f"pods/default/{pod}", reason="Unhealthy")


def test_step_9_2_one_more_replica_makes_it_ready(tight: Walk) -> None:
    before, after = tight["9.1"], tight["9.2"]
    assert after.clusters == before.clusters
    assert [pod["metadata"]["uid"] for pod in after.objects["Pod"]] == [
        pod["metadata"]["uid"] for pod in before.objects["Pod"]
    ]
    assert [row["READY"] for row in after.rows("Pod")] == ["1/1"] * 3
    assert after.endpoints(f"{tight.name}-serve-svc") == dict.fromkeys(after.names("Pod"), True)
    stand = tight.applications()["fruit_app"]["deployments"]["MangoStand"]
    assert len({replica["node_id"] for replica in stand["replicas"]}) == 3
    assert tight.answers["9.2"] == [6] * 10
    # Now all pods are ready at one time.
    assert after.one("RayCluster", after.active)["status"]["state"] == "ready"


# Step 10


@pytest.mark.accepts("RS-107")
def test_step_10_nothing_is_left(walk: Walk) -> None:
    left = walk["10"]
    for kind in ("RayService", "RayCluster", "Pod", "Service", "EndpointSlice"):
        assert left.names(kind) == [], kind
    cluster = walk["8.6"].active
    (deleted_s,) = walk.when(Kind.API_WRITE, f"rayclusters/default/{cluster}", verb="delete")
    assert deleted_s - walk.answers["10 began"] < 0.1, "at once, without the delay"
    assert walk.answers["10 gone"] - deleted_s < 2.1, "the finalizer is removed at the next tick"


@pytest.mark.accepts("K8-052")
def test_every_owner_lives_in_every_picture(walk: Walk) -> None:
    for picture in walk.pictures.values():
        living = {obj["metadata"]["uid"] for kind in picture.objects for obj in picture.objects[kind]}
        for kind in ("RayCluster", "Pod", "Service", "EndpointSlice"):
            for obj in picture.objects[kind]:
                for owner in obj["metadata"].get("ownerReferences") or ():
                    is_going = "deletionTimestamp" in obj["metadata"]
                    assert owner["uid"] in living or is_going, (picture.t_s, kind, name_of(obj))
