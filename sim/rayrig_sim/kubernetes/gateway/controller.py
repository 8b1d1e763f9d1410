"""The Gateway controller: brings Gateways and HTTPRoutes into effect after a delay and says so in their status.

It takes Gateways of every class, and its data plane is the model's own (`rayrig_sim.traffic.gateway`): there are no pods and no
Service for it, as some implementations have. References into other namespaces need no ReferenceGrant, of which the world has none.
Source: Gateway API v1; kuberay-operator 2.9.4 for what the operator reads of it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, copy_json, is_being_deleted, key_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, SERVICE
from rayrig_core.timestamps import NS, rfc3339
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.gateway.routes import GatewayTable, RouteRule, backend_key, rules_of
from rayrig_sim.kubernetes.gateway.status import (
    gateway_address,
    gateway_status,
    is_parent,
    other_parents,
    parent_status,
    why_not_accepted,
)
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches

COMPONENT = "gateway-controller"


class GatewayController:
    """Works in the handlers of its caches. Services are followed from the first HTTPRoute on; before that, nothing is done."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        table: GatewayTable,
        *,
        delay: Distribution,
        rng: Random,
        on_first: Callable[[], None] | None = None,
    ) -> None:
        """`on_first` is called once, when there is a Gateway: others that need not know of Gateways before begin then."""
        self._runtime = runtime
        self._client = client
        self._table = table
        self._delay = delay
        self._rng = rng
        self._caches = ObjectCaches(runtime, client, component=COMPONENT)
        self._work = KeyedWork(runtime, self._caches, COMPONENT, self._sync)
        self._on_first = on_first
        self._is_following_services = False
        self._gateways = self._caches.of(GATEWAY)
        self._routes = self._caches.of(HTTP_ROUTE)
        self._gateways.on_change(self._on_gateway)
        self._routes.on_change(self._on_route)

    def _on_gateway(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if self._on_first is not None:
            on_first, self._on_first = self._on_first, None
            on_first()
        if type_ is not WatchType.MODIFIED or old is None or old["spec"] != new["spec"]:
            self._work.touch(key_of(new), cause)

    def _on_route(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if not self._is_following_services:
            self._is_following_services = True
            self._caches.of(SERVICE).on_change(self._on_service)
        if type_ is WatchType.MODIFIED and old is not None and old["spec"] == new["spec"]:
            return
        keys = dict.fromkeys(key for route in (old, new) if route is not None for key in _parents(route))
        for key in keys:
            self._work.touch(key, cause)

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        # What the first list brings is no news: routes wait for it.
        if type_ is WatchType.MODIFIED or not self._caches.of(SERVICE).version:
            return
        service = key_of(new)
        for route in self._routes:
            if any(backend_key(route, reference) == service for reference in _backends(route)):
                for key in _parents(route):
                    self._work.touch(key, cause)

    async def _sync(self, key: Key) -> None:
        await self._runtime.sleep(self._delay.draw_ns(self._rng) / NS)
        gateway = self._gateways.get(key[1], key[0])
        if gateway is None or is_being_deleted(gateway):
            await self._end(key)
            return
        routes = [route for route in self._routes if key in _parents(route) and not is_being_deleted(route)]
        accepted = [route for route in routes if self._is_accepted(route, gateway)]
        self._bring_into_effect(gateway, accepted)
        now = rfc3339(self._runtime.unix_ns())
        attached = {
            listener["name"]: sum(self._is_accepted(route, gateway, listener) for route in accepted)
            for listener in gateway["spec"].get("listeners") or ()
        }
        await self._report(gateway, gateway_status(gateway, gateway_address(gateway), attached, now))
        for route in routes:
            await self._report_route(route, gateway, now)

    def _is_accepted(self, route: JsonObject, gateway: JsonObject, listener: JsonObject | None = None) -> bool:
        for reference in route["spec"].get("parentRefs") or ():
            if not is_parent(route, reference, key_of(gateway)):
                continue
            one = gateway if listener is None else {**gateway, "spec": {**gateway["spec"], "listeners": [listener]}}
            if why_not_accepted(route, reference, one) is None:
                return True
        return False

    def _bring_into_effect(self, gateway: JsonObject, routes: list[JsonObject]) -> None:
        ports = tuple(dict.fromkeys(listener["port"] for listener in gateway["spec"].get("listeners") or ()))
        rules: list[RouteRule] = []
        for route in sorted(routes, key=lambda each: (each["metadata"].get("creationTimestamp", ""), key_of(each))):
            rules += rules_of(route, self._problems(route))
        rules.sort(key=lambda rule: rule.rank)
        namespace, name = key = key_of(gateway)
        if self._table.is_same(*key, ports, rules):
            return
        event = self._runtime.trace.emit(
            Kind.ROUTES, f"gateways/{namespace}/{name}", "in effect", _describe(rules), cause=self._runtime.cause
        )
        self._table.put(namespace, name, ports, rules, event)

    def _problems(self, route: JsonObject) -> dict[tuple[str, str], str]:
        problems: dict[tuple[str, str], str] = {}
        services = self._caches.of(SERVICE)
        for reference in _backends(route):
            namespace, name = key = backend_key(route, reference)
            if (reference.get("group") or "", reference.get("kind", "Service")) != ("", "Service"):
                problems[key] = f"{reference.get('kind')} {name} is no Service"
            elif services.get(name, namespace) is None:
                problems[key] = f"no such Service: {namespace}/{name}"
        return problems

    async def _end(self, key: Key) -> None:
        namespace, name = key
        if self._table.has_gateway(namespace, name):
            event = self._runtime.trace.emit(
                Kind.ROUTES, f"gateways/{namespace}/{name}", "gone", "", cause=self._runtime.cause
            )
            self._table.remove(namespace, name, event)
        for route in list(self._routes):
            kept = other_parents(route, key)
            if len(kept) != len((route.get("status") or {}).get("parents") or ()):
                await self._write(route, {**(route.get("status") or {}), "parents": kept})

    async def _report_route(self, route: JsonObject, gateway: JsonObject, now: str) -> None:
        key = key_of(gateway)
        problems = self._problems(route)
        unresolved: tuple[str, str] | None = None
        if problems:
            message = "; ".join(problems.values())
            reason = "InvalidKind" if "is no Service" in message else "BackendNotFound"
            unresolved = (reason, message)
        parents = other_parents(route, key)
        for reference in route["spec"].get("parentRefs") or ():
            if is_parent(route, reference, key):
                refused = why_not_accepted(route, reference, gateway)
                parents.append(parent_status(route, reference, refused, unresolved, now))
        await self._report(route, {**(route.get("status") or {}), "parents": parents})

    async def _report(self, obj: JsonObject, status: JsonObject) -> None:
        if status != obj.get("status"):
            await self._write(obj, status)

    async def _write(self, obj: JsonObject, status: JsonObject) -> None:
        changed = copy_json(obj)
        changed["status"] = status
        resource = GATEWAY if obj["kind"] == GATEWAY.kind else HTTP_ROUTE
        try:
            await self._client.update(resource, changed, subresource="status")
        except NotFound:
            return


def _parents(route: JsonObject) -> list[Key]:
    references = route["spec"].get("parentRefs") or ()
    namespace = route["metadata"].get("namespace", "")
    return [(reference.get("namespace") or namespace, reference["name"]) for reference in references]


def _backends(route: JsonObject) -> list[JsonObject]:
    return [reference for rule in route["spec"].get("rules") or () for reference in rule.get("backendRefs") or ()]


def _describe(rules: list[RouteRule]) -> str:
    """`/ -> blue 90, green 10`, for the trace."""
    return "; ".join(
        f"{rule.path} -> " + (", ".join(f"{each.service} {each.weight}" for each in rule.backends) or "nothing")
        for rule in rules
    )
