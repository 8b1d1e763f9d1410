"""One reconcile of a RayCluster, in the operator's order (kuberay-operator 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.raycluster import auth, autoscaler, gcs_fault_tolerance, ingress, services, storage, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.cluster_pods import pods_of
from rayrig_controllers.raycluster.kuberay_1_1 import reconciler as kuberay_1_1
from rayrig_controllers.raycluster.pods import PodReconciler
from rayrig_controllers.raycluster.redis_cleanup import RedisCleanup
from rayrig_controllers.raycluster.status import Counts, Observed, calculate, counts, must_write
from rayrig_controllers.reconciler import DONE, ReconcileError, Reconciler, Request, Result
from rayrig_controllers.releases import Profile
from rayrig_controllers.watches import owns, reconciles
from rayrig_core.errors import AlreadyExists, ApiError
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, controller_of, copy_json, is_being_deleted, name_of
from rayrig_core.resource_types import (
    INGRESS,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    RAY_CLUSTER,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    ResourceType,
)
from rayrig_core.resources import labels, validation

NAME = "raycluster-controller"
#: After a status write the cluster is looked at again so soon, in seconds.
STATUS_REQUEUE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known of a spec: computed once per generation, labels and annotations."""

    uid: str
    generation: int
    labels: dict[str, str]
    annotations: dict[str, str]
    refusal: tuple[str, str] | None
    warnings: tuple[str, ...]
    counts: Counts


class RayClusterReconciler:
    """Reconciler of RayClusters. In memory: expectations of pods, and what validation said of each spec."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder
        self._pods = PodReconciler(context)
        self._redis = RedisCleanup(context)
        self._judged: dict[Request, _Judged] = {}

    @property
    def remembered(self) -> int:
        """Clusters of which something is kept in memory."""
        return len(self._judged)

    async def reconcile(self, request: Request) -> Result:
        obj = await self._client.find(RAY_CLUSTER, request.name, request.namespace)
        if obj is None:
            self._pods.expectations.forget_cluster(request.namespace, request.name)
            self._judged.pop(request, None)
            return DONE
        if (obj.get("spec") or {}).get("managedBy", labels.MANAGED_BY_OPERATOR) != labels.MANAGED_BY_OPERATOR:
            return DONE
        cluster = Cluster.of(obj, self._context.options)
        judged = self._judge(request, cluster)
        if judged.refusal is not None:
            reason, note = judged.refusal
            self._recorder.event(obj, "Warning", reason, note, action="Validate")
            return DONE
        for note in judged.warnings:
            self._recorder.event(obj, "Warning", "InvalidRayClusterSpec", note, action="Validate")
        if tls.is_enabled(cluster) and not await tls.has_cert_manager(self._client):
            note = f"The RayCluster spec is invalid {cluster}: {tls.NO_CERT_MANAGER}"
            self._recorder.event(obj, "Warning", "InvalidRayClusterSpec", note, action="Validate")
            return DONE
        problem = validation.first_problem(validation.ray_cluster_status_problems(obj))
        if problem is not None:
            note = f"The RayCluster status is invalid {cluster}, {problem.message}"
            self._recorder.event(obj, "Warning", "InvalidRayClusterStatus", note, action="Validate")
            raise ReconcileError(problem.message)
        ended = await self._redis.step(cluster)
        if ended is not None:
            return ended
        if is_being_deleted(obj):
            return DONE
        failure: ReconcileError | ApiError | HttpFailure | None = None
        try:
            await self._reconcile_children(cluster)
        except (ReconcileError, ApiError, HttpFailure) as error:
            failure = error
        was_written = await self._update_status(cluster, judged.counts, failure)
        if failure is not None:
            raise failure
        if was_written:
            return Result(STATUS_REQUEUE_S)
        # Only pods that were made and don't show up are given up on after some time.
        is_settled = not self._pods.expectations.awaits_any(cluster.namespace, cluster.name)
        return Result(float(cluster.options.ray_cluster_requeue_s), is_settled=is_settled)

    # Judging the spec

    def _judge(self, request: Request, cluster: Cluster) -> _Judged:
        metadata = cluster.obj["metadata"]
        known = self._judged.get(request)
        if (
            known is not None
            and known.generation == metadata["generation"]
            and known.uid == cluster.uid
            and known.labels == cluster.labels
            and known.annotations == cluster.annotations
        ):
            return known
        refusal = next(self._refusals(cluster), None)
        warnings = tuple(
            f"RayCluster spec warning {cluster}: {problem.message}"
            for problem in validation.ray_cluster_warnings(cluster.spec)
        )
        judged = _Judged(
            cluster.uid,
            metadata["generation"],
            cluster.labels,
            cluster.annotations,
            refusal,
            warnings,
            counts(cluster),
        )
        self._judged[request] = judged
        return judged

    def _refusals(self, cluster: Cluster) -> Iterator[tuple[str, str]]:
        """(event reason, note) of each thing wrong, in order."""
        gates = cluster.options.gates
        for problem in validation.ray_cluster_metadata_problems(cluster.obj):
            yield "InvalidRayClusterMetadata", f"The RayCluster metadata is invalid {cluster}: {problem.message}"
        for problem in validation.ray_cluster_spec_problems(cluster.obj, gates):
            yield "InvalidRayClusterSpec", f"The RayCluster spec is invalid {cluster}: {problem.message}"
        for problem in validation.ray_cluster_upgrade_problems(cluster.obj):
            yield "InvalidRayClusterSpec", f"The RayCluster UpgradeStrategy is invalid {cluster}: {problem.message}"

    # Children

    async def _reconcile_children(self, cluster: Cluster) -> None:
        """In this order; the first error ends it."""
        if cluster.is_autoscaling:
            await self._reconcile_autoscaler_account(cluster)
            await self._ensure(cluster, ROLE, autoscaler.role(cluster), "CreatedRole", "role")
            await self._ensure(
                cluster, ROLE_BINDING, autoscaler.role_binding(cluster), "CreatedRoleBinding", "role binding"
            )
        if cluster.head.get("enableIngress"):
            await self._reconcile_ingress(cluster)
        if auth.needs_secret(cluster):
            await self._reconcile_secret(cluster)
        await self._reconcile_head_service(cluster)
        if services.needs_headless_service(cluster):
            found = await self._client.select(
                SERVICE, cluster.namespace, {labels.HEADLESS_WORKER_SERVICE: cluster.name}
            )
            if not found:
                await self._create_service(cluster, services.headless_service(cluster))
        if services.needs_serve_service(cluster):
            service = services.serve_service(cluster)
            if await self._client.find(SERVICE, name_of(service), cluster.namespace) is None:
                await self._create(SERVICE, service)
        if gcs_fault_tolerance.is_embedded(cluster):
            await self._reconcile_claim(cluster)
        await self._pods.reconcile(cluster)

    async def _create(self, resource: ResourceType, obj: JsonObject) -> bool:
        """False when the name is taken: the cache lags behind an earlier pass."""
        try:
            await self._client.create(resource, obj)
        except AlreadyExists:
            return False
        return True

    async def _ensure(self, cluster: Cluster, resource: ResourceType, obj: JsonObject, reason: str, word: str) -> None:
        """Create what is absent; what is there is never updated."""
        name = name_of(obj)
        if await self._client.find(resource, name, cluster.namespace) is None and await self._create(resource, obj):
            note = f"Created {word} {cluster.namespace}/{name}"
            self._recorder.event(cluster.obj, "Normal", reason, note, action="Create")

    async def _reconcile_autoscaler_account(self, cluster: Cluster) -> None:
        account = autoscaler.service_account(cluster)
        if not autoscaler.given_account(cluster):
            await self._ensure(cluster, SERVICE_ACCOUNT, account, "CreatedServiceAccount", "service account")
            return
        name = name_of(account)
        if await self._client.find(SERVICE_ACCOUNT, name, cluster.namespace) is None:
            note = (
                f"Failed to reconcile RayCluster {cluster}. If users specify ServiceAccountName for the head Pod, they need to "
                f"create a ServiceAccount themselves. However, ServiceAccount {name} is not found. Please create one. See the "
                "PR description of https://github.com/ray-project/kuberay/pull/1128 for more details."
            )
            self._recorder.event(cluster.obj, "Warning", "AutoscalerServiceAccountNotFound", note, action="Validate")
            raise ReconcileError(f"ServiceAccount {cluster.namespace}/{name} not found")

    async def _reconcile_ingress(self, cluster: Cluster) -> None:
        desired = ingress.ingress(cluster)
        name = f"{cluster.namespace}/{name_of(desired)}"
        present = await self._client.find(INGRESS, name_of(desired), cluster.namespace)
        if present is None:
            if await self._create(INGRESS, desired):
                self._recorder.event(
                    cluster.obj, "Normal", "CreatedIngress", f"Created ingress {name}", action="Create"
                )
            return
        owner = controller_of(present)
        if owner is None or owner.get("uid") != cluster.uid:
            note = f"Failed to create ingress {name}: an Ingress of that name exists and is not owned by RayCluster {cluster}"
            self._recorder.event(cluster.obj, "Warning", "FailedToCreateIngress", note, action="Create")
            return
        if ingress.has_drifted(desired, present):
            changed = copy_json(present)
            for key in ("labels", "annotations"):
                changed["metadata"][key] = desired["metadata"].get(key) or {}
            changed["spec"] = {
                **{key: value for key, value in present["spec"].items() if key == "ingressClassName"},
                **desired["spec"],
            }
            await self._client.update(INGRESS, changed)
            self._recorder.event(cluster.obj, "Normal", "UpdatedIngress", f"Updated ingress {name}", action="Update")

    async def _reconcile_secret(self, cluster: Cluster) -> None:
        if await self._client.find(SECRET, auth.secret_name(cluster), cluster.namespace) is None:
            await self._create(SECRET, auth.secret(cluster, self._context.rng))

    async def _reconcile_head_service(self, cluster: Cluster) -> None:
        found = await self._client.select(SERVICE, cluster.namespace, services.head_lookup(cluster))
        if len(found) > 1:
            names = " ".join(name_of(service) for service in found)
            raise ReconcileError(f"{len(found)} head service found [{names}]")
        if not found:
            await self._create_service(cluster, services.head_service(cluster))

    async def _create_service(self, cluster: Cluster, service: JsonObject) -> None:
        name = f"{cluster.namespace}/{name_of(service)}"
        try:
            was_created = await self._create(SERVICE, service)
        except ApiError as error:
            note = f"Failed creating service {name}, {error}"
            self._recorder.event(cluster.obj, "Warning", "FailedToCreateService", note, action="Create")
            raise
        if was_created:
            self._recorder.event(cluster.obj, "Normal", "CreatedService", f"Created service {name}", action="Create")

    async def _reconcile_claim(self, cluster: Cluster) -> None:
        """The claim of an embedded store: made when the user names none; never changed afterwards."""
        claim = storage.claim(cluster)
        if claim is None:
            return
        name = f"{cluster.namespace}/{name_of(claim)}"
        present = await self._client.find(PERSISTENT_VOLUME_CLAIM, name_of(claim), cluster.namespace)
        if present is None:
            if await self._create(PERSISTENT_VOLUME_CLAIM, claim):
                note = f"Created GCS storage PVC {name}"
                self._recorder.event(cluster.obj, "Normal", "CreatedPVC", note, action="Create")
        elif storage.has_drifted(claim, present):
            note = f"Failed to create GCS storage PVC {name}: it exists with another specification and is left as it is"
            self._recorder.event(cluster.obj, "Warning", "FailedToCreatePVC", note, action="Create")

    # Status

    async def _update_status(self, cluster: Cluster, known: Counts, failure: Exception | None) -> bool:
        """True when the status was written. After a failed pass an error here is dropped in favour of that one's."""
        head_services = await self._client.select(SERVICE, cluster.namespace, services.head_lookup(cluster))
        observed = Observed(await pods_of(self._client, cluster), head_services, failure)
        try:
            status = calculate(cluster, known, observed, self._context.runtime.unix_ns())
            if not must_write(cluster.obj.get("status"), status):
                return False
            await self._client.update(RAY_CLUSTER, {**cluster.obj, "status": status}, subresource="status")
        except (ReconcileError, ApiError, HttpFailure):
            if failure is None:
                raise
            return False
        return True


#: Reconciler, and what it owns and watches besides RayClusters.
_BY_RELEASE: dict[Profile, tuple[Callable[[ControllerContext], Reconciler], tuple[ResourceType, ...]]] = {
    "1.7": (RayClusterReconciler, (POD, SERVICE, SECRET, PERSISTENT_VOLUME_CLAIM)),
    "1.1": (kuberay_1_1.RayClusterReconciler, (POD, SERVICE)),
}


def controller(context: ControllerContext) -> Controller:
    """The RayCluster controller of the release in the options, with what wakes it (kuberay-operator 0.1)."""
    make, owned = _BY_RELEASE[context.options.profile]
    watches = (reconciles(RAY_CLUSTER), *(owns(resource, RAY_CLUSTER) for resource in owned))
    return Controller(NAME, context, make(context), watches, resource=RAY_CLUSTER)
