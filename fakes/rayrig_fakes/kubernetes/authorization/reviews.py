"""Reviews: objects that are created to be answered and never stored (Kubernetes API, "Authorization" and "Authentication")."""

from __future__ import annotations

from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.apply.managers import Manager, record_create
from rayrig_fakes.kubernetes.apply.topology import builtin_root
from rayrig_fakes.kubernetes.authorization import service_account_tokens
from rayrig_fakes.kubernetes.body_types import check_type
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.identity import ADMIN, Asked, UserInfo
from rayrig_fakes.kubernetes.intake import unhandled
from rayrig_fakes.kubernetes.metadata_fields import METADATA_FIELDS
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.catalogue import type_of
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

_AUDIENCE = service_account_tokens.AUDIENCE


def review(state: ServerState, served: Served, call: ApiCall) -> Answer:
    """Answer to the creation of a review. Raises `ApiError`: 400, 422."""
    warnings: list[str] = []
    body = _decoded(served, call, warnings)
    user = call.user or ADMIN
    name = served.type.kind
    if name == "SelfSubjectReview":
        meta: JsonObject = {"creationTimestamp": rfc3339(state.now_unix_ns())}
        return _answer(served, meta, None, {"userInfo": user.as_json()})
    spec = body.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    meta = dict(body.get("metadata") or {}) if isinstance(body.get("metadata"), dict) else {}
    if name == "SelfSubjectRulesReview":
        return _answer(served, {}, {}, _rules_status(state, user, spec))._replace(warnings=tuple(warnings))
    _account_for(state, served, call, meta, spec)
    if name == "TokenReview":
        return _answer(served, meta, spec, _token_status(state, served, spec))._replace(warnings=tuple(warnings))
    if name != "SelfSubjectAccessReview":
        user = _subject(spec)
    _check_access_spec(served, call, spec, meta)
    return _answer(served, meta, spec, _access_status(state, user, spec))._replace(warnings=tuple(warnings))


def _account_for(state: ServerState, served: Served, call: ApiCall, meta: JsonObject, spec: JsonObject) -> None:
    """Who wrote what, as in any object that is created."""
    meta.pop("managedFields", None)
    if call.namespace:
        meta["namespace"] = call.namespace
    if not call.field_manager:
        return
    obj: JsonObject = {"kind": served.type.kind, "metadata": meta, "spec": spec}
    manager = Manager(call.field_manager, "Update", served.type.api_version)
    root = builtin_root(type_of(served.type) or "")
    record_create(obj, call.body, root, manager, state.now_unix_ns(), has_status=True)


def _decoded(served: Served, call: ApiCall, warnings: list[str]) -> JsonObject:
    """The body as what it should be; unknown fields become warnings. Raises `ApiError` 400."""
    body = call.body if isinstance(call.body, dict) else {}
    kind = served.type
    check_type(served, body)
    unknown: list[str] = []
    try:
        decoded: JsonObject = decode(body, type_of(kind) or "", unknown)
    except KeyError:
        return body
    except Undecodable as problem:
        raise unhandled(served, str(problem)) from None
    problems = [f'unknown field "{field}"' for field in unknown] if call.field_validation != "Ignore" else []
    if problems and call.field_validation == "Strict":
        raise unhandled(served, f"strict decoding error: {', '.join(problems)}")
    warnings += problems
    return {field: value for field, value in decoded.items() if value is not None}


def _answer(served: Served, meta: JsonObject, spec: JsonObject | None, found: JsonObject) -> Answer:
    kind = served.type
    body: JsonObject = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    if spec is not None:
        body["spec"] = spec
    return Answer(201, body | {"status": found})


# Access


def _subject(spec: JsonObject) -> UserInfo:
    """Just the groups that are named: a review does not add `system:authenticated`."""
    groups = spec.get("groups")
    names = tuple(str(group) for group in groups) if isinstance(groups, list) else ()
    return _Subject(str(spec.get("user") or ""), str(spec.get("uid") or ""), names)


class _Subject(UserInfo):
    __slots__ = ()

    @property
    def all_groups(self) -> tuple[str, ...]:
        return self.groups


def _as_in_go(attributes: JsonObject) -> JsonObject:
    """With the names of fields that the server's own type has."""
    return {name.capitalize(): attributes.get(name, "") for name in ("path", "verb")}


def _check_access_spec(served: Served, call: ApiCall, spec: JsonObject, meta: JsonObject) -> None:
    causes: list[Cause] = []
    if any(value for field, value in meta.items() if field not in ("namespace", "managedFields")):
        shown = {field: meta[field] for field in METADATA_FIELDS if field in meta}
        text = "must be empty except for namespace" if served.type.namespaced else "must be empty"
        causes.append(status.invalid_value("metadata", shown, text))
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        text = "cannot be specified in combination with resourceAttributes"
        causes.append(status.invalid_value("spec.nonResourceAttributes", _as_in_go(path), text))
    if resource is None and path is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(status.invalid_value("spec.resourceAttributes", None, text))
    if served.type.kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        causes.append(status.invalid_value("spec.user", spec.get("user") or "", text))
    if served.type.namespaced:
        if path is not None:
            text = "disallowed on this kind of request"
            causes.append(status.invalid_value("spec.nonResourceAttributes", _as_in_go(path), text))
        namespace = resource.get("namespace") if isinstance(resource, dict) else None
        if namespace != call.namespace:
            text = "must match metadata.namespace"
            causes.append(status.invalid_value("spec.resourceAttributes.namespace", namespace or "", text))
    if causes:
        raise status.invalid("", served.type.group, "", causes)


def _access_status(state: ServerState, user: UserInfo, spec: JsonObject) -> JsonObject:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(resource, dict):
        fields = {field: str(resource.get(field) or "") for field in Asked.__slots__ if field != "path"}
        asked = Asked(**fields)
    else:
        path = path if isinstance(path, dict) else {}
        asked = Asked(str(path.get("verb") or ""), str(path.get("path") or ""))
    decision = state.authorizer.authorize(user, asked)
    found: JsonObject = {"allowed": decision.allowed}
    if decision.reason:
        found["reason"] = decision.reason
    return found


# Rules and tokens


def _rules_status(state: ServerState, user: UserInfo, spec: JsonObject) -> JsonObject:
    namespace = str(spec.get("namespace") or "")
    if not namespace:
        raise status.bad_request("no namespace on request")
    rules = state.authorizer.rules_for(user, namespace)
    resource_fields = ("verbs", "apiGroups", "resources", "resourceNames")
    return {
        "resourceRules": [_picked(rule, resource_fields) for rule in rules if rule.get("resources")],
        "nonResourceRules": [
            _picked(rule, ("verbs", "nonResourceURLs")) for rule in rules if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }


def _picked(rule: JsonObject, fields: tuple[str, ...]) -> JsonObject:
    return {field: rule[field] for field in fields if rule.get(field)}


def _token_status(state: ServerState, served: Served, spec: JsonObject) -> JsonObject:
    token: Json = spec.get("token")
    if not isinstance(token, str) or not token:
        raise status.bad_request("token is required for TokenReview in authentication")
    asked = spec.get("audiences")
    audiences = [each for each in asked if each == service_account_tokens.AUDIENCE] if asked else [_AUDIENCE]
    user = state.find_user(token) or service_account_tokens.user_of(state, token)
    if user is None or not audiences:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": user.as_json(), "audiences": audiences}
