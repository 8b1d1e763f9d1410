"""The server in a world in memory: asked from a test, on virtual time, with operator, kubelets and Ray at work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from json import dumps

from rayrig.apiserver.server import ApiServerSettings, KubeRayApiServer
from rayrig_backends.memory import MemoryWorld
from rayrig_backends.world import World
from rayrig_core.errors import AlreadyExists, InputError
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import Json
from rayrig_core.resources.crds import ray_job_definition

#: As which it is known in traces, and to faults that strike one actor.
ACTOR = "kuberay-apiserver"


def api_server(world: MemoryWorld, settings: ApiServerSettings | None = None) -> KubeRayApiServer:
    """The server of a world, to be asked by its actors. RayJobs are stored there as well; nobody acts on them."""
    with suppress(AlreadyExists):
        world.api.add_definitions((ray_job_definition(),), trusted=True)
    return KubeRayApiServer(world.runtime, world.client(ACTOR), world.http_and_kubernetes(ACTOR), settings)


class SimulatedApiServer:
    """The KubeRay API server of one world, as tests ask it."""

    def __init__(self, world: World, settings: ApiServerSettings | None = None) -> None:
        """Raises `InputError` for a world that is not in memory."""
        if not isinstance(world, MemoryWorld):
            raise InputError("this world is not in memory", remedy="run `rayrig apiserver` in front of its API server")
        self._world = world
        self._server = api_server(world, settings)

    def request(
        self, method: str, target: str, json: Json = None, *, body: str = "", headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """The answer to one request, once it is there. `target` is path and query; `json` or `body` is sent."""
        sent = dumps(json) if json is not None else body
        all_headers = {"content-type": "application/json"}
        all_headers |= {name.lower(): value for name, value in (headers or {}).items()}
        request = HttpRequest.of(method, target, headers=all_headers, body=sent.encode())
        answers: list[HttpResponse] = []

        async def ask() -> None:
            answers.append(await self._server.handle(request))

        world = self._world
        world.run_until(world.spawn("test", ask()))
        return answers[0]
