"""What a Gateway controller says of Gateways and HTTPRoutes: conditions and their reasons. Decides, writes nothing.

Source: Gateway API v1.
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject, copy_json, name_of, namespace_of
from rayrig_sim.kubernetes.gateway.routes import address_of

CONTROLLER_NAME = "rayrig.dev/gateway-controller"
_GROUP = "gateway.networking.k8s.io"


def is_parent(route: JsonObject, reference: JsonObject, gateway: tuple[str, str]) -> bool:
    """Whether a `parentRef` of the route names that Gateway (namespace, name)."""
    if reference.get("group", _GROUP) != _GROUP or reference.get("kind", "Gateway") != "Gateway":
        return False
    return (reference.get("namespace") or namespace_of(route), reference["name"]) == gateway


def why_not_accepted(route: JsonObject, reference: JsonObject, gateway: JsonObject) -> tuple[str, str] | None:
    """(reason, message) when no listener of the Gateway takes the route by this reference; None when one does."""
    section, port = reference.get("sectionName"), reference.get("port")
    named = [
        listener
        for listener in gateway["spec"].get("listeners") or ()
        if section in (None, listener["name"]) and port in (None, listener["port"])
    ]
    if not named:
        return "NoMatchingParent", "no listener of the Gateway is as the parentRef says"
    if not any(_allows(listener, route, gateway) for listener in named):
        return "NotAllowedByListeners", f"no listener takes routes from namespace {namespace_of(route)}"
    return None


def _allows(listener: JsonObject, route: JsonObject, gateway: JsonObject) -> bool:
    namespaces = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    origin = namespaces.get("from", "Same")
    return origin == "All" or (origin == "Same" and namespace_of(route) == namespace_of(gateway))


def gateway_status(gateway: JsonObject, address: str, attached: dict[str, int], now: str) -> JsonObject:
    """The status of a Gateway that is served at `address`; `attached`: routes by listener."""
    old = gateway.get("status") or {}
    old_listeners = {each["name"]: each for each in old.get("listeners") or ()}
    generation = gateway["metadata"].get("generation", 1)
    listeners = []
    for listener in gateway["spec"].get("listeners") or ():
        name = listener["name"]
        wanted = [("Accepted", True, "Accepted", ""), ("Programmed", True, "Programmed", "")]
        wanted += [("ResolvedRefs", True, "ResolvedRefs", ""), ("Conflicted", False, "NoConflicts", "")]
        before = (old_listeners.get(name) or {}).get("conditions") or []
        listeners.append(
            {
                "name": name,
                "attachedRoutes": attached.get(name, 0),
                "supportedKinds": [{"group": _GROUP, "kind": "HTTPRoute"}],
                "conditions": _conditions(before, wanted, generation, now),
            }
        )
    wanted = [
        ("Accepted", True, "Accepted", "the Gateway is valid"),
        ("Programmed", True, "Programmed", "its listeners are in effect"),
    ]
    return {
        **old,
        "addresses": [{"type": "Hostname", "value": address}],
        "conditions": _conditions(old.get("conditions") or [], wanted, generation, now),
        "listeners": listeners,
    }


def parent_status(
    route: JsonObject,
    reference: JsonObject,
    refused: tuple[str, str] | None,
    unresolved: tuple[str, str] | None,
    now: str,
) -> JsonObject:
    """What the route's status says of one parent. `refused` and `unresolved` are (reason, message) of what is wrong."""
    before: list[JsonObject] = []
    for parent in (route.get("status") or {}).get("parents") or ():
        if parent.get("parentRef") == reference and parent.get("controllerName") == CONTROLLER_NAME:
            before = parent.get("conditions") or []
    accepted = refused or ("Accepted", "the route is in effect")
    resolved = unresolved or ("ResolvedRefs", "all backends are there")
    wanted = [("Accepted", refused is None, *accepted), ("ResolvedRefs", unresolved is None, *resolved)]
    conditions = _conditions(before, wanted, route["metadata"].get("generation", 1), now)
    return {"parentRef": copy_json(reference), "controllerName": CONTROLLER_NAME, "conditions": conditions}


def other_parents(route: JsonObject, gateway: tuple[str, str]) -> list[JsonObject]:
    """What the route's status says of parents other than that Gateway, and what other controllers say of it."""
    return [
        parent
        for parent in (route.get("status") or {}).get("parents") or ()
        if parent.get("controllerName") != CONTROLLER_NAME or not is_parent(route, parent["parentRef"], gateway)
    ]


def _conditions(
    before: list[JsonObject], wanted: list[tuple[str, bool, str, str]], generation: int, now: str
) -> list[JsonObject]:
    """`wanted` as conditions, (type, holds, reason, message); one that keeps its status keeps its time."""
    since = {(each["type"], each["status"]): each.get("lastTransitionTime", now) for each in before}
    conditions = []
    for type_, holds, reason, message in wanted:
        status = "True" if holds else "False"
        conditions.append(
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": since.get((type_, status), now),
            }
        )
    return conditions


def gateway_address(gateway: JsonObject) -> str:
    """The name under which the model's Gateway is reached."""
    return address_of(namespace_of(gateway), name_of(gateway))
