"""Namespaces end pods first, and tell what still holds them."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import NotFound
from rayrig_core.objects import condition_of
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, POD

Workloads = Any


async def begin(workloads: Workloads) -> None:
    client = workloads.client
    await client.create(NAMESPACE, {"metadata": {"name": "n"}})
    meta = {"name": "held", "finalizers": ["example.com/f"]}
    await client.create(CONFIG_MAP, {"metadata": meta}, "n")
    await client.create(CONFIG_MAP, {"metadata": {"name": "free"}}, "n")


@pytest.mark.accepts("K8-062")
def test_five_conditions_tell_what_is_left(workloads: Workloads) -> None:
    async def story() -> None:
        await begin(workloads)
        await workloads.client.delete(NAMESPACE, "n")
        await workloads.settle()
        namespace = await workloads.client.get(NAMESPACE, "n")
        assert [(each["type"], each["status"]) for each in namespace["status"]["conditions"]] == [
            ("NamespaceDeletionDiscoveryFailure", "False"),
            ("NamespaceDeletionGroupVersionParsingFailure", "False"),
            ("NamespaceDeletionContentFailure", "False"),
            ("NamespaceContentRemaining", "True"),
            ("NamespaceFinalizersRemaining", "True"),
        ]
        remaining = condition_of(namespace, "NamespaceContentRemaining")["message"]
        assert remaining == "Some resources are remaining: configmaps. has 1 resource instances"
        await workloads.client.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, "n", patch_type="merge")
        await workloads.settle()
        with pytest.raises(NotFound):
            await workloads.client.get(NAMESPACE, "n")

    workloads.cluster.run(story())


def test_nothing_else_is_touched_as_long_as_there_are_pods(workloads: Workloads) -> None:
    async def story() -> None:
        await begin(workloads)
        spec = {"nodeName": "elsewhere", "containers": [{"name": "main", "image": "app:1"}]}
        meta = {"name": "p", "finalizers": ["example.com/f"]}
        await workloads.client.create(POD, {"metadata": meta, "spec": spec}, "n")
        await workloads.client.delete(NAMESPACE, "n")
        await workloads.settle()
        assert len((await workloads.client.list(CONFIG_MAP, "n")).items) == 2
        namespace = await workloads.client.get(NAMESPACE, "n")
        assert condition_of(namespace, "NamespaceContentRemaining")["status"] == "False"
        await workloads.client.delete(POD, "p", "n", grace_period_seconds=0)
        await workloads.client.patch(POD, "p", {"metadata": {"finalizers": None}}, "n", patch_type="merge")
        await workloads.settle()
        assert [each["metadata"]["name"] for each in (await workloads.client.list(CONFIG_MAP, "n")).items] == ["held"]

    workloads.cluster.run(story())
