"""The simulated network: addresses, names, connections, and what a client sees when the other end goes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from rayrig_core.faultpoints import Delay, ErrorBefore, FaultPoint, LostReply, Reaction
from rayrig_core.http import Failure, HttpFailure, HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS
from rayrig_sim.calibration import Calibration, Constant, instant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import AddressTaken, Network, Reach


class _Answers:
    """Answers 200 with what it was asked, after `delay_s`."""

    def __init__(self, kernel: Kernel, delay_s: float = 0.0, name: str = "") -> None:
        self._kernel, self._delay_s, self._name = kernel, delay_s, name
        self.seen: list[HttpRequest] = []
        self.finished = 0

    async def handle(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        await self._kernel.sleep(self._delay_s)
        self.finished += 1
        return HttpResponse.text(200, self._name or request.path)


class _World:
    def __init__(self, calibration: Calibration | None = None, faults: Any = None) -> None:
        self.kernel = Kernel(5)
        self.table = ServiceTable()
        self.network = Network(self.kernel, self.table, self.kernel.streams, calibration or instant(), faults=faults)
        self.client = NetworkClient(self.network, "operator")

    def answers(self, delay_s: float = 0.0, name: str = "") -> _Answers:
        return _Answers(self.kernel, delay_s, name)

    def pod(self, node: str = "n1", *, port: int = 8000, delay_s: float = 0.0, name: str = "") -> tuple[str, _Answers]:
        ip = self.network.allocate_pod_ip(node)
        listener = self.answers(delay_s, name)
        self.network.listen(ip, port, listener)
        return ip, listener

    def at(self, when_s: float, action: Any) -> None:
        self.kernel.call_later(round(when_s * NS), lambda _: action())

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        self.kernel.run(self.kernel.spawn("story", story))

    async def failure(self, url: str, **options: Any) -> tuple[Failure, float]:
        """How a GET fails, and when."""
        with pytest.raises(HttpFailure) as failed:
            await self.client.request("GET", url, **options)
        return failed.value.failure, self.kernel.monotonic_ns() / NS


@pytest.fixture
def world() -> _World:
    return _World()


def _service(name: str, *, namespace: str = "default", cluster_ip: str = "10.96.0.7", port: int = 80) -> JsonObject:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": cluster_ip, "ports": [{"name": "http", "port": port}]},
    }


def _slice(name: str, *endpoints: tuple[str, str], port: int = 8000) -> JsonObject:
    """Endpoints as (ip, state): `ready`, `draining`, `unready`."""
    conditions = {
        "ready": {"ready": True, "serving": True, "terminating": False},
        "draining": {"ready": False, "serving": True, "terminating": True},
        "unready": {"ready": False, "serving": False, "terminating": False},
    }
    return {
        "metadata": {"name": name, "namespace": "default"},
        "ports": [{"name": "http", "port": port}],
        "endpoints": [
            {"addresses": [ip], "conditions": conditions[state], "targetRef": {"name": f"pod-{ip}"}}
            for ip, state in endpoints
        ],
    }


def test_addresses_are_the_nodes_own_and_never_twice(world: _World) -> None:
    first = [world.network.allocate_pod_ip(node) for node in ("a", "b", "a")]
    assert first == ["10.244.0.2", "10.244.1.2", "10.244.0.3"]
    many = {world.network.allocate_pod_ip("a") for _ in range(251)}
    assert len(many) == 251
    assert not many & set(first)
    assert world.network.allocate_pod_ip("a") == "10.244.2.2"
    assert world.network.node_of("10.244.2.2") == "a"


def test_a_request_reaches_the_pod_and_its_answer_comes_back(world: _World) -> None:
    ip, listener = world.pod(delay_s=0.25)

    async def story() -> None:
        answer = await world.client.request("PUT", f"http://{ip}:8000/a?b=1", body=b"x", headers={"X-Y": "z"})
        assert (answer.status, answer.body) == (200, b"/a")
        assert world.kernel.monotonic_ns() == 250_000_000

    world.play(story())
    (request,) = listener.seen
    assert (request.method, request.query, request.body) == ("PUT", {"b": ["1"]}, b"x")
    assert request.headers == {"host": f"{ip}:8000", "x-y": "z"}


def test_latencies_of_name_connection_and_transfer_pass() -> None:
    zero = instant()
    world = _World(
        zero.with_overrides({"dns_latency": "10ms", "connect_latency": Constant(0.02), "http_latency": 0.03})
    )
    ip, _ = world.pod()
    world.table.put_service(_service("svc"))
    world.table.put_slice("default", "svc", _slice("svc-1", (ip, "ready")))

    async def story() -> None:
        await world.client.request("GET", f"http://{ip}:8000/")
        assert world.kernel.monotonic_ns() == 50_000_000
        await world.client.request("GET", "http://svc/")
        assert world.kernel.monotonic_ns() == 110_000_000

    world.play(story())


@pytest.mark.parametrize(
    "host",
    [
        "svc",
        "svc.default",
        "svc.default.svc",
        "svc.default.svc.cluster.local",
        "svc.default.svc.cluster.local.",
        "10.96.0.7",
    ],
)
def test_every_form_of_a_service_name_leads_to_its_pod(world: _World, host: str) -> None:
    ip, _ = world.pod()
    world.table.put_service(_service("svc"))
    world.table.put_slice("default", "svc", _slice("svc-1", (ip, "ready")))

    async def story() -> None:
        assert (await world.client.request("GET", f"http://{host}/x")).body == b"/x"

    world.play(story())


def test_a_short_name_is_looked_up_in_the_clients_namespace(world: _World) -> None:
    ip, _ = world.pod()
    world.table.put_service(_service("svc", namespace="team"))
    world.table.put_slice("team", "svc", _slice("svc-1", (ip, "ready")))
    inside = NetworkClient(world.network, "pod", namespace="team")

    async def story() -> None:
        assert (await inside.request("GET", "http://svc/")).status == 200
        assert await world.failure("http://svc/") == (Failure.UNRESOLVED, 0.0)

    world.play(story())


def test_a_headless_service_resolves_to_pods_and_keeps_the_port_of_the_url(world: _World) -> None:
    ip, _ = world.pod(port=6379)
    world.table.put_service(_service("head", cluster_ip="None"))

    async def story() -> None:
        assert await world.failure("http://head:6379/") == (Failure.UNRESOLVED, 0.0)
        world.table.put_slice("default", "head", _slice("head-1", (ip, "ready")))
        assert (await world.client.request("GET", "http://head:6379/ok")).body == b"/ok"
        assert await world.failure("http://head:9/") == (Failure.REFUSED, 0.0)

    world.play(story())


@pytest.mark.accepts("K8-078")
def test_new_connections_go_to_ready_endpoints_then_to_serving_ones_that_terminate_then_nowhere(world: _World) -> None:
    ips = [world.pod(name=name)[0] for name in ("a", "b", "c")]
    world.table.put_service(_service("svc"))

    async def answered_by() -> set[bytes]:
        return {(await world.client.request("GET", "http://svc/")).body for _ in range(40)}

    async def story() -> None:
        world.table.put_slice("default", "svc", _slice("s", (ips[0], "ready"), (ips[1], "ready"), (ips[2], "draining")))
        assert await answered_by() == {b"a", b"b"}
        world.table.put_slice("default", "svc", _slice("s", (ips[0], "unready"), (ips[2], "draining")))
        assert await answered_by() == {b"c"}
        world.table.put_slice("default", "svc", _slice("s", (ips[0], "unready")))
        assert await world.failure("http://svc/") == (Failure.REFUSED, 0.0)

    world.play(story())


def test_a_port_without_rule_swallows_packets_and_a_port_without_listener_refuses(world: _World) -> None:
    ip, _ = world.pod()
    world.table.put_service(_service("svc"))
    world.table.put_slice("default", "svc", _slice("svc-1", (ip, "ready")))

    async def story() -> None:
        assert await world.failure(f"http://{ip}:9/") == (Failure.REFUSED, 0.0)
        assert await world.failure("http://svc:81/", timeout_s=2.0) == (Failure.TIMEOUT, 2.0)
        assert await world.failure("http://10.244.9.9:80/", timeout_s=1.0) == (Failure.TIMEOUT, 3.0)

    world.play(story())


def test_a_slow_answer_is_given_up_at_the_time_limit_and_its_handler_stopped(world: _World) -> None:
    ip, listener = world.pod(delay_s=5.0)

    async def story() -> None:
        assert await world.failure(f"http://{ip}:8000/", timeout_s=2.0) == (Failure.TIMEOUT, 2.0)
        await world.kernel.sleep(10.0)
        assert listener.finished == 0

    world.play(story())


def test_a_removed_pod_resets_what_is_open_and_answers_nothing_afterwards(world: _World) -> None:
    ip, _ = world.pod(delay_s=5.0)
    gone: list[Failure] = []
    world.network.on_gone(ip, gone.append)
    world.at(1.0, lambda: world.network.remove_pod(ip))

    async def story() -> None:
        assert await world.failure(f"http://{ip}:8000/") == (Failure.RESET, 1.0)
        assert gone == [Failure.RESET]
        assert await world.failure(f"http://{ip}:8000/", timeout_s=3.0) == (Failure.TIMEOUT, 4.0)
        with pytest.raises(ValueError, match="was removed"):
            world.network.listen(ip, 8000, world.answers())

    world.play(story())


def test_a_pod_can_be_removed_so_that_later_connections_are_refused(world: _World) -> None:
    ip, _ = world.pod()
    world.network.remove_pod(ip, refuse=True)

    async def story() -> None:
        assert await world.failure(f"http://{ip}:8000/") == (Failure.REFUSED, 0.0)

    world.play(story())


def test_a_process_that_ends_resets_its_port_only(world: _World) -> None:
    ip, _ = world.pod(delay_s=5.0)
    world.network.listen(ip, 9000, world.answers(5.0))
    world.at(1.0, lambda: world.network.close(ip, 8000))

    async def story() -> None:
        other = world.kernel.spawn("other", world.client.request("GET", f"http://{ip}:9000/"))
        assert await world.failure(f"http://{ip}:8000/") == (Failure.RESET, 1.0)
        assert await world.failure(f"http://{ip}:8000/") == (Failure.REFUSED, 1.0)
        answer = await other
        assert answer is not None
        assert answer.status == 200

    world.play(story())


def test_a_silent_machine_answers_nothing_and_resets_nothing_until_it_is_back(world: _World) -> None:
    ip, _ = world.pod("lost", delay_s=2.0)
    gone: list[Failure] = []
    world.network.on_gone(ip, gone.append)
    world.at(1.0, lambda: world.network.silence_node("lost"))
    world.at(20.0, lambda: world.network.restore_node("lost"))

    async def story() -> None:
        assert await world.failure(f"http://{ip}:8000/", timeout_s=5.0) == (Failure.TIMEOUT, 5.0)
        assert gone == [Failure.TIMEOUT]
        world.network.close(ip, 8000)
        assert await world.failure(f"http://{ip}:8000/", timeout_s=5.0) == (Failure.TIMEOUT, 10.0)
        assert await world.failure(f"http://{ip}:8000/", timeout_s=60.0) == (Failure.REFUSED, 20.0)

    world.play(story())


def test_a_partition_cuts_one_pair_and_heals(world: _World) -> None:
    ip, _ = world.pod("n1")
    other = NetworkClient(world.network, "user")
    world.network.partition("operator", "n1")
    world.at(6.0, world.network.heal)

    async def story() -> None:
        assert world.network.reach("operator", ip) is Reach.SILENT
        assert world.network.reach("user", ip) is Reach.OK
        assert (await other.request("GET", f"http://{ip}:8000/")).status == 200
        assert await world.failure(f"http://{ip}:8000/", timeout_s=2.0) == (Failure.TIMEOUT, 2.0)
        assert (await world.client.request("GET", f"http://{ip}:8000/", timeout_s=30.0)).status == 200
        assert world.kernel.monotonic_ns() == 6 * NS

    world.play(story())


def test_an_answer_under_way_waits_for_the_partition_to_heal(world: _World) -> None:
    ip, listener = world.pod(delay_s=1.0)
    world.at(0.5, lambda: world.network.partition("*", ip))
    world.at(3.0, lambda: world.network.heal("*", ip))

    async def story() -> None:
        assert (await world.client.request("GET", f"http://{ip}:8000/")).status == 200
        assert world.kernel.monotonic_ns() == 3 * NS
        assert listener.finished == 1

    world.play(story())


def test_a_pod_reaches_itself_as_localhost_and_is_cut_off_with_its_machine(world: _World) -> None:
    ip, _ = world.pod("n1")
    other, _ = world.pod("n2")
    itself = NetworkClient(world.network, ip)

    async def story() -> None:
        assert (await itself.request("GET", "http://localhost:8000/me")).body == b"/me"
        world.network.silence(ip)
        with pytest.raises(HttpFailure) as failed:
            await itself.request("GET", f"http://{other}:8000/", timeout_s=1.0)
        assert failed.value.failure is Failure.TIMEOUT

    world.play(story())


def test_a_pods_dns_name_leads_to_its_address(world: _World) -> None:
    ip, _ = world.pod()

    async def story() -> None:
        dashed = ip.replace(".", "-")
        assert (await world.client.request("GET", f"http://{dashed}.default.pod.cluster.local:8000/")).status == 200

    world.play(story())


def test_two_listeners_on_one_port_are_refused(world: _World) -> None:
    ip, _ = world.pod()
    with pytest.raises(AddressTaken):
        world.network.listen(ip, 8000, world.answers())


def test_the_data_plane_finds_its_own_listeners(world: _World) -> None:
    ip = world.network.allocate_pod_ip("n1")
    proxy = object()
    world.network.listen(ip, 8000, proxy)
    assert world.network.listener(ip, 8000) is proxy
    assert world.network.listener(ip, 8001) is None
    assert world.network.listener("10.9.9.9", 8000) is None


class _Strikes:
    def __init__(self, reaction: Reaction) -> None:
        self._reaction = reaction
        self.points: list[FaultPoint] = []

    def strike(self, point: FaultPoint) -> Reaction | None:
        self.points.append(point)
        return self._reaction if point.nth == 1 else None


def test_faults_strike_a_request_before_its_effect_or_after() -> None:
    for reaction, effects in ((ErrorBefore(503, "Unavailable", "busy"), 0), (LostReply(), 1), (Delay(2.0), 1)):
        strikes = _Strikes(reaction)
        world = _World(faults=strikes)
        ip, listener = world.pod()

        async def story(
            world: _World = world, ip: str = ip, reaction: Reaction = reaction, url: str = f"http://{ip}:8000/a"
        ) -> None:
            if isinstance(reaction, LostReply):
                assert (await world.failure(url + "?q=1"))[0] is Failure.TIMEOUT
            else:
                answer = await world.client.request("GET", url + "?q=1")
                assert answer.status == (503 if isinstance(reaction, ErrorBefore) else 200)

        world.play(story())
        assert len(listener.seen) == effects
        assert strikes.points == [FaultPoint("operator", "GET", f"http://{ip}:8000/a", 1)]
