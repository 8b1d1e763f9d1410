"""EndpointSlices follow services and pods (kubelet.md 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.resource_types import ENDPOINT_SLICE, NODE, POD, SERVICE
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Constant, instant
from rayrig_sim.kubernetes.endpoints.endpoints import endpoint_of, plan_slices, resolve_ports
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

Cluster = Any


async def _settle(cluster: Cluster) -> None:
    await cluster.sleep(0.01)


async def _slices(cluster: Cluster) -> list[dict[str, Any]]:
    return list((await cluster.client.list(ENDPOINT_SLICE, "default")).items)


@pytest.mark.accepts("K8-077")
def test_a_pod_is_listed_once_it_has_an_address_and_ready_when_it_is(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        await cluster.add_pod("p", labels={"app": "a"})
        await _settle(cluster)
        (empty,) = await _slices(cluster)
        assert (empty.get("endpoints"), empty.get("ports")) == (None, None)
        await cluster.run_pod("p", "10.244.0.2", ready=False)
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "---"}
        await cluster.run_pod("p", "10.244.0.2")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "RS-"}
        (slice_,) = await _slices(cluster)
        service, pod = await cluster.client.get(SERVICE, "svc", "default"), await cluster.pod("p")
        assert slice_["metadata"]["labels"] == {
            "kubernetes.io/service-name": "svc",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        (owner,) = slice_["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (service["metadata"]["uid"], True)
        assert [(port["name"], port["port"]) for port in slice_["ports"]] == [("", 8000)]
        (endpoint,) = slice_["endpoints"]
        assert endpoint["addresses"] == ["10.244.0.2"]
        assert endpoint["nodeName"] == "n1"
        assert endpoint["targetRef"] == {
            "kind": "Pod",
            "namespace": "default",
            "name": "p",
            "uid": pod["metadata"]["uid"],
        }

    cluster.run(story())


@pytest.mark.accepts("KL-066")
def test_a_deleted_pod_stays_serving_and_terminating_until_its_containers_end(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        await cluster.add_pod("p", labels={"app": "a"})
        await _settle(cluster)
        await cluster.run_pod("p", "10.244.0.2")
        await cluster.client.delete(POD, "p", "default")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "-ST"}
        await cluster.run_pod("p", "10.244.0.2", ready=False)
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "--T"}
        await cluster.run_pod("p", "10.244.0.2", ready=False, phase="Failed")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {}

    cluster.run(story())


@pytest.mark.accepts("KL-073")
def test_publishing_unready_addresses_makes_them_ready_even_while_terminating(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"}, publishNotReadyAddresses=True)
        await cluster.add_pod("p", labels={"app": "a"})
        await _settle(cluster)
        await cluster.run_pod("p", "10.244.0.2", ready=False)
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "R--"}
        await cluster.client.delete(POD, "p", "default")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "R-T"}

    cluster.run(story())


@pytest.mark.accepts("KL-074")
def test_a_finished_pod_stays_listed_unready_until_another_pod_of_its_service_changes(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        for name, ip in (("p", "10.244.0.2"), ("q", "10.244.0.3")):
            await cluster.add_pod(name, labels={"app": "a"}, restartPolicy="Never")
            await _settle(cluster)
            await cluster.run_pod(name, ip)
        await cluster.run_pod("p", "10.244.0.2", ready=False)
        await cluster.sleep(1)
        await cluster.run_pod("p", "10.244.0.2", ready=False, phase="Succeeded")
        await cluster.sleep(60)
        assert await cluster.endpoints("svc") == {"p": "---", "q": "RS-"}
        await cluster.run_pod("q", "10.244.0.3", ready=False)
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"q": "---"}

    cluster.run(story())


@pytest.mark.accepts("KL-074", "K8-077")
def test_a_pod_that_loses_the_label_leaves_and_one_that_gains_it_comes(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        for name, label, ip in (("p", "a", "10.244.0.2"), ("q", "b", "10.244.0.3")):
            await cluster.add_pod(name, labels={"app": label})
            await _settle(cluster)
            await cluster.run_pod(name, ip)
        for name, label in (("p", "gone"), ("q", "a")):
            await cluster.client.patch(POD, name, {"metadata": {"labels": {"app": label}}}, "default")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"q": "RS-"}

    cluster.run(story())


@pytest.mark.accepts("K8-077")
def test_a_changed_selector_moves_the_service_to_other_pods_in_one_write(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"ray": "old"})
        for name, label, ip in (("old", "old", "10.244.0.2"), ("new", "new", "10.244.0.3")):
            await cluster.add_pod(name, labels={"ray": label})
            await _settle(cluster)
            await cluster.run_pod(name, ip)
        await _settle(cluster)
        (before,) = await _slices(cluster)
        await cluster.client.patch(SERVICE, "svc", {"spec": {"selector": {"ray": "new"}}}, "default")
        await _settle(cluster)
        (after,) = await _slices(cluster)
        assert await cluster.endpoints("svc") == {"new": "RS-"}
        assert before["metadata"]["name"] == after["metadata"]["name"]
        name = before["metadata"]["name"]
        writes = cluster.happened(Kind.API_WRITE, f"endpointslices/default/{name}")
        assert writes[-1][0] == cluster.now_s - 0.01
        assert writes[-2][0] < writes[-1][0]

    cluster.run(story())
    assert cluster.happened(Kind.ENDPOINTS, "services/default/svc")[-2][1] == (1, "new ready, old removed")


@pytest.mark.accepts("K8-077")
def test_named_target_ports_are_resolved_pod_by_pod(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"}, {"name": "serve", "port": 80, "targetPort": "http"})
        for name, number, ip in (("p", 8000, "10.244.0.2"), ("q", 9000, "10.244.0.3")):
            await cluster.add_pod(name, labels={"app": "a"}, ports=[{"name": "http", "containerPort": number}])
            await _settle(cluster)
            await cluster.run_pod(name, ip)
        await _settle(cluster)
        found = {
            slice_["endpoints"][0]["targetRef"]["name"]: slice_["ports"][0]["port"] for slice_ in await _slices(cluster)
        }
        assert found == {"p": 8000, "q": 9000}
        assert {backend.port for backend in cluster.table.backends("default", "svc", 80)} == {8000, 9000}

    cluster.run(story())


def test_a_pod_on_an_unknown_node_is_left_out_until_the_node_comes(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_service("svc", {"app": "a"})
        await cluster.add_pod("p", labels={"app": "a"}, nodeName="n1")
        await cluster.run_pod("p", "10.244.0.2")
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {}
        await cluster.add_nodes(NodeSpec("n1"))
        await _settle(cluster)
        assert await cluster.endpoints("svc") == {"p": "RS-"}

    cluster.run(story())


def test_a_burst_of_changes_is_one_write(make_hollow_cluster: Callable[..., Cluster]) -> None:
    cluster = make_hollow_cluster(instant().with_overrides({"endpoints_latency": Constant(0.05)}))

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        for number in range(5):
            await cluster.add_pod(f"p{number}", labels={"app": "a"}, nodeName="n1")
        await cluster.sleep(0.1)
        for number in range(5):
            await cluster.run_pod(f"p{number}", f"10.244.0.{number + 2}")
        await cluster.sleep(0.1)

    cluster.run(story())
    told = cluster.happened(Kind.ENDPOINTS, "services/default/svc")
    assert [data for _, data in told if data[0] == 5] == [
        (5, "p0 ready, p1 ready, p2 ready, p3 ready, p4 ready"),
        (5, "in effect"),
    ]


def test_the_slice_goes_with_its_service(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_service("svc", {"app": "a"})
        await _settle(cluster)
        assert len(await _slices(cluster)) == 1
        await cluster.client.delete(SERVICE, "svc", "default")
        await _settle(cluster)
        assert await _slices(cluster) == []

    cluster.run(story())


def test_pods_of_a_service_on_its_way_out_change_after_its_slice_is_gone(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        await cluster.add_service("svc", {"app": "a"})
        await cluster.add_pod("p", labels={"app": "a"})
        await cluster.run_pod("p", "10.244.0.2")
        await _settle(cluster)
        held = {"metadata": {"finalizers": ["example.com/held"]}}
        await cluster.client.patch(SERVICE, "svc", held, "default")
        await cluster.client.delete(SERVICE, "svc", "default")
        (slice_,) = await _slices(cluster)
        await cluster.client.delete(ENDPOINT_SLICE, slice_["metadata"]["name"], "default")
        await _settle(cluster)
        await cluster.run_pod("p", "10.244.0.2", ready=False)
        await _settle(cluster)

    cluster.run(story())


def _endpoint(number: int, **conditions: bool) -> dict[str, Any]:
    return {
        "addresses": [f"10.0.{number // 250}.{number % 250}"],
        "conditions": {"ready": True, "serving": True, "terminating": False, **conditions},
        "targetRef": {"uid": f"u{number}"},
    }


def test_slices_hold_a_hundred_endpoints_and_endpoints_stay_where_they_are() -> None:
    ports = (("", "TCP", 8000, ""),)
    everyone = [_endpoint(number) for number in range(250)]
    plan = plan_slices([], {ports: everyone})
    assert [len(endpoints) for _, endpoints in plan.create] == [100, 100, 50]

    written = [
        {"metadata": {"name": f"s{index}"}, "ports": [{"name": "", "protocol": "TCP", "port": 8000}], "endpoints": part}
        for index, (_, part) in enumerate(plan.create)
    ]
    assert plan_slices(written, {ports: everyone}).is_empty

    changed = [_endpoint(number, ready=number != 120) for number in range(1, 251)]
    plan = plan_slices(written, {ports: changed})
    assert (plan.create, plan.delete) == ([], [])
    updated = {slice_["metadata"]["name"]: [e["targetRef"]["uid"] for e in part] for slice_, part in plan.update}
    assert list(updated) == ["s0", "s1"]
    assert updated["s0"] == [*(f"u{number}" for number in range(1, 100)), "u250"]

    few = plan_slices(written, {ports: everyone[:100]})
    assert (few.create, few.update, few.delete) == ([], [], ["s1", "s2"])


def test_a_slice_that_would_go_becomes_the_one_that_would_come() -> None:
    ports = (("", "TCP", 8000, ""),)
    placeholder = {"metadata": {"name": "s0"}, "ports": None, "endpoints": None}
    first = plan_slices([placeholder], {ports: [_endpoint(1)]})
    assert (first.create, first.delete) == ([], [])
    ((slice_, endpoints),) = first.update
    assert (slice_["metadata"]["name"], slice_["ports"]) == ("s0", [{"name": "", "protocol": "TCP", "port": 8000}])
    assert endpoints == [_endpoint(1)]

    back = plan_slices([{**slice_, "endpoints": endpoints}], {})
    assert (back.create, back.delete) == ([], [])
    ((slice_, endpoints),) = back.update
    assert (slice_["metadata"]["name"], slice_["ports"], endpoints) == ("s0", None, [])


def test_a_named_port_that_no_container_has_is_left_out() -> None:
    service = {"spec": {"ports": [{"name": "a", "port": 1, "targetPort": "x"}, {"name": "b", "port": 2}]}}
    pod = {"spec": {"containers": [{"name": "main", "ports": [{"name": "y", "containerPort": 5}]}]}}
    assert resolve_ports(service, pod) == (("b", "TCP", 2, ""),)


def test_an_endpoint_names_zone_and_hostname() -> None:
    service = {"metadata": {"name": "svc"}, "spec": {}}
    pod = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"nodeName": "n1", "hostname": "h", "subdomain": "svc"},
        "status": {"podIP": "10.0.0.1"},
    }
    node = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}}}
    endpoint = endpoint_of(service, pod, node)
    assert (endpoint["zone"], endpoint["hostname"]) == ("z", "h")


def test_a_pod_whose_node_is_gone_is_left_out_when_the_service_is_looked_at_and_that_is_told(
    hollow_cluster: Cluster,
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"), NodeSpec("n2"))
        await cluster.add_service("svc", {"app": "a"})
        for name, node, ip in (("p", "n1", "10.244.0.2"), ("q", "n2", "10.244.1.2")):
            await cluster.add_pod(name, labels={"app": "a"}, nodeName=node)
            await cluster.run_pod(name, ip)
        await cluster.sleep(1)
        await cluster.client.delete(NODE, "n1")
        await cluster.sleep(1)
        assert await cluster.endpoints("svc") == {"p": "RS-", "q": "RS-"}
        await cluster.run_pod("q", "10.244.1.2", ready=False)
        await cluster.sleep(0.1)
        assert await cluster.endpoints("svc") == {"q": "---"}
        await cluster.sleep(4)

    cluster.run(story())
    told = [data for _, data in cluster.happened(Kind.EVENT, "services/default/svc")]
    assert {data[2] for data in told} == {
        "Error updating Endpoint Slices for Service default/svc: skipping Pod p for Service default/svc: Node n1 Not Found"
    }
    # At once, then 1 s and 3 s later.
    assert len(told) == 3
