"""Through a Gateway each request is routed by itself, and what goes wrong behind it is told to the client with its cause."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rayrig_core.http import Failure, HttpFailure
from rayrig_core.trace import Kind, TraceEvent
from rayrig_sim.calibration import Calibration, Constant
from rayrig_sim.kubernetes.gateway.routes import RouteBackend, RouteRule
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.serve.application_code import single
from rayrig_sim.serve.local import PORT, LocalServe
from rayrig_sim.traffic.closed_loop import ClosedLoop
from rayrig_sim.traffic.open_loop import OpenLoop
from rayrig_sim.traffic.requests import FreshConnections, GatewayTarget, KeepAlive, RequestClass
from rayrig_sim.traffic.source import Source

TARGET = GatewayTarget("shop")


class Shop:
    """One application on two pods; the Services `blue` and `green` have a pod each. `route` sets the Gateway's weights."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.serve = serve = LocalServe(
            single("m.app", Constant(seconds)), pods=2, replicas=2, max_ongoing_requests=100
        )
        self.kernel = serve.kernel
        for name, index in (("blue", 0), ("green", 1)):
            metadata = {"name": name, "namespace": "default"}
            spec = {"clusterIP": f"10.96.1.{index}", "ports": [{"name": "serve", "port": PORT}]}
            serve.table.put_service({"metadata": metadata, "spec": spec})
            self.endpoints(name, [index])

    def endpoints(self, service: str, pods: list[int], cause: int | None = None) -> None:
        endpoints = [
            {
                "addresses": [self.serve.ips[index]],
                "conditions": {"ready": True},
                "targetRef": {"name": f"pod-{index}", "namespace": "default"},
            }
            for index in pods
        ]
        slice_ = {
            "metadata": {"name": f"{service}-1", "namespace": "default"},
            "ports": [{"name": "serve", "port": PORT}],
            "endpoints": endpoints,
        }
        self.serve.table.put_slice("default", service, slice_, cause=cause)

    def route(self, *weights: tuple[str, int], path: str = "/", problem: str = "") -> int:
        event = self.kernel.trace.emit(Kind.ROUTES, "gateways/default/shop", "in effect", str(weights))
        backends = tuple(RouteBackend("default", name, PORT, weight, problem) for name, weight in weights)
        rule = RouteRule((), "PathPrefix", path, "", (), backends)
        self.serve.network.gateways.put("default", "shop", [80], [rule], event)
        return event

    def send(self, rate: float = 100.0, *, seconds: float = 10.0, **options: Any) -> OpenLoop:
        target = options.pop("target", TARGET)
        source = OpenLoop(self.kernel, self.serve.network, target, rate, limit=round(rate * seconds), **options)
        source.start()
        return source


def requests_of(source: Source) -> list[TraceEvent]:
    return [event for event in source.kernel.trace.select(Kind.REQUEST) if event.actor == source.actor]


def by_pod(source: Source) -> dict[Any, int]:
    return dict(sorted(Counter(event["pod"] for event in requests_of(source)).items()))


@pytest.mark.parametrize("connections", [FreshConnections(), KeepAlive(size=1)])
def test_the_weights_share_the_requests_whatever_connection_they_come_on(connections: Any) -> None:
    shop = Shop()
    shop.route(("blue", 75), ("green", 25))
    source = shop.send(connections=connections)
    shop.kernel.run(until_s=20)
    assert dict(source.accounting().fates) == {"ok": 1000}
    shares = by_pod(source)
    assert shares["pod-0"] + shares["pod-1"] == 1000
    assert 210 <= shares["pod-1"] <= 290


def test_a_backend_of_weight_0_gets_nothing_and_new_weights_hold_from_the_next_request_on() -> None:
    shop = Shop()
    shop.route(("blue", 100), ("green", 0))
    source = shop.send(connections=KeepAlive(size=1))

    def move(_: object) -> None:
        shop.route(("blue", 0), ("green", 100))

    shop.kernel.call_later(5_000_000_001, move)
    shop.kernel.run(until_s=20)
    assert [event["pod"] for event in requests_of(source)] == ["pod-0"] * 501 + ["pod-1"] * 499


def test_a_closed_loop_goes_through_the_gateway_too() -> None:
    shop = Shop()
    shop.route(("blue", 50), ("green", 50))
    source = ClosedLoop(shop.kernel, shop.serve.network, TARGET, 2, think=0.1, connections=KeepAlive())
    source.start()
    shop.kernel.run(until_s=20)
    assert set(by_pod(source)) == {"pod-0", "pod-1"}
    assert set(source.accounting().fates) == {"ok"}


def test_the_hop_takes_one_way_more_and_only_fresh_connections_a_handshake() -> None:
    def latency(target: GatewayTarget | None, connections: Any) -> Any:
        shop = Shop()
        shop.route(("blue", 1))
        calibration = Calibration().with_overrides(
            {"http_latency": 0.001, "proxy_latency": 0.01, "replica_latency": 0.02, "connect_latency": 0.1}
        )
        source = shop.send(1, seconds=1, target=target or TARGET, connections=connections, calibration=calibration)
        shop.kernel.run(until_s=5)
        (event,) = requests_of(source)
        return event["latency_ns"]

    assert latency(TARGET, KeepAlive()) == 42_000_000
    assert latency(TARGET, FreshConnections()) == 142_000_000


def test_a_single_request_finds_the_gateway_by_its_name_and_is_told_what_is_wrong_behind_it() -> None:
    shop = Shop()
    client = NetworkClient(shop.serve.network, "curl")
    url = "http://shop.default.gateway"

    answers: list[Any] = []

    async def told() -> None:
        for change in (
            lambda: None,
            lambda: shop.route(("blue", 0), ("green", 1)),
            lambda: shop.route(("blue", 1), path="/fruit"),
            lambda: shop.route(("blue", 0)),
            lambda: shop.route(("nobody", 1), problem="no such Service: default/nobody"),
            lambda: (shop.endpoints("green", []), shop.route(("green", 1))),
        ):
            change()
            try:
                answer = await client.request("GET", f"{url}:80/")
                answers.append(answer.status)
            except HttpFailure as failure:
                answers.append(failure.failure)
        with pytest.raises(HttpFailure) as refused:
            await client.request("GET", f"{url}:81/")
        answers.append(refused.value.failure)

    shop.kernel.run(shop.kernel.spawn("curl", told()))
    assert answers == [Failure.UNRESOLVED, 200, 404, 500, 500, 503, Failure.REFUSED]


def test_what_has_nowhere_to_go_is_told_with_its_cause() -> None:
    shop = Shop()
    routed = shop.route(("blue", 1), path="/fruit")
    emptied = shop.kernel.trace.emit(Kind.ENDPOINTS, "services/default/green", 0, "in effect")
    shop.endpoints("green", [], emptied)

    def ask(name: str, target: GatewayTarget = TARGET) -> tuple[Any, Any, Any, int | None]:
        source = shop.send(1, seconds=1, name=name, target=target, mix=[RequestClass(path="/fruit/")])
        shop.kernel.run(until_s=shop.kernel.monotonic_ns() / 1e9 + 1)
        (event,) = requests_of(source)
        assert source.accounting().sent == 1 == sum(source.accounting().fates.values())
        return event["fate"], event["status"], event["detail"], event.cause

    fate, status, detail, _ = ask("nowhere", GatewayTarget("nobody"))
    assert (fate, status, detail) == ("no-endpoint", None, "no such Gateway")
    assert ask("port", GatewayTarget("shop", port=8080)) == (
        "no-endpoint",
        None,
        "the Gateway does not listen on port 8080",
        routed,
    )
    routed = shop.route(("blue", 1), path="/calc")
    assert ask("path") == ("404", 404, "no HTTPRoute takes this request", routed)
    routed = shop.route(("blue", 0))
    assert ask("weightless") == ("500", 500, "the HTTPRoute has no backend with a weight", routed)
    routed = shop.route(("red", 1), problem="no such Service: default/red")
    detail = "the route's backend is missing: no such Service: default/red"
    assert ask("missing") == ("500", 500, detail, routed)
    shop.route(("green", 1))
    assert ask("empty") == ("503", 503, "no endpoint is ready behind Service green", emptied)


def test_what_breaks_behind_the_gateway_is_a_503_to_the_client() -> None:
    shop = Shop(seconds=3.0)
    shop.route(("blue", 1))
    source = shop.send(1, seconds=1, connections=KeepAlive())
    shop.kernel.call_later(1_000_000_000, lambda _: shop.serve.network.remove_pod(shop.serve.ips[0], refuse=True))
    shop.kernel.run(until_s=40)
    (event,) = requests_of(source)
    assert (event.t_s, event["fate"], event["status"]) == (1.0, "503", 503)
    assert str(event["detail"]).startswith("connection-reset behind the gateway: ")
    late = shop.send(1, seconds=1, name="late")
    shop.kernel.run(until_s=50)
    (event,) = requests_of(late)
    assert (event["fate"], event["status"]) == ("503", 503)
    assert str(event["detail"]).startswith("refused behind the gateway: ")
