"""StatefulSets make pods with stable names one after the other, and update them from the last."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.objects import labels_of
from rayrig_core.resource_types import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET

Workloads = Any


def image(name: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", "image": name}]}}


async def images(workloads: Workloads) -> dict[str, str]:
    return {each["metadata"]["name"]: each["spec"]["containers"][0]["image"] for each in await workloads.pods()}


@pytest.mark.accepts("K8-079")
def test_each_pod_waits_for_the_one_before(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(STATEFUL_SET, "s", replicas=3, serviceName="svc")
        assert await workloads.names() == ["s-0"]
        await workloads.run_all()
        assert await workloads.names() == ["s-0", "s-1"]
        await workloads.run_all()
        await workloads.run_all()
        assert await workloads.names() == ["s-0", "s-1", "s-2"]
        pod = await workloads.get(POD, "s-2")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("s-2", "svc")
        assert labels_of(pod)["apps.kubernetes.io/pod-index"] == "2"
        status = (await workloads.get(STATEFUL_SET, "s"))["status"]
        assert [status[each] for each in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")] == [
            3
        ] * 4
        assert status["currentRevision"] == status["updateRevision"] == labels_of(pod)["controller-revision-hash"]

    workloads.cluster.run(story())


def test_parallel_pods_come_and_go_at_once(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(STATEFUL_SET, "s", replicas=3, podManagementPolicy="Parallel", ordinals={"start": 5})
        assert await workloads.names() == ["s-5", "s-6", "s-7"]
        await workloads.change(STATEFUL_SET, "s", replicas=1)
        assert await workloads.names() == ["s-5"]

    workloads.cluster.run(story())


def test_pods_are_removed_and_updated_from_the_last(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(STATEFUL_SET, "s", replicas=3)
        for _ in range(3):
            await workloads.run_all()
        await workloads.change(STATEFUL_SET, "s", replicas=2, template=image("app:2"))
        assert await images(workloads) == {"s-0": "app:1", "s-1": "app:2"}
        await workloads.run_all()
        assert await images(workloads) == {"s-0": "app:2", "s-1": "app:2"}
        assert len(await workloads.names(CONTROLLER_REVISION)) == 2

    workloads.cluster.run(story())


def test_below_the_partition_pods_stay_as_they_are(workloads: Workloads) -> None:
    async def story() -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        await workloads.create(STATEFUL_SET, "s", replicas=2, podManagementPolicy="Parallel", updateStrategy=strategy)
        await workloads.run_all()
        await workloads.change(STATEFUL_SET, "s", template=image("app:2"))
        await workloads.run_all()
        assert await images(workloads) == {"s-0": "app:1", "s-1": "app:2"}
        await workloads.client.delete(POD, "s-0", "default", grace_period_seconds=0)
        await workloads.settle()
        assert (await images(workloads))["s-0"] == "app:1"

    workloads.cluster.run(story())


def test_on_delete_only_removed_pods_are_updated(workloads: Workloads) -> None:
    async def story() -> None:
        await workloads.create(
            STATEFUL_SET, "s", replicas=2, podManagementPolicy="Parallel", updateStrategy={"type": "OnDelete"}
        )
        await workloads.run_all()
        await workloads.change(STATEFUL_SET, "s", template=image("app:2"))
        await workloads.client.delete(POD, "s-1", "default", grace_period_seconds=0)
        await workloads.settle()
        assert await images(workloads) == {"s-0": "app:1", "s-1": "app:2"}

    workloads.cluster.run(story())


def test_a_failed_pod_is_made_again_and_claims_outlive_their_pods(workloads: Workloads) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }

    async def story() -> None:
        await workloads.create(STATEFUL_SET, "s", replicas=1, volumeClaimTemplates=[claim])
        first = await workloads.get(POD, "s-0")
        assert first["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data-s-0"}
        await workloads.cluster.run_pod("s-0", "10.0.0.1", ready=False, phase="Failed")
        await workloads.settle()
        assert (await workloads.get(POD, "s-0"))["metadata"]["uid"] != first["metadata"]["uid"]
        await workloads.change(STATEFUL_SET, "s", replicas=0)
        assert await workloads.names() == []
        assert await workloads.names(PERSISTENT_VOLUME_CLAIM) == ["data-s-0"]

    workloads.cluster.run(story())
