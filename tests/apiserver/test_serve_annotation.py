"""The annotation `ray.io/enable-serve-service` and its Services, with the operator at work (`kuberay-apiserver.md` 12)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core.http import Failure, HttpFailure
from rayrig_core.objects import JsonObject, has_condition
from rayrig_core.resource_types import POD, RAY_CLUSTER, SERVICE
from rayrig_core.trace import Kind

Site = Any

HEAD = "test-cluster-head-svc"
SERVE = "test-cluster-serve-svc"
APPLICATIONS = "/apis/v1/namespaces/default/serveapplication/test-cluster"
#: A replica on each node: one without any has no proxy, though its pod belongs to the Service.
CONFIG = """
applications:
- name: fruit_app
  import_path: fruit.deployment_graph
  route_prefix: /fruit
  deployments: [{name: FruitMarket, num_replicas: 2, max_replicas_per_node: 1}]
"""


def ports(service: JsonObject) -> list[int]:
    return sorted(port["port"] for port in service["spec"]["ports"])


def owner(service: JsonObject) -> tuple[str, str, bool]:
    (reference,) = service["metadata"]["ownerReferences"]
    return reference["kind"], reference["name"], reference["controller"]


def services(site: Site) -> list[str]:
    return [name for name in site.names(SERVICE) if name.startswith("test-cluster")]


@pytest.mark.accepts("AS-037")
@pytest.mark.parametrize("has_switch", [False, True])
def test_two_services_of_the_cluster(
    new_site: Callable[[], Site], monkeypatch: pytest.MonkeyPatch, has_switch: bool
) -> None:
    site = new_site()
    world = site.world

    def start_operator() -> None:
        client, rng = world.client("operator"), world.kernel.streams.stream("operator")
        options = OperatorOptions(head_cluster_ip_service=has_switch)
        operator(world.kernel, client, http=world.http("operator"), rng=rng, options=options).start()

    monkeypatch.setattr(world, "start_operator", start_operator)
    site.start().create_cluster()
    site.until(lambda: services(site) == [HEAD, SERVE], within_s=5)
    head, serve = site.stored(SERVICE, HEAD), site.stored(SERVICE, SERVE)
    assert ports(head) == [6379, 8000, 8080, 8265, 10001, 52365]
    assert ports(serve) == [8000]
    assert owner(head) == owner(serve) == ("RayCluster", "test-cluster", True)
    assert (head["spec"]["clusterIP"] == "None") is not has_switch
    assert serve["spec"]["clusterIP"].startswith("10.")
    assert serve["spec"]["selector"] == {"ray.io/cluster": "test-cluster"}


@pytest.mark.accepts("AS-038")
def test_without_the_annotation_there_is_no_serve_service(new_site: Callable[[], Site]) -> None:
    site = new_site().start()
    site.create_cluster(annotations={})
    site.until(site.is_ready)
    assert services(site) == [HEAD]
    assert ports(site.stored(SERVICE, HEAD)) == [6379, 8080, 8265, 10001]


@pytest.mark.accepts("AS-038")
def test_without_a_port_to_serve_at_the_operator_reports_an_error_and_tries_again(new_site: Callable[[], Site]) -> None:
    site = new_site().start()
    site.create_cluster(annotations={})
    client = site.world.client("test")
    annotated = {"metadata": {"annotations": {"ray.io/enable-serve-service": "true"}}}
    site.run(client.patch(RAY_CLUSTER, "test-cluster", annotated, "default"))
    site.sleep(60)
    assert services(site) == [HEAD]
    outcomes = [
        event["outcome"]
        for event in site.world.trace.select(Kind.RECONCILE, subject="rayclusters/default/test-cluster")
        if "Please specify a port named 'serve'" in event["outcome"]
    ]
    assert len(outcomes) > 5


@pytest.mark.accepts("AS-039")
def test_the_serve_service_refuses_until_an_application_runs(new_site: Callable[[], Site]) -> None:
    site = new_site().start()
    site.create_cluster()
    site.until(site.is_ready)

    def order() -> Any:
        http = site.world.http("shopper")
        return site.run(
            http.request("POST", f"http://{SERVE}.default:8000/fruit/", body=json.dumps(["MANGO", 2]).encode())
        )

    def all_ready() -> bool:
        pods = site.world.objects(POD, "default")
        return len(pods) == 2 and all(has_condition(pod, "Ready") for pod in pods)

    assert all_ready()
    with pytest.raises(HttpFailure) as refused:
        order()
    assert refused.value.failure is Failure.REFUSED
    site.ok("POST", APPLICATIONS, {"configyaml": CONFIG})
    readiness: list[bool] = []

    def runs() -> bool:
        readiness.append(all_ready())
        reply = site.ok("GET", APPLICATIONS)
        proxies = [proxy["status"] for proxy in reply["proxies"].values()]
        return reply["applications"]["fruit_app"]["status"] == "RUNNING" and proxies == ["HEALTHY"] * 2

    site.until(runs)
    assert [order().body for _ in range(20)] == [b"6"] * 20
    assert readiness
    assert all(readiness)
    assert all_ready()


@pytest.mark.accepts("AS-040")
def test_the_serve_service_comes_back_and_stays_as_it_is(new_site: Callable[[], Site]) -> None:
    site = new_site().start()
    site.create_cluster()
    site.until(site.is_ready)
    client = site.world.client("test")
    first = site.stored(SERVICE, SERVE)
    site.run(client.delete(SERVICE, SERVE, "default"))
    site.until(lambda: SERVE in services(site), within_s=5)
    again = site.stored(SERVICE, SERVE)
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert ports(again) == [8000]
    edited = [{"name": "serve", "port": 9000, "targetPort": 8000, "protocol": "TCP"}]
    site.run(client.patch(SERVICE, SERVE, {"spec": {"ports": edited}}, "default"))
    site.sleep(600)
    assert ports(site.stored(SERVICE, SERVE)) == [9000]
