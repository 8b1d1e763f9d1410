"""A claim goes when no pod on a node uses it any more."""

from __future__ import annotations

from typing import Any

from rayrig_core.resource_types import PERSISTENT_VOLUME_CLAIM, POD

Workloads = Any


def test_a_claim_in_use_stays_until_its_pod_is_gone(workloads: Workloads) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}

    async def story() -> None:
        for name in ("free", "used"):
            await workloads.client.create(
                PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": name}, "spec": spec}, "default"
            )
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "used"}}
        await workloads.cluster.add_pod("p", nodeName="n", volumes=[volume])
        for name in ("free", "used"):
            await workloads.client.delete(PERSISTENT_VOLUME_CLAIM, name, "default")
        await workloads.settle()
        assert await workloads.names(PERSISTENT_VOLUME_CLAIM) == ["used"]
        await workloads.client.delete(POD, "p", "default", grace_period_seconds=0)
        await workloads.settle()
        assert await workloads.names(PERSISTENT_VOLUME_CLAIM) == []

    workloads.cluster.run(story())
