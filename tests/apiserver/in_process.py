"""The KubeRay API server in front of the fake Kubernetes, in process and on virtual time; what else listens is scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import unquote

from rayrig.apiserver.server import ApiServerSettings, KubeRayApiServer
from rayrig_backends.kubernetes_requests import KubernetesRequests
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import NAMESPACE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions, ray_job_definition
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel

T: JsonObject = {"name": "t", "namespace": "default", "cpu": 2, "memory": 4}
HEAD: JsonObject = {"computeTemplate": "t", "rayStartParams": {"dashboard-host": "0.0.0.0"}}
GROUP: JsonObject = {"groupName": "g", "computeTemplate": "t", "replicas": 1, "maxReplicas": 5}
SPEC: JsonObject = {"headGroupSpec": HEAD, "workerGroupSpec": [GROUP]}
C1: JsonObject = {"name": "c1", "namespace": "default", "user": "ada", "version": "2.52.0", "clusterSpec": SPEC}


class Elsewhere:
    """Port `HttpClient`: what was asked of it, and answers by URL."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        #: When, method, URL and body of each request.
        self.log: list[tuple[float, str, str, bytes]] = []
        self.answer: Callable[[str, str, bytes], HttpResponse] = self._nobody
        #: How long each answer takes.
        self.takes_s = 0.0

    @staticmethod
    def _nobody(method: str, url: str, body: bytes) -> HttpResponse:
        raise HttpFailure(Failure.REFUSED, url)

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        self.log.append((self._kernel.monotonic_ns() / 1e9, method, url, body))
        await self._kernel.sleep(min(self.takes_s, timeout_s))
        if self.takes_s >= timeout_s:
            raise HttpFailure(Failure.TIMEOUT, url)
        return self.answer(method, url, body)


class Stage:
    """`elsewhere` is what is neither Kubernetes nor this server. `between`, when given, is put between this server's HTTP and all
    that it reaches."""

    def __init__(
        self,
        settings: ApiServerSettings | None = None,
        *,
        between: Callable[[Kernel, HttpClient], HttpClient] | None = None,
    ) -> None:
        self.kernel = Kernel(seed=1)
        self.api = ApiServer(self.kernel.unix_ns, self.kernel.streams.stream("api-server"))
        self.api.add_definitions((*custom_resource_definitions(), ray_job_definition()), trusted=True)
        self.elsewhere = Elsewhere(self.kernel)
        client = InProcessClient(self.api, self.kernel, actor="apiserver")
        http: HttpClient = KubernetesRequests(self.api, self.kernel, self.elsewhere, self.elsewhere)
        self.server = KubeRayApiServer(self.kernel, client, between(self.kernel, http) if between else http, settings)
        self.kube("create", NAMESPACE, {"metadata": {"name": "team-b"}}, namespace="")

    def kube(
        self,
        verb: str,
        resource: ResourceType,
        body: Any = None,
        name: str = "",
        namespace: str = "default",
        **more: Any,
    ) -> JsonObject:
        """One call of the Kubernetes API."""
        return self.api.call(ApiCall(verb, resource, namespace, name, body=body, **more)).own()

    def ask(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, raw: bytes = b""
    ) -> HttpResponse:
        """The server's answer; the body is sent as JSON unless it is given `raw`."""
        sent = {"content-type": "application/json", **(headers or {})}
        data = raw if body is None else json.dumps(body).encode()
        request = HttpRequest.of(method, target, headers=sent, body=data)
        request = replace(request, path=unquote(request.path))
        answers: list[HttpResponse] = []

        async def client() -> None:
            answers.append(await self.server.handle(request))

        self.kernel.run(cast(Any, self.kernel.spawn("client", client())))
        return answers[0]

    def told(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        answer = self.ask(method, target, body)
        return answer.status, answer.json()

    def has_template(self, **fields: Any) -> None:
        assert self.ask("POST", "/apis/v1/namespaces/default/compute_templates", {**T, **fields}).status == 200

    def has_ready_cluster(self) -> None:
        """`c1`, said to be ready."""
        self.has_template()
        assert self.ask("POST", "/apis/v1/namespaces/default/clusters", C1).status == 200
        path = "/apis/ray.io/v1/namespaces/default/rayclusters/c1/status"
        merge = {"content-type": "application/merge-patch+json"}
        assert self.ask("PATCH", path, {"status": {"state": "ready"}}, merge).status == 200
