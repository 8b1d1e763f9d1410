"""Dashboard and agent of a cluster that is ready, by its head Service (`reference/kuberay-apiserver.md` 10, 11.3)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from rayrig.apiserver.wire.errors import plain
from rayrig.apiserver.wire.routes import Handler
from rayrig_core.http import HttpFailure, HttpResponse
from rayrig_core.ports import HttpClient


@dataclass(frozen=True, slots=True)
class HeadDashboard:
    """What listens on one port of a head Service."""

    http: HttpClient
    url: str
    timeout_s: float

    async def send(self, method: str, path: str, body: bytes = b"") -> HttpResponse:
        """The answer, whatever its status. Raises `CallError` (Unknown) when none came."""
        url = self.url + path
        headers = {"content-type": "application/json"}
        try:
            return await self.http.request(method, url, body=body, headers=headers, timeout_s=self.timeout_s)
        except HttpFailure as failure:
            raise plain(f'{method.capitalize()} "{url}": {failure}') from failure


async def head_dashboard(
    get_cluster: Handler, http: HttpClient, namespace: str, cluster: str, *, port: int, timeout_s: float
) -> HeadDashboard:
    """Of a cluster that is ready now. Raises `CallError`: those of reading the cluster, and `cluster is not ready`.

    The Service's name is put together without shortening: a cluster whose Services have shortened names isn't reached.
    """
    found = await get_cluster({"name": cluster, "namespace": namespace})
    if found.get("clusterState", "").lower() != "ready":
        raise plain("cluster is not ready")
    return HeadDashboard(http, f"http://{cluster}-head-svc.{namespace}.svc.cluster.local:{port}", timeout_s)


def is_success(answer: HttpResponse) -> bool:
    return 200 <= answer.status < 300


def status_line(answer: HttpResponse) -> str:
    """`404 Not Found`, with the server's own words when it sent some."""
    if answer.reason:
        return f"{answer.status} {answer.reason}"
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)
