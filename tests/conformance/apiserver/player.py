"""Plays recorded exchanges with a KubeRay API server in this process and in virtual time, in front of the fake Kubernetes.

No operator works there, as in the recording.
"""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any
from urllib.parse import quote, unquote

from rayrig.apiserver.server import KubeRayApiServer
from rayrig_backends.kubernetes_requests import KubernetesRequests
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.resources.crds import custom_resource_definitions, ray_job_definition
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.identity import ADMIN
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from tests.conformance.apiserver.job_dashboard import JobDashboard

_LETTERS = "bcdfghjklmnpqrstvwxz"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class Player:
    """A Kubernetes for one case."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._kernel = kernel = Kernel(seed)
        self._api = api = ApiServer(kernel.unix_ns, Random(seed + 1))
        api.add_definitions([*custom_resource_definitions(), ray_job_definition()], trusted=True)
        self._dashboard = JobDashboard()
        client = InProcessClient(api, kernel, actor="kuberay-apiserver")
        self._server = KubeRayApiServer(
            kernel, client, KubernetesRequests(api, kernel, self._dashboard, self._dashboard)
        )

    def play(self, case: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, str]]:
        """What was answered to each step, what reached the dashboard, and the namespaces' names by placeholder."""
        variables: dict[str, str] = {}
        for name in case.get("namespaces", ["ns"]):
            # As long as in the recording: columns in error texts count them.
            variables[name] = "api-" + "".join(self._random.choices(_LETTERS, k=8))
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": variables[name]}}
            self._kubernetes(HttpRequest("POST", "/api/v1/namespaces", body=json.dumps(namespace).encode()))
        namespaces = dict(variables)
        self._dashboard.forget()
        return [self._step(step, variables) for step in case["steps"]], self._dashboard.asked, namespaces

    def _step(self, step: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
        request = _request(step, variables)
        answer = self._kubernetes(request) if step["op"] == "kube" else self._ask(request)
        found = _shown(answer, has_body=step["method"] != "HEAD")
        for name, path in step.get("capture", {}).items():
            value: Any = found.get("body")
            for key in path.split("."):
                value = (value or {}).get(key)
            variables[name] = quote(value) if value else "none"
        return found

    def _ask(self, request: HttpRequest) -> HttpResponse:
        answers: list[HttpResponse] = []

        async def client() -> None:
            answers.append(await self._server.handle(request))

        self._kernel.run(until=self._kernel.spawn("client", client()))
        return answers[0]

    def _kubernetes(self, request: HttpRequest) -> HttpResponse:
        answer = handle(self._api, request, ADMIN)
        assert isinstance(answer, ApiResponse)
        return HttpResponse(answer.status, answer.body, dict(answer.headers))


def fill(value: Any, variables: dict[str, str]) -> Any:
    """With what stands for the placeholders."""
    if isinstance(value, dict):
        return {fill(key, variables): fill(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, variables) for each in value]
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: variables[found[1]], value)
    return value


def _request(step: dict[str, Any], variables: dict[str, str]) -> HttpRequest:
    body = b""
    headers = {"accept": "application/json"}
    if "raw" in step:
        body = fill(step["raw"], variables).encode()
    elif step.get("body") is not None:
        body = json.dumps(fill(step["body"], variables)).encode()
    if "raw" in step or body:
        headers["content-type"] = "application/json"
    headers |= {name.lower(): value for name, value in step.get("headers", {}).items()}
    request = HttpRequest.of(step["method"], fill(step["path"], variables), headers=headers, body=body)
    return HttpRequest(request.method, unquote(request.path), request.query, headers, body)


def _shown(answer: HttpResponse, *, has_body: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "status": answer.status,
        "content_type": answer.headers.get("content-type", "").partition(";")[0],
    }
    text = answer.body.decode() if has_body else ""
    try:
        shown["body"] = json.loads(text) if text else None
    except ValueError:
        shown["text"] = text
    if location := answer.headers.get("location"):
        shown["location"] = location
    return shown
