"""One reconcile of a RayCluster's NetworkPolicies (kuberay-operator 3.14)."""

from __future__ import annotations

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.networkpolicy.policies import has_drifted, policies, surplus
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.reconciler import DONE, ReconcileError, Request, Result
from rayrig_controllers.watches import generation_changed, owns, reconciles
from rayrig_core.errors import AlreadyExists, ApiError, NotFound
from rayrig_core.objects import JsonObject, controller_of, is_being_deleted, name_of
from rayrig_core.resource_types import NETWORK_POLICY, RAY_CLUSTER
from rayrig_core.resources import labels

NAME = "networkpolicy-controller"


def controller(context: ControllerContext) -> Controller:
    """The NetworkPolicy controller with what wakes it (kuberay-operator 0.1). One worker, whatever the options say."""
    watches = (reconciles(RAY_CLUSTER, generation_changed), owns(NETWORK_POLICY, RAY_CLUSTER))
    return Controller(NAME, context, NetworkPolicyReconciler(context), watches, resource=RAY_CLUSTER, concurrency=1)


class NetworkPolicyReconciler:
    """Reconciler of RayClusters that brings their NetworkPolicies to what their specs say. Keeps nothing in memory."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder

    async def reconcile(self, request: Request) -> Result:
        obj = await self._client.find(RAY_CLUSTER, request.name, request.namespace)
        if obj is None or is_being_deleted(obj):
            return DONE
        if (obj.get("spec") or {}).get("managedBy", labels.MANAGED_BY_OPERATOR) != labels.MANAGED_BY_OPERATOR:
            return DONE
        cluster = Cluster.of(obj, self._context.options)
        desired = policies(cluster)
        for policy in desired:
            await self._ensure(cluster, policy)
        for policy in surplus(desired, await self._client.owned_by(NETWORK_POLICY, cluster.uid)):
            await self._delete(cluster, policy)
        return DONE

    async def _ensure(self, cluster: Cluster, desired: JsonObject) -> None:
        name = f"{cluster.namespace}/{name_of(desired)}"
        present = await self._client.find(NETWORK_POLICY, name_of(desired), cluster.namespace)
        event = self._recorder.event
        if present is None:
            try:
                await self._client.create(NETWORK_POLICY, desired)
            except AlreadyExists:
                # The cache lags behind an earlier pass, or doesn't show a foreign one yet: tried again, no event (recorded).
                raise
            except ApiError as error:
                note = f"Failed to create NetworkPolicy {name}, {error}"
                event(cluster.obj, "Warning", "FailedToCreateNetworkPolicy", note, action="Create")
                raise
            event(cluster.obj, "Normal", "CreatedNetworkPolicy", f"Created NetworkPolicy {name}", action="Create")
            return
        owner = controller_of(present)
        if owner is None or owner.get("uid") != cluster.uid:
            problem = f"NetworkPolicy {name} exists and is not owned by RayCluster {cluster}"
            event(cluster.obj, "Warning", "NetworkPolicyNameCollision", problem, action="Create")
            raise ReconcileError(problem)
        if has_drifted(desired, present):
            metadata = {**present["metadata"], "labels": desired["metadata"]["labels"]}
            await self._client.update(NETWORK_POLICY, {**present, "metadata": metadata, "spec": desired["spec"]})
            event(cluster.obj, "Normal", "UpdatedNetworkPolicy", f"Updated NetworkPolicy {name}", action="Update")

    async def _delete(self, cluster: Cluster, policy: JsonObject) -> None:
        if is_being_deleted(policy):
            return
        try:
            await self._client.delete(NETWORK_POLICY, name_of(policy), cluster.namespace)
        except NotFound:
            return
        note = f"Deleted NetworkPolicy {cluster.namespace}/{name_of(policy)}"
        self._recorder.event(cluster.obj, "Normal", "DeletedNetworkPolicy", note, action="Delete")
