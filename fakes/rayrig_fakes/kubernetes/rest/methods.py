"""Which HTTP methods a path takes, and what they mean there (K8-015)."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_core.errors import ApiError
from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Verb
from rayrig_fakes.kubernetes.patch import unsupported_patch
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.rest.list_options import is_set
from rayrig_fakes.kubernetes.rest.requests import PATCH_TYPES, PlainNotFound, Target, media_type

Methods = Mapping[str, Verb]

_READ_WRITE: Methods = {"GET": "get", "PUT": "update", "PATCH": "patch"}
_CREATE: Methods = {"POST": "create"}
_STREAM: Methods = {"GET": "get", "POST": "create"}
_ANY: Methods = {
    "GET": "get",
    "HEAD": "get",
    "OPTIONS": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_SUBRESOURCES: Mapping[str, Methods] = {
    "approval": _READ_WRITE,
    "attach": _STREAM,
    "binding": _CREATE,
    "ephemeralcontainers": _READ_WRITE,
    "eviction": _CREATE,
    "exec": _STREAM,
    "finalize": {"PUT": "update"},
    "log": {"GET": "get"},
    "portforward": _STREAM,
    "proxy": _ANY,
    "resize": _READ_WRITE,
    "scale": _READ_WRITE,
    "status": _READ_WRITE,
    "token": _CREATE,
}
_OBJECT: Methods = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CUSTOM_OBJECT: Methods = {**_OBJECT, "HEAD": "get", "POST": "create"}
_COLLECTION: Methods = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_EVERY_NAMESPACE: Methods = {"GET": "list"}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(request: HttpRequest, target: Target) -> Verb:
    """What a request does with what it names.

    Raises `ApiError`: 404 for a subresource that is not there, 405, 400; `PlainNotFound`.
    """
    served, method = target.served, request.method
    found: Verb | None
    if target.watch:
        found = "watch" if method == "GET" else None
    elif target.subresource:
        found = _of_subresource(served, target, method)
    elif target.name:
        if served.verbs:
            raise status.unknown_resource()
        found = (_CUSTOM_OBJECT if served.rules.is_custom else _OBJECT).get(method)
    elif served.type.namespaced and not target.namespace:
        found = _EVERY_NAMESPACE.get("GET" if method == "HEAD" and served.rules.is_custom else method)
        if found is None and served.rules.is_custom:
            raise PlainNotFound
    else:
        found = _COLLECTION.get("GET" if method == "HEAD" and served.rules.is_custom else method)
        if found is None and served.rules.is_custom:
            raise _not_for_collections(request, served)
    if found is None:
        raise (
            unsupported_verb(served, _VERBS.get(method, "")) if served.rules.is_custom else status.method_not_allowed()
        )
    if served.verbs and not target.subresource and found not in served.verbs:
        raise status.method_not_allowed()
    if found == "list" and method == "GET" and is_set(request.query, "watch"):
        return "watch"
    return found


def _of_subresource(served: Served, target: Target, method: str) -> Verb | None:
    if target.subresource not in served.subresources:
        raise status.not_found(served.type, target.name) if served.rules.is_custom else status.unknown_resource()
    return _SUBRESOURCES[target.subresource].get("GET" if method == "HEAD" and served.rules.is_custom else method)


def _not_for_collections(request: HttpRequest, served: Served) -> ApiError:
    """PUT and PATCH of a collection of custom resources are taken for those of an object without a name."""
    if request.method == "PATCH":
        media = media_type(request.headers.get("content-type", ""))
        if PATCH_TYPES.get(media, "strategic") == "strategic":
            return unsupported_patch(served)
    if request.method in ("PUT", "PATCH"):
        return status.bad_request("name must be provided")
    return unsupported_verb(served, "")


def unsupported_verb(served: Served, verb: str) -> ApiError:
    """405 in the words for custom resources."""
    kind = served.type
    text = f'{verb} is not supported on resources of kind "{kind.group_resource}"'
    return status.error(405, "MethodNotAllowed", text, {"group": kind.group, "kind": kind.plural})
