"""The RayService reconciler: one tick, in the operator's order (kuberay-operator 2.2)."""

from __future__ import annotations

from collections.abc import Callable

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.rayservice.calculation import calculate_status
from rayrig_controllers.rayservice.clusters import must_prepare_new_cluster, reconcile_clusters
from rayrig_controllers.rayservice.conditions import READY, SUSPENDED, SUSPENDING, VALIDATION_FAILED
from rayrig_controllers.rayservice.dangling import clean_up_clusters
from rayrig_controllers.rayservice.gateway import reconcile_gateway_objects
from rayrig_controllers.rayservice.goal import origin_labels
from rayrig_controllers.rayservice.head_label import label_head_pod
from rayrig_controllers.rayservice.initializing_timeout import has_timed_out
from rayrig_controllers.rayservice.kuberay_1_1 import reconciler as kuberay_1_1
from rayrig_controllers.rayservice.rollback import decide_rollback
from rayrig_controllers.rayservice.serve import is_head_ready, reconcile_serve
from rayrig_controllers.rayservice.services import reconcile_services
from rayrig_controllers.rayservice.suspend import Suspension, advance_suspension, suspension
from rayrig_controllers.rayservice.target_capacity import move_capacity
from rayrig_controllers.rayservice.tick import Memory, Tick
from rayrig_controllers.reconciler import DONE, ReconcileError, Reconciler, Request, Result
from rayrig_controllers.releases import Profile
from rayrig_controllers.watches import owns, reconciles
from rayrig_core.objects import JsonObject, annotations_of, is_being_deleted, name_of
from rayrig_core.resource_types import RAY_CLUSTER, RAY_SERVICE, SERVICE
from rayrig_core.resources import labels
from rayrig_core.resources.typed_round_trip import typed_ray_service_spec
from rayrig_core.resources.validation import (
    Problem,
    first_problem,
    ray_service_metadata_problems,
    ray_service_spec_problems,
)

#: Every tick that ends well asks for the next one.
REQUEUE_S = 2.0
AGAIN = Result(REQUEUE_S)
SETTLED = Result(REQUEUE_S, is_settled=True)


class RayServiceReconciler:
    """Reconciles RayServices. `memory` is lost with the process."""

    def __init__(self, context: ControllerContext) -> None:
        self.context = context
        self.memory = Memory()
        self._valid: dict[Request, str] = {}

    async def reconcile(self, request: Request) -> Result:
        """One tick. Raises `ReconcileError` and `ApiError`: the tick ends there, its status is not written."""
        context, memory = self.context, self.memory
        service = await context.client.find(RAY_SERVICE, request.name, request.namespace)
        if service is None:
            self._forget(request)
            return DONE
        manager = (service.get("spec") or {}).get("managedBy")
        if manager is not None and manager != labels.MANAGED_BY_OPERATOR:
            return DONE
        tick = Tick(context, memory, request, service)
        memory.configs.keep_only(request, (tick.status.active.cluster, tick.status.pending.cluster))
        clusters_remain = await clean_up_clusters(tick)
        if is_being_deleted(service):
            if clusters_remain:
                return AGAIN
            await self._let_go(service)
            return DONE
        if labels.RAY_SERVICE_FINALIZER not in (service["metadata"].get("finalizers") or ()):
            await self._hold(service)
            return AGAIN
        refusal = self._refusal(tick)
        if refusal is not None:
            await self._refuse(tick, *refusal)
            return DONE
        step = suspension(tick)
        await advance_suspension(tick, step)
        await tick.write_status_if_changed()
        if tick.conditions.is_true(SUSPENDING) or tick.conditions.is_true(SUSPENDED):
            return DONE if step is Suspension.IDLE else AGAIN
        if has_timed_out(tick):
            return AGAIN if clusters_remain else DONE
        await self._reconcile_running(tick)
        return SETTLED if await self._is_settled(tick) else AGAIN

    async def _is_settled(self, tick: Tick) -> bool:
        """No cluster waits for its deletion, traffic does not move in steps, initialisation has no limit: all that goes by time."""
        if tick.incremental:
            return False
        if not tick.conditions.is_true(READY) and annotations_of(tick.service).get(labels.INITIALIZING_TIMEOUT):
            return False
        clusters = await self.context.client.select(RAY_CLUSTER, tick.namespace, origin_labels(tick.name))
        used = (tick.status.active.cluster, tick.status.pending.cluster)
        return all(name_of(cluster) in used for cluster in clusters)

    async def _reconcile_running(self, tick: Tick) -> None:
        """Steps 10 to 18."""
        await reconcile_clusters(tick)
        if tick.incremental and tick.upgrade_in_progress:
            decide_rollback(tick)
        active, pending = tick.active, tick.pending
        for view in (active, pending):
            if view.cluster is not None:
                await label_head_pod(tick, view.cluster)
        if pending.cluster is not None:
            await self._serve(tick, pending_not_active=True)
        serves_both = tick.incremental and pending.cluster is not None
        if active.cluster is not None and (
            serves_both
            or (pending.cluster is None and not must_prepare_new_cluster(tick, tick.goal, was_promoted=False))
        ):
            await self._serve(tick, pending_not_active=False)
        if tick.incremental:
            await reconcile_gateway_objects(tick)
        if active.is_ready or pending.is_ready:
            target = active.cluster
            if pending.is_ready and not (tick.incremental and tick.upgrade_in_progress):
                target = pending.cluster
            if target is None:
                # The operator would panic here (8.2 H4).
                raise ReconcileError(
                    f"active RayCluster of RayService {tick.request} is gone in the middle of an upgrade"
                )
            await reconcile_services(tick, target)
        await calculate_status(tick)
        await tick.write_status_if_changed()

    async def _serve(self, tick: Tick, *, pending_not_active: bool) -> None:
        """The Serve reconcile of one cluster; during an incremental upgrade the one being left gets no configuration (2.9.6)."""
        view = tick.pending if pending_not_active else tick.active
        may_submit = True
        if tick.incremental and tick.upgrade_in_progress:
            may_submit = pending_not_active != tick.is_rolling_back
        await reconcile_serve(tick, view, may_submit=may_submit)
        if tick.incremental and view.cluster is not None and await is_head_ready(tick, view.cluster):
            await move_capacity(tick, view)

    async def _hold(self, service: JsonObject) -> None:
        """Add the finalizer. The object is written whole, as the operator's types have it (0.3.13)."""
        finalizers = [*(service["metadata"].get("finalizers") or ()), labels.RAY_SERVICE_FINALIZER]
        await self._update(service, finalizers)

    async def _let_go(self, service: JsonObject) -> None:
        finalizers = list(service["metadata"].get("finalizers") or ())
        if labels.RAY_SERVICE_FINALIZER in finalizers:
            finalizers.remove(labels.RAY_SERVICE_FINALIZER)
            await self._update(service, finalizers)

    async def _update(self, service: JsonObject, finalizers: list[str]) -> None:
        metadata = {**service["metadata"], "finalizers": finalizers}
        spec = typed_ray_service_spec(service.get("spec") or {})
        await self.context.client.update(RAY_SERVICE, {**service, "metadata": metadata, "spec": spec})

    def _refusal(self, tick: Tick) -> tuple[str, Problem] | None:
        """Reason and first problem; an object found valid is not looked at again until it changes."""
        version = tick.service["metadata"]["resourceVersion"]
        if self._valid.get(tick.request) == version:
            return None
        problem = first_problem(ray_service_metadata_problems(tick.service))
        if problem is not None:
            return "InvalidRayServiceMetadata", problem
        problem = first_problem(ray_service_spec_problems(tick.service, self.context.options.gates))
        if problem is not None:
            return "InvalidRayServiceSpec", problem
        self._valid[tick.request] = version
        return None

    async def _refuse(self, tick: Tick, reason: str, problem: Problem) -> None:
        """Ready=False/ValidationFailed; everything else stays as it is."""
        tick.warning(reason, f"{tick.request}: {problem.message}", "Validate")
        tick.conditions.set(READY, "False", VALIDATION_FAILED, problem.message)
        await tick.write_status()

    def _forget(self, request: Request) -> None:
        self._valid.pop(request, None)
        self.memory.configs.forget(request)
        self.memory.goals.forget(request.namespace, request.name)


_RECONCILERS: dict[Profile, Callable[[ControllerContext], Reconciler]] = {
    "1.7": RayServiceReconciler,
    "1.1": kuberay_1_1.RayServiceReconciler,
}


def controller(context: ControllerContext) -> Controller:
    """The RayService controller of the release in the options, with its watches (kuberay-operator 0.1)."""
    return Controller(
        "rayservice-controller",
        context,
        _RECONCILERS[context.options.profile](context),
        (reconciles(RAY_SERVICE), owns(RAY_CLUSTER, RAY_SERVICE), owns(SERVICE, RAY_SERVICE)),
        resource=RAY_SERVICE,
    )
