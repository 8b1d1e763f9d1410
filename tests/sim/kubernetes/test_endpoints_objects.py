"""Endpoints objects of Services, and slices of Endpoints that somebody wrote."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import labels_of, name_of
from rayrig_core.resource_types import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE

Workloads = Any


async def addresses(workloads: Workloads, name: str = "s") -> tuple[list[str], list[str]]:
    """Ready and unready ones."""
    subsets = (await workloads.get(ENDPOINTS, name)).get("subsets") or []
    ready = [each["ip"] for subset in subsets for each in subset.get("addresses") or ()]
    return ready, [each["ip"] for subset in subsets for each in subset.get("notReadyAddresses") or ()]


@pytest.mark.accepts("K8-077")
def test_addresses_follow_the_pods_and_those_on_their_way_out_are_left_out(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_service("s", {"app": "a"})
        await workloads.settle()
        assert labels_of(await workloads.get(ENDPOINTS, "s")) == {
            "endpoints.kubernetes.io/managed-by": "endpoint-controller"
        }
        assert await addresses(workloads) == ([], [])
        for number, name in enumerate(("p1", "p2")):
            await workloads.cluster.add_pod(name, labels={"app": "a"}, nodeName="n")
            await workloads.cluster.run_pod(name, f"10.0.0.{number}", ready=name == "p1")
        await workloads.settle()
        assert await addresses(workloads) == (["10.0.0.0"], ["10.0.0.1"])
        await workloads.client.delete(POD, "p1", "default")
        await workloads.settle()
        assert await addresses(workloads) == ([], ["10.0.0.1"])
        await workloads.client.delete(SERVICE, "s", "default")
        await workloads.settle()
        assert await workloads.names(ENDPOINTS) == []

    workloads.cluster.run(story())


def test_a_service_may_publish_unready_pods(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_service("s", {"app": "a"}, publishNotReadyAddresses=True, clusterIP="None")
        await workloads.cluster.add_pod("p", labels={"app": "a"}, nodeName="n")
        await workloads.cluster.run_pod("p", "10.0.0.1", ready=False)
        await workloads.settle()
        assert await addresses(workloads) == (["10.0.0.1"], [])
        assert "service.kubernetes.io/headless" in labels_of(await workloads.get(ENDPOINTS, "s"))

    workloads.cluster.run(story())


def test_endpoints_written_for_a_service_without_selector_are_mirrored(workloads: Workloads) -> None:
    async def story() -> None:
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        await workloads.client.create(SERVICE, service, "default")
        subset = {"addresses": [{"ip": "1.2.3.4"}], "notReadyAddresses": [{"ip": "1.2.3.5"}], "ports": [{"port": 8}]}
        await workloads.client.create(ENDPOINTS, {"metadata": {"name": "s"}, "subsets": [subset]}, "default")
        await workloads.settle()
        (slice_,) = (await workloads.client.list(ENDPOINT_SLICE, "default")).items
        assert labels_of(slice_) == {
            "kubernetes.io/service-name": "s",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        }
        assert [(each["addresses"], each["conditions"]) for each in slice_["endpoints"]] == [
            (["1.2.3.4"], {"ready": True}),
            (["1.2.3.5"], {"ready": False}),
        ]
        body = {"subsets": [{"addresses": [{"ip": "1.2.3.9"}], "ports": [{"port": 8}]}]}
        await workloads.client.patch(ENDPOINTS, "s", body, "default", patch_type="merge")
        await workloads.settle()
        (changed,) = (await workloads.client.list(ENDPOINT_SLICE, "default")).items
        assert name_of(changed) == name_of(slice_)
        assert [each["addresses"] for each in changed["endpoints"]] == [["1.2.3.9"]]
        await workloads.client.delete(ENDPOINTS, "s", "default")
        await workloads.settle()
        assert await workloads.names(ENDPOINT_SLICE) == []

    workloads.cluster.run(story())
