"""The Serve reconcile of KubeRay 1.1: submit if needed, then look; times of health; the old cluster watched meanwhile (6.1)."""

from __future__ import annotations

from rayrig_controllers.dashboard_client import DashboardClient, application_statuses
from rayrig_controllers.rayservice.kuberay_1_1.tick import (
    FAILED_TO_GET_SERVE_STATUS,
    RUNNING,
    WAIT_FOR_SERVE,
    Tick,
)
from rayrig_controllers.rayservice.serve import are_all_running, dashboard_of
from rayrig_controllers.rayservice.status import Slot, cluster_status
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject, has_condition, name_of, namespace_of
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels
from rayrig_core.resources.go_yaml import YamlError, yaml_to_compact_json, yaml_to_json
from rayrig_core.timestamps import rfc3339

_UNHEALTHY = ("UNHEALTHY", "DEPLOY_FAILED")


async def reconcile_serve(tick: Tick, cluster: JsonObject, *, is_active: bool) -> bool:
    """Whether all applications of the cluster run; if so it is the active one from now on.

    Raises `ReconcileError` and `ApiError`; what a dashboard refused has been shown in the status then.
    """
    status = tick.status
    # Of whichever cluster this is: so it was.
    status.active.cluster_status = cluster_status(cluster)
    slot = status.active if is_active else status.pending
    pod = await head_pod(tick, cluster)
    if (pod.get("status") or {}).get("phase") != "Running" or not has_condition(pod, "Ready"):
        return False
    dashboard = await dashboard_of(tick.context, cluster)
    name = name_of(cluster)
    if _needs_submission(tick, name, slot):
        try:
            await _submit(tick, name, dashboard)
        except ReconcileError as error:
            await tick.fail(WAIT_FOR_SERVE, error)
            raise
        tick.event(
            "SubmittedServeDeployment", f"Controller sent API request to update Serve deployments on cluster {name}"
        )
    try:
        await look(tick, slot, dashboard)
    except ReconcileError as error:
        await tick.fail(FAILED_TO_GET_SERVE_STATUS, error)
        raise
    if not are_all_running(slot.applications):
        status.service_status = WAIT_FOR_SERVE
        await tick.write_status()
        return False
    status.service_status = RUNNING
    if status.active.cluster != name:
        status.active, status.pending = status.pending, Slot()
    tick.event("Running", "The Serve applicaton is now running and healthy.")
    return True


async def refresh_active(tick: Tick, cluster: JsonObject) -> None:
    """Statuses of the cluster that serves while another comes up. Raises `ReconcileError` and `ApiError`."""
    await look(tick, tick.status.active, await dashboard_of(tick.context, cluster))


async def look(tick: Tick, slot: Slot, dashboard: DashboardClient) -> None:
    """Applications of the dashboard into the slot. Raises `ReconcileError`."""
    found = application_statuses(await dashboard.get_applications(query=""))
    now = rfc3339(tick.context.runtime.unix_ns())
    slot.applications = {name: _timed(app, slot.applications.get(name) or {}, now) for name, app in found.items()}


def _timed(app: JsonObject, before: JsonObject, now: str) -> JsonObject:
    """With the time of the look; what is unhealthy keeps the time at which it became so."""
    is_unhealthy = app.get("status") in _UNHEALTHY and before.get("status") in _UNHEALTHY
    timed = {**app, "healthLastUpdateTime": before.get("healthLastUpdateTime", now) if is_unhealthy else now}
    deployments = app.get("serveDeploymentStatuses")
    if deployments:
        known = before.get("serveDeploymentStatuses") or {}
        timed["serveDeploymentStatuses"] = {
            name: {**status, "healthLastUpdateTime": _since(status, known.get(name) or {}, now)}
            for name, status in deployments.items()
        }
    return timed


def _since(deployment: JsonObject, before: JsonObject, now: str) -> str:
    was_unhealthy = deployment.get("status") == before.get("status") == "UNHEALTHY"
    return str(before.get("healthLastUpdateTime") or now) if was_unhealthy else now


async def head_pod(tick: Tick, cluster: JsonObject) -> JsonObject:
    """Raises `ReconcileError` unless there is exactly one."""
    name, namespace = name_of(cluster), namespace_of(cluster)
    selector = {labels.CLUSTER: name, labels.NODE_TYPE: labels.HEAD}
    pods = await tick.context.client.select(POD, namespace, selector)
    if len(pods) != 1:
        raise ReconcileError(f"Found {len(pods)} head pods for RayCluster {name} in the namespace {namespace}")
    return pods[0]


def _needs_submission(tick: Tick, cluster: str, slot: Slot) -> bool:
    """By the statuses of the pass before: nothing submitted, nothing deployed, or another configuration."""
    submitted = tick.memory.configs.get(tick.request, cluster)
    return submitted is None or not slot.applications or submitted != (tick.spec.get("serveConfigV2") or "")


async def _submit(tick: Tick, cluster: str, dashboard: DashboardClient) -> None:
    text = tick.spec.get("serveConfigV2") or ""
    try:
        document = yaml_to_compact_json(text) if yaml_to_json(text) is not None else "{}"
    except YamlError as error:
        raise ReconcileError(f"error converting YAML to JSON: {error}") from error
    await dashboard.put_applications(document)
    tick.memory.configs.put(tick.request, cluster, text)
