"""HTTP to a Ray cluster as the operator does it: the Serve applications of a dashboard, the health of a Serve proxy.

Direct mode speaks to the head Service and the head pod's IP with a limit of 2 s; proxy mode goes through the API server with a
limit of 10 s (kuberay-operator 0.4). In proxy mode URLs have the scheme `kubernetes` and no host: the `HttpClient` given to an
operator in that mode sends them to its API server.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.http import HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient

APPLICATIONS_PATH = "/api/serve/applications/"
DECLARATIVE = "?api_type=declarative"
HEALTH_PATH = "/-/healthz"
DIRECT_TIMEOUT_S = 2.0
PROXY_TIMEOUT_S = 10.0

_TROUBLESHOOTING = (
    "https://docs.ray.io/en/master/cluster/kubernetes/troubleshooting/rayservice-troubleshooting.html"
    "#kuberay-raysvc-troubleshoot"
)


class DashboardError(ReconcileError):
    """The dashboard did not answer, or refused."""


class DashboardClient:
    """The dashboard of one Ray cluster. `token`, when given, is sent with every request."""

    __slots__ = ("_base_url", "_headers", "_http", "_timeout_s")

    def __init__(
        self, http: HttpClient, base_url: str, token: str | None = None, *, timeout_s: float = DIRECT_TIMEOUT_S
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._headers = {"x-ray-authorization": f"Bearer {token}"} if token is not None else {}
        self._timeout_s = timeout_s

    async def get_applications(self, *, query: str = DECLARATIVE) -> bytes:
        """Body of the GET. Raises `DashboardError`."""
        try:
            answer = await self._send("GET", APPLICATIONS_PATH + query, b"", self._headers)
        except DashboardError as error:
            raise DashboardError(
                "failed to get Serve application statuses from the dashboard. If you observe this error consistently, please "
                'check "Issue 5: Fail to create / update Serve applications." in '
                f"{_TROUBLESHOOTING} for more details. err: {error}"
            ) from error
        return answer.body

    async def put_applications(self, document: str) -> None:
        """PUT a whole configuration, JSON text. Raises `DashboardError`."""
        headers = {"content-type": "application/json", **self._headers}
        try:
            await self._send("PUT", APPLICATIONS_PATH, document.encode(), headers)
        except DashboardError as error:
            raise DashboardError(
                "fail to create / update Serve applications. If you observe this error consistently, please check "
                f'"Issue 5: Fail to create / update Serve applications." in {_TROUBLESHOOTING} for more details. '
                f"err: UpdateDeployments fail: {error}"
            ) from error

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> HttpResponse:
        try:
            answer = await self._http.request(
                method, self._base_url + path, body=body, headers=headers, timeout_s=self._timeout_s
            )
        except HttpFailure as failure:
            raise DashboardError(str(failure)) from failure
        if not 200 <= answer.status < 300:
            raise DashboardError(f"{_status_line(answer)} {answer.body.decode(errors='replace')}")
        return answer


def _status_line(answer: HttpResponse) -> str:
    if answer.reason:
        return f"{answer.status} {answer.reason}"
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def application_statuses(body: bytes) -> dict[str, JsonObject]:
    """Applications of a GET's body as RayService status shows them, by name. Raises `DashboardError` for what is no such body."""
    try:
        details: Any = json.loads(body)
        found = details.get("applications") or {}
        return {_name(key, details): _application(details) for key, details in found.items()}
    except (ValueError, AttributeError) as error:
        raise DashboardError(
            "failed to get Serve application statuses from the dashboard. "
            f"err: GetServeDetails failed. Failed to unmarshal bytes: {error}"
        ) from error


def _name(key: str, details: JsonObject) -> str:
    # An application without a name is called `default` in the status.
    return key or details.get("name") or "default"


def _application(details: JsonObject) -> JsonObject:
    status: JsonObject = {}
    for field in ("status", "message"):
        if details.get(field):
            status[field] = details[field]
    deployments = details.get("deployments")
    if deployments:
        status["serveDeploymentStatuses"] = {
            name: {field: deployment[field] for field in ("status", "message") if deployment.get(field)}
            for name, deployment in deployments.items()
        }
    return status


class ServeProxyHealth:
    """Whether the Serve proxy on a pod says that it is healthy."""

    __slots__ = ("_http",)

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def is_healthy(self, url: str, *, timeout_s: float = DIRECT_TIMEOUT_S, any_success: bool = False) -> bool:
        """True for status 200 (with `any_success` up to 299); no answer, another status or an error is False."""
        try:
            answer = await self._http.request("GET", url, timeout_s=timeout_s)
        except HttpFailure:
            return False
        return 200 <= answer.status < 300 if any_success else answer.status == 200
