"""The label that lets a head pod serve: it follows the health of the Serve proxy on it (kuberay-operator 2.7)."""

from __future__ import annotations

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.dashboard_client import (
    DIRECT_TIMEOUT_S,
    HEALTH_PATH,
    PROXY_TIMEOUT_S,
    ServeProxyHealth,
)
from rayrig_controllers.rayservice.tick import Tick
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels


async def label_head_pod(tick: Tick, cluster: JsonObject) -> None:
    """Set `ray.io/serve` on the cluster's head pod when it is not what it should be.

    Raises `ReconcileError` when the cluster has no head pod or several, `ApiError` when the write fails.
    """
    pod = await _head_pod(tick, name_of(cluster))
    serves = "false"
    if not tick.spec.get("excludeHeadPodFromServeSvc") and await is_proxy_healthy(tick.context, pod):
        serves = "true"
    if labels_of(pod).get(labels.SERVE) == serves:
        return
    who = tick.qualified(name_of(pod))
    metadata = {**pod["metadata"], "labels": {**labels_of(pod), labels.SERVE: serves}}
    try:
        await tick.context.client.update(POD, {**pod, "metadata": metadata})
    except ApiError as error:
        tick.warning(
            "FailedToUpdateHeadPodServeLabel",
            f'Failed to update the serve label to "{serves}" for the Head Pod {who}: {error}',
            "Update",
        )
        raise
    tick.normal("UpdatedHeadPodServeLabel", f'Updated the serve label to "{serves}" for the Head Pod {who}', "Update")


async def _head_pod(tick: Tick, cluster: str) -> JsonObject:
    selector = {labels.CLUSTER: cluster, labels.NODE_TYPE: labels.HEAD}
    pods = await tick.context.client.select(POD, tick.namespace, selector)
    if len(pods) == 1:
        return pods[0]
    what = "found multiple heads." if pods else "found 0 head."
    raise ReconcileError(f"{what} cluster name {cluster}, namespace {tick.namespace}")


async def is_proxy_healthy(
    context: ControllerContext, pod: JsonObject, *, timeout_s: float = DIRECT_TIMEOUT_S, any_success: bool = False
) -> bool:
    """Whether the Serve proxy on a pod says 200 in time; with `any_success`, anything from 200 to 299."""
    port = serve_port(pod)
    if context.options.use_kubernetes_proxy:
        path = f"/api/v1/namespaces/{namespace_of(pod)}/pods/{name_of(pod)}:{port}/proxy{HEALTH_PATH}"
        url, timeout_s = f"kubernetes://{path}", PROXY_TIMEOUT_S
    else:
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            # The operator asks all the same, and nobody answers.
            return False
        url = f"http://{address}:{port}{HEALTH_PATH}"
    return await ServeProxyHealth(context.http).is_healthy(url, timeout_s=timeout_s, any_success=any_success)


def serve_port(pod: JsonObject) -> int:
    """Port named `serve` of a pod's (or a pod template's) first container, else 8000."""
    containers = (pod.get("spec") or {}).get("containers") or []
    for port in (containers[0].get("ports") if containers else None) or ():
        if port.get("name") == labels.SERVE_PORT_NAME:
            return int(port["containerPort"])
    return labels.SERVE_PORT
