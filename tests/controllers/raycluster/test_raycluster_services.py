"""Head, headless and serve Services, RBAC, Secret and Ingress in the world."""

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.raycluster import services
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import INGRESS, ROLE, ROLE_BINDING, SECRET, SERVICE, SERVICE_ACCOUNT


def ports(service: JsonObject) -> list[tuple[str, int]]:
    return [(port["name"], port["port"]) for port in service["spec"]["ports"]]


def with_ports(values: Any, *declared: JsonObject, **head: Any) -> JsonObject:
    return {"template": {"spec": {"containers": [values.container("h", ports=list(declared))]}}, **head}


@pytest.mark.accepts("RC-011")
def test_without_declared_ports_the_defaults_are_exposed(values: Any) -> None:
    service = services.head_service(values.cluster())
    assert ports(service) == [
        ("client", 10001),
        ("dashboard", 8265),
        ("gcs-server", 6379),
        ("metrics", 8080),
        ("serve", 8000),
    ]
    assert {port["appProtocol"] for port in service["spec"]["ports"]} == {"tcp"}


def test_kuberay_1_1_calls_the_gcs_redis_and_has_a_cluster_ip(values: Any) -> None:
    service = services.head_service(values.cluster(options=OperatorOptions(profile="1.1")))
    assert ports(service) == [
        ("client", 10001),
        ("dashboard", 8265),
        ("metrics", 8080),
        ("redis", 6379),
        ("serve", 8000),
    ]
    assert "clusterIP" not in service["spec"]


@pytest.mark.accepts("RC-012")
def test_declared_ports_are_exposed_as_they_are_plus_metrics(values: Any) -> None:
    head = with_ports(values, {"containerPort": 1234}, {"containerPort": 52365, "name": "dashboard-agent"})
    service = services.head_service(values.cluster(head=head))
    assert ports(service) == [("1234-port", 1234), ("dashboard-agent", 52365), ("metrics", 8080)]
    own = with_ports(values, {"containerPort": 9, "name": "metrics"})
    assert ports(services.head_service(values.cluster(head=own))) == [("metrics", 9)]


@pytest.mark.accepts("RC-013")
@pytest.mark.parametrize(
    ("service_type", "wants_cluster_ip", "is_headless"),
    [("", False, True), ("ClusterIP", False, True), ("", True, False), ("NodePort", False, False)],
)
def test_the_head_service_is_headless_by_default(
    values: Any, service_type: str, wants_cluster_ip: bool, is_headless: bool
) -> None:
    options = OperatorOptions(head_cluster_ip_service=wants_cluster_ip)
    spec = services.head_service(values.cluster(head={"serviceType": service_type}, options=options))["spec"]
    assert (spec.get("clusterIP") == "None") is is_headless
    assert bool(spec.get("publishNotReadyAddresses")) is is_headless


@pytest.mark.accepts("RC-014", "RC-015")
def test_app_name_and_annotations_of_the_head_service(values: Any) -> None:
    template = {
        "metadata": {"labels": {"app.kubernetes.io/name": "foo"}},
        "spec": {"containers": [values.container("h")]},
    }
    cluster = values.cluster(head={"template": template}, headServiceAnnotations={"a": "b"})
    service = services.head_service(cluster)
    assert service["spec"]["selector"]["app.kubernetes.io/name"] == "foo"
    assert service["metadata"]["labels"] == service["spec"]["selector"]
    assert service["metadata"]["annotations"] == {"a": "b"}


@pytest.mark.accepts("RC-016")
def test_a_custom_head_service_keeps_what_is_the_users(values: Any) -> None:
    custom = {
        "metadata": {"name": "mine", "labels": {"team": "a", "ray.io/node-type": "x"}, "annotations": {"k": "user"}},
        "spec": {"ports": [{"name": "extra", "port": 1}], "selector": {"x": "y"}, "sessionAffinity": "ClientIP"},
    }
    head = {"headService": custom, "serviceType": "LoadBalancer"}
    cluster = values.cluster(head=head, headServiceAnnotations={"k": "cluster"})
    service = services.head_service(cluster)
    metadata, spec = service["metadata"], service["spec"]
    assert (metadata["name"], metadata["annotations"]) == ("mine", {"k": "cluster"})
    assert (metadata["labels"]["team"], metadata["labels"]["ray.io/node-type"]) == ("a", "head")
    assert spec["selector"]["ray.io/cluster"] == "rc"
    assert "x" not in spec["selector"]
    assert ports(service)[0] == ("extra", 1)
    assert len(ports(service)) == 6
    assert (spec["type"], spec["sessionAffinity"], spec.get("clusterIP")) == ("LoadBalancer", "ClientIP", None)
    assert cluster.head_service_fqdn == "mine.default.svc.cluster.local"


@pytest.mark.accepts("RC-017")
def test_two_head_services_are_an_error_and_no_third_is_made(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    twin = rig.get("rc-head-svc", SERVICE)
    rig.create(
        {"metadata": {"name": "twin", "labels": twin["metadata"]["labels"]}, "spec": {"ports": [{"port": 1}]}}, SERVICE
    )
    errors = rig.manager.errors
    rig.patch({"metadata": {"labels": {"touch": "1"}}})
    rig.run(2)
    assert rig.manager.errors > errors
    assert len(rig.objects(SERVICE)) == 2


@pytest.mark.accepts("RC-018")
def test_a_deleted_head_service_comes_back_and_an_edited_one_stays_edited(rig: Any, values: Any) -> None:
    rig.ready(values.ray_cluster())
    rig.delete("rc-head-svc", SERVICE)
    rig.run(1)
    assert len(rig.objects(SERVICE)) == 1
    rig.patch({"spec": {"ports": [{"name": "z", "port": 1}]}}, "rc-head-svc", SERVICE)
    rig.run(10)
    assert ports(rig.get("rc-head-svc", SERVICE)) == [("z", 1)]


@pytest.mark.accepts("RC-019")
def test_the_annotation_makes_a_serve_service_for_all_pods(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(metadata={"annotations": {"ray.io/enable-serve-service": "true"}}))
    rig.create(values.ray_cluster(name="other", metadata={"annotations": {"ray.io/enable-serve-service": "True"}}))
    rig.run(1)
    service = rig.get("rc-serve-svc", SERVICE)
    assert service["spec"]["selector"] == {"ray.io/cluster": "rc"}
    assert ports(service) == [("serve", 8000)]
    assert service["metadata"]["labels"]["ray.io/serve"] == "rc-serve"
    names = [found["metadata"]["name"] for found in rig.objects(SERVICE)]
    assert names == ["other-head-svc", "rc-head-svc", "rc-serve-svc"]


def test_without_a_serve_port_the_serve_service_fails_before_the_pods(rig: Any, values: Any) -> None:
    head = with_ports(values, {"containerPort": 6379, "name": "gcs-server"})
    rig.create(values.ray_cluster(head=head, metadata={"annotations": {"ray.io/enable-serve-service": "true"}}))
    rig.run(1)
    assert [found["metadata"]["name"] for found in rig.objects(SERVICE)] == ["rc-head-svc"]
    assert rig.names() == []


@pytest.mark.accepts("RC-002", "RC-020")
def test_a_multi_host_group_has_a_headless_service_also_with_the_longest_name(rig: Any, values: Any) -> None:
    name = "r" * 53
    metadata = {"annotations": {"ray.io/enable-serve-service": "true"}}
    rig.create(values.ray_cluster(values.group(numOfHosts=4), name=name, metadata=metadata))
    rig.run(1)
    names = [service["metadata"]["name"] for service in rig.objects(SERVICE)]
    assert names == [f"{name}-head-svc", f"{name}-headless", f"{name}-serve-svc"]
    spec = rig.get(f"{name}-headless", SERVICE)["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert spec["selector"] == {"ray.io/cluster": name, "ray.io/node-type": "worker"}


@pytest.mark.accepts("RC-099")
def test_autoscaling_brings_account_role_and_binding(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(enableInTreeAutoscaling=True))
    rig.run(1)
    assert rig.get("rc", SERVICE_ACCOUNT)["metadata"]["labels"]["ray.io/cluster"] == "rc"
    assert [(rule["resources"], rule["verbs"]) for rule in rig.get("rc", ROLE)["rules"]] == [
        (["pods"], ["get", "list", "watch", "patch"]),
        (["pods/resize"], ["patch"]),
        (["rayclusters"], ["get", "patch"]),
    ]
    assert rig.get("rc", ROLE_BINDING)["subjects"] == [
        {"kind": "ServiceAccount", "name": "rc", "namespace": "default"},
    ]
    assert rig.events("CreatedRoleBinding") == ["Created role binding default/rc"]


@pytest.mark.accepts("RC-100")
def test_the_users_service_account_must_exist(rig: Any, values: Any) -> None:
    template = {"spec": {"serviceAccountName": "mine", "containers": [values.container("h")]}}
    rig.create(values.ray_cluster(head={"template": template}, enableInTreeAutoscaling=True))
    rig.run(1)
    (note,) = rig.events("AutoscalerServiceAccountNotFound")
    assert note.startswith("Failed to reconcile RayCluster default/rc.")
    assert rig.names() == []
    rig.create({"metadata": {"name": "mine"}}, SERVICE_ACCOUNT)
    rig.run(5)
    assert len(rig.names("head")) == 1
    assert [account["metadata"]["name"] for account in rig.objects(SERVICE_ACCOUNT)] == ["mine"]


def test_the_token_is_made_once_and_again_when_deleted(rig: Any, values: Any) -> None:
    rig.create(values.ray_cluster(authOptions={"mode": "token"}))
    rig.run(1)
    first = rig.get("rc", SECRET)["data"]["auth_token"]
    rig.run(400)
    assert rig.get("rc", SECRET)["data"]["auth_token"] == first
    rig.delete("rc", SECRET)
    rig.run(1)
    assert rig.get("rc", SECRET)["data"]["auth_token"] != first


@pytest.mark.accepts("RC-102")
def test_the_ingress_leads_to_the_dashboard(rig: Any, values: Any) -> None:
    metadata = {"annotations": {"kubernetes.io/ingress.class": "nginx", "other": "x"}}
    rig.create(values.ray_cluster(head={"enableIngress": True}, metadata=metadata))
    rig.run(1)
    ingress = rig.get("rc-head-ingress", INGRESS)
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["metadata"]["annotations"] == {"other": "x"}
    backend = {"service": {"name": "rc-head-svc", "port": {"number": 8265}}}
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"] == [{"path": "/", "pathType": "Prefix", "backend": backend}]


@pytest.mark.accepts("RC-103")
def test_a_foreign_ingress_is_left_alone_and_an_own_one_follows(rig: Any, values: Any) -> None:
    rig.create(
        {
            "metadata": {"name": "rc-head-ingress"},
            "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 1}}}},
        },
        INGRESS,
    )
    rig.create(values.ray_cluster(head={"enableIngress": True}))
    rig.run(1)
    assert "rules" not in rig.get("rc-head-ingress", INGRESS)["spec"]
    assert len(rig.events("FailedToCreateIngress")) >= 1
    rig.create(values.ray_cluster(name="own", head={"enableIngress": True}))
    rig.run(1)
    head = rig.get("own")["spec"]["headGroupSpec"] | {"ingressOptions": {"host": "a.b", "path": "/p"}}
    rig.patch({"spec": {"headGroupSpec": head}}, "own")
    rig.run(1)
    (rule,) = rig.get("own-head-ingress", INGRESS)["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("a.b", "/p")
    assert rig.events("UpdatedIngress") == ["Updated ingress default/own-head-ingress"]
    count = len([write for write in rig.writes() if write == "update ingresses"])
    rig.run(700)
    assert len([write for write in rig.writes() if write == "update ingresses"]) == count == 1
