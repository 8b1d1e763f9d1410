"""A cluster in which workloads are kept running, with what tests of them need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import DEPLOYMENT, POD, REPLICA_SET, ResourceType

Cluster = Any


class Workloads:
    """Steps of stories about workloads in the namespace `default`; each lets the controllers do what follows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = cluster.client

    async def settle(self, seconds: float = 1.0) -> None:
        await self.cluster.sleep(seconds)

    async def create(self, resource: ResourceType, name: str, **spec: Any) -> JsonObject:
        """With a template of one container and a selector, where the kind has them and nothing else is said."""
        meta = {"name": name}
        if "template" in spec or resource.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
            spec.setdefault("template", template())
            spec.setdefault("selector", {"matchLabels": {"app": "a"}})
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, "spec": spec}
        made: JsonObject = await self.client.create(resource, body, "default")
        await self.settle()
        return made

    async def change(self, resource: ResourceType, name: str, **spec: Any) -> None:
        await self.client.patch(resource, name, {"spec": spec}, "default", patch_type="merge")
        await self.settle()

    async def get(self, resource: ResourceType, name: str) -> JsonObject:
        found: JsonObject = await self.client.get(resource, name, "default")
        return found

    async def pods(self) -> list[JsonObject]:
        found: list[JsonObject] = (await self.client.list(POD, "default")).items
        return found

    async def names(self, resource: ResourceType = POD) -> list[str]:
        return [name_of(each) for each in (await self.client.list(resource, "default")).items]

    async def run_all(self) -> None:
        """Every pod that is there runs and is ready."""
        for number, pod in enumerate(await self.pods()):
            if (pod.get("status") or {}).get("phase") != "Running":
                await self.cluster.run_pod(name_of(pod), f"10.0.0.{number + 1}")
        await self.settle()

    async def sizes(self) -> dict[str, int]:
        """Replicas asked of each ReplicaSet, by the image of its template."""
        return {
            each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"]
            for each in (await self.client.list(REPLICA_SET, "default")).items
        }

    async def conditions(self, name: str, resource: ResourceType = DEPLOYMENT) -> dict[str, tuple[str, str]]:
        status = (await self.get(resource, name)).get("status") or {}
        return {each["type"]: (each["status"], each["reason"]) for each in status.get("conditions") or ()}


def template(image: str = "app:1", **labels: str) -> JsonObject:
    container = {"name": "main", "image": image}
    return {"metadata": {"labels": {"app": "a", **labels}}, "spec": {"containers": [container]}}


@pytest.fixture
def workloads(make_hollow_cluster: Callable[..., Cluster]) -> Workloads:
    return Workloads(make_hollow_cluster(workloads=True))
