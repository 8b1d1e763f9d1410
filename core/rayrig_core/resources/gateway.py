"""Gateway and HTTPRoute of the Gateway API (v1), as far as incremental upgrades use them; other fields are kept as they are."""

from rayrig_core.resources.embedded import CONDITIONS
from rayrig_core.resources.schema import (
    ANY_OBJECT,
    INT32,
    STR,
    Schema,
    array,
    atomic_array,
    keyed_array,
    obj,
    with_default,
)


def _open(schema: Schema) -> Schema:
    """The schema, letting other fields be."""
    return {**schema, "x-kubernetes-preserve-unknown-fields": True}


_FROM_SAME = {"namespaces": {"from": "Same"}}
_ALLOWED_ROUTES = _open(
    obj(namespaces=with_default(_open(obj(**{"from": with_default(STR, "Same")})), _FROM_SAME["namespaces"]))
)
_LISTENER = _open(
    obj(
        "name port protocol",
        allowedRoutes=with_default(_ALLOWED_ROUTES, _FROM_SAME),
        name=STR,
        port=INT32,
        protocol=STR,
        hostname=STR,
    )
)

#: What a Gateway's status says until its controller has seen it.
_WAITING = [
    {
        "type": kind,
        "status": "Unknown",
        "reason": "Pending",
        "message": "Waiting for controller",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
    for kind in ("Accepted", "Programmed")
]

GATEWAY_SCHEMA = obj(
    "spec",
    apiVersion=STR,
    kind=STR,
    metadata={"type": "object"},
    spec=_open(obj("gatewayClassName listeners", gatewayClassName=STR, listeners=keyed_array("name", _LISTENER))),
    status=with_default(
        _open(obj(conditions=CONDITIONS, addresses=atomic_array(ANY_OBJECT), listeners=array(ANY_OBJECT))),
        {"conditions": _WAITING},
    ),
)

_PARENT_REF = _open(
    obj(
        "name",
        group=with_default(STR, "gateway.networking.k8s.io"),
        kind=with_default(STR, "Gateway"),
        name=STR,
        namespace=STR,
        port=INT32,
        sectionName=STR,
    )
)
_BACKEND_REF = _open(
    obj(
        "name",
        group=with_default(STR, ""),
        kind=with_default(STR, "Service"),
        name=STR,
        namespace=STR,
        port=INT32,
        weight=with_default({**INT32, "minimum": 0, "maximum": 1_000_000}, 1),
    )
)
_PATH_MATCH = obj(type=with_default(STR, "PathPrefix"), value=with_default(STR, "/"))
_ROUTE_RULE = _open(
    obj(
        backendRefs=atomic_array(_BACKEND_REF),
        filters=atomic_array(ANY_OBJECT),
        matches=with_default(
            atomic_array(_open(obj(path=with_default(_PATH_MATCH, {"type": "PathPrefix", "value": "/"})))),
            [{"path": {"type": "PathPrefix", "value": "/"}}],
        ),
    )
)

HTTP_ROUTE_SCHEMA = obj(
    "spec",
    apiVersion=STR,
    kind=STR,
    metadata={"type": "object"},
    spec=_open(obj(hostnames=atomic_array(STR), parentRefs=atomic_array(_PARENT_REF), rules=atomic_array(_ROUTE_RULE))),
    status=_open(obj(parents=atomic_array(_open(obj(conditions=CONDITIONS, parentRef=_PARENT_REF))))),
)
