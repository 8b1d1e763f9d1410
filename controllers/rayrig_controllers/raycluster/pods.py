"""Creating and deleting a cluster's pods: the thin part that awaits (kuberay-operator 3.5 to 3.8)."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.expectations import ScaleExpectations
from rayrig_controllers.raycluster import recreate, scaling, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.cluster_pods import delete_where, of_group, of_type, pods_of
from rayrig_controllers.raycluster.head_pod import head_pod
from rayrig_controllers.raycluster.scaling import Deletion
from rayrig_controllers.raycluster.status import PROVISIONED, SUSPENDED, SUSPENDING, PodFailure
from rayrig_controllers.raycluster.worker_pod import Place, worker_pod
from rayrig_controllers.reconciler import ReconcileError, ReconcilePanic
from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import (
    JsonObject,
    annotations_of,
    copy_json,
    has_condition,
    name_of,
)
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels


class PodReconciler:
    """Brings a cluster's pods to what its spec says. Keeps expectations in memory, nothing else."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder
        self.expectations = ScaleExpectations()

    async def reconcile(self, cluster: Cluster) -> None:
        """One pass. Raises `ReconcileError` or `ApiError`; what was done until then stays done."""
        if cluster.options.gates.ray_cluster_status_conditions:
            if has_condition(cluster.obj, SUSPENDING):
                note = f"Deleted Pods for RayCluster {cluster} due to suspension"
                await self.delete_all(cluster, note)
                return
            if has_condition(cluster.obj, SUSPENDED) or cluster.suspend:
                return
        elif cluster.suspend:
            await self.delete_all(cluster, f"Deleted Pods for RayCluster {cluster} due to suspension")
            return
        pods = await pods_of(self._client, cluster)
        heads = of_type(pods, labels.HEAD)
        match recreate.decide(cluster, heads):
            case recreate.Recreation.ADOPT:
                await self._adopt(cluster, heads[0])
            case recreate.Recreation.DELETE_ALL:
                note = f"Deleted all Pods for RayCluster {cluster} due to spec change with Recreate upgradeStrategy"
                self.expectations.forget_cluster(cluster.namespace, cluster.name)
                await self.delete_all(cluster, note)
                return
            case recreate.Recreation.NOTHING:
                pass
        if self._is_settled(cluster, labels.HEAD_GROUP) and not await self._reconcile_head(cluster, heads):
            return
        for group in cluster.groups:
            await self._reconcile_group(cluster, group, of_group(pods, group["groupName"]))

    # Head

    async def _reconcile_head(self, cluster: Cluster, heads: list[JsonObject]) -> bool:
        """False when the pass ends here without error."""
        if len(heads) > 1:
            found = " ".join(name_of(pod) for pod in heads)
            raise ReconcileError(f"{len(heads)} head pods found [{found}]. Please delete extra head pods")
        if heads:
            reason = scaling.reason_to_delete(heads[0], labels.HEAD)
            if reason:
                await self._delete_head(cluster, heads[0])
                raise ReconcileError(reason)
            return True
        restarts = cluster.annotations.get(labels.DISABLE_PROVISIONED_HEAD_RESTART) != "true"
        if not restarts and has_condition(cluster.obj, PROVISIONED):
            return False
        await tls.check(self._client, cluster)
        await self._create_head(cluster)
        return True

    async def _create_head(self, cluster: Cluster) -> None:
        pod = head_pod(cluster, recreate.recreate_hash(cluster))
        try:
            created = await self._client.create(POD, pod)
        except ApiError as error:
            name = pod["metadata"].get("name", "")
            note = f"Failed to create head Pod {cluster.namespace}/{name}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToCreateHeadPod", note, action="Create")
            raise PodFailure("FailedCreateHeadPod", str(error)) from error
        self._expect_created(cluster, labels.HEAD_GROUP, created)
        note = f"Created head Pod {cluster.namespace}/{name_of(created)}"
        self._recorder.event(cluster.obj, "Normal", "CreatedHeadPod", note, action="Create")

    async def _delete_head(self, cluster: Cluster, pod: JsonObject) -> None:
        text = f"head Pod {cluster.namespace}/{name_of(pod)}; {scaling.deletion_note(pod)}"
        try:
            await self._delete(pod)
        except ApiError as error:
            note = f"Failed deleting {text}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToDeleteHeadPod", note, action="Delete")
            raise PodFailure("FailedDeleteHeadPod", str(error)) from error
        self._expect_deleted(cluster, labels.HEAD_GROUP, pod)
        self._recorder.event(cluster.obj, "Normal", "DeletedHeadPod", f"Deleted {text}", action="Delete")

    async def _adopt(self, cluster: Cluster, head: JsonObject) -> None:
        """Another operator version hashes differently: take its pods as they are."""
        adopted = copy_json(head)
        adopted["metadata"]["annotations"] = {
            **annotations_of(head),
            labels.RECREATE_HASH: recreate.recreate_hash(cluster),
            labels.KUBERAY_VERSION: cluster.options.kuberay_version,
        }
        await self._client.update(POD, adopted)

    # Workers

    async def _reconcile_group(self, cluster: Cluster, group: JsonObject, pods: list[JsonObject]) -> None:
        name: str = group["groupName"]
        if not self._is_settled(cluster, name):
            return
        if group.get("suspend"):
            note = f"Deleted all pods for suspended worker group {name} in RayCluster {cluster}"
            await self._delete_group(cluster, name, pods, note)
        elif scaling.hosts(group) > 1 and cluster.options.gates.ray_multi_host_indexing:
            await self._reconcile_multi_host(cluster, group, pods)
        else:
            await self._reconcile_single_host(cluster, group, pods)

    async def _reconcile_single_host(self, cluster: Cluster, group: JsonObject, pods: list[JsonObject]) -> None:
        name: str = group["groupName"]
        unhealthy = [pod for pod in pods if scaling.reason_to_delete(pod, labels.WORKER)]
        for pod in unhealthy:
            text = f"Deleted worker Pod {cluster.namespace}/{name_of(pod)}; {scaling.deletion_note(pod)}"
            await self._delete_worker(cluster, name, pod, text)
        if unhealthy:
            raise ReconcileError(f"delete {len(unhealthy)} unhealthy worker Pods")
        gone: dict[str, None] = {}
        for victim in (group.get("scaleStrategy") or {}).get("workersToDelete") or ():
            await self._delete_named(cluster, name, victim)
            gone[victim] = None
        present = [pod for pod in pods if name_of(pod) not in gone]
        missing = scaling.desired_pods(group) - len(present)
        if missing > 0:
            await tls.check(self._client, cluster)
            for index in scaling.free_indices(present, missing):
                await self._create_worker(cluster, group, Place(index))
        elif self._may_shrink(cluster):
            for pod in present[:-missing]:
                await self._delete_worker(cluster, name, pod, f"Deleted Pod {cluster.namespace}/{name_of(pod)}")
            if -missing > len(present):
                # Fewer than none are wanted: KubeRay looks for a pod beyond the last (recorded: no status is ever written).
                raise ReconcilePanic(f"no pod to delete: index out of range with length {len(present)}")

    async def _reconcile_multi_host(self, cluster: Cluster, group: JsonObject, pods: list[JsonObject]) -> None:
        name: str = group["groupName"]
        plan = scaling.plan_multi_host(group, pods, may_shrink=self._may_shrink(cluster), rng=self._context.rng)
        for deletion in plan.deletions:
            await self._delete_worker(cluster, name, deletion.pod, self._note(cluster, name, deletion))
        if plan.error:
            raise ReconcileError(plan.error)
        if plan.creations:
            await tls.check(self._client, cluster)
        for place in plan.creations:
            await self._create_worker(cluster, group, place)

    def _note(self, cluster: Cluster, group: str, deletion: Deletion) -> str:
        pod = f"{cluster.namespace}/{name_of(deletion.pod)}"
        return f"Deleted worker Pod {pod} for group {group}: {deletion.reason}"

    def _may_shrink(self, cluster: Cluster) -> bool:
        """With an autoscaler only the pods it names go, unless the operator is told to choose."""
        return not cluster.is_autoscaling or cluster.options.random_pod_delete

    async def _create_worker(self, cluster: Cluster, group: JsonObject, place: Place) -> None:
        try:
            created = await self._client.create(POD, worker_pod(cluster, group, place))
        except ApiError as error:
            note = f"Failed to create worker Pod for the cluster {cluster}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToCreateWorkerPod", note, action="Create")
            raise PodFailure("FailedCreateWorkerPod", str(error)) from error
        self._expect_created(cluster, group["groupName"], created)
        note = f"Created worker Pod {cluster.namespace}/{name_of(created)}"
        self._recorder.event(cluster.obj, "Normal", "CreatedWorkerPod", note, action="Create")

    async def _delete_worker(self, cluster: Cluster, group: str, pod: JsonObject, note: str) -> None:
        try:
            await self._delete(pod)
        except ApiError as error:
            text = f"Failed deleting worker Pod {cluster.namespace}/{name_of(pod)}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToDeleteWorkerPod", text, action="Delete")
            raise PodFailure("FailedDeleteWorkerPod", str(error)) from error
        self._expect_deleted(cluster, group, pod)
        self._recorder.event(cluster.obj, "Normal", "DeletedWorkerPod", note, action="Delete")

    async def _delete_named(self, cluster: Cluster, group: str, name: str) -> None:
        """An entry of workersToDelete: deleted whatever the count; one that is gone is no matter."""
        try:
            await self._client.delete(POD, name, cluster.namespace)
        except NotFound:
            return
        except ApiError as error:
            text = f"Failed deleting pod {cluster.namespace}/{name}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToDeleteWorkerPod", text, action="Delete")
            raise PodFailure("FailedDeleteWorkerPod", str(error)) from error
        self.expectations.expect_delete(cluster.namespace, cluster.name, group, name)
        note = f"Deleted pod {cluster.namespace}/{name}"
        self._recorder.event(cluster.obj, "Normal", "DeletedWorkerPod", note, action="Delete")

    # Many at once

    async def delete_all(self, cluster: Cluster, note: str) -> None:
        """Every pod with the cluster's label. The event comes each time, the request only while a pod isn't terminating."""
        pods = await pods_of(self._client, cluster)
        try:
            await delete_where(self._client, cluster, pods, (labels.CLUSTER, cluster.name))
        except ApiError as error:
            text = f"Failed to delete Pods of RayCluster {cluster}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToDeletePodCollection", text, action="Delete")
            raise PodFailure("FailedDeleteAllPods", str(error)) from error
        self._recorder.event(cluster.obj, "Normal", "DeletedPod", note, action="Delete")

    async def _delete_group(self, cluster: Cluster, group: str, pods: list[JsonObject], note: str) -> None:
        try:
            await delete_where(self._client, cluster, pods, (labels.CLUSTER, cluster.name), (labels.GROUP, group))
        except ApiError as error:
            text = f"Failed to delete worker Pods of group {group} in RayCluster {cluster}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToDeleteWorkerPodCollection", text, action="Delete")
            raise PodFailure("FailedDeleteWorkerPod", str(error)) from error
        self._recorder.event(cluster.obj, "Normal", "DeletedWorkerPod", note, action="Delete")

    # Bookkeeping

    async def _delete(self, pod: JsonObject) -> None:
        try:
            await self._client.delete(POD, name_of(pod), pod["metadata"]["namespace"])
        except NotFound:
            return

    def _is_settled(self, cluster: Cluster, group: str) -> bool:
        """The cache shows what earlier passes did to the group."""
        return self.expectations.is_satisfied(
            cluster.namespace, cluster.name, group, self._exists(cluster), self._context.runtime.monotonic_ns()
        )

    def _exists(self, cluster: Cluster) -> Callable[[str], bool]:
        informer = self._client.cache.informer(POD)
        return lambda name: informer.get(name, cluster.namespace) is not None

    def _expect_created(self, cluster: Cluster, group: str, pod: JsonObject) -> None:
        now_ns = self._context.runtime.monotonic_ns()
        self.expectations.expect_create(cluster.namespace, cluster.name, group, name_of(pod), now_ns)

    def _expect_deleted(self, cluster: Cluster, group: str, pod: JsonObject) -> None:
        self.expectations.expect_delete(cluster.namespace, cluster.name, group, name_of(pod))
