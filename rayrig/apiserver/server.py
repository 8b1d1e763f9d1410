"""The whole server: the v1 calls, v2's proxy and what stands beside them, as one function from request to answer."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig.apiserver.clusters.service import Clusters
from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.cors import CrossOrigin
from rayrig.apiserver.descriptions import Descriptions
from rayrig.apiserver.go_http import NOT_FOUND, clean_path, plain_error, redirect
from rayrig.apiserver.job_submission.service import JobSubmissions
from rayrig.apiserver.jobs.service import Jobs
from rayrig.apiserver.serve_submission.service import ServeSubmission
from rayrig.apiserver.services.service import Services
from rayrig.apiserver.v2.proxy import KubernetesProxy
from rayrig.apiserver.wire.gateway import Gateway
from rayrig.apiserver.wire.routes import Routes
from rayrig_controllers.metrics import CONTENT_TYPE, render
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.ports import HttpClient, KubernetesClient, Runtime

_FOLDERS = ("/swagger", "/swagger-ui")


@dataclass(frozen=True, slots=True)
class ApiServerSettings:
    """`token`: what every request's `Authorization` has to be, word for word. `cors_origin`: whose pages may read answers; `*` is
    everybody's. `serve_submission`: the calls that no release has. `call_timeout_s` is for calls of v1.
    """

    token: str = ""
    cors_origin: str = ""
    serve_submission: bool = True
    v2: bool = True
    call_timeout_s: float = 60.0


class KubeRayApiServer:
    """To be asked from one thread. Keeps nothing but counts: all state is Kubernetes'."""

    def __init__(
        self,
        runtime: Runtime,
        kubernetes: KubernetesClient,
        http: HttpClient,
        settings: ApiServerSettings | None = None,
    ) -> None:
        """`http` reaches the dashboards of clusters by Service name, and Kubernetes itself by URLs of the scheme `kubernetes`."""
        self.settings = settings = settings or ApiServerSettings()
        templates = ComputeTemplates(kubernetes)
        clusters = Clusters(kubernetes, templates, runtime)
        # In the order in which KubeRay registers them.
        documents = {
            "cluster": clusters.routes(),
            "config": templates.routes(),
            "job": Jobs(kubernetes, templates).routes(),
            "serve": Services(kubernetes, templates, clusters, runtime).routes(),
            "job_submission": JobSubmissions(clusters.get, http).routes(),
        }
        if settings.serve_submission:
            documents["serve_submission"] = ServeSubmission(clusters.get, http).routes()
        routes = Routes(route for each in documents.values() for route in each)
        self._gateway = Gateway(runtime, routes, timeout_s=settings.call_timeout_s)
        self._proxy = KubernetesProxy(kubernetes, http, runtime) if settings.v2 else None
        self._descriptions = Descriptions(documents)
        self._cross_origin = CrossOrigin(settings.cors_origin) if settings.cors_origin else None

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The answer. The request's path has no escapes any more. Raises only what is wrong with the server itself."""
        settings = self.settings
        if settings.token and request.headers.get("authorization") != settings.token:
            return plain_error(401, "Unauthorized")
        path = clean_path(request.path)
        if path != request.path:
            return redirect(request, path)
        if path in _FOLDERS:
            return redirect(request, f"{path}/")
        if path == "/healthz":
            return HttpResponse(200)
        if path == "/metrics":
            return HttpResponse.text(200, render(self._gateway.counts.metrics()), CONTENT_TYPE)
        if path.startswith(("/swagger/", "/swagger-ui/")):
            return self._descriptions.answer(path) or NOT_FOUND
        return await self._api(request)

    async def _api(self, request: HttpRequest) -> HttpResponse:
        cross_origin = self._cross_origin
        if cross_origin is None:
            return await self._answer(request)
        return cross_origin.preflight(request) or cross_origin.marked(request, await self._answer(request))

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        if self._proxy is not None:
            answer = await self._proxy.handle(request)
            if answer is not None:
                return answer
        return await self._gateway.handle(request)
