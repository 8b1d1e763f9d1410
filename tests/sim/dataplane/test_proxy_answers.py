"""What a proxy answers: internal paths, routing, and the errors that a client sees (reference/ray-serve.md 6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.serve.application_code import ApplicationCode, Child, DeploymentCode, single
from rayrig_sim.serve.exchange import HttpExchange
from rayrig_sim.serve.identity import DeploymentId
from rayrig_sim.serve.local import LocalServe
from rayrig_sim.serve.proxy_server import ProxyServer, Route
from rayrig_sim.serve.routers import Routers
from rayrig_sim.serve.user_code import sleep


class Probe:
    """Does what the request says."""

    async def __call__(self, request: Any) -> Any:
        raw = await request.body()
        command = json.loads(raw) if raw else {}
        if "sleep" in command:
            await sleep(command["sleep"])
            return f"slept {command['sleep']}"
        if "raise" in command:
            raise ValueError(command["raise"])
        if "status" in command:
            return HttpResponse.text(command["status"], f"status {command['status']}")
        return command.get("json", "v1")


def probe(**options: Any) -> LocalServe:
    return LocalServe(single("probe.app", Probe), **options)


def ask(serve: LocalServe, target: str = "/", command: Any = None, **headers: str) -> HttpResponse:
    body = b"" if command is None else json.dumps(command).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: HttpResponse = serve.run(serve.request("POST", target, body=body, headers=named))
    return answer


def seconds(serve: LocalServe) -> float:
    return serve.kernel.monotonic_ns() / NS


def bare_proxy(*, is_head: bool) -> tuple[ProxyServer, Routers, Kernel]:
    kernel = Kernel()
    routers = Routers(kernel)
    return ProxyServer(kernel, "n", is_head, Random(1), routers=routers), routers, kernel


def text(answer: HttpResponse) -> tuple[int, str]:
    return answer.status, answer.body.decode()


@pytest.mark.accepts("SV-104")
def test_without_a_replica_the_head_is_well_and_a_worker_is_not() -> None:
    route = Route("/", "a", DeploymentId("D", "a"))
    head, _, _ = bare_proxy(is_head=True)
    worker, _, _ = bare_proxy(is_head=False)
    assert text(head.healthz()) == (503, "Route table is not populated yet.")
    for proxy in (head, worker):
        proxy.set_routes([route])
    assert text(head.healthz()) == (200, "success")
    assert head.healthz().headers == {"content-type": "text/plain; charset=utf-8"}
    assert text(worker.healthz()) == (503, "No replicas are available yet.")
    assert text(worker.routes()) == (503, "No replicas are available yet.")


@pytest.mark.accepts("SV-105")
def test_a_worker_stays_well_after_all_replicas_have_died() -> None:
    serve = probe(pods=2)
    worker = serve.proxies[1]
    assert text(worker.healthz()) == (200, "success")
    serve.replicas["Probe"][0].kill()
    serve.routers.update_replicas(serve.deployment("Probe"), [])
    assert text(worker.healthz()) == (200, "success")


@pytest.mark.accepts("SV-106")
def test_a_proxy_without_routes_stays_well_once_it_had_some() -> None:
    serve = probe(pods=2)
    for proxy in serve.proxies:
        proxy.set_routes([])
        assert text(proxy.routes()) == (200, "{}")
        assert proxy.routes().headers == {"content-type": "application/json"}
        assert text(proxy.healthz()) == (200, "success")


def test_a_draining_proxy_says_so_and_serves() -> None:
    serve = probe()
    serve.proxies[0].set_draining(True)
    assert text(ask(serve, "/-/healthz")) == (503, "This node is being drained.")
    assert text(ask(serve, "/-/routes")) == (503, "This node is being drained.")
    assert text(ask(serve)) == (200, "v1")
    serve.proxies[0].set_draining(False)
    assert text(ask(serve, "/-/healthz")) == (200, "success")


@pytest.mark.accepts("SV-107")
def test_the_longest_prefix_at_a_path_boundary_wins() -> None:
    serve = probe()
    proxy = serve.proxies[0]
    proxy.set_routes(
        [Route("/a", "app", serve.deployment("Probe")), Route("/a/b", "other", DeploymentId("E", "other"))]
    )
    found = {path: proxy._find(path) for path in ("/a", "/a/bc", "/a/b/c", "/a/b", "/ab", "/A")}
    apps = {path: target.route.app if target is not None else None for path, target in found.items()}
    assert apps == {"/a": "app", "/a/bc": "app", "/a/b/c": "other", "/a/b": "other", "/ab": None, "/A": None}
    answer = ask(serve, "/ab?x=1")
    assert text(answer) == (404, "Path '/ab' not found. Ping http://.../-/routes for available routes.")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask(serve, "/-/healthz/").status == 404


@pytest.mark.accepts("SV-108")
def test_a_request_beyond_the_time_limit_is_answered_408_and_its_slot_is_free() -> None:
    serve = probe(request_timeout_s=1, max_ongoing_requests=1)
    answer = ask(serve, command={"sleep": 5}, x_request_id="my-id")
    assert seconds(serve) == 1.0
    assert text(answer) == (408, "Request my-id timed out after 1.0s.")
    assert serve.replicas["Probe"][0].ongoing == 0
    assert text(ask(serve)) == (200, "v1")
    assert seconds(serve) == 1.0


@pytest.mark.accepts("SV-109")
def test_the_header_sets_or_lifts_the_time_limit() -> None:
    unlimited = probe()
    answer = ask(unlimited, command={"sleep": 5}, x_request_timeout_seconds="0.5", x_request_id="i")
    assert (text(answer), seconds(unlimited)) == ((408, "Request i timed out after 0.5s."), 0.5)
    limited = probe(request_timeout_s=1)
    assert text(ask(limited, command={"sleep": 5}, x_request_timeout_seconds="0")) == (200, "slept 5")
    assert ask(limited, command={"sleep": 5}, x_request_timeout_seconds="soon").status == 408


def test_the_time_limit_covers_waiting_for_a_replica() -> None:
    serve = probe(request_timeout_s=1)
    serve.routers.update_replicas(serve.deployment("Probe"), [])
    assert ask(serve).status == 408
    assert seconds(serve) == 1.0
    assert serve.routers.loads(serve.deployment("Probe")) == [("proxy/node-0", 0, 0)]


class _Front:
    def __init__(self, back: Any) -> None:
        self.back = back

    async def __call__(self, request: Any) -> str:
        return f"front({await self.back.answer.remote(await request.body())})"


class _Back:
    async def answer(self, raw: bytes) -> str:
        command = json.loads(raw) if raw else {}
        if "sleep" in command:
            await sleep(command["sleep"])
        if "raise" in command:
            raise ValueError(command["raise"])
        return "b1"


def pair(**options: Any) -> LocalServe:
    back = DeploymentCode("Back", _Back)
    front = DeploymentCode("Front", _Front, init_args=(Child("Back"),))
    return LocalServe(ApplicationCode("pair.app", "Front", {"Back": back, "Front": front}), **options)


@pytest.mark.accepts("SV-110")
@pytest.mark.parametrize("make", [probe, pair])
def test_code_that_raises_in_the_ingress_or_behind_it_is_500(make: Callable[[], LocalServe]) -> None:
    answer = ask(make(), command={"raise": "no luck"})
    assert text(answer) == (500, "Internal Server Error")
    assert "content-type" not in answer.headers


@pytest.mark.accepts("SV-111")
def test_a_request_waits_for_the_first_replica() -> None:
    app = single("slow.app", Constant(0.5), startup=Constant(3.0))
    serve = LocalServe(app, replicas=2, is_initialized=False)
    for index in range(2):
        serve.kernel.spawn("start", serve.start("App", index))
    assert ask(serve).status == 200
    assert seconds(serve) == 3.5


def test_a_deployment_that_failed_to_deploy_is_answered_503_at_once() -> None:
    serve = probe(app_name="a")
    deployment = serve.deployment("Probe")
    serve.routers.update_replicas(deployment, [])
    serve.routers.set_unavailable(deployment, True)
    answer = ask(serve)
    assert text(answer) == (503, "Deployment(name='Probe', app='a') is unavailable because it failed to deploy.")
    assert seconds(serve) == 0.0


@pytest.mark.accepts("SV-114")
def test_every_answer_carries_the_request_id() -> None:
    serve = probe()
    assert ask(serve, x_request_id="abc").headers["x-request-id"] == "abc"
    made = [ask(serve, path).headers["x-request-id"] for path in ("/", "/nope/", "/-/healthz")]
    assert len(dict.fromkeys(made)) == 3
    assert [len(part) for part in made[0].split("-")] == [8, 4, 4, 4, 12]
    assert made[0][14] == "4"


@pytest.mark.accepts("SV-115")
@pytest.mark.parametrize(("headers", "ongoing"), [({}, 0), ({"x-request-disconnect-disabled": "?1"}, 1)])
def test_a_client_that_leaves_cancels_its_request_unless_it_says_not_to(headers: dict[str, str], ongoing: int) -> None:
    serve = probe()
    replica = serve.replicas["Probe"][0]
    client = serve.kernel.spawn("client", serve.request("POST", "/", body=b'{"sleep": 10}', headers=headers))
    serve.kernel.run(until_s=1.0)
    assert replica.ongoing == 1
    client.cancel()
    serve.kernel.run(until_s=2.0)
    assert replica.ongoing == ongoing
    serve.kernel.run(until_s=10.5)
    assert replica.ongoing == 0
    assert serve.proxies[0].ongoing == 0


def test_cancellation_reaches_the_calls_that_the_request_made() -> None:
    serve = pair()
    client = serve.kernel.spawn("client", serve.request("POST", "/", body=b'{"sleep": 10}'))
    serve.kernel.run(until_s=1.0)
    assert [serve.replicas[name][0].ongoing for name in ("Front", "Back")] == [1, 1]
    client.cancel()
    serve.kernel.run(until_s=1.5)
    assert [serve.replicas[name][0].ongoing for name in ("Front", "Back")] == [0, 0]


def test_an_ended_proxy_breaks_what_is_under_way_and_refuses_the_rest() -> None:
    serve = probe()
    failures: list[Failure] = []

    async def client(delay_s: float) -> None:
        await serve.kernel.sleep(delay_s)
        try:
            await serve.request("POST", "/", body=b'{"sleep": 10}')
        except HttpFailure as failure:
            failures.append(failure.failure)

    serve.kernel.spawn("a", client(0.0))
    serve.kernel.spawn("b", client(2.0))
    serve.kernel.call_later(NS, lambda _: serve.proxies[0].close(reset=True))
    serve.kernel.run()
    assert failures == [Failure.RESET, Failure.REFUSED]
    assert serve.replicas["Probe"][0].ongoing == 0


def test_a_proxy_closed_without_reset_answers_what_is_under_way() -> None:
    serve = probe()
    serve.kernel.call_later(NS, lambda _: serve.proxies[0].close(reset=False))
    assert text(ask(serve, command={"sleep": 3})) == (200, "slept 3")


def test_a_hanging_proxy_takes_requests_and_answers_none() -> None:
    serve = probe()
    serve.proxies[0].set_hanging(True)
    serve.kernel.spawn("client", serve.request("GET", "/-/healthz"))
    serve.kernel.run()
    assert serve.proxies[0].ongoing == 1


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ({}, (200, "v1", "text/plain; charset=utf-8")),
        ({"json": {"a": [1, None, 2.5]}}, (200, '{"a":[1,null,2.5]}', "application/json")),
        ({"json": 6}, (200, "6", "application/json")),
        ({"status": 418}, (418, "status 418", "text/plain; charset=utf-8")),
    ],
)
def test_what_user_code_returns_becomes_text_or_json(command: Any, answer: tuple[int, str, str]) -> None:
    got = ask(probe(), command=command)
    assert (*text(got), got.headers["content-type"]) == answer


def test_a_root_path_precedes_the_paths_that_applications_see_and_no_route() -> None:
    kernel = Kernel()
    proxy = ProxyServer(kernel, "n", True, Random(1), routers=Routers(kernel), root_path="/root/")
    proxy.set_routes([Route("/", "app", DeploymentId("D", "app")), Route("/a", "b", DeploymentId("E", "b"))])
    seen = []
    for path in ("/a/x", "/root/a", "/"):
        exchange = HttpExchange(HttpRequest.of("GET", path))
        proxy.accept(exchange)
        seen.append((exchange.app, exchange.http.path, exchange.route_prefix))
    assert seen == [("b", "/root/a/x", "/root/a"), ("app", "/root/root/a", "/root"), ("app", "/root/", "/root")]


def test_requests_under_way_outlive_their_route() -> None:
    serve = probe()
    serve.kernel.call_later(NS, lambda _: serve.proxies[0].set_routes([]))
    assert text(ask(serve, command={"sleep": 3})) == (200, "slept 3")
    assert ask(serve).status == 404


def test_a_request_is_an_http_value() -> None:
    serve = probe()
    got = serve.run(serve.proxies[0].handle(HttpRequest("GET", "/")))
    assert got.status == 200
