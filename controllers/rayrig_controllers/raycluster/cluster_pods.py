"""The pods of a cluster as the cache shows them, and the deletion of many at once."""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_controllers.cached_client import CachedClient
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_core.objects import JsonObject, is_being_deleted, labels_of
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels


async def pods_of(client: CachedClient, cluster: Cluster) -> list[JsonObject]:
    """All pods with the cluster's label."""
    return await client.select(POD, cluster.namespace, {labels.CLUSTER: cluster.name})


def of_type(pods: Sequence[JsonObject], node_type: str) -> list[JsonObject]:
    """Pods of one `ray.io/node-type`."""
    return [pod for pod in pods if labels_of(pod).get(labels.NODE_TYPE) == node_type]


def of_group(pods: Sequence[JsonObject], group: str) -> list[JsonObject]:
    """Pods of one `ray.io/group`."""
    return [pod for pod in pods if labels_of(pod).get(labels.GROUP) == group]


async def delete_where(
    client: CachedClient, cluster: Cluster, pods: Sequence[JsonObject], *pairs: tuple[str, str]
) -> None:
    """One delete-collection request for the pods with these labels, unless all of `pods` are terminating already."""
    if any(not is_being_deleted(pod) for pod in pods):
        selector = ",".join(f"{key}={value}" for key, value in pairs)
        await client.delete_collection(POD, cluster.namespace, label_selector=selector)
