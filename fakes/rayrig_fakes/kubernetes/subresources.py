"""Subresources other than a plain `status`: binding, eviction, scale, finalize."""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject, is_being_deleted
from rayrig_core.ports import PatchType, Preconditions
from rayrig_core.resource_types import POD_DISRUPTION_BUDGET
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.deleting import Deleter
from rayrig_fakes.kubernetes.intake import bad_patch
from rayrig_fakes.kubernetes.kinds.budgets import selects
from rayrig_fakes.kubernetes.patch import JSON_PATCH, MERGE_PATCH, apply_patch
from rayrig_fakes.kubernetes.pod_logs import pod_log
from rayrig_fakes.kubernetes.reading import Reader
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.scale import scale_of, with_scale
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode
from rayrig_fakes.kubernetes.writing import Writer

_SCALE = "autoscaling.v1.Scale"


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
        if call.subresource not in served.subresources:
            if served.rules.is_custom:
                raise status.not_found(served.type, call.name)
            raise status.unknown_resource()
        if call.subresource == "log" and call.verb == "get":
            pod = self._reader.stored(served, call.namespace, call.name).obj
            return Answer(200, {}, text=pod_log(pod, call.container, self._state.pod_logs))
        if call.subresource in ("exec", "attach", "portforward") and call.verb in ("get", "create"):
            self._reader.stored(served, call.namespace, call.name)
            raise status.bad_request("Upgrade request required")
        if call.subresource == "scale":
            return self._scale(served, call)
        if call.subresource == "binding" and call.verb == "create":
            return self._bind(served, call)
        if call.subresource == "eviction" and call.verb == "create":
            return self._evict(served, call)
        if call.subresource == "token" and call.verb == "create":
            # Most servers are never asked.
            from rayrig_fakes.kubernetes.authorization.service_account_tokens import request_token

            return request_token(self._state, served, call)
        if call.subresource == "finalize" and call.verb == "update":
            return self._writer.update(served, call)
        raise status.method_not_allowed()

    def _typed(self, body: Json, type_name: str) -> JsonObject:
        """A body of a subresource's own kind. Raises `ApiError` 400."""
        _, version, kind = type_name.split(".")
        try:
            return decode(body, type_name, [])
        except Undecodable as problem:
            text = f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}'
            raise status.bad_request(text) from None

    def _scale(self, served: Served, call: ApiCall) -> Answer:
        """GET, PUT and PATCH of the Scale; a write is a write of the object."""
        current = self._reader.stored(served, call.namespace, call.name)
        old = served.rules.served_form(current.obj)
        scale = scale_of(served, old)
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
            scale = self._typed(call.body, _SCALE)
        else:
            raise status.method_not_allowed()
        version = (scale.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise status.conflict(served.type, call.name)
        scaled = with_scale(served, old, scale)
        answer = self._writer.replace(served, current, old, scaled, call)
        return Answer(200, scale_of(served, answer.body))

    def _bind(self, served: Served, call: ApiCall) -> Answer:
        """Sets spec.nodeName and the condition PodScheduled in one write; a second binding is 409 (K8-066)."""
        stored = self._reader.stored(served, call.namespace, call.name)
        binding = self._typed(call.body, "core.v1.Binding")
        target = binding.get("target") or {}
        node = target.get("name")
        if not node:
            cause = status.required("target.name")
            raise status.invalid("Binding", "", call.name, [cause])
        if target.get("kind") not in (None, "", "Node"):
            cause = status.not_supported("target.kind", target["kind"], ["Node", ""])
            raise status.invalid("Binding", "", call.name, [cause])
        old = stored.obj
        uid = (binding.get("metadata") or {}).get("uid")
        if uid and uid != old["metadata"]["uid"]:
            raise status.other_object(served.type, call.namespace, call.name, uid, old["metadata"]["uid"])
        if old["metadata"].get("deletionTimestamp"):
            text = f"pod {call.name} is being deleted, cannot be assigned to a host"
            raise self._binding_conflict(call.name, text)
        assigned = old["spec"].get("nodeName")
        if assigned:
            text = f'pod {call.name} is already assigned to node "{assigned}"'
            raise self._binding_conflict(call.name, text)
        obj = self._bound(old, str(node), binding.get("metadata") or {})
        if not call.dry_run:
            now = self._state.now_unix_ns()
            cause_seq = self._state.emit_write("create", served, call.namespace, call.name, "binding")
            key = served.key(call.namespace, call.name)
            self._state.collection(served).put(key, obj, now, cause_seq)
        body = status.success()
        body["code"] = 201
        return Answer(201, body)

    def _bound(self, old: JsonObject, node: str, binding_meta: JsonObject) -> JsonObject:
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
                "lastTransitionTime": rfc3339(self._state.now_unix_ns()),
            }
        )
        obj["status"] = {**old["status"], "conditions": conditions}
        return obj

    def _binding_conflict(self, name: str, why: str) -> Exception:
        text = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
        return status.error(409, "Conflict", text, {"name": name, "kind": "pods/binding"})

    def _evict(self, served: Served, call: ApiCall) -> Answer:
        """Deletes the pod as an eviction asks (K8-064)."""
        stored = self._reader.stored(served, call.namespace, call.name)
        eviction = self._typed(call.body, "policy.v1.Eviction")
        options = eviction.get("deleteOptions") or {}
        wanted = options.get("preconditions")
        preconditions = Preconditions(wanted.get("uid"), wanted.get("resourceVersion")) if wanted else None
        delete = ApiCall(
            "delete",
            call.resource,
            call.namespace,
            call.name,
            dry_run=call.dry_run,
            grace_period_seconds=options.get("gracePeriodSeconds"),
            propagation_policy=options.get("propagationPolicy"),
            preconditions=preconditions,
        )
        self._deleter.check(served, delete, stored.obj)
        self._spend_budget(stored.obj, call)
        if not call.dry_run and stored.obj["spec"].get("nodeName") and not is_being_deleted(stored.obj):
            self._mark_disrupted(served, stored.obj)
        self._deleter.delete(served, delete._replace(preconditions=None))
        body = status.success()
        body["code"] = 201
        return Answer(201, body)

    def _spend_budget(self, pod: JsonObject, call: ApiCall) -> None:
        """Take one disruption of the pod's budget. Raises `ApiError` 429, or 500 when there are two budgets."""
        phase = pod["status"].get("phase")
        if phase in ("Succeeded", "Failed", "Pending", "", None) or is_being_deleted(pod):
            return
        state, labels = self._state, pod["metadata"].get("labels") or {}
        collection = state.store.collection(POD_DISRUPTION_BUDGET.group_resource)
        found = [each for each in collection.scan(call.namespace) if selects(each.obj, labels)]
        if not found:
            return
        if len(found) > 1:
            text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise status.error(500, "InternalError", text)
        budget = found[0].obj
        name, kept = budget["metadata"]["name"], budget.get("status") or {}
        policy = budget["spec"].get("unhealthyPodEvictionPolicy")
        healthy, desired = kept.get("currentHealthy", 0), kept.get("desiredHealthy", 0)
        if not _is_ready(pod) and (policy == "AlwaysAllow" or (healthy >= desired and desired > 0)):
            return
        if kept.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
            raise _blocked(f"The disruption budget {name} is still being processed by the server.", retry_after_s=10)
        allowed = kept.get("disruptionsAllowed", 0)
        if allowed <= 0:
            raise _blocked(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        if call.dry_run:
            return
        now = state.now_unix_ns()
        disrupted = {**(kept.get("disruptedPods") or {}), call.name: rfc3339(now)}
        obj = {**budget, "metadata": dict(budget["metadata"])}
        obj["status"] = {**kept, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
        served = state.registry.find(POD_DISRUPTION_BUDGET)
        cause = state.emit_write("update", served, call.namespace, name, "status") if served is not None else None
        collection.put(f"{call.namespace}/{name}", obj, now, cause)

    def _mark_disrupted(self, served: Served, old: JsonObject) -> None:
        now = self._state.now_unix_ns()
        meta = old["metadata"]
        obj = {**old, "metadata": dict(meta)}
        kept = [c for c in old["status"].get("conditions") or () if c.get("type") != "DisruptionTarget"]
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(now),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        obj["status"] = {**old["status"], "conditions": [condition, *kept]}
        cause = self._state.emit_write("create", served, meta["namespace"], meta["name"], "eviction")
        self._state.collection(served).put(served.key(meta["namespace"], meta["name"]), obj, now, cause)


def _is_ready(pod: JsonObject) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _blocked(why: str, *, retry_after_s: int = 0) -> ApiError:
    details: JsonObject = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return status.error(429, "TooManyRequests", text, details)


def _plain(patch_type: PatchType) -> PatchType:
    """A Scale has no lists that merge: strategic is merge."""
    return "json" if patch_type == "json" else "merge"
