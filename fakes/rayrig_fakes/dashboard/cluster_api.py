"""What the dashboard says of the Ray cluster: version, health of the GCS, status, nodes (ray-serve.md 2.4)."""

from __future__ import annotations

import json

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import RayClusterView
from rayrig_fakes.dashboard.answers import HEALTH_TYPE, json_answer

_COMMIT = "b7f4259e944bf6959f721b106adc366ddfa0c356"


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
        return HttpResponse.text(503, reason, HEALTH_TYPE) if reason else HttpResponse.text(200, "success", HEALTH_TYPE)

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

    def nodes(self) -> HttpResponse:
        """The state API's list of nodes."""
        found = self._cluster.node_states() if self._cluster is not None else []
        result: JsonObject = {
            "total": len(found),
            "num_after_truncation": len(found),
            "num_filtered": len(found),
            "result": found,
            "partial_failure_warning": "",
            "warnings": None,
        }
        return json_answer({"result": True, "msg": "", "data": {"result": result}})

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
