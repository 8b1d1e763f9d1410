"""Each namespace has its ServiceAccount `default` where that is wanted."""

from __future__ import annotations

from typing import Any

from rayrig_core.resource_types import NAMESPACE, SERVICE_ACCOUNT
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.service_accounts import ServiceAccountController

Workloads = Any


def test_a_namespace_gets_its_account_and_gets_it_again(workloads: Workloads) -> None:
    kernel, client = workloads.cluster.kernel, workloads.client
    ServiceAccountController(kernel, client, ObjectCaches(kernel, client, component="accounts"))

    async def story() -> None:
        await client.create(NAMESPACE, {"metadata": {"name": "n"}})
        await workloads.settle()
        first = await client.get(SERVICE_ACCOUNT, "default", "n")
        await client.delete(SERVICE_ACCOUNT, "default", "n")
        await workloads.settle()
        assert (await client.get(SERVICE_ACCOUNT, "default", "n"))["metadata"]["uid"] != first["metadata"]["uid"]
        await client.delete(NAMESPACE, "n")
        await workloads.settle()
        assert (await client.list(SERVICE_ACCOUNT, "n")).items == []

    workloads.cluster.run(story())
