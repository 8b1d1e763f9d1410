"""The calls: submit a configuration, show what runs, shut Serve down (`reference/kuberay-apiserver.md` 11.3)."""

from __future__ import annotations

from rayrig.apiserver.head_dashboard import HeadDashboard, head_dashboard, is_success, status_line
from rayrig.apiserver.serve_submission import messages
from rayrig.apiserver.serve_submission.details import reply_of
from rayrig.apiserver.wire import gojson
from rayrig.apiserver.wire.errors import plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Handler, Route
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resources.go_yaml import YamlError, yaml_to_compact_json
from rayrig_core.resources.labels import DASHBOARD_AGENT_PORT

TIMEOUT_S = 120.0
_APPLICATIONS = "/api/serve/applications/"
_TEMPLATE = "/apis/v1/namespaces/{namespace}/serveapplication/{clustername}"
_SERVICE = "RayServeSubmissionService"


class ServeSubmission:
    """Passes configurations on to clusters' dashboard agents; keeps nothing. `get_cluster` is the call that reads a cluster."""

    def __init__(self, get_cluster: Handler, http: HttpClient) -> None:
        self._get_cluster = get_cluster
        self._http = http

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "POST",
                _TEMPLATE,
                f"{_SERVICE}.SubmitServeApplications",
                messages.SUBMIT_REQUEST,
                EMPTY,
                self.submit,
                body="submissionyaml",
            ),
            Route(
                "GET",
                _TEMPLATE,
                f"{_SERVICE}.GetServeApplications",
                messages.GET_REQUEST,
                messages.GET_REPLY,
                self.get,
            ),
            Route(
                "DELETE",
                _TEMPLATE,
                f"{_SERVICE}.DeleteRayServeApplications",
                messages.DELETE_REQUEST,
                EMPTY,
                self.delete,
            ),
        )

    async def submit(self, request: JsonObject) -> JsonObject:
        """Make the applications of the YAML text the only ones; they come up after the answer."""
        agent = await self._agent(request)
        try:
            config = yaml_to_compact_json(request.get("submissionyaml", {}).get("configyaml", ""))
        except YamlError as error:
            raise plain(str(error)) from error
        answer = await agent.send("PUT", _APPLICATIONS, config.encode())
        if not is_success(answer):
            raise plain(f"UpdateDeployments fail: {status_line(answer)} {answer.body.decode(errors='replace')}")
        return {}

    async def get(self, request: JsonObject) -> JsonObject:
        """What Serve tells of itself, its proxies and its applications."""
        answer = await (await self._agent(request)).send("GET", _APPLICATIONS)
        text = answer.body.decode(errors="replace")
        if not is_success(answer):
            raise plain(f"GetServeDetails fail: {status_line(answer)} {text}")
        try:
            return reply_of(gojson.parse(answer.body))
        except ValueError as error:
            raise plain(f"GetServeDetails failed. Failed to unmarshal bytes: {text}") from error

    async def delete(self, request: JsonObject) -> JsonObject:
        """Shut Serve down. Whatever the agent answers is taken for done."""
        await (await self._agent(request)).send("DELETE", _APPLICATIONS)
        return {}

    async def _agent(self, request: JsonObject) -> HeadDashboard:
        return await head_dashboard(
            self._get_cluster,
            self._http,
            request.get("namespace", ""),
            request.get("clustername", ""),
            port=DASHBOARD_AGENT_PORT,
            timeout_s=TIMEOUT_S,
        )
