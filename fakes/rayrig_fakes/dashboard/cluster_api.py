"""What the dashboard says of the Ray cluster: version, health of the GCS, status, nodes (ray-serve.md 2.4)."""

from __future__ import annotations

import json

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import RayClusterView
from rayrig_core.timestamps import NS
from rayrig_fakes.dashboard.answers import HEALTH_TYPE, json_answer

_COMMIT = "b7f4259e944bf6959f721b106adc366ddfa0c356"
_HEALTHY = HttpResponse.text(200, "success", HEALTH_TYPE)


class ClusterApi:
    """`cluster` None: a cluster of which nothing but its health is known."""

    def __init__(self, cluster: RayClusterView | None, ray_version: str) -> None:
        self._cluster = cluster
        self._ray_version = ray_version

    def version(self) -> HttpResponse:
        session = self._cluster.session_name if self._cluster is not None else "session_latest"
        return json_answer(
            {"version": "4", "ray_version": self._ray_version, "ray_commit": _COMMIT, "session_name": session}
        )

    def gcs_health(self) -> HttpResponse:
        reason = self._cluster.gcs_health() if self._cluster is not None else ""
        return HttpResponse.text(503, reason, HEALTH_TYPE) if reason else _HEALTHY

    def status(self, request: HttpRequest) -> HttpResponse:
        if request.query.get("format", ["0"])[0] == "1":
            return json_answer(
                {
                    "result": True,
                    "msg": "Got formatted cluster status.",
                    "data": {"clusterStatus": self._formatted()},
                }
            )
        report = {"loadMetricsReport": self._load()}
        data = {"autoscalingStatus": None, "autoscalingError": None, "clusterStatus": report}
        return json_answer({"result": True, "msg": "Got cluster status.", "data": data})

    def nodes(self, request: HttpRequest) -> HttpResponse:
        """The state API's list of nodes."""
        return _listed(self._cluster.node_states() if self._cluster is not None else [], request)

    def actors(self, request: HttpRequest) -> HttpResponse:
        """The state API's list of actors."""
        return _listed(self._cluster.actor_states() if self._cluster is not None else [], request)

    def node_views(self, request: HttpRequest) -> HttpResponse:
        """`/nodes?view=`: `hostnamelist` or `summary`."""
        cluster, view = self._cluster, request.query.get("view", [""])[0]
        if view == "hostnamelist":
            names = cluster.host_names() if cluster is not None else []
            return json_answer({"result": True, "msg": "Node hostname list fetched.", "data": {"hostNameList": names}})
        if view == "summary":
            states = cluster.node_states() if cluster is not None else []
            summary = [
                {
                    "ip": state["node_ip"],
                    "hostname": state["node_name"],
                    "raylet": {
                        "nodeId": state["node_id"],
                        "state": state["state"],
                        "isHeadNode": state["is_head_node"],
                        "resourcesTotal": state["resources_total"],
                    },
                }
                for state in states
            ]
            return json_answer({"result": True, "msg": "Node summary fetched.", "data": {"summary": summary}})
        return json_answer({"result": False, "msg": f"Unknown view {view}", "data": {}})

    def activities(self, count: int, unix_ns: int) -> HttpResponse:
        """What keeps the cluster busy: `count` drivers."""
        driver = {
            "is_active": "ACTIVE" if count else "INACTIVE",
            "reason": f"Number of active drivers: {count}" if count else None,
            "timestamp": unix_ns / NS,
            "last_activity_at": None,
        }
        return json_answer({"driver": driver})

    def timezone(self) -> HttpResponse:
        """Machines of the model are in UTC."""
        return json_answer({"offset": "+00:00", "value": "Etc/UTC"})

    def _load(self) -> JsonObject:
        cluster = self._cluster
        if cluster is None:
            return {"usage": {}, "resourceDemand": []}
        total, left = cluster.total_resources(), cluster.available_resources()
        usage = {name: [amount - left.get(name, 0.0), amount] for name, amount in total.items()}
        return {"usage": usage, "resourceDemand": [[shape, 1] for shape in cluster.demand()]}

    def _formatted(self) -> str:
        load = self._load()
        lines = ["======== Cluster status ========", "Usage:"]
        lines += [f" {used:g}/{total:g} {name}" for name, (used, total) in load["usage"].items()]
        lines.append("Demands:")
        lines += [f" {json.dumps(shape)}: {count}+ pending tasks/actors" for shape, count in load["resourceDemand"]]
        if not load["resourceDemand"]:
            lines.append(" (no resource demands)")
        return "\n".join(lines)


def _listed(states: list[JsonObject], request: HttpRequest) -> HttpResponse:
    """An answer of the state API; `limit` cuts the list."""
    limit = request.query.get("limit", [""])[0]
    kept = states[: int(limit)] if limit.isdigit() else states
    result: JsonObject = {
        "total": len(states),
        "num_after_truncation": len(states),
        "num_filtered": len(states),
        "result": kept,
        "partial_failure_warning": "",
        "warnings": None,
    }
    return json_answer({"result": True, "msg": "", "data": {"result": result}})
