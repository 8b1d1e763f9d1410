"""One reconcile of a RayCluster in the order of KubeRay 1.1 (kuberay-operator 6.2)."""

from __future__ import annotations

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.raycluster import autoscaler, ingress, services
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.cluster_pods import pods_of
from rayrig_controllers.raycluster.kuberay_1_1.pods import PodReconciler
from rayrig_controllers.raycluster.kuberay_1_1.status import FAILED, calculate, complaint
from rayrig_controllers.raycluster.redis_cleanup import RedisCleanup
from rayrig_controllers.raycluster.status import must_write
from rayrig_controllers.reconciler import DONE, ReconcileError, Request, Result
from rayrig_core.errors import AlreadyExists, ApiError
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, is_being_deleted, name_of
from rayrig_core.resource_types import (
    INGRESS,
    RAY_CLUSTER,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    ResourceType,
)
from rayrig_core.resources import labels

_Failure = (ReconcileError, ApiError, HttpFailure)


class RayClusterReconciler:
    """Reconciler of RayClusters. Nothing in memory."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._pods = PodReconciler(context)
        self._redis = RedisCleanup(context)

    async def reconcile(self, request: Request) -> Result:
        """One pass; after a good one the next is due in minutes, whatever was written. Raises what went wrong."""
        obj = await self._client.find(RAY_CLUSTER, request.name, request.namespace)
        if obj is None:
            return DONE
        cluster = Cluster.of(obj, self._context.options)
        ended = await self._redis.step(cluster)
        if ended is not None:
            return ended
        if is_being_deleted(obj):
            return DONE
        try:
            await self._reconcile_children(cluster)
        except _Failure:
            await self._show_failure(obj)
            raise
        try:
            await self._pods.reconcile(cluster)
        except _Failure as error:
            obj = await self._show_failure(obj)
            await self._show(obj, "reason", str(error))
            self._context.recorder.event(obj, "Warning", "PodReconciliationError", str(error))
            raise
        await self._update_status(cluster)
        return Result(float(cluster.options.ray_cluster_requeue_s))

    # Failures

    async def _show_failure(self, obj: JsonObject) -> JsonObject:
        return await self._show(obj, "state", FAILED)

    async def _show(self, obj: JsonObject, field: str, value: str) -> JsonObject:
        """Put one field of the status right; what goes wrong with that is of no consequence."""
        status = obj.get("status") or {}
        if status.get(field) == value:
            return obj
        try:
            return await self._client.update(
                RAY_CLUSTER, {**obj, "status": {**status, field: value}}, subresource="status"
            )
        except (ApiError, HttpFailure):
            return obj

    # Children

    async def _reconcile_children(self, cluster: Cluster) -> None:
        """All but the pods. The first error ends it."""
        if cluster.is_autoscaling:
            await self._reconcile_account(cluster)
            await self._ensure(cluster, ROLE, autoscaler.role(cluster), "role")
            await self._ensure(cluster, ROLE_BINDING, autoscaler.role_binding(cluster), "role binding")
        own = {labels.CLUSTER: cluster.name}
        if cluster.head.get("enableIngress") and not await self._client.select(INGRESS, cluster.namespace, own):
            await self._create(cluster, INGRESS, ingress.ingress(cluster), "ingress")
        heads = await self._client.select(SERVICE, cluster.namespace, {**own, labels.NODE_TYPE: labels.HEAD})
        if len(heads) > 1:
            raise ReconcileError(f"{len(heads)} head service found [{' '.join(name_of(service) for service in heads)}]")
        if not heads:
            await self._create(cluster, SERVICE, services.head_service(cluster), "service")
        if services.needs_headless_service(cluster):
            headless = {labels.HEADLESS_WORKER_SERVICE: cluster.name}
            if not await self._client.select(SERVICE, cluster.namespace, headless):
                await self._create(cluster, SERVICE, services.headless_service(cluster), "service")
        if services.needs_serve_service(cluster):
            await self._ensure(cluster, SERVICE, services.serve_service(cluster), "")

    async def _reconcile_account(self, cluster: Cluster) -> None:
        account = autoscaler.service_account(cluster)
        if autoscaler.given_account(cluster):
            # The user's own: it is not for the operator to make one. Raises `NotFound`.
            await self._client.get(SERVICE_ACCOUNT, name_of(account), cluster.namespace)
        else:
            await self._ensure(cluster, SERVICE_ACCOUNT, account, "service account")

    async def _ensure(self, cluster: Cluster, resource: ResourceType, obj: JsonObject, word: str) -> None:
        if await self._client.find(resource, name_of(obj), cluster.namespace) is None:
            await self._create(cluster, resource, obj, word)

    async def _create(self, cluster: Cluster, resource: ResourceType, obj: JsonObject, word: str) -> None:
        """Create, and tell of it in an event when there is a `word` for it."""
        try:
            await self._client.create(resource, obj)
        except AlreadyExists:
            return
        if word:
            self._context.recorder.event(cluster.obj, "Normal", "Created", f"Created {word} {name_of(obj)}")

    # Status

    async def _update_status(self, cluster: Cluster) -> None:
        _, text = complaint(cluster)
        if text:
            self._context.recorder.event(cluster.obj, "Warning", "RayConfigError", text)
        head_services = await self._client.select(SERVICE, cluster.namespace, services.head_lookup(cluster))
        pods = await pods_of(self._client, cluster)
        status = calculate(cluster, pods, head_services, self._context.runtime.unix_ns())
        if must_write(cluster.obj.get("status"), status):
            await self._client.update(RAY_CLUSTER, {**cluster.obj, "status": status}, subresource="status")
