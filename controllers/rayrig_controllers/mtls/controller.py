"""One reconcile of a RayCluster's certificates (kuberay-operator 3.14)."""

from __future__ import annotations

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.mtls.certificates import has_drifted, wanted
from rayrig_controllers.raycluster import tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.reconciler import DONE, Request, Result
from rayrig_controllers.watches import owns, reconciles
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, has_condition, is_being_deleted, name_of
from rayrig_core.resource_types import CERTIFICATE, POD, RAY_CLUSTER, ResourceType
from rayrig_core.resources import labels

NAME = "raycluster-mtls-controller"
#: Until the next look, in seconds: while cert-manager is at work, and when it is done.
PENDING_S, PERIOD_S = 30.0, 60.0


def controller(context: ControllerContext) -> Controller:
    """The controller with what wakes it: its RayCluster, and the pods of that, for their addresses."""
    return Controller(
        NAME,
        context,
        CertificateReconciler(context),
        (reconciles(RAY_CLUSTER), owns(POD, RAY_CLUSTER)),
        resource=RAY_CLUSTER,
        concurrency=1,
    )


class CertificateReconciler:
    """Reconciler of RayClusters that asks cert-manager for their certificates. Keeps nothing in memory."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder

    async def reconcile(self, request: Request) -> Result:
        obj = await self._client.find(RAY_CLUSTER, request.name, request.namespace)
        if obj is None or is_being_deleted(obj):
            return DONE
        cluster = Cluster.of(obj, self._context.options)
        if not tls.is_enabled(cluster) or not await tls.has_cert_manager(self._client, cluster):
            # Without cert-manager the cluster is refused, and the event about that is the RayCluster controller's.
            return DONE
        pods = await self._client.select(POD, cluster.namespace, {labels.CLUSTER: cluster.name})
        for resource, desired in wanted(cluster, pods):
            try:
                await self._ensure(cluster, resource, desired)
            except ApiError as error:
                note = f"Failed to reconcile mTLS {resource.kind} {name_of(desired)}: {error}"
                self._event(obj, "Warning", "MTLSFailedToReconcile", note)
                raise
        for node_type in (labels.HEAD, labels.WORKER):
            name = tls.certificate_name(cluster, node_type)
            certificate = await self._client.find(CERTIFICATE, name, cluster.namespace)
            if certificate is None or not has_condition(certificate, "Ready"):
                self._event(obj, "Normal", "MTLSCertsNotReady", "Waiting for cert-manager to issue mTLS certificates")
                return Result(PENDING_S)
        self._event(obj, "Normal", "MTLSPKIReady", "mTLS PKI is ready: CA, head, and worker certificates issued")
        return Result(PERIOD_S)

    def _event(self, obj: JsonObject, type_: str, reason: str, note: str) -> None:
        self._recorder.event(obj, "Warning" if type_ == "Warning" else "Normal", reason, note, action="Reconcile")

    async def _ensure(self, cluster: Cluster, resource: ResourceType, desired: JsonObject) -> None:
        present = await self._client.find(resource, name_of(desired), cluster.namespace)
        if present is None:
            await self._client.create(resource, desired, cluster.namespace)
        elif has_drifted(desired, present):
            metadata = {**present["metadata"], "labels": desired["metadata"]["labels"]}
            await self._client.update(resource, {**present, "metadata": metadata, "spec": desired["spec"]})
            if "ipAddresses" in desired["spec"]:
                what = desired["metadata"]["labels"]["app.kubernetes.io/component"].replace("-", " ")
                note = f"Updated {what} SANs (IPs: [{' '.join(desired['spec']['ipAddresses'])}])"
                self._event(cluster.obj, "Normal", "MTLSCertificatesUpdated", note)
