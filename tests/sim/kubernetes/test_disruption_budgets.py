"""The status of a PodDisruptionBudget follows its pods, and evictions follow the status."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError
from rayrig_core.objects import condition_of
from rayrig_core.resource_types import DEPLOYMENT, POD, POD_DISRUPTION_BUDGET
from rayrig_core.trace import Kind

Workloads = Any


async def add_budget(workloads: Workloads, **spec: Any) -> None:
    spec = {"selector": {"matchLabels": {"app": "a"}}, **spec}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}
    await workloads.client.create(POD_DISRUPTION_BUDGET, body, "default")
    await workloads.settle()


async def counts(workloads: Workloads) -> tuple[int, int, int, int]:
    """Expected, healthy, desired, allowed."""
    status = (await workloads.get(POD_DISRUPTION_BUDGET, "b"))["status"]
    return tuple(status[each] for each in ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed"))


async def evict(workloads: Workloads, name: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    await workloads.client.create_subresource(POD, name, "eviction", body, "default")
    await workloads.settle()


@pytest.mark.accepts("K8-064")
@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"minAvailable": 1}, (4, 4, 1, 3)),
        ({"minAvailable": "50%"}, (4, 4, 2, 2)),
        ({"maxUnavailable": 1}, (4, 4, 3, 1)),
        ({"maxUnavailable": "30%"}, (4, 4, 2, 2)),
        ({}, (0, 4, 0, 0)),
    ],
)
def test_a_budget_counts_the_pods_of_a_workload(
    workloads: Workloads, spec: dict[str, Any], wanted: tuple[int, ...]
) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=4)
        await workloads.run_all()
        await add_budget(workloads, **spec)
        assert await counts(workloads) == wanted

    workloads.cluster.run(story())


@pytest.mark.accepts("K8-064")
def test_evictions_are_let_pass_as_far_as_the_budget_goes(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=2)
        await workloads.run_all()
        await add_budget(workloads, minAvailable=1)
        first, second = await workloads.names()
        await evict(workloads, first)
        with pytest.raises(ApiError) as refused:
            await evict(workloads, second)
        assert refused.value.code == 429
        await workloads.run_all()
        assert await counts(workloads) == (2, 2, 1, 1)
        await evict(workloads, second)

    workloads.cluster.run(story())


def test_an_unready_pod_closes_the_budget_and_a_ready_one_opens_it(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_pod("p", labels={"app": "a"})
        await add_budget(workloads, minAvailable=0)
        budget = await workloads.get(POD_DISRUPTION_BUDGET, "b")
        condition = condition_of(budget, "DisruptionAllowed")
        assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")
        await workloads.cluster.run_pod("p", "10.0.0.1")
        await workloads.settle()
        condition = condition_of(await workloads.get(POD_DISRUPTION_BUDGET, "b"), "DisruptionAllowed")
        assert (condition["status"], condition["reason"]) == ("True", "SufficientPods")

    workloads.cluster.run(story())


def test_pods_without_a_workload_count_only_against_a_plain_number(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_pod("p", labels={"app": "a"})
        await workloads.cluster.run_pod("p", "10.0.0.1")
        await add_budget(workloads, maxUnavailable=1)
        assert await counts(workloads) == (0, 1, 0, 0)

    workloads.cluster.run(story())


@pytest.mark.accepts("K8-064")
def test_of_two_budgets_one_learns_of_a_pod_and_no_eviction_passes(workloads: Workloads) -> None:
    async def story() -> None:
        for name in ("one", "two"):
            spec = {"minAvailable": 0, "selector": {"matchLabels": {"app": "a"}}}
            body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
            await workloads.client.create(POD_DISRUPTION_BUDGET, body, "default")
        await workloads.settle()
        await workloads.create(DEPLOYMENT, "d", replicas=1)
        await workloads.run_all()
        found = [(await workloads.get(POD_DISRUPTION_BUDGET, name))["status"] for name in ("one", "two")]
        assert [status["currentHealthy"] for status in found] == [1, 0]
        (pod,) = await workloads.names()
        with pytest.raises(ApiError) as refused:
            await evict(workloads, pod)
        assert (refused.value.code, refused.value.status.get("reason")) == (500, None)
        told = [data for _, data in workloads.cluster.happened(Kind.EVENT, f"pods/default/{pod}")]
        text = f'Pod "default"/"{pod}" matches multiple PodDisruptionBudgets.  Chose "one" arbitrarily.'
        assert told[0][:3] == ("Warning", "MultiplePodDisruptionBudgets", text)

    workloads.cluster.run(story())
