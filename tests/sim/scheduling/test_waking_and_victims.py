"""Which changes make the scheduler look again at a pod that fitted nowhere, and whom it evicts (Kubernetes 1.36.2)."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import condition_of
from rayrig_core.resource_types import CORE_EVENT, NODE, POD, POD_DISRUPTION_BUDGET, PRIORITY_CLASS
from rayrig_core.trace import Kind
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

Cluster = Any
_HOST = "kubernetes.io/hostname"


def _small(name: str, **labels: str) -> NodeSpec:
    return NodeSpec(name, labels=labels, capacity={"cpu": "4", "memory": "8Gi", "pods": "110"})


def _away_from(labels: dict[str, str]) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": _HOST}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _on_node_named(name: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


async def _home(cluster: Cluster, name: str) -> str | None:
    home: str | None = (await cluster.pod(name))["spec"].get("nodeName")
    return home


async def _why(cluster: Cluster, name: str) -> str:
    condition = condition_of(await cluster.pod(name), "PodScheduled")
    assert condition is not None
    return str(condition["message"])


async def _attempts(cluster: Cluster, name: str) -> int:
    """How often the pod was tried in vain."""
    found = await cluster.client.list(CORE_EVENT, "default", field_selector=f"involvedObject.name={name}")
    return sum((each.get("series") or {}).get("count") or 1 for each in found.items)


def test_a_pod_kept_away_by_anti_affinity_is_bound_when_the_other_loses_its_label(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(_small("n1", **{_HOST: "n1"}))
        await cluster.add_pod("a", labels={"g": "x"})
        await cluster.sleep(0.1)
        await cluster.add_pod("z", affinity=_away_from({"g": "x"}))
        await cluster.sleep(3)
        assert await _home(cluster, "z") is None
        await cluster.client.patch(POD, "a", {"metadata": {"labels": {"g": None}}}, "default")
        await cluster.sleep(0.1)
        assert await _home(cluster, "z") == "n1"

    cluster.run(story())


def test_labels_that_no_constraint_names_wake_nobody(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(_small("n1", **{_HOST: "n1"}))
        await cluster.add_pod("a", labels={"g": "x"})
        await cluster.sleep(0.1)
        await cluster.add_pod("z", affinity=_away_from({"g": "x"}))
        await cluster.sleep(3)
        await cluster.client.patch(POD, "a", {"metadata": {"labels": {"more": "1"}}}, "default")
        await cluster.client.patch(NODE, "n1", {"metadata": {"labels": {"more": "1"}}})
        await cluster.sleep(3)
        assert await _attempts(cluster, "z") == 1

    cluster.run(story())


def test_a_node_whose_labels_match_as_before_is_not_tried_again(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(_small("n1", pool="a"), _small("n2", pool="b"))
        await cluster.add_pod("z", requests={"cpu": "5"}, nodeSelector={"pool": "a"})
        await cluster.sleep(3)
        await cluster.client.patch(NODE, "n1", {"metadata": {"labels": {"more": "1"}}})
        await cluster.sleep(3)
        assert await _attempts(cluster, "z") == 1
        await cluster.client.patch(NODE, "n2", {"metadata": {"labels": {"pool": "a"}}})
        await cluster.sleep(0.1)
        assert await _attempts(cluster, "z") == 2

    cluster.run(story())


def test_nodes_that_affinity_does_not_name_are_not_looked_at(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_nodes(_small("n1"), _small("n2"), _small("n3"))
        await cluster.add_pod("z", requests={"cpu": "5"}, affinity=_on_node_named("n2"))
        await cluster.add_pod("y", affinity=_on_node_named("n3"))
        await cluster.sleep(0.1)
        assert await _why(cluster, "z") == (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
            "no new claims to deallocate, preemption: 0/3 nodes are available: "
            "3 Preemption is not helpful for scheduling."
        )
        assert await _home(cluster, "y") == "n3"

    cluster.run(story())


def test_a_back_off_that_ends_with_a_look_is_found_by_the_next(hollow_cluster: Cluster) -> None:
    """Pods that could not be tried for want of nodes back off for 1, 2, 4 s and so on, and are looked at each second."""
    cluster = hollow_cluster

    async def story() -> None:
        await cluster.add_pod("z")
        await cluster.sleep(2.5)
        await cluster.add_nodes(_small("n1"))
        await cluster.sleep(3)

    cluster.run(story())
    tried = [t for t, data in cluster.happened(Kind.EVENT, "pods/default/z") if data[1] == "FailedScheduling"]
    ((bound, _),) = cluster.happened(Kind.SCHEDULED, "pods/default/z")
    assert tried[0] == 0
    assert 1 < tried[1] <= 2
    assert round(bound - tried[1], 3) == 3


async def _classes(cluster: Cluster, **values: int) -> None:
    for name, value in values.items():
        body = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
        await cluster.client.create(PRIORITY_CLASS, body)


async def _start(cluster: Cluster, name: str, since: str) -> None:
    status = {"phase": "Running", "startTime": since, "conditions": [{"type": "Ready", "status": "True"}]}
    await cluster.client.patch(POD, name, {"status": status}, "default", patch_type="strategic", subresource="status")


async def _evicted(cluster: Cluster, *names: str) -> list[str]:
    present = await cluster.names(POD)
    return [name for name in names if name not in present]


def test_of_pods_of_one_priority_the_one_that_has_run_longer_is_spared(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _classes(cluster, high=1000)
        await cluster.add_nodes(_small("n1"))
        for name in ("a", "b"):
            await cluster.add_pod(name, requests={"cpu": "2"}, terminationGracePeriodSeconds=0)
            await cluster.sleep(0.1)
        await _start(cluster, "a", "2026-01-01T00:00:09Z")
        await _start(cluster, "b", "2026-01-01T00:00:05Z")
        await cluster.add_pod("z", requests={"cpu": "2"}, priorityClassName="high")
        await cluster.sleep(0.5)
        assert await _evicted(cluster, "a", "b") == ["a"]
        assert await _home(cluster, "z") == "n1"

    cluster.run(story())


def test_of_pods_that_no_kubelet_has_started_the_last_to_come_is_spared(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _classes(cluster, high=1000)
        await cluster.add_nodes(_small("n1"))
        for name in ("a", "b"):
            await cluster.add_pod(name, requests={"cpu": "2"}, terminationGracePeriodSeconds=0)
            await cluster.sleep(0.1)
        await cluster.add_pod("z", requests={"cpu": "2"}, priorityClassName="high")
        await cluster.sleep(0.5)
        assert await _evicted(cluster, "a", "b") == ["a"]

    cluster.run(story())


def test_victims_that_a_budget_protects_are_the_last_choice(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _classes(cluster, high=1000, low=-10)
        await cluster.add_nodes(_small("n1", **{_HOST: "n1"}), _small("n2", **{_HOST: "n2"}))
        spec = {"selector": {"matchLabels": {"q": "y"}}, "minAvailable": 1}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"}, "spec": spec}
        await cluster.client.create(POD_DISRUPTION_BUDGET, budget, "default")
        grace = {"terminationGracePeriodSeconds": 0, "requests": {"cpu": "3"}}
        await cluster.add_pod("a", labels={"q": "y"}, priorityClassName="low", nodeSelector={_HOST: "n1"}, **grace)
        await cluster.add_pod("b", nodeSelector={_HOST: "n2"}, **grace)
        await cluster.sleep(0.2)
        await cluster.add_pod("z", requests={"cpu": "3"}, priorityClassName="high")
        await cluster.sleep(0.5)
        assert await _evicted(cluster, "a", "b") == ["b"]
        assert await _home(cluster, "z") == "n2"

    cluster.run(story())


def test_two_low_victims_are_worse_than_one(hollow_cluster: Cluster) -> None:
    cluster = hollow_cluster

    async def story() -> None:
        await _classes(cluster, high=1000, low=-10)
        await cluster.add_nodes(_small("n1", **{_HOST: "n1"}), _small("n2", **{_HOST: "n2"}))
        for name, cpu, node in (("a", "2", "n1"), ("b", "2", "n1"), ("c", "4", "n2")):
            await cluster.add_pod(
                name,
                requests={"cpu": cpu},
                priorityClassName="low",
                nodeSelector={_HOST: node},
                terminationGracePeriodSeconds=0,
            )
        await cluster.sleep(0.2)
        await cluster.add_pod("z", requests={"cpu": "4"}, priorityClassName="high")
        await cluster.sleep(0.5)
        assert await _evicted(cluster, "a", "b", "c") == ["c"]

    cluster.run(story())
