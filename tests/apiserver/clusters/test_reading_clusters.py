"""Reading, listing and deleting clusters, and the events that are told with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from rayrig_backends.api_rules import ApiRule
from rayrig_core.faultpoints import ErrorBefore
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CORE_EVENT, EVENT, NAMESPACE, RAY_CLUSTER

if TYPE_CHECKING:
    from tests.apiserver.conftest import Site

CLUSTERS = "/apis/v1/namespaces/default/clusters"
TEMPLATE: JsonObject = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}
C1: JsonObject = {
    "name": "test-cluster",
    "namespace": "default",
    "user": "boris",
    "clusterSpec": {"headGroupSpec": {"computeTemplate": "t", "rayStartParams": {"dashboard-host": "0.0.0.0"}}},
}


def foreign(**spec: Any) -> JsonObject:
    """A RayCluster as somebody writes it with kubectl."""
    template = {"spec": {"containers": [{"name": "h", "image": "x"}]}}
    head = {"headGroupSpec": {"rayStartParams": {}, "template": template}}
    return {"metadata": {"name": "foreign"}, "spec": head | spec}


def create(site: Site, resource: Any, body: JsonObject, namespace: str = "default") -> None:
    site.run(site.world.client("test").create(resource, body, namespace))


def event(name: str, about: str = "test-cluster", **fields: Any) -> JsonObject:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "RayCluster", "name": about, "namespace": "default"},
        "reason": "Made",
        "message": "it was made",
        "type": "Normal",
        **fields,
    }


@pytest.fixture
def told(site: Site) -> Site:
    """With cluster C1."""
    site.ok("POST", "/apis/v1/namespaces/default/compute_templates", TEMPLATE)
    site.ok("POST", CLUSTERS, C1)
    return site


@pytest.mark.accepts("AS-031")
def test_state_and_endpoints_are_as_the_operator_wrote_them(told: Site) -> None:
    endpoints = {"dashboard": "8265", "serve": "8000"}
    told.write_status(RAY_CLUSTER, "test-cluster", {"state": "ready", "endpoints": endpoints})
    cluster = told.ok("GET", f"{CLUSTERS}/test-cluster")
    assert (cluster["clusterState"], cluster["serviceEndpoint"]) == ("ready", endpoints)


def pages(site: Site, target: str) -> Iterator[list[str]]:
    token = ""
    while True:
        reply = site.ok("GET", f"{target}?limit=2&continue={token}")
        yield [cluster["name"] for cluster in reply["clusters"]]
        if "continue" not in reply:
            return
        token = reply["continue"]


@pytest.mark.accepts("AS-032")
def test_pages_are_kubernetes_own_and_leave_out_what_others_made(site: Site) -> None:
    site.ok("POST", "/apis/v1/namespaces/default/compute_templates", TEMPLATE)
    for letter in "edcba":
        site.ok("POST", CLUSTERS, C1 | {"name": letter})
    create(site, RAY_CLUSTER, foreign() | {"metadata": {"name": "bb"}})
    for target in (CLUSTERS, "/apis/v1/clusters"):
        assert list(pages(site, target)) == [["a", "b"], ["c", "d"], ["e"]]
    assert len(site.ok("GET", CLUSTERS)["clusters"]) == 5


@pytest.mark.accepts("AS-033")
def test_tokens_and_limits_that_are_none(told: Site) -> None:
    told.ok("POST", CLUSTERS, C1 | {"name": "another"})
    token = told.ok("GET", f"{CLUSTERS}?limit=1")["continue"]
    told.write_status(RAY_CLUSTER, "another", {"state": "ready"})
    store = told.world.api.state.store
    store.compact(store.revision)
    status, error = told.send("GET", f"{CLUSTERS}?limit=1&continue={token}")
    assert (status, error["code"]) == (500, 2)
    assert error["message"].startswith(
        "List clusters failed.: List RayCluster failed in default: The provided continue"
    )

    status, error = told.send("GET", "/apis/v1/clusters?continue=!")
    assert (status, error["code"]) == (500, 2)
    assert error["message"].startswith("List clusters from all namespaces failed.: List RayCluster failed in : invalid")
    status, error = told.send("GET", f"{CLUSTERS}?limit=abc")
    assert (status, error["code"]) == (400, 3)


@pytest.mark.accepts("AS-034")
def test_what_others_made_is_neither_shown_nor_deleted(site: Site) -> None:
    create(site, RAY_CLUSTER, foreign())
    for method, wrap in (("GET", "Get cluster failed."), ("DELETE", "Get cluster failure")):
        message = f"{wrap}: RayCluster with name foreign not managed by kuberay-apiserver"
        assert site.send(method, f"{CLUSTERS}/foreign") == (500, {"code": 2, "message": message})
    assert site.names(RAY_CLUSTER) == ["foreign"]


@pytest.mark.accepts("AS-035")
def test_events_of_both_kinds_are_told(told: Site) -> None:
    old = {"count": 3, "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-02T00:00:00Z"}
    create(told, CORE_EVENT, event("b.old", **old))
    new = {
        "metadata": {"name": "a.new"},
        "regarding": {"kind": "Service", "name": "test-cluster", "namespace": "default"},
        "reason": "Seen",
        "note": "it was seen",
        "type": "Warning",
        "action": "Look",
        "reportingController": "kuberay.io/operator",
        "reportingInstance": "operator-1",
        "eventTime": "2020-01-03T00:00:00.250000Z",
        "series": {"count": 7, "lastObservedTime": "2020-01-04T00:00:00.500000Z"},
    }
    create(told, EVENT, new)
    create(told, CORE_EVENT, event("of-another", about="another"))

    events = told.ok("GET", f"{CLUSTERS}/test-cluster")["events"]
    made = [each.pop("createdAt") for each in events]
    assert made[0] == told.stored(CORE_EVENT, "a.new")["metadata"]["creationTimestamp"]
    assert events == [
        {
            "id": "a.new",
            "name": "test-cluster-a.new",
            "firstTimestamp": "2020-01-03T00:00:00Z",
            "lastTimestamp": "2020-01-04T00:00:00Z",
            "reason": "Seen",
            "message": "it was seen",
            "type": "Warning",
            "count": 7,
        },
        {
            "id": "b.old",
            "name": "test-cluster-b.old",
            "firstTimestamp": "2020-01-01T00:00:00Z",
            "lastTimestamp": "2020-01-02T00:00:00Z",
            "reason": "Made",
            "message": "it was made",
            "type": "Normal",
            "count": 3,
        },
    ]


@pytest.mark.accepts("AS-035")
def test_events_that_cannot_be_listed_are_left_out(told: Site) -> None:
    create(told, CORE_EVENT, event("e"))
    told.world.rules.add(
        ApiRule(ErrorBefore(403, "Forbidden"), actor="kuberay-apiserver", verb="list", resource="events")
    )
    for reply in (told.ok("GET", f"{CLUSTERS}/test-cluster"), *told.ok("GET", CLUSTERS)["clusters"]):
        assert reply["name"] == "test-cluster"
        assert "events" not in reply


def test_clusters_of_one_name_are_told_the_last_ones_events(told: Site) -> None:
    create(told, NAMESPACE, {"metadata": {"name": "team-b"}}, "")
    in_b = {"namespace": "team-b"}
    told.ok("POST", "/apis/v1/namespaces/team-b/compute_templates", TEMPLATE | in_b)
    told.ok("POST", "/apis/v1/namespaces/team-b/clusters", C1 | in_b)
    create(told, CORE_EVENT, event("first"))
    assert [[e["id"] for e in c["events"]] for c in told.ok("GET", "/apis/v1/clusters")["clusters"]] == [["first"]] * 2

    about = {"kind": "RayCluster", "name": "test-cluster", "namespace": "team-b"}
    create(told, CORE_EVENT, event("last", involvedObject=about), "team-b")
    assert [[e["id"] for e in c["events"]] for c in told.ok("GET", "/apis/v1/clusters")["clusters"]] == [["last"]] * 2


@pytest.mark.accepts("AS-036")
def test_a_deleted_cluster_is_not_found(told: Site) -> None:
    assert told.ok("DELETE", f"{CLUSTERS}/test-cluster") == {}
    gone = 'NotFoundError: Cluster test-cluster not found: rayclusters.ray.io "test-cluster" not found'
    for method, wrap in (("GET", "Get cluster failed."), ("DELETE", "Get cluster failure")):
        message = f"Cluster test-cluster not found: {wrap}: {gone}"
        assert told.send(method, f"{CLUSTERS}/test-cluster") == (404, {"code": 5, "message": message})


def test_what_was_written_otherwise_is_told_without_what_it_lacks(site: Site) -> None:
    volumes = [{"name": "loose", "emptyDir": {}}, {"name": "odd", "downwardAPI": {}}]
    template = {"spec": {"containers": [{"name": "h", "image": "x"}], "volumes": volumes}}
    body = foreign(
        headGroupSpec={"rayStartParams": {}, "template": template},
        workerGroupSpecs=[{"groupName": "g", "template": template, "minReplicas": None}],
    )
    body["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "kuberay-apiserver", "ray.io/environment": "MOON"}
    create(site, RAY_CLUSTER, body)
    group = site.stored(RAY_CLUSTER, "foreign")["spec"]["workerGroupSpecs"][0]
    cluster = site.ok("GET", f"{CLUSTERS}/foreign")
    del cluster["createdAt"]
    loose = {"name": "loose", "volumeType": 5}
    worker: JsonObject = {"groupName": "g", "volumes": [loose]}
    worker |= {field: group[field] for field in ("replicas", "minReplicas", "maxReplicas") if group.get(field)}
    assert cluster == {
        "name": "foreign",
        "namespace": "default",
        "clusterSpec": {"headGroupSpec": {"volumes": [loose]}, "workerGroupSpec": [worker]},
    }


PLATFORM_ANNOTATIONS = (
    "ray.io/health-state",
    "ray.io/ft-enabled",
    "openshift.io/scc",
    "cni.projectcalico.org/podIP",
    "cni.projectcalico.org/podIPs",
    "cni.projectcalico.org/containerID",
    "k8s.v1.cni.cncf.io/network-status",
    "k8s.v1.cni.cncf.io/networks-status",
)
PLATFORM_LABELS = (
    "app.kubernetes.io/created-by",
    "app.kubernetes.io/name",
    "ray.io/cluster",
    "ray.io/cluster-dashboard",
    "ray.io/group",
    "ray.io/identifier",
    "ray.io/is-ray-node",
    "ray.io/node-type",
)
IN_BOTH = ("MY_POD_IP", "RAY_CLUSTER_NAME", "RAY_PORT", "RAY_ADDRESS", "RAY_USAGE_STATS_KUBERAY_IN_USE")
IN_WORKERS = ("FQ_RAY_IP", "RAY_IP", "REDIS_PASSWORD", "TYPE", "CPU_REQUEST", "MEMORY_LIMITS", "MY_POD_NAME")


def test_what_the_operator_or_the_platform_adds_is_not_told(site: Site) -> None:
    env = [{"name": name, "value": "x"} for name in (*IN_BOTH, *IN_WORKERS, "MINE")]
    of_a_file = {"name": "f", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}
    metadata = {
        "annotations": dict.fromkeys(PLATFORM_ANNOTATIONS, "x") | {"mine": "1"},
        "labels": dict.fromkeys(PLATFORM_LABELS, "x") | {"mine": "2"},
    }

    def template(name: str) -> JsonObject:
        containers = [
            {"name": "first", "image": "x", "imagePullPolicy": "Always"},
            {"name": name, "image": "x", "env": [*env, of_a_file], "securityContext": {"runAsUser": 5}},
        ]
        return {"metadata": metadata, "spec": {"containers": containers, "serviceAccountName": "x"}}

    body = foreign(
        headGroupSpec={"rayStartParams": {}, "template": template("ray-head")},
        workerGroupSpecs=[{"groupName": "g", "maxReplicas": 2, "replicas": 1, "template": template("ray-worker")}],
    )
    body["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "kuberay-apiserver"}
    create(site, RAY_CLUSTER, body)
    told = site.ok("GET", f"{CLUSTERS}/foreign")["clusterSpec"]
    both: JsonObject = {
        "annotations": {"mine": "1"},
        "labels": {"mine": "2"},
        "imagePullPolicy": "Always",
        "securityContext": {"capabilities": {}},
    }
    of_heads = dict.fromkeys((*IN_WORKERS, "MINE"), "x")
    assert told["headGroupSpec"] == both | {"environment": {"values": of_heads}}
    assert told["workerGroupSpec"] == [
        both | {"groupName": "g", "replicas": 1, "maxReplicas": 2, "environment": {"values": {"MINE": "x"}}}
    ]
