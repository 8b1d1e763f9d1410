"""Tokens of service accounts: issued by the subresource `token`, known again when they come back.

A token is a JWT with the claims of the real one, signed with a key of this server (HS256, where the real server signs with RSA).
It ends with its time, and with the account or bound object it was issued for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import SERVICE_ACCOUNT
from rayrig_core.timestamps import NS, rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.apply.managers import Manager, record_create
from rayrig_fakes.kubernetes.apply.topology import builtin_root
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.identity import UserInfo, service_account_user
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.subresource_bodies import typed_body

AUDIENCE = ISSUER = "https://kubernetes.default.svc.cluster.local"
_API = "authentication.k8s.io/v1"
_HOUR, _SHORTEST, _LONGEST = 3600, 600, 1 << 32
_BOUND = {"Node": "nodes", "Pod": "pods", "Secret": "secrets"}
_GROUP = "authentication.k8s.io"


def request_token(state: ServerState, served: Served, call: ApiCall) -> Answer:
    """Answer to a TokenRequest. Raises `ApiError`: 404, 409, 422."""
    account = state.lookup(served.storage, served.key(call.namespace, call.name))
    if account is None:
        raise status.not_found(served.type, call.name)
    body = typed_body(served, call)
    named = (body.get("metadata") or {}).get("name")
    if named and named != call.name:
        text = "must match the service account name if specified"
        cause = status.invalid_value("metadata.name", named, text)
        raise status.invalid("TokenRequest", _GROUP, call.name, [cause])
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    seconds = _HOUR if seconds is None else seconds
    _check_seconds(seconds)
    audiences = spec.get("audiences") or [AUDIENCE]
    reference = spec.get("boundObjectRef")
    bound = _bound_claim(state, call, reference) if isinstance(reference, dict) else {}
    now = state.now_unix_ns()
    issued = now // NS
    meta = account["metadata"]
    claims: JsonObject = {
        "aud": audiences,
        "exp": issued + seconds,
        "iat": issued,
        "iss": ISSUER,
        "jti": random_uuid(state.rng),
        "kubernetes.io": {
            "namespace": call.namespace,
            **bound,
            "serviceaccount": {"name": call.name, "uid": meta["uid"]},
        },
        "nbf": issued,
        "sub": service_account_user(call.namespace, call.name).name,
    }
    shown: JsonObject = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference}
    answer: JsonObject = {
        "kind": "TokenRequest",
        "apiVersion": _API,
        "metadata": {
            **_sent_metadata(call, body, {**spec, "expirationSeconds": seconds}, now),
            "name": call.name,
            "namespace": call.namespace,
            "uid": meta["uid"],
            "creationTimestamp": rfc3339(now),
        },
        "spec": shown,
        "status": {"token": _signed(state, claims), "expirationTimestamp": rfc3339((issued + seconds) * NS)},
    }
    return Answer(201, answer)


def _sent_metadata(call: ApiCall, body: JsonObject, spec: JsonObject, now_unix_ns: int) -> JsonObject:
    """What the request says of itself, and who wrote what of it."""
    sent = body.get("metadata") or {}
    meta = {field: sent[field] for field in ("labels", "annotations") if sent.get(field)}
    if call.field_manager:
        obj: JsonObject = {"kind": "TokenRequest", "metadata": meta, "spec": spec}
        manager = Manager(call.field_manager, "Update", _API, "token")
        root = builtin_root("authentication.v1.TokenRequest")
        record_create(obj, call.body, root, manager, now_unix_ns, has_status=True)
    return meta


def _check_seconds(seconds: int) -> None:
    cause: Cause | None = None
    field = "spec.expirationSeconds"
    if seconds < _SHORTEST:
        cause = status.invalid_value(field, seconds, "may not specify a duration less than 10 minutes")
    elif seconds > _LONGEST:
        cause = status.invalid_value(field, seconds, "may not specify a duration larger than 2^32 seconds")
    if cause is not None:
        raise status.invalid("TokenRequest", _GROUP, "", [cause])


def _bound_claim(state: ServerState, call: ApiCall, reference: JsonObject) -> JsonObject:
    """Claim about what a token lives with."""
    kind, name, version = (str(reference.get(part) or "") for part in ("kind", "name", "apiVersion"))
    plural = _BOUND.get(kind) if version in ("", "v1") else None
    if plural is None:
        group, _, short = version.rpartition("/")
        raise status.bad_request(f"cannot bind token to object of type {group}/{short}, Kind={kind}")
    found = state.lookup(plural, name if kind == "Node" else f"{call.namespace}/{name}")
    if found is None:
        raise status.error(404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural})
    if kind == "Pod" and found["spec"].get("serviceAccountName", "") != call.name:
        text = f'cannot bind token for serviceaccount "{call.name}" to pod running with different serviceaccount name.'
        raise status.bad_request(text)
    uid = found["metadata"]["uid"]
    if reference.get("uid") and reference["uid"] != uid:
        text = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The object "
        )
        text += "might have been deleted and then recreated"
        full = f'Operation cannot be fulfilled on {plural} "{name}": {text}'
        raise status.error(409, "Conflict", full, {"name": name, "kind": plural})
    return {kind.lower(): {"name": name, "uid": uid}}


def user_of(state: ServerState, token: str) -> UserInfo | None:
    """The account a token was issued for; None when it is not one of ours, out of date, or its account is gone."""
    claims = _verified(state, token)
    if claims is None or claims["exp"] <= state.now_unix_ns() // NS or AUDIENCE not in claims["aud"]:
        return None
    about = claims["kubernetes.io"]
    namespace, account = about["namespace"], about["serviceaccount"]
    found = state.lookup(SERVICE_ACCOUNT.plural, f"{namespace}/{account['name']}")
    if found is None or found["metadata"]["uid"] != account["uid"]:
        return None
    extra: dict[str, list[str]] = {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
    for kind, plural in _BOUND.items():
        bound = about.get(kind.lower())
        if bound is None:
            continue
        there = state.lookup(plural, bound["name"] if kind == "Node" else f"{namespace}/{bound['name']}")
        if there is None or there["metadata"]["uid"] != bound["uid"]:
            return None
        if kind in ("Pod", "Node"):
            extra[f"authentication.kubernetes.io/{kind.lower()}-name"] = [bound["name"]]
            extra[f"authentication.kubernetes.io/{kind.lower()}-uid"] = [bound["uid"]]
    return service_account_user(namespace, account["name"], account["uid"], extra)


# JWT


def _key(state: ServerState) -> bytes:
    """As unlike another server's as its uids are."""
    cluster = state.lookup("namespaces", "kube-system") or {"metadata": {"uid": ""}}
    return hashlib.sha256(f"tokens of {cluster['metadata']['uid']}".encode()).digest()


def _packed(value: JsonObject) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(state: ServerState, claims: JsonObject) -> str:
    head = f"{_packed({'alg': 'HS256', 'typ': 'JWT'})}.{_packed(claims)}"
    return f"{head}.{_signature(state, head)}"


def _signature(state: ServerState, head: str) -> str:
    return _encoded(hmac.new(_key(state), head.encode(), hashlib.sha256).digest())


def _verified(state: ServerState, token: str) -> JsonObject | None:
    head, _, signature = token.rpartition(".")
    if head.count(".") != 1 or not hmac.compare_digest(signature.encode(), _signature(state, head).encode()):
        return None
    try:
        claims = json.loads(_decoded(head.partition(".")[2]))
    except (ValueError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None
