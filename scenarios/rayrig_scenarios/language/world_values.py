"""From the language's models to the world's own values: nodes, traffic, requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rayrig_backends.world import NodeSpec, TrafficSpec
from rayrig_core.objects import JsonObject
from rayrig_core.resources.labels import GATEWAY_PORT
from rayrig_scenarios.language.scenario_file import Nodes, TrafficRequest, TrafficSource
from rayrig_scenarios.language.steps import Request
from rayrig_sim.traffic.requests import RequestClass

#: Port of traffic that names none, to a Service.
SERVICE_PORT = 8000


def node_spec(nodes: Nodes) -> NodeSpec:
    extended = dict(nodes.resources)
    if nodes.gpus:
        extended["nvidia.com/gpu"] = str(nodes.gpus)
    taints: list[JsonObject] = []
    for taint in nodes.taints:
        written = {"key": taint.key, "effect": taint.effect}
        taints.append({**written, "value": taint.value} if taint.value else written)
    return NodeSpec(
        prefix=nodes.name,
        count=nodes.count,
        cpu=nodes.cpu,
        memory=nodes.memory,
        pods=nodes.pods,
        extended=extended,
        labels=dict(nodes.labels),
        taints=tuple(taints),
    )


def body_of(json_value: Any, text: str, method: str, headers: Mapping[str, str]) -> tuple[str, bytes, dict[str, str]]:
    """(method, body, headers) of a request as it is written: JSON gets its content type, a body makes it a POST."""
    sent = {name.lower(): value for name, value in headers.items()}
    body = text.encode()
    if json_value is not None:
        body = json.dumps(json_value, separators=(",", ":")).encode()
        sent.setdefault("content-type", "application/json")
    return method or ("POST" if body else "GET"), body, sent


def request_body(request: Request) -> tuple[str, bytes, dict[str, str]]:
    return body_of(request.json_, request.body, request.method, request.headers)


def _request_class(index: int, request: TrafficRequest) -> RequestClass:
    method, body, headers = body_of(request.json_, request.body, request.method, request.headers)
    return RequestClass(
        name=request.name or f"{method} {request.path}" + (f" #{index}" if index else ""),
        weight=request.weight,
        method=method,
        path=request.path,
        body=body,
        headers=headers,
        duration=request.duration,
    )


def traffic_spec(source: TrafficSource) -> TrafficSpec:
    return TrafficSpec(
        name=source.name,
        service=source.service,
        namespace=source.namespace,
        port=(GATEWAY_PORT if source.gateway else SERVICE_PORT) if source.port is None else source.port,
        gateway=source.gateway,
        classes=tuple(_request_class(index, request) for index, request in enumerate(source.requests)),
        rate_per_s=source.rate,
        clients=source.clients,
        think_s=source.think_time,
        arrival=source.arrival,
        keep_alive=source.keep_alive,
        connection_age_s=source.connection_age,
        timeout_s=source.timeout,
    )
