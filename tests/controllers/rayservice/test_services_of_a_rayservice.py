"""The head and serve Services (kuberay-operator 2.12)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import annotations_of, labels_of
from rayrig_core.resource_types import SERVICE


def head_ports(*named: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "containerPort": port} for name, port in named]


@pytest.mark.accepts("RS-089")
def test_the_serve_service_selects_pods_that_serve(stage: Any) -> None:
    ports = head_ports(("dashboard", 8265), ("serve", 8000), ("serve-grpc", 9000), ("observe", 1))
    stage.create(stage.manifest(rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(20)
    service = stage.get(SERVICE, "rs-serve-svc")
    assert service["spec"]["selector"] == {"ray.io/cluster": stage.active(), "ray.io/serve": "true"}
    assert labels_of(service) == {
        "ray.io/originated-from-cr-name": "rs",
        "ray.io/originated-from-crd": "RayService",
        "ray.io/serve": "rs-serve",
    }
    assert [(p["name"], p["port"], p.get("appProtocol")) for p in service["spec"]["ports"]] == [
        ("serve", 8000, None),
        ("serve-grpc", 9000, None),
    ]
    assert service["spec"]["type"] == "ClusterIP"
    assert stage.events("CreatedService")[0] == ("CreatedService", "Created the service default/rs-head-svc")


@pytest.mark.accepts("RS-094")
def test_the_head_service_is_headless_and_leads_to_the_active_head(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(20)
    service = stage.get(SERVICE, "rs-head-svc")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {
        "ray.io/cluster": stage.active(),
        "ray.io/node-type": "head",
        "ray.io/identifier": f"{stage.active()}-head",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    assert labels_of(service) == {
        "ray.io/originated-from-cr-name": "rs",
        "ray.io/originated-from-crd": "RayService",
        "ray.io/node-type": "head",
        "ray.io/identifier": "rs-head",
    }
    assert [(p["name"], p["port"], p["appProtocol"]) for p in service["spec"]["ports"]] == [
        ("client", 10001, "tcp"),
        ("dashboard", 8265, "tcp"),
        ("gcs-server", 6379, "tcp"),
        ("metrics", 8080, "tcp"),
        ("serve", 8000, "tcp"),
    ]


@pytest.mark.accepts("RS-090")
def test_without_a_serve_port_there_is_no_serve_service(stage: Any) -> None:
    ports = head_ports(("dashboard", 8265))
    stage.create(stage.manifest(rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(20)
    assert "rs-head-svc" in stage.names(SERVICE)
    assert "rs-serve-svc" not in stage.names(SERVICE)
    assert stage.active() == ""
    outcomes = [str(e["outcome"]) for e in stage.kernel.trace if e.kind.label == "reconcile"]
    assert any("Please specify a port named 'serve'" in outcome for outcome in outcomes)


def template(**metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {}}


@pytest.mark.accepts("RS-091", "RS-034")
def test_a_template_keeps_what_is_the_users(stage: Any) -> None:
    custom = {
        "metadata": {
            "name": "front",
            "namespace": "elsewhere",
            "labels": {"a": "b", "ray.io/serve": "mine"},
            "annotations": {"c": "d"},
        },
        "spec": {
            "selector": {"x": "y"},
            "type": "NodePort",
            "ports": [{"name": "serve", "port": 80, "targetPort": 8000}],
        },
    }
    stage.create(stage.manifest(serveService=custom))
    stage.run(20)
    service = stage.get(SERVICE, "front")
    assert annotations_of(service) == {"c": "d"}
    assert labels_of(service)["a"] == "b"
    assert labels_of(service)["ray.io/serve"] == "rs-serve"
    assert service["spec"]["selector"] == {"ray.io/cluster": stage.active(), "ray.io/serve": "true"}
    assert service["spec"]["type"] == "NodePort"
    assert [(p["name"], p["port"]) for p in service["spec"]["ports"]] == [("serve", 80)]
    assert "rs-serve-svc" not in stage.names(SERVICE)
    assert stage.status()["numServeEndpoints"] == 2


@pytest.mark.accepts("RS-092")
def test_a_users_port_counts_only_where_the_head_has_one_of_that_name(stage: Any) -> None:
    ports = head_ports(("dashboard", 8265), ("serve", 8000), ("serve-grpc", 9000))
    custom = template()
    custom["spec"]["ports"] = [
        {"name": "serve-grpc", "port": 9000, "appProtocol": "kubernetes.io/h2c"},
        {"name": "other", "port": 1234},
    ]
    stage.create(stage.manifest(serveService=custom, rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(20)
    found = stage.get(SERVICE, "rs-serve-svc")["spec"]["ports"]
    assert [(p["name"], p["port"], p.get("appProtocol")) for p in found] == [
        ("serve", 8000, None),
        ("serve-grpc", 9000, "kubernetes.io/h2c"),
    ]


@pytest.mark.accepts("RS-093")
def test_without_a_serve_port_on_the_head_the_users_ports_are_kept(stage: Any) -> None:
    custom = template()
    custom["spec"]["ports"] = [{"name": "web", "port": 80, "targetPort": 8000}]
    ports = head_ports(("dashboard", 8265))
    stage.create(stage.manifest(serveService=custom, rayClusterConfig=stage.cluster_config(ports=ports)))
    stage.run(20)
    found = stage.get(SERVICE, "rs-serve-svc")["spec"]["ports"]
    assert [(p["name"], p["port"], p["targetPort"]) for p in found] == [("web", 80, 8000)]


@pytest.mark.accepts("RS-076")
def test_edits_without_a_new_cluster_do_not_reach_existing_services(stage: Any) -> None:
    stage.create(stage.manifest(serveService=template(annotations={"a": "b"})))
    stage.run(20)
    before = stage.get(SERVICE, "rs-serve-svc")
    stage.patch({"spec": {"serveService": {"metadata": {"annotations": {"a": "c"}}, "spec": {"type": "NodePort"}}}})
    stage.run(40)
    assert stage.get(SERVICE, "rs-serve-svc") == before


def test_a_selector_bent_by_hand_is_straightened(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(20)
    stage.patch({"spec": {"selector": {"ray.io/cluster": "other"}}}, "rs-serve-svc", SERVICE)
    stage.run(25)
    assert stage.selected("rs-serve-svc") == stage.active()
    stage.patch({"spec": {"selector": {"ray.io/serve": "maybe"}}}, "rs-serve-svc", SERVICE)
    stage.run(30)
    assert stage.get(SERVICE, "rs-serve-svc")["spec"]["selector"]["ray.io/serve"] == "maybe"


def test_deleted_services_come_back(stage: Any) -> None:
    stage.create(stage.manifest())
    stage.run(20)
    for name in ("rs-head-svc", "rs-serve-svc"):
        stage.delete(SERVICE, name)
    stage.run(21)
    assert {"rs-head-svc", "rs-serve-svc"} <= set(stage.names(SERVICE))


def test_the_service_type_of_the_head_group_holds_for_both(stage: Any) -> None:
    config = stage.cluster_config()
    config["headGroupSpec"]["serviceType"] = "NodePort"
    stage.create(stage.manifest(rayClusterConfig=config))
    stage.run(20)
    assert [stage.get(SERVICE, name)["spec"]["type"] for name in ("rs-head-svc", "rs-serve-svc")] == ["NodePort"] * 2
