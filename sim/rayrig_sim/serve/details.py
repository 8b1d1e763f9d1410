"""The body of GET /api/serve/applications/ (ray-serve.md 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_sim.serve.context import STEP_NS
from rayrig_sim.serve.controller import ServeController

#: What the answer holds when there is no instance.
NO_INSTANCE: JsonObject = {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}


def instance_details(
    controller: ServeController,
    http_options: JsonObject,
    grpc_options: JsonObject,
    sources: Sequence[str],
    as_of_ns: int,
) -> JsonObject:
    """Everything that is shown of a running instance, with statistics as of that time."""
    actor = controller.actor
    node = actor.node
    return {
        "controller_info": {
            "node_id": node.node_id if node else None,
            "node_ip": node.ip if node else None,
            "node_instance_id": node.instance_id if node else None,
            "actor_id": actor.actor_id,
            "actor_name": actor.name,
            "worker_id": actor.worker_id,
            "log_file_path": f"/serve/controller_{actor.pid}.log",
        },
        "proxy_location": controller.proxies.location,
        "http_options": http_options,
        "grpc_options": grpc_options,
        "proxies": controller.proxies.details(),
        "applications": {
            name: state.details() for name, state in controller.applications.items() if state.source in sources
        },
        "target_capacity": controller.target_capacity,
        "target_groups": _target_groups(controller, int(http_options["port"])),
        "controller_health_metrics": _health_metrics(controller, as_of_ns),
        "restores_unset_config_options": True,
    }


def _target_groups(controller: ServeController, port: int) -> list[JsonObject]:
    if controller.proxies.location == "Disabled":
        return []
    targets = [
        {
            "ip": state.process.node.ip,
            "port": port,
            "instance_id": state.process.node.instance_id,
            "name": state.process.actor.name,
        }
        for state in controller.proxies.healthy()
    ]
    return [
        {
            "targets": targets,
            "route_prefix": "/",
            "protocol": "HTTP",
            "app_name": "",
            "ingress_request_router_targets": [],
            "ingress_deployment_name": "",
        }
    ]


def _health_metrics(controller: ServeController, as_of_ns: int) -> JsonObject:
    """Loop statistics; the modelled loop takes no time."""
    now_s = max((controller.context.kernel.start_unix_ns + as_of_ns) / NS, controller.began_unix_s)
    nothing: dict[str, Any] = {"mean": 0.0, "std": 0.0, "min": 0.0, "max": 0.0}
    uptime_s = now_s - controller.began_unix_s
    return {
        "timestamp": now_s,
        "controller_start_time": controller.began_unix_s,
        "uptime_s": uptime_s,
        "last_control_loop_time": now_s,
        "num_control_loops": int(uptime_s * NS) // STEP_NS,
        "loop_duration_s": nothing,
        "loops_per_second": NS / STEP_NS,
        "last_sleep_duration_s": STEP_NS / NS,
        "expected_sleep_duration_s": STEP_NS / NS,
        "event_loop_delay_s": 0.0,
        "num_asyncio_tasks": 13,
        "handle_ingest_duration_ms": {},
        "replica_ingest_duration_ms": {},
        "metrics_decompress_duration_ms": {},
        "columnar_decode_duration_ms": {},
        "handle_reports_received": 0,
        "replica_reports_received": 0,
        "ingest_reports_received": 0,
        "ingest_cpu_fraction": 0.0,
        "deployment_state_update_duration_s": nothing,
        "application_state_update_duration_s": nothing,
        "proxy_state_update_duration_s": nothing,
        "node_update_duration_s": nothing,
        "handle_metrics_delay_ms": {},
        "replica_metrics_delay_ms": {},
        "process_memory_mb": 145.0,
    }
