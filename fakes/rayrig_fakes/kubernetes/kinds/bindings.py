"""Binding pods to nodes: the subresource `binding` of a pod, and the older collection `bindings` (K8-066)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject, Vouched
from rayrig_core.resource_types import POD
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.kinds.reviews import ReviewRules
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.subresource_bodies import named_body, typed_body


class Bindings(ReviewRules):
    """The collection: what is created in it binds the pod of its name, and is not stored."""

    def answer(self, served: Served, call: ApiCall) -> Answer:
        """Raises `ApiError`."""
        binding = typed_body(served, call._replace(subresource="binding"))
        pods = self._state.registry.find(POD)
        if pods is None:
            raise status.unknown_resource()
        named = call._replace(name=str((binding.get("metadata") or {}).get("name", "")), resource=POD)
        return _bind(self._state, pods, named, binding, through_pod=False)


def bind(state: ServerState, served: Served, call: ApiCall) -> Answer:
    """Sets spec.nodeName and the condition PodScheduled in one write; a second binding is 409. Raises `ApiError`."""
    binding = call.body if type(call.body) is Vouched else named_body(served, call)
    return _bind(state, served, call, binding, through_pod=True)


def _bind(state: ServerState, served: Served, call: ApiCall, binding: JsonObject, *, through_pod: bool) -> Answer:
    target = binding.get("target") or {}
    node = target.get("name")
    cause = None
    if not node:
        cause = status.required("target.name")
    elif target.get("kind") not in (None, "", "Node"):
        cause = status.not_supported("target.kind", target["kind"], ["Node", "<empty>"])
    if cause is not None:
        # The real server does not wrap what its validation says here.
        raise status.error(500, "", cause.text())
    key = served.key(call.namespace, call.name)
    old = state.lookup(served.storage, key)
    if old is None:
        raise status.not_found(served.type, call.name)
    uid = (binding.get("metadata") or {}).get("uid")
    if uid and uid != old["metadata"]["uid"]:
        raise status.other_object(served.type, call.namespace, call.name, uid, old["metadata"]["uid"])
    if old["metadata"].get("deletionTimestamp"):
        raise _conflict(call.name, f"pod {call.name} is being deleted, cannot be assigned to a host")
    assigned = old["spec"].get("nodeName")
    if assigned:
        raise _conflict(call.name, f'pod {call.name} is already assigned to node "{assigned}"')
    if not call.dry_run:
        obj = _bound(state, old, str(node), binding.get("metadata") or {})
        now = state.now_unix_ns()
        cause_seq = state.emit_write("create", served, key, "binding")
        state.collection(served).put(key, obj, now, cause_seq)
    body = status.success()
    body["code"] = 201
    return Answer(201, body)


def _bound(state: ServerState, old: JsonObject, node: str, binding_meta: JsonObject) -> JsonObject:
    obj, meta = dict(old), dict(old["metadata"])
    obj["metadata"] = meta
    annotations = binding_meta.get("annotations")
    if annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    obj["spec"] = {**old["spec"], "nodeName": node}
    conditions = [c for c in (old["status"].get("conditions") or ()) if c.get("type") != "PodScheduled"]
    conditions.append(
        {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(state.now_unix_ns()),
        }
    )
    obj["status"] = {**old["status"], "conditions": conditions}
    # It is where it was to go.
    obj["status"].pop("nominatedNodeName", None)
    return obj


def _conflict(name: str, why: str) -> Exception:
    text = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
    return status.error(409, "Conflict", text, {"name": name, "kind": "pods/binding"})
