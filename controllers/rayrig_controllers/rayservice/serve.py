"""The Serve reconcile of one cluster: what its dashboard says, and the configuration it is given (kuberay-operator 2.8)."""

from __future__ import annotations

import json
from base64 import b64decode

from rayrig_controllers.controller import ControllerContext
from rayrig_controllers.dashboard_client import DIRECT_TIMEOUT_S, PROXY_TIMEOUT_S, DashboardClient
from rayrig_controllers.raycluster.auth import TOKEN_KEY, is_token_mode, secret_name
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.rayservice.tick import ClusterInTick, Tick
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject, has_condition, name_of
from rayrig_core.resource_types import POD, SECRET, SERVICE
from rayrig_core.resources import labels
from rayrig_core.resources.go_yaml import YamlError, yaml_to_compact_json, yaml_to_json
from rayrig_core.resources.names import service_fqdn

RUNNING = "RUNNING"


async def reconcile_serve(tick: Tick, view: ClusterInTick, *, may_submit: bool = True) -> None:
    """Read the dashboard of one cluster and give it the configuration it lacks; readiness is from before that.

    Does nothing while the head pod is not ready. Raises `ReconcileError` (the dashboard, its Service or the token is missing or
    refuses) and `ApiError`.
    """
    assert view.cluster is not None
    if not await is_head_ready(tick, view.cluster):
        return
    name = name_of(view.cluster)
    dashboard = await dashboard_of(tick.context, view.cluster)
    body = await dashboard.get_applications()
    view.applications = tick.memory.answers.statuses(tick.qualified(name), body)
    view.is_ready = are_all_running(view.applications)
    if may_submit and _needs_submission(tick, name, view):
        await _submit(tick, view, name, dashboard)


def are_all_running(applications: dict[str, JsonObject]) -> bool:
    """At least one application, and each exactly RUNNING. Deployments don't matter."""
    return bool(applications) and all(app.get("status") == RUNNING for app in applications.values())


async def is_head_ready(tick: Tick, cluster: JsonObject) -> bool:
    """By the cluster's condition HeadPodReady; by the head pod itself where the operator keeps no such condition."""
    if tick.context.options.gates.ray_cluster_status_conditions:
        return has_condition(cluster, "HeadPodReady")
    selector = {labels.CLUSTER: name_of(cluster), labels.NODE_TYPE: labels.HEAD}
    pods = await tick.context.client.select(POD, tick.namespace, selector)
    return bool(pods) and (pods[0].get("status") or {}).get("phase") == "Running" and has_condition(pods[0], "Ready")


async def dashboard_of(context: ControllerContext, cluster: JsonObject) -> DashboardClient:
    """The client for a cluster's dashboard. Raises `NotFound` and `ReconcileError`."""
    view = Cluster.of(cluster, context.options)
    service = await context.client.get(SERVICE, view.head_service_name, view.namespace)
    port = next(
        (port["port"] for port in service["spec"].get("ports") or () if port.get("name") == labels.DASHBOARD_PORT_NAME),
        None,
    )
    if port is None:
        raise ReconcileError("dashboard port is not found")
    token = await _token(context, view)
    if context.options.use_kubernetes_proxy:
        base = (
            f"kubernetes:///api/v1/namespaces/{view.namespace}/services/"
            f"{view.head_service_name}:{labels.DASHBOARD_PORT_NAME}/proxy"
        )
        return DashboardClient(context.http, base, token, timeout_s=PROXY_TIMEOUT_S)
    host = service_fqdn(view.head_service_name, view.namespace, context.options.cluster_domain)
    return DashboardClient(context.http, f"http://{host}:{port}", token, timeout_s=DIRECT_TIMEOUT_S)


async def _token(context: ControllerContext, cluster: Cluster) -> str | None:
    if not is_token_mode(cluster):
        return None
    secret = await context.client.get(SECRET, secret_name(cluster), cluster.namespace)
    encoded = (secret.get("data") or {}).get(TOKEN_KEY)
    if encoded is None:
        raise ReconcileError(f"auth token key '{TOKEN_KEY}' is not found in Secret {secret_name(cluster)}")
    return b64decode(encoded).decode()


def _needs_submission(tick: Tick, cluster: str, view: ClusterInTick) -> bool:
    submitted = tick.memory.configs.get(tick.request, cluster)
    if submitted is None or not view.applications:
        return True
    return submitted != (tick.spec.get("serveConfigV2") or "")


async def _submit(tick: Tick, view: ClusterInTick, cluster: str, dashboard: DashboardClient) -> None:
    text = tick.spec.get("serveConfigV2") or ""
    who = tick.qualified(cluster)
    try:
        await put_config(tick, dashboard, text, view.slot.target_capacity)
    except ReconcileError as error:
        tick.warning(
            "FailedToUpdateServeApplications",
            f"Failed to update serve applications to the RayCluster {who}: {error}",
            "Update",
        )
        raise
    if text:
        # An empty configuration counts as never submitted and is sent again on every tick (8.2 H5).
        tick.memory.configs.put(tick.request, cluster, text)
    tick.normal("UpdatedServeApplications", f"Updated serve applications to the RayCluster {who}", "Update")


async def put_config(tick: Tick, dashboard: DashboardClient, text: str, target_capacity: int | None) -> None:
    """PUT a configuration, in incremental mode with its `target_capacity`. Raises `ReconcileError`."""
    try:
        document = yaml_to_compact_json(text)
        config = yaml_to_json(text)
    except YamlError as error:
        raise ReconcileError(f"error converting YAML to JSON: {error}") from error
    if config is None:
        # No configuration at all is sent as an empty one (recorded), also where the operator would panic (8.2 H5).
        config, document = {}, "{}"
    if tick.incremental and target_capacity is not None and isinstance(config, dict):
        document = json.dumps(
            {**config, "target_capacity": target_capacity}, separators=(",", ":"), sort_keys=True, ensure_ascii=False
        )
    await dashboard.put_applications(document)
