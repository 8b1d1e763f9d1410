"""Which requests are handed on to Kubernetes, and what is done to them before (13.1)."""

from __future__ import annotations

import re
from dataclasses import replace

from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.go_http import plain_error, redirect
from rayrig.apiserver.v2.compute_templates import with_templates
from rayrig.apiserver.v2.forwarding import Forwarding
from rayrig.apiserver.v2.head_services import refusal
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.ports import Clock, HttpClient, KubernetesClient

_RAY = "/apis/ray.io/v1/"
_WITH_CLUSTERS = re.compile(r"/apis/ray\.io/v1/namespaces/([^/]+)/ray(?:clusters|jobs|services)(/[^/]+)?")
_EVENTS = re.compile(r"/apis/events\.k8s\.io/v1/namespaces/[^/]+/events")
_SERVICE_PROXY = re.compile(r"/api/v1/namespaces/([^/]+)/services/([^/]+)/proxy(?:/.*)?", re.DOTALL)
_OF_RAY = "regarding.apiVersion=ray.io/v1"


class KubernetesProxy:
    """`http` takes URLs of the scheme `kubernetes` to the API server; `clock` says how long answers take."""

    def __init__(self, kubernetes: KubernetesClient, http: HttpClient, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._templates = ComputeTemplates(kubernetes)
        self._forwarding = Forwarding(http, clock)

    async def handle(self, request: HttpRequest) -> HttpResponse | None:
        """None for what isn't Kubernetes' to answer."""
        path = request.path
        if path == _RAY.rstrip("/"):
            return redirect(request, _RAY)
        if path.startswith(_RAY):
            return await self._custom_resource(request)
        if _EVENTS.fullmatch(path):
            return await self._events(request)
        proxied = _SERVICE_PROXY.fullmatch(path)
        if proxied is None:
            return None
        refused = await refusal(self._kubernetes, proxied[1], proxied[2])
        return refused or await self._forwarding.forward(request)

    async def _custom_resource(self, request: HttpRequest) -> HttpResponse:
        written = _WITH_CLUSTERS.fullmatch(request.path)
        if written is not None and request.method == ("PUT" if written[2] else "POST"):
            changed = await with_templates(request, written[1], self._templates)
            if isinstance(changed, HttpResponse):
                return changed
            request = changed
        return await self._forwarding.forward(request)

    async def _events(self, request: HttpRequest) -> HttpResponse:
        """Those about Ray's resources, and of them what the caller selects."""
        if request.method not in ("GET", "HEAD"):
            return plain_error(405, "Method Not Allowed", allow="GET, HEAD")
        selector = ",".join([*request.query.get("fieldSelector", ()), _OF_RAY])
        return await self._forwarding.forward(replace(request, query={**request.query, "fieldSelector": [selector]}))
