"""Deployments roll from one template to the next, are scaled, paused and rolled back, and say how far they are."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import annotations_of, controller_of, labels_of, name_of
from rayrig_core.resource_types import CORE_EVENT, DEPLOYMENT, POD, REPLICA_SET
from rayrig_sim.kubernetes.nodes.nodes import NodeSpec

Workloads = Any
REVISION = "deployment.kubernetes.io/revision"


def image(name: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", "image": name}]}}


@pytest.mark.accepts("K8-079")
def test_a_deployment_makes_a_replica_set_that_makes_pods(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=2)
        (replica_set,) = (await workloads.client.list(REPLICA_SET, "default")).items
        hash_ = labels_of(replica_set)["pod-template-hash"]
        assert name_of(replica_set) == f"d-{hash_}"
        assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "a", "pod-template-hash": hash_}
        pods = await workloads.pods()
        assert [name_of(pod).startswith(f"d-{hash_}-") for pod in pods] == [True, True]
        assert all(controller_of(pod)["name"] == f"d-{hash_}" for pod in pods)
        deployment = await workloads.get(DEPLOYMENT, "d")
        assert annotations_of(deployment) == {REVISION: "1"}
        status = deployment["status"]
        counts = ("observedGeneration", "replicas", "updatedReplicas", "unavailableReplicas")
        assert [status[each] for each in counts] == [1, 2, 2, 2]
        assert await workloads.conditions("d") == {
            "Available": ("False", "MinimumReplicasUnavailable"),
            "Progressing": ("True", "ReplicaSetUpdated"),
        }
        await workloads.run_all()
        assert await workloads.conditions("d") == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }

    workloads.cluster.run(story())


def test_a_rolling_update_goes_on_as_new_pods_become_ready(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=4)
        await workloads.run_all()
        await workloads.change(DEPLOYMENT, "d", template=image("app:2"))
        # One more than asked for (25 % surge), one fewer ready (25 % unavailable).
        assert await workloads.sizes() == {"app:1": 3, "app:2": 2}
        await workloads.run_all()
        assert await workloads.sizes() == {"app:1": 1, "app:2": 4}
        await workloads.run_all()
        assert await workloads.sizes() == {"app:1": 0, "app:2": 4}
        assert (await workloads.conditions("d"))["Progressing"] == ("True", "NewReplicaSetAvailable")
        assert annotations_of(await workloads.get(DEPLOYMENT, "d"))[REVISION] == "2"

    workloads.cluster.run(story())


def test_an_update_without_surge_takes_before_it_gives(workloads: Workloads) -> None:
    async def story() -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        await workloads.create(DEPLOYMENT, "d", replicas=2, strategy=strategy)
        await workloads.run_all()
        await workloads.change(DEPLOYMENT, "d", template=image("app:2"))
        assert await workloads.sizes() == {"app:1": 1, "app:2": 1}
        assert len(await workloads.pods()) == 2

    workloads.cluster.run(story())


def test_recreate_waits_until_the_last_old_pod_is_gone(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_nodes(NodeSpec("n1"))
        at_once = image("app:1")
        at_once["metadata"] = {"labels": {"app": "a"}}
        at_once["spec"]["terminationGracePeriodSeconds"] = 0
        await workloads.create(DEPLOYMENT, "d", replicas=1, strategy={"type": "Recreate"}, template=at_once)
        (old,) = await workloads.pods()
        body = {"metadata": {"finalizers": ["example.com/held"]}}
        await workloads.client.patch(POD, name_of(old), body, "default", patch_type="merge")
        await workloads.change(DEPLOYMENT, "d", template=image("app:2"))
        assert await workloads.sizes() == {"app:1": 0}
        await workloads.client.patch(
            POD, name_of(old), {"metadata": {"finalizers": None}}, "default", patch_type="merge"
        )
        await workloads.settle()
        assert await workloads.sizes() == {"app:1": 0, "app:2": 1}

    workloads.cluster.run(story())


def test_going_back_finds_the_old_replica_set_and_counts_on(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=1)
        await workloads.change(DEPLOYMENT, "d", template=image("app:2"))
        await workloads.change(DEPLOYMENT, "d", template=image("app:1"))
        found = {
            each["spec"]["template"]["spec"]["containers"][0]["image"]: annotations_of(each)
            for each in (await workloads.client.list(REPLICA_SET, "default")).items
        }
        assert found["app:1"][REVISION] == "3"
        assert found["app:1"]["deployment.kubernetes.io/revision-history"] == "1"
        assert found["app:2"][REVISION] == "2"

    workloads.cluster.run(story())


def test_a_paused_deployment_is_scaled_but_not_rolled(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=1)
        await workloads.change(DEPLOYMENT, "d", paused=True)
        await workloads.change(DEPLOYMENT, "d", replicas=3, template=image("app:2"))
        assert await workloads.sizes() == {"app:1": 3}
        assert (await workloads.conditions("d"))["Progressing"] == ("Unknown", "DeploymentPaused")
        await workloads.change(DEPLOYMENT, "d", paused=None)
        assert "app:2" in await workloads.sizes()

    workloads.cluster.run(story())


def test_scaling_in_the_middle_of_an_update_is_spread_in_proportion(workloads: Workloads) -> None:
    async def story() -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        await workloads.create(DEPLOYMENT, "d", replicas=10, strategy=strategy)
        await workloads.run_all()
        await workloads.change(DEPLOYMENT, "d", template=image("app:2"))
        assert await workloads.sizes() == {"app:1": 8, "app:2": 5}
        await workloads.change(DEPLOYMENT, "d", replicas=15)
        assert await workloads.sizes() == {"app:1": 11, "app:2": 7}

    workloads.cluster.run(story())


def test_without_progress_for_its_deadline_a_deployment_is_stuck(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=1, progressDeadlineSeconds=60)
        await workloads.settle(58)
        assert (await workloads.conditions("d"))["Progressing"] == ("True", "ReplicaSetUpdated")
        await workloads.settle(5)
        assert (await workloads.conditions("d"))["Progressing"] == ("False", "ProgressDeadlineExceeded")
        await workloads.run_all()
        assert (await workloads.conditions("d"))["Progressing"] == ("True", "NewReplicaSetAvailable")

    workloads.cluster.run(story())


def test_old_replica_sets_beyond_the_history_limit_go(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=1, revisionHistoryLimit=1)
        for number in (2, 3, 4):
            await workloads.run_all()
            await workloads.change(DEPLOYMENT, "d", template=image(f"app:{number}"))
        await workloads.run_all()
        assert await workloads.sizes() == {"app:3": 0, "app:4": 1}

    workloads.cluster.run(story())


def test_pods_are_available_only_after_their_minimum_of_readiness(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(DEPLOYMENT, "d", replicas=1, minReadySeconds=30)
        await workloads.run_all()
        status = (await workloads.get(DEPLOYMENT, "d"))["status"]
        assert (status["readyReplicas"], status.get("availableReplicas")) == (1, None)
        await workloads.settle(30)
        assert (await workloads.get(DEPLOYMENT, "d"))["status"]["availableReplicas"] == 1

    workloads.cluster.run(story())


def test_orphans_that_a_replica_set_finds_are_adopted_and_strangers_released(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.cluster.add_pod("orphan", labels={"app": "a"})
        await workloads.create(REPLICA_SET, "r", replicas=2)
        assert controller_of(await workloads.get(POD, "orphan"))["name"] == "r"
        assert len(await workloads.pods()) == 2
        body = {"metadata": {"labels": {"app": "other"}}}
        await workloads.client.patch(POD, "orphan", body, "default", patch_type="merge")
        await workloads.settle()
        assert controller_of(await workloads.get(POD, "orphan")) is None
        assert len(await workloads.pods()) == 3

    workloads.cluster.run(story())


def test_unready_pods_go_before_ready_ones_and_each_step_is_told(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(REPLICA_SET, "r", replicas=3)
        first, second, _ = await workloads.names()
        await workloads.cluster.run_pod(first, "10.0.0.1")
        await workloads.cluster.run_pod(second, "10.0.0.2", ready=False)
        await workloads.change(REPLICA_SET, "r", replicas=2)
        assert await workloads.names() == [first, second]
        await workloads.change(REPLICA_SET, "r", replicas=1)
        assert await workloads.names() == [first]
        events = (await workloads.client.list(CORE_EVENT, "default")).items
        told = [each["reason"] for each in events if each["involvedObject"]["name"] == "r"]
        assert sorted(told) == ["SuccessfulCreate"] * 3 + ["SuccessfulDelete"] * 2

    workloads.cluster.run(story())
