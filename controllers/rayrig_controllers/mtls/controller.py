"""One reconcile of a RayCluster's certificates (KubeRay 1.7.0; kuberay-operator 3.14)."""

from __future__ import annotations

from typing import Literal

from rayrig_controllers.controller import Controller, ControllerContext
from rayrig_controllers.mtls.certificates import Wanted, authority_name, has_drifted, wanted, with_owner
from rayrig_controllers.raycluster import tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.reconciler import DONE, Request, Result
from rayrig_controllers.watches import Watch
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, is_being_deleted, name_of
from rayrig_core.resource_types import CERTIFICATE, ISSUER, POD, RAY_CLUSTER, SECRET
from rayrig_core.resources import labels
from rayrig_core.timestamps import NS, parse_rfc3339

NAME = "raycluster-mtls-controller"
#: Until the next look, in seconds: while cert-manager is at work, and when it is done.
PENDING_S, PERIOD_S = 30.0, 60.0
#: Certificates that end within so many hours are warned about.
_SOON_H = 24


def controller(context: ControllerContext) -> Controller:
    """The controller with what wakes it: any change of its RayCluster, also of the status, and of what cert-manager does."""
    watches = (
        Watch(RAY_CLUSTER),
        Watch(ISSUER, RAY_CLUSTER, is_optional=True),
        Watch(CERTIFICATE, RAY_CLUSTER, is_optional=True),
    )
    return Controller(NAME, context, CertificateReconciler(context), watches, resource=RAY_CLUSTER, concurrency=1)


class CertificateReconciler:
    """Reconciler of RayClusters that asks cert-manager for their certificates. Keeps nothing in memory."""

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client

    async def reconcile(self, request: Request) -> Result:
        obj = await self._client.find(RAY_CLUSTER, request.name, request.namespace)
        if obj is None or is_being_deleted(obj):
            return DONE
        cluster = Cluster.of(obj, self._context.options)
        if cluster.spec.get("managedBy", labels.MANAGED_BY_OPERATOR) != labels.MANAGED_BY_OPERATOR:
            return DONE
        if not tls.is_enabled(cluster) or not await tls.has_cert_manager(self._client):
            # Without cert-manager the cluster is refused, and the event about that is the RayCluster controller's.
            return DONE
        pods = await self._client.select(POD, cluster.namespace, {labels.CLUSTER: cluster.name})
        for each in wanted(cluster, pods):
            try:
                await self._ensure(cluster, each)
            except ApiError as error:
                note = f"Failed to reconcile mTLS {each.what}: {error}"
                self._event(cluster, "Warning", "MTLSFailedToReconcile", note)
                raise
        names = [tls.certificate_name(cluster, node_type) for node_type in (labels.HEAD, labels.WORKER)]
        for name in names:
            if not tls.is_ready(await self._client.get(CERTIFICATE, name, cluster.namespace)):
                self._event(
                    cluster, "Normal", "MTLSCertsNotReady", "Waiting for cert-manager to issue mTLS certificates"
                )
                return Result(PENDING_S)
        note = "mTLS PKI is ready: CA, head, and worker certificates issued"
        self._event(cluster, "Normal", "MTLSPKIReady", note)
        for name in (*names, authority_name(cluster)):
            self._warn_of_end(cluster, await self._client.find(CERTIFICATE, name, cluster.namespace))
        return Result(PERIOD_S)

    async def _ensure(self, cluster: Cluster, each: Wanted) -> None:
        """Create what is absent. Issuers stay as they are; a certificate's Secret is made to go with it."""
        what, resource, desired = each
        present = await self._client.find(resource, name_of(desired), cluster.namespace)
        if present is None:
            await self._client.create(resource, desired)
            return
        if has_drifted(desired, present):
            note = f"Updated {what} SANs (IPs: [{' '.join(desired['spec']['ipAddresses'])}])"
            self._event(cluster, "Normal", "MTLSCertificatesUpdated", note, action="Update")
            metadata = {**present["metadata"], "labels": desired["metadata"]["labels"]}
            await self._client.update(resource, {**present, "metadata": metadata, "spec": desired["spec"]})
        if resource == CERTIFICATE:
            secret = await self._client.find(SECRET, present["spec"]["secretName"], cluster.namespace)
            if secret is not None:
                # Written each time, whether or not that changes it.
                await self._client.update(SECRET, with_owner(secret, present))

    def _warn_of_end(self, cluster: Cluster, certificate: JsonObject | None) -> None:
        ends = ((certificate or {}).get("status") or {}).get("notAfter")
        if certificate is None or not ends:
            return
        left_h = (parse_rfc3339(ends) - self._context.runtime.unix_ns()) / (3600 * NS)
        if left_h < _SOON_H:
            note = (
                f"TLS certificate {name_of(certificate)} expires in {left_h:.1f} hours; "
                "Ray does not hot-reload certs so a pod restart will be needed after renewal"
            )
            self._event(cluster, "Warning", "MTLSCertificateExpiringSoon", note)

    def _event(
        self,
        cluster: Cluster,
        type_: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        action: str = "Reconcile",
    ) -> None:
        self._context.recorder.event(cluster.obj, type_, reason, note, action=action)
