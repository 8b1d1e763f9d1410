"""The values of which a tick is made, to the letter: status and its JSON, conditions, Services, Gateway and route, endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.rayservice.conditions import Conditions
from rayrig_controllers.rayservice.endpoints import count_ready_pods
from rayrig_controllers.rayservice.gateway import (
    build_gateway,
    build_route,
    gateway_essence,
    is_gateway_ready,
    is_route_ready,
    route_essence,
)
from rayrig_controllers.rayservice.goal import (
    Goal,
    Goals,
    build_cluster,
    is_incremental,
    owner_reference,
    upgrade_type,
    upgrades_enabled,
)
from rayrig_controllers.rayservice.head_label import serve_port
from rayrig_controllers.rayservice.incremental import (
    Capacity,
    CapacityStep,
    UpgradeOptions,
    Weights,
    capacity_step,
    is_rollback_complete,
    is_upgrade_complete,
    traffic_weights,
)
from rayrig_controllers.rayservice.memory import DeletionSchedule, ParsedAnswers, SubmittedConfigs
from rayrig_controllers.rayservice.serve import are_all_running
from rayrig_controllers.rayservice.services import (
    build_head_service,
    build_serve_service,
    build_serve_service_of_cluster,
    selected_cluster,
    serve_service_name,
)
from rayrig_controllers.rayservice.status import EMPTY_CLUSTER_STATUS, ServiceStatus, Slot, cluster_status
from rayrig_controllers.reconciler import ReconcileError, Request
from rayrig_controllers.releases import KUBERAY_1_7
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.timestamps import NS

OPTIONS = OperatorOptions()
EMPTY = {"desiredCPU": "0", "desiredGPU": "0", "desiredMemory": "0", "desiredTPU": "0", "head": {}}
SERVICE: JsonObject = {"metadata": {"name": "rs", "namespace": "ns", "uid": "u-rs"}, "spec": {}}
OWNER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayService",
    "name": "rs",
    "uid": "u-rs",
    "controller": True,
    "blockOwnerDeletion": True,
}


def cluster(*ports: tuple[str, int], name: str = "rs-abcde", **head: Any) -> JsonObject:
    container: JsonObject = {"name": "ray-head", "image": "ray"}
    if ports:
        container["ports"] = [{"name": port, "containerPort": number} for port, number in ports]
    template = {"spec": {"containers": [container]}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": "ns", "uid": f"u-{name}"},
        "spec": {"headGroupSpec": {"rayStartParams": {}, "template": template, **head}},
    }


# Status


FULL: JsonObject = {
    "activeServiceStatus": {
        "applicationStatuses": {"a": {"status": "RUNNING"}},
        "lastTrafficMigratedTime": "2026-01-01T00:00:00Z",
        "rayClusterName": "one",
        "rayClusterStatus": {"state": "ready"},
        "targetCapacity": 0,
        "trafficRoutedPercent": 0,
    },
    "conditions": [{"type": "Ready", "status": "True"}],
    "lastUpdateTime": "2026-01-01T00:00:01Z",
    "numServeEndpoints": 2,
    "observedGeneration": 3,
    "pendingServiceStatus": {"rayClusterName": "two", "rayClusterStatus": EMPTY, "targetCapacity": 100},
    "serviceStatus": "Running",
}


def test_a_status_is_written_as_it_was_read_in_the_order_of_its_names() -> None:
    status = ServiceStatus.from_json(FULL)
    assert status.to_json() == FULL
    assert list(status.to_json()) == sorted(FULL)
    assert list(status.to_json()["activeServiceStatus"]) == sorted(FULL["activeServiceStatus"])
    assert status.active == Slot("one", {"state": "ready"}, {"a": {"status": "RUNNING"}}, 0, 0, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_status_has_two_empty_slots(nothing: Any) -> None:
    empty = {"activeServiceStatus": {"rayClusterStatus": EMPTY}, "pendingServiceStatus": {"rayClusterStatus": EMPTY}}
    assert ServiceStatus.from_json(nothing).to_json() == empty
    assert EMPTY_CLUSTER_STATUS == EMPTY
    assert ServiceStatus.from_json({"serviceStatus": "x"}).to_json() == {**empty, "serviceStatus": "x"}


def test_changing_a_working_copy_leaves_the_status_as_it_was() -> None:
    status = ServiceStatus.from_json(FULL)
    copy = status.working_copy()
    copy.active.cluster, copy.pending.cluster = "x", "y"
    copy.conditions.append({})
    copy.num_serve_endpoints = 9
    assert status.to_json() == FULL


def test_the_status_of_a_cluster_is_completed_with_zeros() -> None:
    assert cluster_status(None) == cluster_status({}) == cluster_status({"status": {}}) == EMPTY
    assert cluster_status({"status": {"state": "ready"}}) == {**EMPTY, "state": "ready"}
    assert cluster_status({"status": {"head": {"podIP": "1"}}}) == {**EMPTY, "head": {"podIP": "1"}}
    complete = {"head": {}, "desiredTPU": "1"}
    assert cluster_status({"status": complete}) is complete


@pytest.mark.parametrize(
    ("path", "value", "worth"),
    [
        (("serviceStatus",), "", True),
        (("numServeEndpoints",), 3, True),
        (("conditions",), [], True),
        (("activeServiceStatus", "rayClusterName"), "x", True),
        (("pendingServiceStatus", "rayClusterName"), "x", True),
        (("activeServiceStatus", "applicationStatuses"), {}, True),
        (("pendingServiceStatus", "applicationStatuses"), {"a": {}}, True),
        (("activeServiceStatus", "rayClusterStatus"), {"state": "x"}, False),
        (("observedGeneration",), 9, False),
        (("lastUpdateTime",), "2027-01-01T00:00:00Z", False),
    ],
)
def test_which_changes_are_worth_a_write(path: tuple[str, ...], value: Any, worth: bool) -> None:
    changed = {**FULL}
    if len(path) == 1:
        changed[path[0]] = value
    else:
        changed[path[0]] = {**changed[path[0]], path[1]: value}
    now, before = ServiceStatus.from_json(changed), ServiceStatus.from_json(FULL)
    assert now.is_worth_writing(before, compares_incremental_fields=False) is worth
    assert now.is_worth_writing(before, compares_incremental_fields=True) is True, "some of their fields are set"


@pytest.mark.parametrize("slot", ["active", "pending"])
@pytest.mark.parametrize("field", ["target_capacity", "traffic_percent", "last_traffic_migrated"])
@pytest.mark.parametrize("when", ["before", "now"])
def test_a_field_of_incremental_upgrades_is_always_worth_a_write(slot: str, field: str, when: str) -> None:
    statuses = {"before": ServiceStatus(), "now": ServiceStatus()}
    assert not statuses["now"].is_worth_writing(statuses["before"], compares_incremental_fields=True)
    setattr(getattr(statuses[when], slot), field, 0)
    assert statuses["now"].is_worth_writing(statuses["before"], compares_incremental_fields=True)
    assert not statuses["now"].is_worth_writing(statuses["before"], compares_incremental_fields=False)


# Conditions


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    items: list[JsonObject] = []
    conditions = Conditions(items, 0, 7)
    conditions.set("Ready", "False", "Initializing", "soon")
    first = {
        "type": "Ready",
        "status": "False",
        "observedGeneration": 7,
        "lastTransitionTime": "1970-01-01T00:00:00Z",
        "reason": "Initializing",
        "message": "soon",
    }
    assert items == [first]
    conditions.now_ns, conditions.observed_generation = NS, 8
    conditions.set("Ready", "False", "Other", "later")
    assert items == [{**first, "observedGeneration": 8, "reason": "Other", "message": "later"}]
    conditions.set("Ready", "True", "Other", "later")
    assert items[0]["lastTransitionTime"] == "1970-01-01T00:00:01Z"
    conditions.set("New", "True", "R", "")
    assert [each["type"] for each in items] == ["Ready", "New"]
    conditions.set("Ready", "False", "R", "")
    assert [each["type"] for each in items] == ["Ready", "New"], "it keeps its place"
    conditions.remove("Ready")
    assert [each["type"] for each in items] == ["New"]
    conditions.remove("Ready")


def test_without_a_generation_none_is_said_and_equal_conditions_stay_the_same_object() -> None:
    items: list[JsonObject] = []
    conditions = Conditions(items, 0, 0)
    conditions.set("Ready", "True", "R", "m")
    (first,) = items
    assert "observedGeneration" not in first
    conditions.now_ns = NS
    conditions.set("Ready", "True", "R", "m")
    assert items[0] is first


def test_what_is_asked_of_conditions() -> None:
    conditions = Conditions(
        [{"type": "A", "status": "True", "reason": "X"}, {"type": "B", "status": "False", "reason": "Y"}], 0, 0
    )
    assert [conditions.is_true(kind) for kind in "ABC"] == [True, False, False]
    assert [conditions.reason(kind) for kind in "ABC"] == ["X", "Y", ""]
    assert conditions.is_false_because("B", "Y")
    assert not conditions.is_false_because("B", "X")
    assert not conditions.is_false_because("A", "X")
    assert not conditions.is_false_because("C", "X")
    assert conditions.find("C") is None


# Clusters


def test_a_cluster_as_it_is_built() -> None:
    service = {
        "metadata": {
            "name": "rs",
            "namespace": "ns",
            "uid": "u-rs",
            "labels": {"team": "fruit", "ray.io/originated-from-crd": "lost"},
            "annotations": {"a": "b", "ray.io/num-worker-groups": "lost"},
        }
    }
    goal = Goal(
        {
            "headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": []}}},
            "workerGroupSpecs": [{"groupName": "g", "replicas": 3, "template": {}}],
        }
    )
    built = build_cluster(service, "rs-abcde", goal, OPTIONS)
    assert {key: built[key] for key in built if key != "spec"} == {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {
            "name": "rs-abcde",
            "namespace": "ns",
            "labels": {
                "team": "fruit",
                "ray.io/originated-from-cr-name": "rs",
                "ray.io/originated-from-crd": "RayService",
            },
            "annotations": {
                "a": "b",
                "ray.io/hash-without-replicas-and-workers-to-delete": goal.hash,
                "ray.io/num-worker-groups": "1",
                "ray.io/kuberay-version": "v1.7.0",
            },
            "ownerReferences": [OWNER],
        },
    }
    assert built["spec"]["workerGroupSpecs"][0]["replicas"] == 3
    small = build_cluster(service, "rs-abcde", goal, OPTIONS, starts_at_minimum=True)["spec"]["workerGroupSpecs"][0]
    assert "replicas" not in small
    assert small["groupName"] == "g"
    assert goal.spec["workerGroupSpecs"][0]["replicas"] == 3
    assert owner_reference(SERVICE) == OWNER


def test_goals_are_kept_while_uid_and_generation_stay() -> None:
    goals = Goals()

    def service(generation: int, uid: str = "u", name: str = "rs") -> JsonObject:
        return {"metadata": {"name": name, "namespace": "ns", "uid": uid, "generation": generation}, "spec": {}}

    first = goals.of(service(1))
    assert goals.of(service(1)) is first
    assert goals.of(service(1, name="other")) is not first
    assert goals.of(service(2)) is not first
    second = goals.of(service(2))
    assert goals.of(service(2, uid="v")) is not second
    third = goals.of(service(2, uid="v"))
    goals.forget("ns", "rs")
    assert goals.of(service(2, uid="v")) is not third
    goals.forget("ns", "nobody")


@pytest.mark.parametrize(
    ("kind", "gate", "zero_downtime", "upgrades"),
    [
        (None, True, True, True),
        (None, True, False, False),
        ("NewCluster", True, False, True),
        ("None", True, True, False),
        ("NewClusterWithIncrementalUpgrade", True, False, True),
        ("NewClusterWithIncrementalUpgrade", False, True, False),
    ],
)
def test_the_type_of_the_strategy_beats_the_environment(
    kind: str | None, gate: bool, zero_downtime: bool, upgrades: bool
) -> None:
    options = OperatorOptions(zero_downtime=zero_downtime, gates=FeatureGates(ray_service_incremental_upgrade=gate))
    spec = {"upgradeStrategy": {"type": kind}} if kind else {}
    assert upgrade_type(spec) == kind
    assert upgrades_enabled(spec, options) is upgrades
    assert is_incremental(spec, options) is (gate and kind == "NewClusterWithIncrementalUpgrade")


# Services


def test_the_head_service_as_it_is_built() -> None:
    built = build_head_service(SERVICE, cluster(("dashboard", 8265)), OPTIONS)
    assert built == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "rs-head-svc",
            "namespace": "ns",
            "labels": {
                "ray.io/originated-from-cr-name": "rs",
                "ray.io/originated-from-crd": "RayService",
                "ray.io/node-type": "head",
                "ray.io/identifier": "rs-head",
            },
            "ownerReferences": [OWNER],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "type": "ClusterIP",
            "selector": {
                "ray.io/cluster": "rs-abcde",
                "ray.io/node-type": "head",
                "ray.io/identifier": "rs-abcde-head",
                "app.kubernetes.io/name": "kuberay",
                "app.kubernetes.io/created-by": "kuberay-operator",
            },
            "ports": [
                {"name": "dashboard", "port": 8265, "appProtocol": "tcp"},
                {"name": "metrics", "port": 8080, "appProtocol": "tcp"},
            ],
        },
    }


def test_annotations_of_head_services_are_the_users_and_the_app_name_is_not() -> None:
    named = cluster(("serve", 8000))
    named["spec"]["headServiceAnnotations"] = {"a": "b"}
    named["spec"]["headGroupSpec"]["template"]["metadata"] = {"labels": {"app.kubernetes.io/name": "mine"}}
    built = build_head_service(SERVICE, named, OPTIONS)
    assert built["metadata"]["annotations"] == {"a": "b"}
    assert built["spec"]["selector"]["app.kubernetes.io/name"] == "kuberay"


def test_the_serve_service_as_it_is_built() -> None:
    built = build_serve_service(SERVICE, cluster(("serve", 8000), ("serve-grpc", 9000), ("x", 1)), OPTIONS)
    assert built == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "rs-serve-svc",
            "namespace": "ns",
            "labels": {
                "ray.io/originated-from-cr-name": "rs",
                "ray.io/originated-from-crd": "RayService",
                "ray.io/serve": "rs-serve",
            },
            "ownerReferences": [OWNER],
        },
        "spec": {
            "selector": {"ray.io/cluster": "rs-abcde", "ray.io/serve": "true"},
            "ports": [{"name": "serve", "port": 8000}, {"name": "serve-grpc", "port": 9000}],
        },
    }
    typed = build_serve_service(SERVICE, cluster(("serve", 8000), serviceType="NodePort"), OPTIONS)
    assert typed["spec"]["type"] == "NodePort"


def test_the_serve_service_of_a_cluster_belongs_to_it() -> None:
    built = build_serve_service_of_cluster(cluster(("serve", 8000)), OPTIONS)
    assert built["metadata"] == {
        "name": "rs-abcde-serve-svc",
        "namespace": "ns",
        "labels": {
            "ray.io/originated-from-cr-name": "rs-abcde",
            "ray.io/originated-from-crd": "RayService",
            "ray.io/serve": "rs-abcde-serve",
        },
        "ownerReferences": [
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayCluster",
                "name": "rs-abcde",
                "uid": "u-rs-abcde",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert built["spec"] == {
        "selector": {"ray.io/cluster": "rs-abcde", "ray.io/serve": "true"},
        "ports": [{"name": "serve", "port": 8000}],
    }


NO_PORT = (
    "Please specify a port named 'serve' (or with the prefix 'serve-', e.g. 'serve-grpc') in the Ray head container; "
    "otherwise, the Kubernetes service for Ray Serve will not be created."
)


@pytest.mark.parametrize("own", [None, {"metadata": {}}, {"spec": {"ports": []}}])
def test_without_any_port_there_is_no_serve_service(own: Any) -> None:
    service = {**SERVICE, "spec": {"serveService": own}}
    with pytest.raises(ReconcileError) as caught:
        build_serve_service(service, cluster(("dashboard", 8265)), OPTIONS)
    assert str(caught.value) == NO_PORT
    with pytest.raises(ReconcileError) as caught:
        build_serve_service_of_cluster(cluster(("dashboard", 8265)), OPTIONS)
    assert str(caught.value) == NO_PORT


def test_the_users_own_serve_service_as_it_is_built() -> None:
    own = {
        "metadata": {
            "name": "front",
            "namespace": "elsewhere",
            "labels": {"a": "b", "ray.io/serve": "lost"},
            "annotations": {"c": "d"},
            "finalizers": ["e/f"],
            "ownerReferences": ["lost"],
        },
        "spec": {
            "selector": {"lost": "yes"},
            "sessionAffinity": "ClientIP",
            "ports": [{"name": "serve", "port": 80, "targetPort": 8000}, {"name": "lost", "port": 1}],
        },
    }
    service = {**SERVICE, "spec": {"serveService": own}}
    ports = (("serve", 8000), ("serve-grpc", 9000))
    built = build_serve_service(service, cluster(*ports, serviceType="LoadBalancer"), OPTIONS)
    assert built == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "front",
            "namespace": "ns",
            "labels": {
                "a": "b",
                "ray.io/originated-from-cr-name": "rs",
                "ray.io/originated-from-crd": "RayService",
                "ray.io/serve": "rs-serve",
            },
            "annotations": {"c": "d"},
            "finalizers": ["e/f"],
            "ownerReferences": [OWNER],
        },
        "spec": {
            "selector": {"ray.io/cluster": "rs-abcde", "ray.io/serve": "true"},
            "sessionAffinity": "ClientIP",
            "type": "LoadBalancer",
            "ports": [{"name": "serve", "port": 80, "targetPort": 8000}, {"name": "serve-grpc", "port": 9000}],
        },
    }
    assert own["spec"]["selector"] == {"lost": "yes"}, "the template itself is left alone"
    bare = build_serve_service(
        {**SERVICE, "spec": {"serveService": {"spec": {"type": "NodePort"}}}}, cluster(*ports), OPTIONS
    )
    assert (bare["metadata"]["name"], bare["spec"]["type"]) == ("rs-serve-svc", "NodePort")
    assert set(bare["metadata"]) == {"name", "namespace", "labels", "ownerReferences"}
    typed = build_serve_service(
        {**SERVICE, "spec": {"serveService": {"spec": {"type": "NodePort"}}}}, cluster(*ports, serviceType="X"), OPTIONS
    )
    assert typed["spec"]["type"] == "NodePort"
    unnamed = {"spec": {"ports": [{"port": 80}]}}
    kept = build_serve_service({**SERVICE, "spec": {"serveService": unnamed}}, cluster(("x", 1)), OPTIONS)
    assert kept["spec"]["ports"] == [{"port": 80}]


def test_names_and_selectors_of_services() -> None:
    assert serve_service_name({}, "rs", KUBERAY_1_7) == "rs-serve-svc"
    assert serve_service_name({"serveService": {"metadata": {"name": "front"}}}, "rs", KUBERAY_1_7) == "front"
    assert serve_service_name({"serveService": {"metadata": {}}}, "rs", KUBERAY_1_7) == "rs-serve-svc"
    assert selected_cluster({"spec": {"selector": {"ray.io/cluster": "c"}}}) == "c"
    assert selected_cluster({"spec": {"selector": {}}}) == selected_cluster({"spec": {}}) == selected_cluster({}) == ""


# Gateway and HTTPRoute


def test_gateway_and_route_as_they_are_built() -> None:
    assert build_gateway(SERVICE, "istio") == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "rs-gateway", "namespace": "ns", "ownerReferences": [OWNER]},
        "spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
    }
    old, new = cluster(name="old"), cluster(("serve", 8001), name="new")
    built = build_route(SERVICE, old, new, Weights(75, 25))
    assert built == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "rs-httproute", "namespace": "ns", "ownerReferences": [OWNER]},
        "spec": {
            "parentRefs": [{"name": "rs-gateway", "namespace": "ns"}],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [
                        {"name": "old-serve-svc", "namespace": "ns", "port": 8000, "weight": 75},
                        {"name": "new-serve-svc", "namespace": "ns", "port": 8001, "weight": 25},
                    ],
                }
            ],
        },
    }
    alone = build_route(SERVICE, old, None, Weights(100, 0))["spec"]["rules"][0]["backendRefs"]
    assert [(each["name"], each["weight"]) for each in alone] == [("old-serve-svc", 100)]


def holding(*kinds: str) -> list[JsonObject]:
    return [{"type": kind, "status": "True"} for kind in kinds]


def gateway(*kinds: str) -> JsonObject:
    return {"metadata": {"name": "rs-gateway", "namespace": "ns"}, "status": {"conditions": holding(*kinds)}}


def route(*kinds: str, **reference: Any) -> JsonObject:
    parent = {"parentRef": {"name": "rs-gateway", **reference}, "conditions": holding(*kinds)}
    return {"metadata": {"name": "rs-httproute", "namespace": "ns"}, "status": {"parents": [parent]}}


def test_a_gateway_works_when_it_is_accepted_and_programmed() -> None:
    assert is_gateway_ready(gateway("Accepted", "Programmed"))
    assert not is_gateway_ready(gateway("Accepted"))
    assert not is_gateway_ready(gateway("Programmed"))
    assert not is_gateway_ready(None)


def test_a_route_works_when_its_gateway_accepted_it_and_found_its_backends() -> None:
    works = gateway()
    assert is_route_ready(route("Accepted", "ResolvedRefs"), works)
    assert is_route_ready(route("Accepted", "ResolvedRefs", namespace="ns"), works)
    assert not is_route_ready(route("Accepted", "ResolvedRefs", namespace="other"), works)
    assert not is_route_ready(route("Accepted", "ResolvedRefs", name="other"), works)
    assert not is_route_ready(route("Accepted"), works)
    assert not is_route_ready(route("ResolvedRefs"), works)
    assert not is_route_ready(None, works)
    assert not is_route_ready(route("Accepted", "ResolvedRefs"), None)
    assert not is_route_ready({"metadata": {"name": "r", "namespace": "ns"}}, works)
    two = route("Accepted", name="other")
    two["status"]["parents"] += route("Accepted", "ResolvedRefs")["status"]["parents"]
    assert is_route_ready(two, works)


# Numbers of incremental upgrades


def slot(capacity: int | None = None, traffic: int | None = None, moved: str | None = None) -> Slot:
    return Slot("c", target_capacity=capacity, traffic_percent=traffic, last_traffic_migrated=moved)


PACE = UpgradeOptions(50, 25, 5, "istio")


def test_the_pace_is_read_from_the_spec() -> None:
    full = {"maxSurgePercent": 0, "stepSizePercent": 1, "intervalSeconds": 2, "gatewayClassName": "x"}
    assert UpgradeOptions.of({"upgradeStrategy": {"clusterUpgradeOptions": full}}) == UpgradeOptions(0, 1, 2, "x")
    assert UpgradeOptions.of({"upgradeStrategy": {}}) == UpgradeOptions.of({}) == UpgradeOptions(100, 0, 0, "")


@pytest.mark.parametrize(
    ("active", "pending", "now_s", "ready", "back", "weights"),
    [
        # Forth
        (slot(), slot(), 0, True, False, (100, 0)),
        (slot(), slot(100), 0, True, False, (75, 25)),
        (slot(), slot(100), 0, False, False, (100, 0)),
        (slot(traffic=75), slot(30, 25), 0, True, False, (70, 30)),
        (slot(traffic=10), slot(100, 90), 0, True, False, (0, 100)),
        (slot(), slot(100, 0, "1970-01-01T00:00:00Z"), 4, True, False, (100, 0)),
        (slot(), slot(100, 0, "1970-01-01T00:00:00Z"), 5, True, False, (75, 25)),
        (slot(traffic=60), slot(40, 40), 0, True, False, (60, 40)),
        # Back
        (slot(100, 50), slot(50, 50), 0, False, True, (75, 25)),
        (slot(60, 50), slot(50, 50), 0, False, True, (60, 40)),
        (slot(100, 90), slot(50, 10), 0, False, True, (100, 0)),
        (slot(50, 50), slot(100, 40), 0, False, True, (50, 40)),
        (slot(100, 50, "1970-01-01T00:00:00Z"), slot(50, 50), 4, False, True, (50, 50)),
        (slot(), slot(), 0, False, True, (100, 0)),
    ],
)
def test_how_traffic_moves(
    active: Slot, pending: Slot, now_s: int, ready: bool, back: bool, weights: tuple[int, int]
) -> None:
    found = traffic_weights(active, pending, PACE, now_ns=now_s * NS, is_pending_ready=ready, is_rolling_back=back)
    assert found == Weights(*weights)


FINISHED, KEEP = CapacityStep(Capacity.FINISHED), CapacityStep(Capacity.KEEP)


def change(percent: int) -> CapacityStep:
    return CapacityStep(Capacity.CHANGE, percent)


@pytest.mark.parametrize(
    ("active", "pending", "back", "steps"),
    [
        # (step of the active cluster, step of the pending one)
        (slot(0, 0), slot(100, 100), False, (FINISHED, FINISHED)),
        (slot(0, 0), slot(100, 0), False, (FINISHED, FINISHED)),
        (slot(), slot(), False, (KEEP, change(50))),
        (slot(100), slot(50, 0), False, (KEEP, KEEP)),
        (slot(100), slot(50, 50), False, (change(50), KEEP)),
        (slot(30), slot(80, 80), False, (change(0), KEEP)),
        (slot(20), slot(80, 80), False, (KEEP, change(100))),
        (slot(100, 100), slot(0, 0), True, (FINISHED, FINISHED)),
        (slot(50, 50), slot(50, 50), True, (change(100), KEEP)),
        (slot(60, 60), slot(50, 50), True, (KEEP, change(0))),
        (slot(60, 50), slot(50, 50), True, (KEEP, KEEP)),
        (slot(None, 100), slot(None, 0), True, (change(100), KEEP)),
    ],
)
def test_how_capacity_moves(active: Slot, pending: Slot, back: bool, steps: tuple[CapacityStep, CapacityStep]) -> None:
    found = tuple(
        capacity_step(active, pending, PACE, on_active=on_active, is_rolling_back=back) for on_active in (True, False)
    )
    assert found == steps


def test_when_an_upgrade_and_a_roll_back_are_complete() -> None:
    assert is_upgrade_complete(slot(0), slot(traffic=100))
    assert not is_upgrade_complete(slot(1), slot(traffic=100))
    assert not is_upgrade_complete(slot(0), slot(traffic=99))
    assert not is_upgrade_complete(slot(None), slot(traffic=100))
    full = slot(100, 100)
    assert is_rollback_complete(full, slot(0, 0), is_pending_head_ready=True)
    assert is_rollback_complete(full, slot(50, 50), is_pending_head_ready=False)
    assert not is_rollback_complete(full, slot(1, 0), is_pending_head_ready=True)
    assert not is_rollback_complete(full, slot(0, 1), is_pending_head_ready=True)
    assert not is_rollback_complete(full, slot(), is_pending_head_ready=True)
    assert not is_rollback_complete(slot(99, 100), slot(0, 0), is_pending_head_ready=True)
    assert not is_rollback_complete(slot(100, 99), slot(0, 0), is_pending_head_ready=False)


# What is counted, remembered and looked up


def endpoint(uid: str | None, ready: bool | None = True) -> JsonObject:
    conditions = {} if ready is None else {"ready": ready}
    return {"conditions": conditions, **({"targetRef": {"uid": uid}} if uid is not None else {})}


def test_ready_pods_are_counted_once() -> None:
    slices = [
        {"endpoints": [endpoint("a"), endpoint("b"), endpoint("c", False), endpoint("d", None), endpoint(None)]},
        {
            "endpoints": [
                endpoint("a"),
                {"targetRef": {"uid": "e"}},
                {"targetRef": {"kind": "Pod"}, "conditions": {"ready": True}},
            ]
        },
        {"endpoints": None},
        {},
    ]
    assert count_ready_pods(slices) == 3
    assert count_ready_pods([]) == 0


def test_the_port_to_serve_at() -> None:
    def pod(*containers: JsonObject) -> JsonObject:
        return {"spec": {"containers": list(containers)}}

    named = {"ports": [{"name": "x", "containerPort": 1}, {"name": "serve", "containerPort": "9000"}]}
    assert serve_port(pod(named)) == 9000
    assert serve_port(pod({"ports": None}, named)) == 8000
    assert serve_port(pod()) == serve_port({}) == serve_port({"spec": {}}) == 8000


def test_all_applications_run_when_there_is_one_and_none_does_not() -> None:
    assert are_all_running({"a": {"status": "RUNNING"}, "b": {"status": "RUNNING"}})
    assert not are_all_running({"a": {"status": "RUNNING"}, "b": {"status": "running"}})
    assert not are_all_running({"a": {}})
    assert not are_all_running({})


def test_the_least_recently_used_configuration_goes_first() -> None:
    configs = SubmittedConfigs(2)
    one, two, three = (Request("ns", name) for name in ("one", "two", "three"))
    assert configs.get(one, "c") is None
    configs.put(one, "c", "1")
    configs.put(two, "c", "2")
    assert configs.get(one, "c") == "1"
    configs.put(three, "c", "3")
    assert [configs.get(key, "c") for key in (one, two, three)] == ["1", None, "3"]
    configs.put(one, "d", "4")
    configs.put(two, "c", "5")
    assert [configs.get(key, "c") for key in (one, two, three)] == ["1", "5", None]
    configs.keep_only(one, ("d", "x"))
    assert (configs.get(one, "c"), configs.get(one, "d")) == (None, "4")
    configs.keep_only(three, ())
    configs.forget(one)
    configs.forget(one)
    assert configs.get(one, "d") is None


def test_deletions_are_scheduled_by_name() -> None:
    schedule = DeletionSchedule()
    assert schedule.due_ns("a") is None
    schedule.schedule("a", 5)
    assert (schedule.due_ns("a"), schedule.due_ns("b")) == (5, None)


def test_an_answer_like_the_one_before_is_not_read_again() -> None:
    answers = ParsedAnswers()
    body = b'{"applications": {"a": {"status": "RUNNING"}}}'
    first = answers.statuses("c", body)
    assert first == {"a": {"status": "RUNNING"}}
    assert answers.statuses("c", body) is first
    assert answers.statuses("d", body) is not first
    assert answers.statuses("c", b"{}") == {}
    assert answers.statuses("c", body) is not first
    again = answers.statuses("c", body)
    answers.forget("c")
    answers.forget("nobody")
    assert answers.statuses("c", body) is not again


@pytest.mark.parametrize(
    ("path", "value", "counts"),
    [
        (("hostnames",), ["example.org"], True),
        (("hostnames",), [], False),
        (("parentRefs", 0, "name"), "x", True),
        (("parentRefs", 0, "namespace"), "x", True),
        (("parentRefs", 0, "sectionName"), "x", False),
        (("rules", 0, "matches"), [], True),
        (("rules", 0, "matches", 0, "path", "value"), "/x", True),
        (("rules", 0, "filters"), [{"type": "RequestMirror"}], True),
        (("rules", 0, "filters"), [], False),
        (("rules", 0, "timeouts"), {"request": "1s"}, False),
        (("rules", 0, "backendRefs", 0, "name"), "x", True),
        (("rules", 0, "backendRefs", 0, "namespace"), "x", True),
        (("rules", 0, "backendRefs", 0, "weight"), 7, True),
        (("rules", 0, "backendRefs", 0, "port"), 7, True),
        (("rules", 0, "backendRefs", 0, "group"), "", False),
        (("rules", 0, "backendRefs"), [], True),
        (("rules",), [], True),
        (("parentRefs",), [], True),
    ],
)
def test_what_counts_when_routes_are_compared(path: tuple[Any, ...], value: Any, counts: bool) -> None:
    wanted = build_route(SERVICE, cluster(name="old"), cluster(name="new"), Weights(75, 25))
    found = changed(wanted, path, value)
    assert (route_essence(found) != route_essence(wanted)) is counts


@pytest.mark.parametrize(
    ("path", "value", "counts"),
    [
        (("gatewayClassName",), "x", True),
        (("listeners", 0, "name"), "x", True),
        (("listeners", 0, "protocol"), "HTTPS", True),
        (("listeners", 0, "port"), 81, True),
        (("listeners", 0, "hostname"), "x", False),
        (("listeners",), [], True),
        (("addresses",), [{"value": "x"}], False),
    ],
)
def test_what_counts_when_gateways_are_compared(path: tuple[Any, ...], value: Any, counts: bool) -> None:
    wanted = build_gateway(SERVICE, "istio")
    assert (gateway_essence(changed(wanted, path, value)) != gateway_essence(wanted)) is counts


def changed(obj: JsonObject, path: tuple[Any, ...], value: Any) -> JsonObject:
    """A copy whose spec has `value` at `path`."""
    copy = copy_json(obj)
    place = copy["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy
