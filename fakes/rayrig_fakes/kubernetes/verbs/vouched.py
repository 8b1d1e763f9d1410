"""Writes whose makers vouch for them (`rayrig_core.objects.Vouched`): what nobody need look through is taken as it is.

The controllers, kubelets and recorders of a simulation write by the hundred thousand, and what they write comes from types of
ours. Here such a body is neither decoded nor copied nor validated: parts of it become parts of what is stored. All that depends on
what is there is looked at as ever: names, versions, uids, finalizers, generation. Whatever is out of the ordinary is left to the
writer that looks through everything (the answer is None then).
"""

from __future__ import annotations

from typing import Any

from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import POD
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.names import generated_name
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.storage.store import Stored
from rayrig_fakes.kubernetes.verbs.writing import Writer

#: What an update cannot change of metadata.
_FIXED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generation",
    "managedFields",
)
#: So many pod specs are remembered with what became of them.
_SPECS = 4096
#: Lists of a pod's status that merge; conditions merge by their type.
_MERGING = ("podIPs", "hostIPs")


class VouchedWriter:
    """What is vouched for is taken as it is, where nothing is out of the ordinary. `writer` looks through everything."""

    __slots__ = ("_specs", "_state", "_writer")

    def __init__(self, state: ServerState, writer: Writer) -> None:
        self._state = state
        self._writer = writer
        #: Specs of pods by identity, each with the spec and status that were stored for it.
        self._specs: dict[int, tuple[JsonObject, JsonObject, JsonObject]] = {}

    def write(self, served: Served, call: ApiCall) -> Answer | None:
        """As the writer of that verb answers; None when the call is not for this one."""
        if call.dry_run or call.field_manager or call.field_validation != "Ignore" or not served.rules.takes_vouched:
            return None
        verb, subresource = call.verb, call.subresource
        if verb == "patch":
            return self._patch(served, call)
        if verb == "update" and subresource in ("", "status"):
            return self._update(served, call)
        if verb != "create" or subresource:
            return None
        answer = self._create(served, call)
        if answer is None and served.type is POD:
            answer = self._writer.create(served, call._replace(body=dict(call.body)))
            self._created(served, call, answer)
        return answer

    # Create

    def _create(self, served: Served, call: ApiCall) -> Answer | None:
        state, rules, body = self._state, served.rules, call.body
        is_pod = served.type is POD
        known = self._specs.get(id(body.get("spec"))) if is_pod else None
        if is_pod and known is None:
            return None
        meta: JsonObject = dict(body["metadata"])
        namespace = call.namespace or meta.get("namespace", "")
        if served.type.namespaced:
            found = state.lookup("namespaces", namespace)
            if not namespace or found is None or found["metadata"].get("deletionTimestamp"):
                return None
            meta["namespace"] = namespace
        collection = state.collection(served)
        name = meta.get("name", "")
        if not name:
            base = meta.get("generateName")
            if not base or "resourceVersion" in meta:
                return None
            for _ in range(8):
                name = generated_name(base, state.rng)
                if collection.get(served.key(namespace, name)) is None:
                    break
            meta["name"] = name
        key = served.key(namespace, name)
        if collection.get(key) is not None:
            return None
        now = state.now_unix_ns()
        meta["uid"] = random_uuid(state.rng)
        meta["creationTimestamp"] = rfc3339(now)
        if rules.has_generation:
            meta["generation"] = 1
        obj: JsonObject
        if known is not None:
            obj = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": known[1], "status": known[2]}
        else:
            obj = dict(body)
            obj["metadata"] = meta
            obj["apiVersion"], obj["kind"] = served.type.api_version, served.type.kind
            rules.before_create(obj, self._admission(call, now))
            obj = rules.stored_form(obj)
        cause = state.emit_write("create", served, key)
        stored = collection.put(key, obj, now, cause)
        rules.after_commit(obj, None)
        return self._answer(served, 201, stored)

    def _created(self, served: Served, call: ApiCall, answer: Answer) -> None:
        """A vouched pod was created by the one who looks through everything: what became of its spec holds for the next."""
        spec: JsonObject | None = call.body.get("spec")
        if served.type is not POD or answer.stored is None or not isinstance(spec, dict) or spec.get("schedulingGates"):
            return
        obj = answer.stored.obj
        if spec.get("priorityClassName") or spec.get("runtimeClassName") or obj["spec"].get("priorityClassName"):
            return  # it depends on other objects
        if len(self._specs) >= _SPECS:
            del self._specs[next(iter(self._specs))]
        self._specs[id(spec)] = (spec, obj["spec"], obj["status"])

    def _admission(self, call: ApiCall, now: int) -> Admission:
        return Admission(now, self._state.rng, self._state.lookup, False, call.subresource)

    # Update

    def _update(self, served: Served, call: ApiCall) -> Answer | None:
        state, rules, body = self._state, served.rules, call.body
        sent: JsonObject = body["metadata"]
        name = sent.get("name", "")
        namespace = call.namespace or sent.get("namespace", "")
        if not rules.serves_stored_form or name != (call.name or name) or namespace != sent.get("namespace", ""):
            return None
        key = served.key(namespace, name)
        collection = state.collection(served)
        current = collection.get(key)
        if current is None:
            return None
        old = current.obj
        old_meta = old["metadata"]
        version = sent.get("resourceVersion")
        if sent.get("uid", old_meta["uid"]) != old_meta["uid"] or old_meta.get("managedFields"):
            return None
        if version != old_meta["resourceVersion"] and (version or not rules.unconditional_update):
            return None
        if "deletionTimestamp" in old_meta:
            return None
        if call.subresource == "status":
            meta = dict(old_meta)
            for field in rules.status_metadata:
                _keep(meta, sent, field)
            obj = {**old, "metadata": meta}
            _keep(obj, body, "status")
        else:
            meta = dict(sent)
            for field in _FIXED:
                _keep(meta, old_meta, field)
            obj = {**body, "metadata": meta}
            if rules.has_status:
                _keep(obj, old, "status")
            if rules.has_generation and rules.spec_changed(obj, old):
                meta["generation"] = old_meta.get("generation", 0) + 1
        meta["resourceVersion"] = old_meta["resourceVersion"]
        obj["apiVersion"], obj["kind"] = served.type.api_version, served.type.kind
        if obj == old:
            return Answer(200, old, current)
        now = state.now_unix_ns()
        cause = state.emit_write("update", served, key, call.subresource)
        stored = collection.put(key, obj, now, cause)
        rules.after_commit(obj, old)
        return Answer(200, obj, stored)

    # The status of a pod

    def _patch(self, served: Served, call: ApiCall) -> Answer | None:
        """A strategic patch of a pod's status by its kubelet."""
        state, body = self._state, call.body
        if call.subresource != "status" or call.patch_type != "strategic" or served.type is not POD:
            return None
        key = f"{call.namespace}/{call.name}"
        collection = state.collection(served)
        current = collection.get(key)
        if current is None:
            return None
        old = current.obj
        old_meta = old["metadata"]
        sent = body.get("metadata")
        if sent is not None and (len(sent) > 1 or sent.get("uid") != old_meta["uid"]):
            return None
        if old_meta.get("managedFields"):
            return None
        if "deletionTimestamp" in old_meta and not old_meta.get("deletionGracePeriodSeconds"):
            return None
        before: JsonObject = old["status"]
        after = _merged_status(before, body["status"])
        if after is None:
            return None
        if after == before:
            return Answer(200, old, current)
        now = state.now_unix_ns()
        obj = {**old, "metadata": dict(old_meta), "status": after}
        cause = state.emit_write("patch", served, key, "status")
        stored = collection.put(key, obj, now, cause)
        return Answer(200, obj, stored)

    def _answer(self, served: Served, code: int, stored: Stored) -> Answer:
        if not served.rules.serves_stored_form:
            stored = Stored(served.rules.served_form(stored.obj), stored.revision)
        return Answer(code, stored.obj, stored)


def _merged_status(before: JsonObject, patch: JsonObject) -> JsonObject | None:
    """A pod's status after a patch; None when that takes more than what is ordinary."""
    after = dict(before)
    for field, value in patch.items():
        if field == "conditions":
            merged = _merged_conditions(before.get("conditions") or (), value, patch.get("$setElementOrder/conditions"))
            if merged is None:
                return None
            after["conditions"] = merged
        elif field in _MERGING:
            present = before.get(field)
            if present and present != value:
                return None
            after[field] = present or value
        elif field == "qosClass" or value is None:
            return None
        elif field[0] != "$":
            after[field] = value
        elif field != "$setElementOrder/conditions":
            return None
    addresses = after.get("podIPs")
    if addresses:
        after["podIP"] = addresses[0].get("ip", "")
    elif after.get("podIP"):
        after["podIPs"] = [{"ip": after["podIP"]}]
    return after


def _merged_conditions(before: Any, patch: list[JsonObject], order: list[JsonObject] | None) -> list[JsonObject] | None:
    present = {condition["type"]: condition for condition in before}
    for condition in patch:
        kind = condition["type"]
        was = present.get(kind)
        now = condition
        if was is not None and not was.keys() <= condition.keys():
            now = {**was, **condition}
        if None in condition.values():
            now = {field: value for field, value in now.items() if condition.get(field, "") is not None}
        present[kind] = was if was is not None and was == now else now
    if order is None:
        wanted = [condition["type"] for condition in patch]
        if len(wanted) != len(present):
            return None
    else:
        wanted = [entry["type"] for entry in order]
        if len(wanted) < len(present):
            return None
    merged = [present[kind] for kind in wanted if kind in present]
    return merged if len(merged) == len(present) else None


def _keep(obj: JsonObject, source: JsonObject, field: str) -> None:
    """Make `obj[field]` what it is in `source`, present or absent."""
    if field in source:
        obj[field] = source[field]
    else:
        obj.pop(field, None)
