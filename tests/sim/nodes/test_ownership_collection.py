"""The garbage collector and the namespace controller (kubernetes-api.md 7)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, condition_of, uid_of
from rayrig_core.resource_types import CONFIG_MAP, NAMESPACE, NODE, SECRET
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

Cluster = Any


def _reference(kind: str, obj: JsonObject, **extra: Any) -> JsonObject:
    return {"apiVersion": "v1", "kind": kind, "name": obj["metadata"]["name"], "uid": uid_of(obj), **extra}


async def _make(
    cluster: Cluster, name: str, *owners: JsonObject, namespace: str = "default", finalizers: list[str] | None = None
) -> JsonObject:
    metadata: JsonObject = {"name": name, "ownerReferences": list(owners)}
    if finalizers:
        metadata["finalizers"] = finalizers
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    made: JsonObject = await cluster.client.create(CONFIG_MAP, body, namespace)
    return made


async def _settle(cluster: Cluster) -> None:
    await cluster.sleep(0.1)


@pytest.mark.accepts("K8-060")
def test_in_the_background_the_owner_goes_first_and_the_chain_follows(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        a = await _make(cluster, "a")
        b = await _make(cluster, "b", _reference("ConfigMap", a))
        await _make(cluster, "c", _reference("ConfigMap", b))
        await _make(cluster, "stranger")
        await _settle(cluster)
        await cluster.client.delete(CONFIG_MAP, "a", "default", propagation_policy="Background")
        assert "a" not in await cluster.names(CONFIG_MAP)
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == ["stranger"]

    cluster.run(story())


@pytest.mark.accepts("K8-060")
def test_in_the_foreground_the_owner_waits_for_dependents_that_block(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        a = await _make(cluster, "a")
        held = _reference("ConfigMap", a, blockOwnerDeletion=True)
        await _make(cluster, "b", held, finalizers=["example.com/hold"])
        await _make(cluster, "c", _reference("ConfigMap", a), finalizers=["example.com/hold"])
        await _settle(cluster)
        await cluster.client.delete(CONFIG_MAP, "a", "default", propagation_policy="Foreground")
        await _settle(cluster)
        owner = await cluster.client.get(CONFIG_MAP, "a", "default")
        assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]
        for name in ("b", "c"):
            assert "deletionTimestamp" in (await cluster.client.get(CONFIG_MAP, name, "default"))["metadata"]
        await cluster.client.patch(CONFIG_MAP, "b", {"metadata": {"finalizers": None}}, "default")
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == ["c"]

    cluster.run(story())


@pytest.mark.accepts("K8-060")
def test_orphans_lose_the_reference_and_stay(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        a = await _make(cluster, "a")
        await _make(cluster, "b", _reference("ConfigMap", a))
        await _settle(cluster)
        await cluster.client.delete(CONFIG_MAP, "a", "default", propagation_policy="Orphan")
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == ["b"]
        assert "ownerReferences" not in (await cluster.client.get(CONFIG_MAP, "b", "default"))["metadata"]

    cluster.run(story())


@pytest.mark.accepts("K8-060")
def test_with_two_owners_only_the_dead_reference_goes(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        a, b = await _make(cluster, "a"), await _make(cluster, "b")
        await _make(cluster, "c", _reference("ConfigMap", a), _reference("ConfigMap", b))
        await _settle(cluster)
        await cluster.client.delete(CONFIG_MAP, "a", "default")
        await _settle(cluster)
        kept = await cluster.client.get(CONFIG_MAP, "c", "default")
        assert [owner["name"] for owner in kept["metadata"]["ownerReferences"]] == ["b"]
        await cluster.client.delete(CONFIG_MAP, "b", "default")
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == []

    cluster.run(story())


@pytest.mark.accepts("K8-060")
def test_an_object_born_with_an_absent_owner_is_collected_also_when_another_has_its_name(
    hollow_cluster: Cluster,
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        old = await _make(cluster, "a")
        await cluster.client.delete(CONFIG_MAP, "a", "default")
        await _make(cluster, "a")
        await _make(cluster, "b", _reference("ConfigMap", old))
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == ["a"]

    cluster.run(story())


@pytest.mark.accepts("K8-060")
def test_an_owner_in_another_namespace_counts_as_absent_and_one_without_namespace_counts(
    hollow_cluster: Cluster,
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        owner = await _make(cluster, "a", namespace="kube-system")
        await _make(cluster, "b", _reference("ConfigMap", owner))
        await _make(cluster, "c", _reference("Node", await cluster.node("n1")))
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == ["c"]
        await cluster.client.delete(NODE, "n1")
        await _settle(cluster)
        assert await cluster.names(CONFIG_MAP) == []

    cluster.run(story())


def test_an_owner_of_a_type_nobody_follows_keeps_its_dependents(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _make(cluster, "a", {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "t"})
        await cluster.sleep(60)
        assert await cluster.names(CONFIG_MAP) == ["a"]

    cluster.run(story())


def test_pods_of_a_deleted_owner_are_deleted_with_their_own_grace_and_the_trace_says_why(
    hollow_cluster: Cluster,
) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(NodeSpec("n1"))
        owner = await _make(cluster, "a")
        await cluster.add_pod("p", nodeName="n1", owners=[_reference("ConfigMap", owner)])
        await _settle(cluster)
        await cluster.client.delete(CONFIG_MAP, "a", "default")
        await _settle(cluster)
        assert (await cluster.pod("p"))["metadata"]["deletionGracePeriodSeconds"] == 30

    cluster.run(story())
    *_, deletion = cluster.kernel.trace.select(Kind.API_WRITE, subject="configmaps/default/a")
    assert deletion["verb"] == "delete"
    (marked,) = [
        event
        for event in cluster.kernel.trace.select(Kind.API_WRITE, subject="pods/default/p")
        if event["verb"] == "delete"
    ]
    assert deletion.seq in [event.seq for event in cluster.kernel.trace.causes_of(marked.seq)]


@pytest.mark.accepts("K8-062")
def test_a_namespace_goes_after_its_contents_and_tells_what_it_waits_for(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
        await cluster.client.create(NAMESPACE, body)
        await _make(cluster, "a", namespace="team")
        await _make(cluster, "b", namespace="team", finalizers=["example.com/hold"])
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        await cluster.client.create(SECRET, secret, "team")
        await cluster.client.delete(NAMESPACE, "team")
        await _settle(cluster)
        namespace = await cluster.client.get(NAMESPACE, "team")
        assert namespace["status"]["phase"] == "Terminating"
        assert await cluster.names(CONFIG_MAP, "team") == ["b"]
        assert await cluster.names(SECRET, "team") == []
        condition = condition_of(namespace, "NamespaceFinalizersRemaining")
        assert condition is not None
        assert condition["status"] == "True"
        assert "example.com/hold in 1 resource instances" in condition["message"]
        await cluster.client.patch(CONFIG_MAP, "b", {"metadata": {"finalizers": None}}, "team")
        await _settle(cluster)
        with pytest.raises(NotFound):
            await cluster.client.get(NAMESPACE, "team")

    cluster.run(story())
