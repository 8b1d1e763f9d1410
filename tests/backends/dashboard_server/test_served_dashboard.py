"""The modelled Ray cluster on sockets: dashboard, agents, proxies, machines that go and come."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rayrig.cli import main
from rayrig_backends.dashboard_server.server import DashboardServer, DashboardSettings
from rayrig_core.errors import InputError

_LIMIT_S = 60.0
APPLICATIONS = "/api/serve/applications/"
CODE = """
import asyncio, os, time
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0.1})
class Model:
    async def __call__(self, request: Request):
        word = request.query_params.get("word", "")
        if word == "exit":
            os._exit(1)
        await asyncio.sleep(10)
        return f"hello {word}"


app = Model.bind()
"""


class Client:
    """Asks the served cluster. Ports are those of the settings."""

    def __init__(self, http: httpx.AsyncClient, settings: DashboardSettings) -> None:
        self.http = http
        self.settings = settings

    async def dashboard(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.http.request(method, f"http://127.0.0.1:{self.settings.port}{path}", **options)

    async def proxy(self, path: str, worker: int = 0) -> httpx.Response:
        return await self.http.get(f"http://127.0.0.1:{self.settings.proxy_port + worker}{path}")

    async def until_running(self) -> dict[str, Any]:
        while True:
            applications: dict[str, Any] = (await self.dashboard("GET", APPLICATIONS)).json()["applications"]
            if applications and {each["status"] for each in applications.values()} == {"RUNNING"}:
                return applications
            await asyncio.sleep(0.05)

    async def refused(self, worker: int = 0) -> bool:
        try:
            await self.proxy("/", worker)
        except httpx.TransportError:
            return True
        return False


@pytest.fixture
def ports() -> Callable[[int], int]:
    """So many neighbouring ports that nobody has now."""

    def find(count: int) -> int:
        for _ in range(100):
            with socket.socket() as first:
                first.bind(("127.0.0.1", 0))
                begin = int(first.getsockname()[1])
            try:
                for port in range(begin, begin + count):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port))
            except OSError:
                continue
            return begin
        raise AssertionError("no free ports")

    return find


def play(settings: DashboardSettings, story: Callable[[Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        server = DashboardServer(settings)
        up = asyncio.Event()
        run = asyncio.create_task(server.run(up.set))
        try:
            async with asyncio.timeout(_LIMIT_S), httpx.AsyncClient(trust_env=False, timeout=_LIMIT_S) as http:
                await asyncio.wait({asyncio.create_task(up.wait()), run}, return_when=asyncio.FIRST_COMPLETED)
                if run.done():
                    run.result()
                await story(Client(http, settings))
        finally:
            server.stop()
            await run

    asyncio.run(whole())


@pytest.fixture
def settings(tmp_path: Path, ports: Callable[[int], int]) -> Callable[..., DashboardSettings]:
    (tmp_path / "my_model.py").write_text(CODE)

    def make(**options: Any) -> DashboardSettings:
        begin = ports(3 * options.get("nodes", 1))
        nodes = options.get("nodes", 1)
        return DashboardSettings(
            port=begin,
            agent_port=begin + nodes,
            proxy_port=begin + 2 * nodes,
            app_dir=tmp_path,
            speed=50.0,
            **options,
        )

    return make


def document(**options: Any) -> dict[str, Any]:
    return {"applications": [{"name": "m", "import_path": "my_model:app", "route_prefix": "/", **options}]}


def test_a_folders_application_is_deployed_asked_and_deleted(settings: Callable[..., DashboardSettings]) -> None:
    async def story(client: Client) -> None:
        assert (await client.dashboard("GET", "/api/version")).json()["ray_version"] == "2.60.0"
        assert await client.refused(), "no proxy before Serve"
        put = await client.dashboard("PUT", APPLICATIONS, json=document())
        assert put.status_code == 200
        running = await client.until_running()
        assert list(running["m"]["deployments"]) == ["Model"]
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await client.proxy("/?word=world")
        assert (answer.status_code, answer.text) == (200, "hello world")
        assert loop.time() - began >= 10 / 50, "ten virtual seconds at fifty times the speed"
        assert (await client.proxy("/-/routes")).json() == {"/": "m"}
        assert (await client.proxy("/?word=exit")).status_code == 500
        assert (await client.dashboard("DELETE", APPLICATIONS)).status_code == 200
        while not await client.refused():
            await asyncio.sleep(0.05)

    play(settings(), story)


def test_what_is_wrong_with_the_code_is_told_as_ray_tells_it(settings: Callable[..., DashboardSettings]) -> None:
    async def story(client: Client) -> None:
        refused = await client.dashboard("PUT", APPLICATIONS, json={"applications": [{"name": "x"}]})
        assert refused.status_code == 400
        await client.dashboard("PUT", APPLICATIONS, json=document(import_path="my_model:nothing"))
        while True:
            application = (await client.dashboard("GET", APPLICATIONS)).json()["applications"].get("m", {})
            if application.get("status") == "DEPLOY_FAILED":
                break
            await asyncio.sleep(0.05)
        assert "module 'my_model' has no attribute 'nothing'" in application["message"]

    play(settings(), story)


def test_machines_are_killed_and_started_from_outside(settings: Callable[..., DashboardSettings]) -> None:
    async def story(client: Client) -> None:
        await client.dashboard("PUT", APPLICATIONS, json=document())
        await client.until_running()
        proxies = (await client.dashboard("GET", APPLICATIONS)).json()["proxies"]
        worker = 2 if await client.refused(1) else 1
        assert len(proxies) == 2, "the head's, and that of the worker with the replica"
        assert (await client.proxy("/?word=x", worker)).text == "hello x"
        killed = await client.dashboard("POST", f"/rayrig/nodes/worker{worker}/kill")
        assert (killed.status_code, killed.text) == (200, f"worker{worker}: kill\n")
        assert await client.refused(worker)
        other = 3 - worker
        while await client.refused(other):
            await asyncio.sleep(0.05)
        assert (await client.proxy("/?word=y", other)).text == "hello y"
        assert (await client.dashboard("POST", f"/rayrig/nodes/worker{worker}/start")).status_code == 200
        assert (await client.dashboard("POST", "/rayrig/nodes/worker9/kill")).status_code == 404
        assert (await client.dashboard("POST", "/rayrig/nodes/worker1/burn")).status_code == 404
        assert (await client.dashboard("GET", "/rayrig/nodes/worker1/kill")).status_code == 405

    play(settings(nodes=3), story)


def test_a_token_is_asked_for(settings: Callable[..., DashboardSettings]) -> None:
    async def story(client: Client) -> None:
        assert (await client.dashboard("GET", APPLICATIONS)).status_code in (401, 403)
        headers = {"authorization": "Bearer secret"}
        assert (await client.dashboard("GET", APPLICATIONS, headers=headers)).status_code == 200

    play(settings(token="secret"), story)


def test_a_port_that_is_taken_and_a_folder_that_is_none_are_told_at_once(
    settings: Callable[..., DashboardSettings], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wanted = settings()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted.proxy_port))
        taken.listen()
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{wanted.proxy_port}"):
            DashboardServer(wanted)
    for words, told in (
        (["--app-dir", str(tmp_path / "nothing")], "no such folder"),
        (["--speed", "0"], "time cannot pass 0 times as fast"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["dashboard", *words])
        assert end.value.code == 2
        assert told in capsys.readouterr().err
