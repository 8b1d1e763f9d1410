"""Liveness and readiness probes that the operator adds to Ray containers (kuberay-operator 3.17)."""

from __future__ import annotations

import re

from rayrig_controllers.raycluster.cluster import Cluster, start_params
from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels

LIVENESS_DELAY_S, READINESS_DELAY_S = 30, 10
PERIOD_S = 5
LIVENESS_FAILURES, READINESS_FAILURES = 120, 10
#: A worker of a RayService leaves the endpoints after one failed probe.
SERVE_READINESS_FAILURES = 1

RAYLET_PATH = "/api/local_raylet_healthz"
GCS_PATH = "/api/gcs_healthz"
NODE_PATH = "/api/healthz"
PROXY_PATH = "/-/healthz"

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+].*)?")
#: From this Ray release on, one HTTP path answers for the whole node.
_HTTP_SINCE = (2, 53, 0)


def has_node_health_path(ray_version: str) -> bool:
    """True from Ray 2.53.0 on; false for an empty or unreadable version. A pre-release comes before its release."""
    found = _VERSION.fullmatch(ray_version.strip())
    if found is None:
        return False
    numbers = tuple(int(part) for part in found.groups()[:3])
    if numbers == _HTTP_SINCE:
        return not (found.group(4) or "").startswith("-")
    return numbers > _HTTP_SINCE


def _port(text: object, default: int) -> int:
    try:
        return int(str(text)) if text is not None else default
    except ValueError:
        return default


def add_probes(cluster: Cluster, group: JsonObject, container: JsonObject, *, is_head: bool) -> None:
    """Give the container the probes it lacks; the user's own are kept, each by itself."""
    params = start_params(group)
    agent_port = _port(params.get("dashboard-agent-listen-port"), labels.DASHBOARD_AGENT_PORT)
    rules = cluster.options.release.probes

    def check(port: int, path: str, timeout_s: int) -> str:
        return f"wget {rules.retries}-T {timeout_s} -q -O- http://localhost:{port}{path} | grep success"

    raylet = check(agent_port, RAYLET_PATH, rules.raylet_timeout_s)
    commands = [raylet]
    if is_head:
        dashboard_port = _port(params.get("dashboard-port"), labels.DASHBOARD_PORT)
        commands.append(check(dashboard_port, GCS_PATH, rules.gcs_timeout_s))
    node_check: JsonObject = {"exec": {"command": ["bash", "-c", " && ".join(commands)]}}
    if rules.may_be_http and has_node_health_path(str(cluster.spec.get("rayVersion") or "")):
        node_check = {"httpGet": {"path": NODE_PATH, "port": agent_port}}
    timeout_s = rules.head_timeout_s if is_head else rules.worker_timeout_s

    if not container.get("livenessProbe"):
        container["livenessProbe"] = _probe(node_check, LIVENESS_DELAY_S, timeout_s, LIVENESS_FAILURES)
    if not container.get("readinessProbe"):
        failures = READINESS_FAILURES
        readiness = node_check
        if cluster.is_for_ray_service and not is_head:
            failures = SERVE_READINESS_FAILURES
            script = f"{raylet} && {check(serve_port(container), PROXY_PATH, rules.proxy_timeout_s)}"
            readiness = {"exec": {"command": ["bash", "-c", script]}}
        container["readinessProbe"] = _probe(readiness, READINESS_DELAY_S, timeout_s, failures)


def serve_port(container: JsonObject) -> int:
    """The container's port named `serve`, 8000 when there is none."""
    for port in container.get("ports") or ():
        if port.get("name") == labels.SERVE_PORT_NAME:
            return int(port["containerPort"])
    return labels.SERVE_PORT


def _probe(handler: JsonObject, delay_s: int, timeout_s: int, failures: int) -> JsonObject:
    return {
        **handler,
        "initialDelaySeconds": delay_s,
        "timeoutSeconds": timeout_s,
        "periodSeconds": PERIOD_S,
        "successThreshold": 1,
        "failureThreshold": failures,
    }
