"""Subresources other than a plain `status`, by name."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.ports import PatchType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.intake import bad_patch
from rayrig_fakes.kubernetes.kinds.bindings import bind
from rayrig_fakes.kubernetes.patch import JSON_PATCH, MERGE_PATCH, apply_patch
from rayrig_fakes.kubernetes.pod_logs import pod_log
from rayrig_fakes.kubernetes.pod_streams import check_stream
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.subresource_bodies import typed_body
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode
from rayrig_fakes.kubernetes.verbs.deleting import Deleter
from rayrig_fakes.kubernetes.verbs.evictions import evict
from rayrig_fakes.kubernetes.verbs.reading import Reader
from rayrig_fakes.kubernetes.verbs.scale import scale_of, with_scale
from rayrig_fakes.kubernetes.verbs.writing import Writer, identify

_SCALE = "autoscaling.v1.Scale"
#: The object itself, of which only a part changes.
_PARTS = ("approval", "ephemeralcontainers", "resize")


class Subresources:
    """Dispatches by name. A subresource the resource does not have is 404."""

    __slots__ = ("_deleter", "_reader", "_state", "_writer")

    def __init__(self, state: ServerState, reader: Reader, writer: Writer, deleter: Deleter) -> None:
        self._state = state
        self._reader = reader
        self._writer = writer
        self._deleter = deleter

    def call(self, served: Served, call: ApiCall) -> Answer:
        """Raises `ApiError`."""
        name, verb, state = call.subresource, call.verb, self._state
        if name not in served.subresources:
            if served.rules.is_custom:
                raise status.not_found(served.type, call.name)
            raise status.unknown_resource()
        if name == "log" and verb == "get":
            options = call.log or LogOptions(call.container)
            options.check(call.name)
            pod = self._reader.stored(served, call.namespace, call.name).obj
            return Answer(200, {}, text=pod_log(state, pod, options))
        if name in ("exec", "attach", "portforward") and verb in ("get", "create"):
            pod = self._reader.stored(served, call.namespace, call.name).obj
            check_stream(state, pod, name, call.container)
            raise status.bad_request("Upgrade request required")
        if name == "scale":
            return self._scale(served, call)
        if name == "binding" and verb == "create":
            return bind(state, served, call)
        if name == "eviction" and verb == "create":
            return evict(state, self._deleter, served, call)
        if name == "token" and verb == "create":
            # Most servers are never asked.
            from rayrig_fakes.kubernetes.authorization.service_account_tokens import request_token

            return request_token(state, served, call)
        if name in _PARTS and verb == "get":
            return self._reader.get(served, call)
        if (name in _PARTS or name == "finalize") and verb == "update":
            return self._writer.update(served, call)
        if name in _PARTS and verb == "patch":
            return self._writer.patch(served, call)
        raise status.method_not_allowed()

    def _scale(self, served: Served, call: ApiCall) -> Answer:
        """GET, PUT and PATCH of the Scale; a write is a write of the object."""
        current = self._reader.stored(served, call.namespace, call.name)
        old = served.rules.served_form(current.obj)
        scale: JsonObject = scale_of(served, old, to_write=call.verb != "get")
        if call.verb == "get":
            return Answer(200, scale)
        if call.verb == "patch":
            if call.patch_type == "apply":
                raise status.unsupported_media_type((JSON_PATCH, MERGE_PATCH))
            scale = apply_patch(served, scale, call._replace(patch_type=_plain(call.patch_type)))
            try:
                scale = decode(scale, _SCALE, [])
            except Undecodable as problem:
                raise bad_patch(call._replace(patch_type=_plain(call.patch_type)), scale, str(problem)) from None
        elif call.verb == "update":
            scale = typed_body(served, call)
            identify(call, scale)
        else:
            raise status.method_not_allowed()
        version = (scale.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise status.conflict(served.type, call.name)
        scaled = with_scale(served, old, scale)
        answer = self._writer.replace(served, current, old, scaled, call)
        return Answer(200, scale_of(served, answer.body))


def _plain(patch_type: PatchType) -> PatchType:
    """A Scale has no lists that merge: strategic is merge."""
    return "json" if patch_type == "json" else "merge"
