"""Pods of a RayCluster as KubeRay 1.1 kept them: no expectations, extra heads deleted, suspension at once (6.2)."""

from __future__ import annotations

from contextlib import suppress

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.raycluster import scaling
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.cluster_pods import delete_where, of_group, of_type, pods_of
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.kuberay_1_1.status import desired_replicas
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_controllers.reconciler import ReconcileError, ReconcilePanic
from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels


class PodReconciler:
    """Brings a cluster's pods to what its spec says. Keeps nothing in memory: a stale cache leads to double work."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client

    async def reconcile(self, cluster: Cluster) -> None:
        """One pass. Raises `ReconcileError` or `ApiError`; what was done until then stays done."""
        pods = await pods_of(self._client, cluster)
        if cluster.suspend:
            await delete_where(self._client, cluster, pods, (labels.CLUSTER, cluster.name))
            self._tell(cluster, "Deleted", f"Deleted Pods for RayCluster {cluster} due to suspension")
            return
        await self._reconcile_head(cluster, of_type(pods, labels.HEAD))
        for group in cluster.groups:
            await self._reconcile_group(cluster, group, of_group(pods, group["groupName"]))

    async def _reconcile_head(self, cluster: Cluster, heads: list[JsonObject]) -> None:
        if not heads:
            created = await self._client.create(POD, head_pod(cluster))
            self._tell(cluster, "Created", f"Created head pod {name_of(created)}")
        elif len(heads) == 1:
            reason = reason_to_delete(heads[0], labels.HEAD)
            if reason:
                await self._delete(heads[0])
                note = f"Deleted head Pod {name_of(heads[0])}; {scaling.deletion_note(heads[0])}"
                self._tell(cluster, "Deleted", note)
                raise ReconcileError(reason)
        else:
            for pod in extra_heads(heads):
                await self._delete(pod)

    async def _reconcile_group(self, cluster: Cluster, group: JsonObject, pods: list[JsonObject]) -> None:
        unhealthy = [pod for pod in pods if reason_to_delete(pod, labels.WORKER)]
        for pod in unhealthy:
            await self._delete(pod)
            self._tell(cluster, "Deleted", f"Deleted worker Pod {name_of(pod)}; {scaling.deletion_note(pod)}")
        if unhealthy:
            raise ReconcileError(f"Delete {len(unhealthy)} unhealthy worker Pods.")
        gone: dict[str, None] = {}
        for victim in (group.get("scaleStrategy") or {}).get("workersToDelete") or ():
            try:
                await self._client.delete(POD, victim, cluster.namespace)
            except NotFound:
                continue
            gone[victim] = None
            self._tell(cluster, "Deleted", f"Deleted pod {victim}")
        present = [pod for pod in pods if name_of(pod) not in gone]
        missing = desired_replicas(group) * scaling.hosts(group) - len(present)
        for _ in range(missing):
            await self._client.create(POD, worker_pod(cluster, group, Place(0)))
            # The name that the server gave is not in the note: it went to a copy of the pod.
            self._tell(cluster, "Created", "Created worker pod ")
        if not cluster.is_autoscaling or cluster.options.random_pod_delete:
            for pod in present[: max(-missing, 0)]:
                with suppress(NotFound):
                    await self._delete(pod)
                self._tell(cluster, "Deleted", f"Deleted Pod {name_of(pod)}")
            if -missing > len(present):
                raise ReconcilePanic(f"no pod to delete: index out of range with length {len(present)}")

    async def _delete(self, pod: JsonObject) -> None:
        await self._client.delete(POD, name_of(pod), pod["metadata"]["namespace"])

    def _tell(self, cluster: Cluster, reason: str, note: str) -> None:
        self._context.recorder.event(cluster.obj, "Normal", reason, note)


def reason_to_delete(pod: JsonObject, node_type: str) -> str:
    """Why a pod has to be replaced; empty when it need not be. One that restarts its containers is never replaced."""
    return "" if pod["spec"]["restartPolicy"] == "Always" else scaling.reason_to_delete(pod, node_type)


def extra_heads(heads: list[JsonObject]) -> list[JsonObject]:
    """Those to delete: in a walk through the list each live one is taken out, the last one put into its place unseen."""
    rest = list(heads)
    index = 0
    while index < len(rest):
        if (rest[index].get("status") or {}).get("phase") in ("Running", "Pending"):
            rest[index] = rest[-1]
            rest.pop()
        index += 1
    return rest
