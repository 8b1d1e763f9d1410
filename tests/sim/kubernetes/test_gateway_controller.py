"""Gateways and HTTPRoutes are brought into effect after a delay, and their status says what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_core.objects import JsonObject, condition_of
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, GATEWAY, HTTP_ROUTE, SERVICE
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.gateway.controller import GatewayController
from rayrig_sim.kubernetes.gateway.routes import GatewayTable, RouteRule, rules_of

GATEWAY_OBJECT: JsonObject = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
}


def backend(name: str, weight: int, **more: Any) -> JsonObject:
    return {"name": name, "port": 8000, "weight": weight, **more}


def route(*backends: JsonObject, parent: JsonObject | None = None, **spec: Any) -> JsonObject:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": list(backends)}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "way", "namespace": "default"},
        "spec": {"parentRefs": [parent or {"name": "shop"}], "rules": [rule], **spec},
    }


def service(name: str) -> JsonObject:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 8000}]}}


class Shop:
    """An API server with the definitions, and a controller that takes a second for everything."""

    def __init__(self) -> None:
        self.kernel = kernel = Kernel(0)
        self.server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        for definition in custom_resource_definitions():
            self.server.call(ApiCall("create", CUSTOM_RESOURCE_DEFINITION, body=definition, trusted=True))
        self.client = InProcessClient(self.server, kernel, actor="test")
        self.table = GatewayTable()
        self.firsts: list[int] = []
        client = InProcessClient(self.server, kernel, actor="gateway-controller")
        GatewayController(
            kernel,
            client,
            self.table,
            delay=Constant(1.0),
            rng=kernel.streams.stream("gateways"),
            on_first=lambda: self.firsts.append(kernel.monotonic_ns()),
        )

    def run(self, story: Callable[[Shop], Awaitable[None]]) -> None:
        async def play() -> None:
            await story(self)

        self.kernel.run(self.kernel.spawn("story", play()))

    async def conditions(self, resource: Any, name: str) -> dict[str, tuple[str, str]]:
        obj = await self.client.get(resource, name, "default")
        if resource is HTTP_ROUTE:
            parents = (obj.get("status") or {}).get("parents") or [{}]
            obj = {"status": parents[0]}
        found = {kind: condition_of(obj, kind) for kind in ("Accepted", "Programmed", "ResolvedRefs")}
        return {kind: (each["status"], each["reason"]) for kind, each in found.items() if each is not None}

    def weights(self) -> list[tuple[str, int, str]] | None:
        rules = self.table.rules("default", "shop", 80)
        if rules is None:
            return None
        return [(each.service, each.weight, each.problem) for rule in rules for each in rule.backends]


def test_a_gateway_is_programmed_after_the_delay() -> None:
    async def story(shop: Shop) -> None:
        await shop.kernel.sleep(5)
        assert shop.firsts == []
        await shop.client.create(GATEWAY, GATEWAY_OBJECT)
        await shop.kernel.sleep(0.9)
        assert await shop.conditions(GATEWAY, "shop") == {
            "Accepted": ("Unknown", "Pending"),
            "Programmed": ("Unknown", "Pending"),
        }
        assert shop.weights() is None
        await shop.kernel.sleep(0.2)
        assert await shop.conditions(GATEWAY, "shop") == {
            "Accepted": ("True", "Accepted"),
            "Programmed": ("True", "Programmed"),
        }
        assert shop.weights() == []
        assert [at // NS for at in shop.firsts] == [5]

    Shop().run(story)


def test_without_a_gateway_nothing_is_done() -> None:
    shop = Shop()

    async def story(shop: Shop) -> None:
        before = len(shop.kernel.trace)
        await shop.client.create(SERVICE, service("blue"))
        await shop.kernel.sleep(60)
        assert len(shop.kernel.trace) == before + 1

    shop.run(story)


def test_a_route_whose_service_is_missing_says_so_until_it_is_there() -> None:
    async def story(shop: Shop) -> None:
        await shop.client.create(GATEWAY, GATEWAY_OBJECT)
        await shop.client.create(SERVICE, service("blue"))
        await shop.client.create(HTTP_ROUTE, route(backend("blue", 90), backend("green", 10)))
        await shop.kernel.sleep(3)
        found = await shop.conditions(HTTP_ROUTE, "way")
        assert found == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("False", "BackendNotFound")}
        assert shop.weights() == [("blue", 90, ""), ("green", 10, "no such Service: default/green")]
        await shop.client.create(SERVICE, service("green"))
        await shop.kernel.sleep(3)
        assert (await shop.conditions(HTTP_ROUTE, "way"))["ResolvedRefs"] == ("True", "ResolvedRefs")
        assert shop.weights() == [("blue", 90, ""), ("green", 10, "")]
        await shop.client.delete(SERVICE, "green", "default")
        await shop.kernel.sleep(3)
        assert (await shop.conditions(HTTP_ROUTE, "way"))["ResolvedRefs"] == ("False", "BackendNotFound")

    Shop().run(story)


def test_new_weights_come_into_effect_after_the_delay_with_their_cause() -> None:
    shop = Shop()

    async def story(shop: Shop) -> None:
        await shop.client.create(GATEWAY, GATEWAY_OBJECT)
        await shop.client.create(SERVICE, service("blue"))
        created = await shop.client.create(HTTP_ROUTE, route(backend("blue", 90)))
        await shop.kernel.sleep(5)
        current = await shop.client.get(HTTP_ROUTE, "way", "default")
        await shop.client.update(HTTP_ROUTE, {**current, "spec": route(backend("blue", 80))["spec"]})
        await shop.kernel.sleep(0.5)
        assert shop.weights() == [("blue", 90, "")]
        await shop.kernel.sleep(1)
        assert shop.weights() == [("blue", 80, "")]
        kept = await shop.client.get(HTTP_ROUTE, "way", "default")
        (parent,) = kept["status"]["parents"]
        assert [each["observedGeneration"] for each in parent["conditions"]] == [2, 2]
        assert created["metadata"]["generation"] == 1

    shop.run(story)
    event = list(shop.kernel.trace.select(Kind.ROUTES))[-1]
    assert (event.subject, event["detail"]) == ("gateways/default/shop", "/ -> blue 80")
    assert event.cause is not None
    assert shop.kernel.trace[event.cause]["verb"] == "update"
    assert shop.table.cause_of("default", "shop") is not None


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        ({"name": "shop", "sectionName": "https"}, "NoMatchingParent"),
        ({"name": "shop", "port": 8080}, "NoMatchingParent"),
    ],
)
def test_a_route_that_no_listener_takes_is_not_in_effect(parent: JsonObject, reason: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.client.create(GATEWAY, GATEWAY_OBJECT)
        await shop.client.create(SERVICE, service("blue"))
        await shop.client.create(HTTP_ROUTE, route(backend("blue", 1), parent=parent))
        await shop.kernel.sleep(3)
        assert (await shop.conditions(HTTP_ROUTE, "way"))["Accepted"] == ("False", reason)
        assert shop.weights() == []

    Shop().run(story)


def test_a_gateway_that_goes_takes_its_routes_out_of_effect() -> None:
    async def story(shop: Shop) -> None:
        await shop.client.create(GATEWAY, GATEWAY_OBJECT)
        await shop.client.create(SERVICE, service("blue"))
        await shop.client.create(HTTP_ROUTE, route(backend("blue", 1)))
        await shop.kernel.sleep(3)
        await shop.client.delete(GATEWAY, "shop", "default")
        await shop.kernel.sleep(3)
        assert shop.weights() is None
        assert await shop.conditions(HTTP_ROUTE, "way") == {}

    Shop().run(story)


def rules(*matches: JsonObject, **spec: Any) -> list[RouteRule]:
    written = route(backend("blue", 1), **spec)
    written["spec"]["rules"][0]["matches"] = list(matches)
    return sorted(rules_of(written, {}), key=lambda rule: rule.rank)


@pytest.mark.parametrize(
    ("match", "target", "takes"),
    [
        ({"path": {"type": "PathPrefix", "value": "/"}}, "/fruit/", True),
        ({"path": {"type": "PathPrefix", "value": "/fruit"}}, "/fruit", True),
        ({"path": {"type": "PathPrefix", "value": "/fruit"}}, "/fruit/mango", True),
        ({"path": {"type": "PathPrefix", "value": "/fruit"}}, "/fruits", False),
        ({"path": {"type": "Exact", "value": "/fruit"}}, "/fruit/", False),
        ({"path": {"type": "RegularExpression", "value": "/f.*t"}}, "/fruit", True),
        ({"method": "POST"}, "/", False),
        ({"headers": [{"name": "X-Kind", "value": "ripe"}]}, "/", True),
        ({"headers": [{"name": "X-Kind", "value": "green"}]}, "/", False),
    ],
)
def test_a_match_takes_what_it_says(match: JsonObject, target: str, takes: bool) -> None:
    (rule,) = rules(match)
    assert rule.takes(HttpRequest.of("GET", target, headers={"x-kind": "ripe"})) is takes


def test_exact_and_longer_paths_are_tried_first() -> None:
    written = [("PathPrefix", "/"), ("PathPrefix", "/fruit"), ("Exact", "/a")]
    ordered = rules(*({"path": {"type": kind, "value": path}} for kind, path in written))
    assert [(rule.path_type, rule.path) for rule in ordered] == [written[2], written[1], written[0]]


@pytest.mark.parametrize(("host", "takes"), [("fruit.example", True), ("a.b.example:80", True), ("b.example", False)])
def test_hostnames_are_compared_with_the_host_header(host: str, takes: bool) -> None:
    (rule,) = rules({}, hostnames=["fruit.example", "*.b.example"])
    assert rule.takes(HttpRequest.of("GET", "/", headers={"host": host})) is takes
