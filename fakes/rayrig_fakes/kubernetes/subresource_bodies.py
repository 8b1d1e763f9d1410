"""Bodies of subresources that are of a kind of their own."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.body_types import SUBRESOURCE_KINDS, check_kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.typed.catalogue import type_of
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

#: Taken for what it is today.
_EARLIER_EVICTION = ("policy/v1beta1", "Eviction")


def typed_body(served: Served, call: ApiCall) -> JsonObject:
    """Decoded as what the subresource takes. Raises `ApiError` 400."""
    kind = SUBRESOURCE_KINDS[call.subresource]
    if isinstance(call.body, dict) and (call.body.get("apiVersion"), call.body.get("kind")) != _EARLIER_EVICTION:
        check_kind(kind, call.body, served.is_known_kind)
    try:
        body = decode(call.body, type_of(kind) or "", [])
    except KeyError:
        return dict(call.body) if isinstance(call.body, dict) else {}
    except Undecodable as problem:
        text = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {problem}'
        raise status.bad_request(text) from None
    if (body.get("metadata") or {}).get("namespace", "") not in ("", call.namespace):
        text = "the namespace of the provided object does not match the namespace sent on the request"
        raise status.bad_request(text)
    return body


def named_body(served: Served, call: ApiCall) -> JsonObject:
    """As `typed_body`, of a kind that is named as what it is about. Raises `ApiError` 400."""
    body = typed_body(served, call)
    if (body.get("metadata") or {}).get("name", "") != call.name:
        kind = SUBRESOURCE_KINDS[call.subresource].kind
        raise status.bad_request(f"name in URL does not match name in {kind} object")
    return body
