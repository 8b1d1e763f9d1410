"""The RayService reconciler of KubeRay 1.1: one pass in its order (kuberay-operator 6.1)."""

from __future__ import annotations

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.rayservice.head_label import is_proxy_healthy
from rayrig_controllers.rayservice.kuberay_1_1.clusters import reconcile_clusters
from rayrig_controllers.rayservice.kuberay_1_1.serve import head_pod, reconcile_serve, refresh_active
from rayrig_controllers.rayservice.kuberay_1_1.tick import (
    FAILED_TO_GET_CLUSTER,
    FAILED_TO_UPDATE_LABEL,
    FAILED_TO_UPDATE_SERVICE,
    Memory,
    Tick,
)
from rayrig_controllers.rayservice.services import (
    build_head_service,
    build_serve_service,
    selected_cluster,
    serve_service_name,
)
from rayrig_controllers.rayservice.status import Slot
from rayrig_controllers.reconciler import DONE, ReconcileError, Request, Result
from rayrig_core.errors import AlreadyExists, ApiError, NotFound
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, labels_of, name_of
from rayrig_core.resource_types import ENDPOINTS, POD, RAY_SERVICE, SERVICE
from rayrig_core.resources import labels

REQUEUE_S = 2.0
AGAIN = Result(REQUEUE_S)
PROXY_TIMEOUT_S = 0.02

_Failure = (ReconcileError, ApiError, HttpFailure)


class RayServiceReconciler:
    """Reconciles RayServices. `memory` is lost with the process."""

    def __init__(self, context: ControllerContext) -> None:
        self.context = context
        self.memory = Memory()

    async def reconcile(self, request: Request) -> Result:
        """One pass. What goes wrong with Serve is logged only; other errors (`ReconcileError`, `ApiError`) are raised."""
        service = await self.context.client.find(RAY_SERVICE, request.name, request.namespace)
        if service is None:
            self.memory.goals.forget(request.namespace, request.name)
            self.memory.logged.pop(request, None)
            return DONE
        tick = Tick(self.context, self.memory, request, service)
        self.memory.configs.keep_only(request, (tick.status.active.cluster, tick.status.pending.cluster))
        try:
            active, pending = await reconcile_clusters(tick)
        except _Failure as error:
            await tick.fail(FAILED_TO_GET_CLUSTER, error)
            if isinstance(error, NotFound):
                return AGAIN
            raise
        if tick.status.pending.cluster and pending is None:
            # A name was chosen, or the cluster of that name is on its way out: what comes next is for the next pass.
            await self._write_or_log(tick)
            return AGAIN
        try:
            is_ready = await self._serve(tick, active, pending)
        except _Failure as error:
            tick.log(f"cannot reconcile Serve: {error}")
            return AGAIN
        if not is_ready:
            tick.event(
                "ServiceNotReady", "The service is not ready yet. Controller will perform a round of actions in 2s."
            )
            return AGAIN
        target = pending or active
        assert target is not None
        await self._direct_traffic(tick, target)
        await self._count_endpoints(tick)
        await tick.finish()
        return AGAIN

    async def _write_or_log(self, tick: Tick) -> None:
        try:
            await tick.write_status()
        except ApiError as error:
            tick.log(f"cannot write the status: {error}")

    async def _serve(self, tick: Tick, active: JsonObject | None, pending: JsonObject | None) -> bool:
        """Whether the cluster that is to serve is ready: the pending one if there is one."""
        if pending is None:
            assert active is not None
            tick.status.pending = Slot()
            return await reconcile_serve(tick, active, is_active=True)
        if active is None:
            tick.status.active = Slot()
        else:
            try:
                await refresh_active(tick, active)
            except _Failure as error:
                tick.log(f"cannot tell how the active RayCluster is: {error}")
        return await reconcile_serve(tick, pending, is_active=False)

    # Services

    async def _direct_traffic(self, tick: Tick, cluster: JsonObject) -> None:
        """Head Service, label of the head pod, serve Service. Raises what went wrong, after showing it in the status."""
        options = self.context.options
        try:
            await self._reconcile_service(tick, build_head_service(tick.service, cluster, options))
        except _Failure as error:
            await tick.fail(FAILED_TO_UPDATE_SERVICE, error)
            raise
        try:
            await self._label_head_pod(tick, cluster)
        except _Failure as error:
            await tick.fail(FAILED_TO_UPDATE_LABEL, error)
            raise
        try:
            await self._reconcile_service(tick, build_serve_service(tick.service, cluster, options))
        except _Failure as error:
            await tick.fail(FAILED_TO_UPDATE_SERVICE, error)
            raise

    async def _reconcile_service(self, tick: Tick, wanted: JsonObject) -> None:
        """Create it, or re-point it; equal selectors leave it alone, whatever else differs. No events."""
        client = self.context.client
        found = await client.find(SERVICE, name_of(wanted), tick.namespace)
        if found is None:
            try:
                await client.create(SERVICE, wanted)
            except AlreadyExists:
                return
        elif selected_cluster(found) != selected_cluster(wanted):
            # The API server keeps the address.
            await client.update(SERVICE, {**found, "spec": wanted["spec"]})

    async def _label_head_pod(self, tick: Tick, cluster: JsonObject) -> None:
        pod = await head_pod(tick, cluster)
        is_healthy = await is_proxy_healthy(self.context, pod, timeout_s=PROXY_TIMEOUT_S, any_success=True)
        serves = "true" if is_healthy else "false"
        if labels_of(pod).get(labels.SERVE) != serves:
            metadata = {**pod["metadata"], "labels": {**labels_of(pod), labels.SERVE: serves}}
            await self.context.client.update(POD, {**pod, "metadata": metadata})

    async def _count_endpoints(self, tick: Tick) -> None:
        """Ready addresses of the serve Service's Endpoints object."""
        name = serve_service_name(tick.spec, tick.name, self.context.options.release)
        endpoints = await self.context.client.find(ENDPOINTS, name, tick.namespace) or {}
        tick.status.num_serve_endpoints = sum(
            len(subset.get("addresses") or ()) for subset in endpoints.get("subsets") or ()
        )
