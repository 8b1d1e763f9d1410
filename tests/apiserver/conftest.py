"""The KubeRay API server in front of the world in memory, on virtual time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from rayrig.apiserver.server import ApiServerSettings, KubeRayApiServer
from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import NodeSpec, WorldSpec
from rayrig_core.http import HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.crds import ray_job_definition
from rayrig_core.timestamps import NS
from tests.apiserver.example_cluster import CLUSTER, TEMPLATE

CALLER = "kuberay-apiserver"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of the server to a cluster."""

    method: str
    url: str
    body: bytes


@dataclass
class Upstream:
    """HTTP as the server has it: what it sends is noted and goes into the world, or is answered by `answer`."""

    world: HttpClient
    sent: list[Sent] = field(default_factory=list)
    answer: Callable[[Sent], Awaitable[HttpResponse]] | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        sent = Sent(method, url, body)
        self.sent.append(sent)
        if self.answer is not None:
            return await self.answer(sent)
        return await self.world.request(method, url, body=body, headers=headers, timeout_s=timeout_s)


class Site:
    """A world and the server in front of it. Until `start` nothing acts in the world: it is an API server alone."""

    def __init__(self, settings: ApiServerSettings | None = None, *, profile: str = "v1.7.0") -> None:
        """`profile`: whose behaviour the operator has."""
        self.world = world = MemoryWorld(WorldSpec(nodes=(NodeSpec(),), profile=profile))
        world.api.add_definitions((ray_job_definition(),), trusted=True)
        self.upstream = Upstream(world.http_and_kubernetes(CALLER))
        self.server = KubeRayApiServer(world.runtime, world.client(CALLER), self.upstream, settings)

    def start(self) -> Site:
        self.world.start()
        return self

    # Time

    @property
    def now_s(self) -> float:
        return self.world.runtime.monotonic_ns() / NS

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine gives; what it raises is raised here."""

        async def settled() -> tuple[Any, Exception | None]:
            try:
                return await coroutine, None
            except Exception as error:
                return None, error

        results: list[tuple[Any, Exception | None]] = []

        async def noted() -> None:
            results.append(await settled())

        self.world.run_until(self.world.spawn("test", noted()))
        result, error = results[0]
        if error is not None:
            raise error
        return result

    def sleep(self, duration_s: float) -> None:
        async def sleep() -> None:
            await self.world.runtime.sleep(duration_s)

        self.run(sleep())

    def until(self, come_true: Callable[[], bool], within_s: int = 120) -> None:
        """Look once a second."""
        for _ in range(within_s):
            if come_true():
                return
            self.sleep(1)
        raise AssertionError(f"did not come true within {within_s} s")

    # The server

    def request(self, method: str, target: str, body: Any = None) -> HttpRequest:
        """A text is sent as it is, anything else as JSON."""
        content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        return HttpRequest.of(method, target, headers={"content-type": "application/json"}, body=content)

    def send(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed body."""
        answer: HttpResponse = self.run(self.server.handle(self.request(method, target, body)))
        return answer.status, json.loads(answer.body)

    def ok(self, method: str, target: str, body: Any = None) -> Any:
        status, reply = self.send(method, target, body)
        assert status == 200, reply
        return reply

    def post(self, url: str, content: Any) -> bytes:
        """What somebody in the cluster is answered; empty when nobody answers, or not with 200."""
        http = self.world.http("shopper")

        async def post() -> bytes:
            try:
                answer = await http.request("POST", url, body=json.dumps(content).encode())
            except HttpFailure:
                return b""
            return answer.body if answer.status == 200 else b""

        body: bytes = self.run(post())
        return body

    def create_cluster(self, **changes: Any) -> JsonObject:
        """The example's template and cluster; the reply."""
        self.ok("POST", "/apis/v1/namespaces/default/compute_templates", TEMPLATE)
        reply: JsonObject = self.ok("POST", "/apis/v1/namespaces/default/clusters", {**CLUSTER, **changes})
        return reply

    def is_ready(self) -> bool:
        """The example's cluster."""
        reply = self.ok("GET", "/apis/v1/namespaces/default/clusters/test-cluster")
        return bool(reply.get("clusterState") == "ready")

    # Kubernetes

    def stored(self, resource: ResourceType, name: str, namespace: str = "default") -> JsonObject:
        found: JsonObject = self.run(self.world.client("test").get(resource, name, namespace))
        return found

    def names(self, resource: ResourceType, namespace: str = "") -> list[str]:
        return [obj["metadata"]["name"] for obj in self.world.objects(resource, namespace)]

    def write_status(self, resource: ResourceType, name: str, status: JsonObject, namespace: str = "default") -> None:
        """As the operator would."""
        client = self.world.client("test")
        self.run(client.patch(resource, name, {"status": status}, namespace, subresource="status"))


@pytest.fixture
def site() -> Site:
    """Nobody acts in it."""
    return Site()


@pytest.fixture
def new_site() -> type[Site]:
    """Makes sites with settings of their own, or that are to be started."""
    return Site
