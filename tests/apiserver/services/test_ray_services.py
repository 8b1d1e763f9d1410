"""Ray services through the REST API, in front of a Kubernetes API server alone (`kuberay-apiserver.md` section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_backends.api_rules import ApiRule
from rayrig_core.faultpoints import Delay
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import EVENT, RAY_CLUSTER, RAY_SERVICE

SERVICES = "/apis/v1/namespaces/default/services"
CONFIG = "applications:\n  - name: fruit_app\n    import_path: fruit.deployment_graph\n    route_prefix: /fruit\n"
NOT_DELETED = "1969-12-31T23:59:59Z"

Site = Any


def service(name: str = "s1", namespace: str = "default", **changes: Any) -> JsonObject:
    return {
        "name": name,
        "namespace": namespace,
        "user": "ada",
        "version": "2.52.0",
        "serveConfigV2": CONFIG,
        "clusterSpec": {
            "headGroupSpec": {
                "computeTemplate": "t",
                "image": "rayproject/ray:2.52.0",
                "rayStartParams": {"dashboard-host": "0.0.0.0"},
            },
            "workerGroupSpec": [
                {"groupName": "small", "computeTemplate": "t", "image": "rayproject/ray:2.52.0", "maxReplicas": 5}
            ],
        },
        **changes,
    }


@pytest.fixture
def site(site: Site) -> Site:
    template = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}
    site.ok("POST", "/apis/v1/namespaces/default/compute_templates", template)
    return site


@pytest.mark.accepts("AS-041")
def test_a_service_becomes_a_rayservice_and_is_told_of_without_a_cluster(site: Site) -> None:
    reply = site.ok("POST", SERVICES, service(serviceUnhealthySecondThreshold=300))
    assert reply["rayServiceStatus"] == {}
    assert (reply["deleteAt"], reply["serviceUnhealthySecondThreshold"]) == (NOT_DELETED, 300)
    stored = site.stored(RAY_SERVICE, "s1")
    assert stored["metadata"]["labels"] == {
        "ray.io/user": "ada",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/managed-by": "kuberay-apiserver",
    }
    assert list(stored["metadata"]["annotations"]) == ["ray.io/creation-timestamp"]
    spec = stored["spec"]
    assert (spec["serveConfigV2"], spec["serviceUnhealthySecondThreshold"]) == (CONFIG, 300)
    (head,) = spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert [(port["name"], port["containerPort"]) for port in head["ports"]] == [
        ("redis", 6379),
        ("head", 10001),
        ("dashboard", 8265),
        ("metrics", 8080),
        ("dashboard-agent", 52365),
        ("serve", 8000),
    ]


@pytest.mark.accepts("AS-042")
def test_without_a_serve_configuration_create_and_update_fail_each_in_its_way(site: Site) -> None:
    status, created = site.send("POST", SERVICES, service(serveConfigV2=""))
    assert (status, created["code"]) == (400, 3)
    assert created["message"].endswith(
        "InvalidInputError: Failed to create a Ray Service: serve configuration is not defined"
    )
    assert site.names(RAY_SERVICE) == []
    site.ok("POST", SERVICES, service())
    status, updated = site.send("PUT", f"{SERVICES}/s1", service(serveConfigV2=""))
    assert (status, updated["code"]) == (500, 2)
    assert updated["message"] == "Update ray service failed.: serve configuration is not defined"


@pytest.mark.accepts("AS-043")
def test_an_update_of_the_configuration_changes_nothing_else_of_the_spec(site: Site) -> None:
    site.ok("POST", SERVICES, service())
    before = site.stored(RAY_SERVICE, "s1")
    site.sleep(5)
    changed = CONFIG.replace("fruit_app", "veg_app")
    reply = site.ok("PUT", f"{SERVICES}/s1", service(serveConfigV2=changed))
    after = site.stored(RAY_SERVICE, "s1")
    assert reply["serveConfigV2"] == changed
    assert after["spec"] == before["spec"] | {"serveConfigV2": changed}
    assert list(after["metadata"]["annotations"]) == ["ray.io/update-timestamp"]
    assert after["metadata"]["annotations"]["ray.io/update-timestamp"].startswith("2026-01-01 00:00:05.")


def test_an_update_strips_what_others_wrote(site: Site) -> None:
    site.ok("POST", SERVICES, service())
    client = site.world.client("test")
    foreign = {
        "metadata": {"labels": {"team": "a"}, "annotations": {"b": "c"}, "finalizers": ["ray.io/rayservice-finalizer"]},
        "spec": {"rayClusterDeletionDelaySeconds": 5},
    }
    site.run(client.patch(RAY_SERVICE, "s1", foreign, "default"))
    site.ok("PUT", f"{SERVICES}/s1", service())
    stored = site.stored(RAY_SERVICE, "s1")
    assert "team" not in stored["metadata"]["labels"]
    assert list(stored["metadata"]["annotations"]) == ["ray.io/update-timestamp"]
    assert "finalizers" not in stored["metadata"]
    assert "rayClusterDeletionDelaySeconds" not in stored["spec"]


@pytest.mark.accepts("AS-045")
def test_the_service_named_in_the_body_is_updated(site: Site) -> None:
    for name in ("a", "b"):
        site.ok("POST", SERVICES, service(name))
    reply = site.ok("PUT", f"{SERVICES}/a", service("b", version="2.53.0"))
    assert (reply["name"], reply["version"]) == ("b", "2.53.0")
    assert site.stored(RAY_SERVICE, "a")["spec"]["rayClusterConfig"]["rayVersion"] == "2.52.0"
    status, refused = site.send("PUT", f"{SERVICES}/a", service("c"))
    assert (status, refused["code"]) == (404, 5)
    assert refused["message"].startswith("Service c not found: Update ray service failed.")


@pytest.mark.accepts("AS-046")
def test_who_writes_between_read_and_update_wins(site: Site) -> None:
    site.ok("POST", SERVICES, service())

    # The read of the template comes between the service's read and its update.
    site.world.rules.add(ApiRule(Delay(5.0), actor="kuberay-apiserver", verb="get", resource="configmaps", left=1))

    async def both() -> Any:
        runtime, client = site.world.runtime, site.world.client("test")
        updating = runtime.spawn("update", site.server.handle(site.request("PUT", f"{SERVICES}/s1", service())))
        await runtime.sleep(2.0)
        await client.patch(RAY_SERVICE, "s1", {"metadata": {"labels": {"ray.io/user": "bob"}}}, "default")
        return await updating

    answer = site.run(both())
    assert (answer.status, answer.json()["code"]) == (500, 13)
    assert "the object has been modified" in answer.json()["message"]
    assert site.stored(RAY_SERVICE, "s1")["metadata"]["labels"]["ray.io/user"] == "bob"


ACTIVE = {
    "rayClusterName": "s1-abcde",
    "rayClusterStatus": {"state": "ready", "endpoints": {"serve": "8000", "dashboard": "8265"}},
    "applicationStatuses": {
        "fruit_app": {"status": "RUNNING", "serveDeploymentStatuses": {"Market": {"status": "HEALTHY"}}},
        "math_app": {
            "status": "DEPLOYING",
            "message": "m",
            "serveDeploymentStatuses": {
                "Adder": {"status": "UPDATING", "message": "d"},
                "Router": {"status": "HEALTHY"},
            },
        },
    },
}


@pytest.mark.accepts("AS-047")
def test_applications_of_the_active_cluster_are_told_of_and_nothing_of_the_pending_one(site: Site) -> None:
    site.ok("POST", SERVICES, service())
    pending = {"rayClusterName": "s1-other", "applicationStatuses": {"late_app": {"status": "DEPLOYING"}}}
    site.write_status(RAY_SERVICE, "s1", {"activeServiceStatus": ACTIVE, "pendingServiceStatus": pending})
    status = site.ok("GET", f"{SERVICES}/s1")["rayServiceStatus"]
    assert sorted(status.pop("serveApplicationStatus"), key=lambda app: app["name"]) == [
        {
            "name": "fruit_app",
            "status": "RUNNING",
            "serveDeploymentStatus": [{"deploymentName": "Market", "status": "HEALTHY"}],
        },
        {
            "name": "math_app",
            "status": "DEPLOYING",
            "message": "m",
            "serveDeploymentStatus": [
                {"deploymentName": "Adder", "status": "UPDATING", "message": "d"},
                {"deploymentName": "Router", "status": "HEALTHY"},
            ],
        },
    ]
    assert status == {
        "rayClusterName": "s1-abcde",
        "rayClusterState": "ready",
        "serviceEndpoint": {"serve": "8000", "dashboard": "8265"},
    }


def event(about: str, kind: str, name: str) -> JsonObject:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "regarding": {"kind": kind, "name": about, "namespace": "default", "apiVersion": "ray.io/v1"},
        "reason": "Some",
        "note": "thing",
        "type": "Normal",
        "action": "Do",
        "reportingController": "test",
        "reportingInstance": "test-0",
        "eventTime": "2026-01-01T00:00:07.250000Z",
        "series": {"count": 3, "lastObservedTime": "2026-01-01T00:01:00.750000Z"},
    }


@pytest.mark.parametrize("managed_by", ["kuberay-apiserver", "kubectl"])
def test_events_of_the_active_cluster_follow_those_of_the_service_if_it_can_be_read(
    site: Site, managed_by: str
) -> None:
    site.ok("POST", SERVICES, service())
    site.write_status(RAY_SERVICE, "s1", {"activeServiceStatus": ACTIVE})
    client = site.world.client("test")
    spec = site.stored(RAY_SERVICE, "s1")["spec"]["rayClusterConfig"]
    labels = {"app.kubernetes.io/managed-by": managed_by}
    cluster = {"metadata": {"name": "s1-abcde", "namespace": "default", "labels": labels}, "spec": spec}
    site.run(client.create(RAY_CLUSTER, cluster, "default"))
    site.run(client.create(EVENT, event("s1-abcde", "RayCluster", "a.1"), "default"))
    site.run(client.create(EVENT, event("s1", "RayService", "z.1"), "default"))
    events = site.ok("GET", f"{SERVICES}/s1")["rayServiceStatus"]["rayServiceEvents"]
    assert [each["name"] for each in events] == ["s1-z.1", *(["s1-a.1"] if managed_by == "kuberay-apiserver" else [])]
    assert events[0] == {
        "id": "z.1",
        "name": "s1-z.1",
        "createdAt": "2026-01-01T00:00:00Z",
        "firstTimestamp": "2026-01-01T00:00:07Z",
        "lastTimestamp": "2026-01-01T00:01:00Z",
        "reason": "Some",
        "message": "thing",
        "type": "Normal",
        "count": 3,
    }


@pytest.mark.accepts("AS-048")
def test_pages_follow_each_other(site: Site) -> None:
    for name in ("c", "a", "b"):
        site.ok("POST", SERVICES, service(name))
    first = site.ok("GET", f"{SERVICES}?pageSize=2")
    assert [each["name"] for each in first["services"]] == ["a", "b"]
    second = site.ok("GET", f"/apis/v1/services?page_size=2&page_token={first['nextPageToken']}")
    assert [each["name"] for each in second["services"]] == ["c"]
    assert sorted([*first, *second]) == ["nextPageToken", "services", "services"]
    assert site.ok("GET", "/apis/v1/namespaces/kube-system/services") == {}


def test_a_stale_token_is_kubernetes_error(site: Site) -> None:
    status, refused = site.send("GET", f"{SERVICES}?pageToken=garbage")
    assert (status, refused["code"]) == (500, 2)
    assert refused["message"].startswith(
        "failed to list rayservice.: List RayService failed in default with next page token garbage and page limit 0: "
    )


@pytest.mark.accepts("AS-049")
def test_while_a_finalizer_is_pending_the_time_of_deletion_is_told(site: Site) -> None:
    site.ok("POST", SERVICES, service())
    client = site.world.client("test")
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    site.run(client.patch(RAY_SERVICE, "s1", held, "default"))
    site.sleep(9)
    assert site.ok("DELETE", f"{SERVICES}/s1") == {}
    site.sleep(30)
    assert site.ok("GET", f"{SERVICES}/s1")["deleteAt"] == "2026-01-01T00:00:09Z"
    site.run(client.patch(RAY_SERVICE, "s1", {"metadata": {"finalizers": None}}, "default"))
    status, gone = site.send("GET", f"{SERVICES}/s1")
    assert (status, gone["code"]) == (404, 5)


def test_a_rayservice_of_somebody_else_is_neither_told_of_nor_deleted(site: Site) -> None:
    site.ok("POST", SERVICES, service())
    client = site.world.client("test")
    site.run(
        client.patch(RAY_SERVICE, "s1", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}, "default")
    )
    for method in ("GET", "DELETE", "PUT"):
        status, refused = site.send(method, f"{SERVICES}/s1", service() if method == "PUT" else None)
        assert (status, refused["code"]) == (500, 2)
        assert refused["message"].endswith("RayService with name s1 not managed by kuberay-apiserver")
    assert site.ok("GET", SERVICES) == {}
    assert site.names(RAY_SERVICE) == ["s1"]
