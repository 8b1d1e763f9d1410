"""Ray services through the REST API with the operator, the kubelets and Ray at work (`kuberay-apiserver.md` 8.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE, SERVICE

Site = Any

SERVICES = "/apis/v1/namespaces/default/services"
TEMPLATE = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}


def service(price: int = 3, image: str = "rayproject/ray:2.52.0") -> JsonObject:
    application = (
        "- name: fruit_app\n  import_path: fruit.deployment_graph\n  route_prefix: /fruit\n"
        f"  deployments: [{{name: MangoStand, user_config: {{price: {price}}}}}]\n"
    )
    head = {"computeTemplate": "t", "image": image, "rayStartParams": {"dashboard-host": "0.0.0.0"}}
    workers = {"groupName": "small", "computeTemplate": "t", "image": image, "replicas": 1, "maxReplicas": 5}
    return {
        "name": "s1",
        "namespace": "default",
        "user": "ada",
        "version": "2.52.0",
        "serveConfigV2": f"applications:\n{application}",
        "clusterSpec": {"headGroupSpec": head, "workerGroupSpec": [workers]},
    }


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    """With a service that serves."""
    site = new_site().start()
    site.ok("POST", "/apis/v1/namespaces/default/compute_templates", TEMPLATE)
    site.ok("POST", SERVICES, service())
    site.until(lambda: price(site) == b"6")
    site.sleep(10)
    return site


def status(site: Site) -> JsonObject:
    found: JsonObject = site.ok("GET", f"{SERVICES}/s1")["rayServiceStatus"]
    return found


def price(site: Site) -> bytes:
    """Of two mangoes; empty while nobody answers."""
    if "s1-serve-svc" not in site.names(SERVICE):
        return b""
    return bytes(site.post("http://s1-serve-svc.default:8000/fruit/", ["MANGO", 2]))


@pytest.mark.accepts("AS-047")
def test_a_service_that_serves_is_told_of_with_its_cluster(site: Site) -> None:
    told = status(site)
    (cluster,) = site.names(RAY_CLUSTER)
    assert (told["rayClusterName"], told["rayClusterState"]) == (cluster, "ready")
    assert told["serviceEndpoint"]["serve"] == "8000"
    (application,) = told["serveApplicationStatus"]
    assert (application["name"], application["status"]) == ("fruit_app", "RUNNING")
    reasons = [event["reason"] for event in told["rayServiceEvents"]]
    assert "CreatedRayCluster" in reasons
    assert "CreatedHeadPod" in reasons, "those of the cluster, which has the service's labels, are there too"
    # So has the cluster's own entry (7.4).
    (listed,) = site.ok("GET", "/apis/v1/clusters")["clusters"]
    assert listed["name"] == cluster
    assert not {"version", "environment"} & set(listed)


@pytest.mark.accepts("AS-043")
def test_another_configuration_is_applied_in_place(site: Site) -> None:
    before = site.names(RAY_CLUSTER)
    site.ok("PUT", f"{SERVICES}/s1", service(price=4))
    site.until(lambda: price(site) == b"8")
    assert status(site)["rayClusterName"] == before[0]
    assert site.names(RAY_CLUSTER) == before


@pytest.mark.accepts("AS-044")
def test_another_image_prepares_a_second_cluster_and_switches_when_that_is_ready(site: Site) -> None:
    (old,) = site.names(RAY_CLUSTER)
    site.ok("PUT", f"{SERVICES}/s1", service(image="rayproject/ray:2.53.0"))
    site.until(lambda: len(site.names(RAY_CLUSTER)) == 2)
    (new,) = (name for name in site.names(RAY_CLUSTER) if name != old)
    seen: list[tuple[str | bytes, ...]] = []

    def has_switched() -> bool:
        told = status(site)
        applications = [application["status"] for application in told.get("serveApplicationStatus", ())]
        seen.append((told["rayClusterName"], *applications, price(site)))
        return bool(told["rayClusterName"] == new)

    site.until(has_switched)
    # Meanwhile the operator tells of no applications of the active cluster (RS-063).
    assert set(seen[:-1]) == {(old, b"6")}, "the old one serves until the new one can"
    assert len(seen) > 10
    assert seen[-1] == (new, "RUNNING", b"6")


@pytest.mark.accepts("AS-049")
def test_a_service_is_deleted_with_its_cluster(site: Site) -> None:
    assert "ray.io/rayservice-finalizer" in site.stored(RAY_SERVICE, "s1")["metadata"]["finalizers"]
    assert site.ok("DELETE", f"{SERVICES}/s1") == {}
    told = site.send("GET", f"{SERVICES}/s1")
    assert told[0] == 404 or told[1]["deleteAt"] > "2026-01-01T00:00:00Z"
    site.until(lambda: site.send("GET", f"{SERVICES}/s1")[0] == 404)
    site.until(lambda: site.names(RAY_CLUSTER) == [])
