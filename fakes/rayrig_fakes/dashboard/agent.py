"""The dashboard of a head node: request in, response out, no socket (ray-serve.md 2).

What it says of Serve it learns through the port `ServeInstance`, of the cluster through `RayClusterView`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from random import Random

from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.ports import Clock, RayClusterView, ServeInstance
from rayrig_core.resources.serve_schema_parts import Importable
from rayrig_fakes.dashboard.access import Access, is_browser
from rayrig_fakes.dashboard.answers import NOT_FOUND, method_not_allowed
from rayrig_fakes.dashboard.cluster_api import ClusterApi
from rayrig_fakes.dashboard.jobs import Jobs
from rayrig_fakes.dashboard.serve_api import ServeApi

RAY_VERSION = "2.60.0"
_BODY_BYTES_MAX = 100 * 1024 * 1024
_PAGE = HttpResponse.text(200, "<!doctype html><title>Ray Dashboard</title>", "text/html")
_SCALE = re.compile(r"/api/v1/applications/([^/]+)/deployments/([^/]+)/scale")
_JOB = re.compile(r"/api/jobs/([^/].*?)(/stop|/logs)?")

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class DashboardAgent:
    """One dashboard. A listener for `rayrig_sim.network`, and the core of an HTTP face.

    `clock` and `rng` serve the jobs API, which is absent without a clock; `token` switches authentication on.
    """

    def __init__(
        self,
        instance: ServeInstance,
        *,
        cluster: RayClusterView | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
        importable: Importable | None = None,
        token: str = "",
        ray_version: str = RAY_VERSION,
    ) -> None:
        self.instance = instance
        self._access = Access(token)
        self._serve = ServeApi(instance, importable)
        self._cluster = ClusterApi(cluster, ray_version)
        self._jobs = Jobs(clock, rng or Random(0), cluster) if clock is not None else None
        #: A fault: every call is answered with this status.
        self.error_code: int | None = None
        self._routes: dict[str, dict[str, Handler]] = {
            "/api/serve/applications/": {
                "GET": self._get_applications,
                "PUT": self._serve.put,
                "DELETE": self._serve.delete,
            },
            "/api/version": {"GET": _plain(self._cluster.version)},
            "/api/ray/version": {"GET": _plain(self._cluster.version)},
            "/api/gcs_healthz": {"GET": _plain(self._cluster.gcs_health)},
            "/api/cluster_status": {"GET": _asking(self._cluster.status)},
            "/api/v0/nodes": {"GET": _asking(self._cluster.nodes)},
            "/api/v0/actors": {"GET": _asking(self._cluster.actors)},
            "/nodes": {"GET": _asking(self._cluster.node_views)},
            "/timezone": {"GET": _plain(self._cluster.timezone)},
            "/api/authentication_mode": {"GET": _plain(self._access.mode)},
            "/api/authenticate": {"POST": _asking(self._access.authenticate)},
            "/": {"GET": _plain(lambda: _PAGE)},
        }
        if self._jobs is not None:
            self._routes["/api/jobs/"] = {"GET": _plain(self._jobs.list), "POST": _asking(self._jobs.submit)}
            self._routes["/api/component_activities"] = {"GET": _plain(self._activities)}

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request. Whatever else than `ServeUnavailable` and `ServeRefused` leaves the instance leaves this too."""
        if self.error_code is not None:
            return HttpResponse.text(self.error_code, "injected fault")
        refusal = self._access.refusal(request)
        if refusal is not None:
            return refusal
        handlers = self._routes.get(request.path) or self._patterned(request.path)
        if handlers is None:
            return NOT_FOUND
        method = "GET" if request.method == "HEAD" else request.method
        handler = handlers.get(method)
        if handler is None:
            return method_not_allowed([*handlers, *(["HEAD"] if "GET" in handlers else [])])
        if len(request.body) > _BODY_BYTES_MAX:
            return HttpResponse.text(413, "Maximum request body size exceeded")
        answer = await handler(request)
        return HttpResponse(answer.status, b"", answer.headers) if request.method == "HEAD" else answer

    def get_at_once(self, path: str) -> HttpResponse | None:
        """What a GET of the health of the GCS is answered now, without being made; None for other paths."""
        if path != "/api/gcs_healthz" or self.error_code is not None:
            return None
        return self._cluster.gcs_health()

    def answer_version(self, request: HttpRequest) -> object | None:
        """Equal as long as the state of the Serve instance is told with the same words, readings of a clock apart; None for other
        requests, and where that is not known."""
        if request.method != "GET" or request.path != "/api/serve/applications/" or self.error_code is not None:
            return None
        version = getattr(self.instance, "version", None)
        if version is None or self._access.refusal(request) is not None:
            return None
        found: object | None = version()
        return found

    def _activities(self) -> HttpResponse:
        jobs = self._jobs
        assert jobs is not None
        return self._cluster.activities(jobs.running_count, jobs.unix_ns)

    async def _get_applications(self, request: HttpRequest) -> HttpResponse:
        return await self._serve.get(request, is_redacted=is_browser(request))

    def _patterned(self, path: str) -> dict[str, Handler] | None:
        """Handlers of paths that carry names."""
        scale = _SCALE.fullmatch(path)
        if scale is not None:
            app, deployment = scale[1], scale[2]
            return {"POST": lambda request: self._serve.scale(request, app, deployment)}
        job = _JOB.fullmatch(path)
        jobs = self._jobs
        if jobs is None or job is None:
            return None
        job_id = job[1]
        match job[2]:
            case "/stop":
                return {"POST": _plain(lambda: jobs.stop(job_id))}
            case "/logs":
                return {"GET": _plain(lambda: jobs.logs(job_id))}
        return {"GET": _plain(lambda: jobs.get(job_id)), "DELETE": _plain(lambda: jobs.delete(job_id))}


def _plain(answer: Callable[[], HttpResponse]) -> Handler:
    async def handler(_: HttpRequest) -> HttpResponse:
        return answer()

    return handler


def _asking(answer: Callable[[HttpRequest], HttpResponse]) -> Handler:
    async def handler(request: HttpRequest) -> HttpResponse:
        return answer(request)

    return handler
