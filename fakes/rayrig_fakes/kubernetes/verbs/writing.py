"""Create, update and patch (`kubernetes-api.md` section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import objectmeta, status
from rayrig_fakes.kubernetes.apply.configuration import apply_configuration
from rayrig_fakes.kubernetes.apply.managers import Manager, are_managers, record_create, record_update
from rayrig_fakes.kubernetes.apply.topology import CustomRoot, Place, builtin_root
from rayrig_fakes.kubernetes.apply.typed import typed_problem
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.copies import own_copy
from rayrig_fakes.kubernetes.intake import take_in, take_patched
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.names import generated_name
from rayrig_fakes.kubernetes.patch import apply_patch
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.state import ServerState
from rayrig_fakes.kubernetes.storage.store import Stored
from rayrig_fakes.kubernetes.typed.catalogue import type_of
from rayrig_fakes.kubernetes.typed.decoding import json_type
from rayrig_fakes.kubernetes.verbs.owner_references import without_doubles

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.kinds.custom import CustomRules

_NAME_ATTEMPTS = 8
#: What a write to `/status` may change.
_STATUS_PARTS = ("apiVersion", "kind", "metadata", "status")
#: Subresources that take the metadata of the whole object; "" is no subresource.
_WHOLE = ("", "status")


class Writer:
    """Carries out writes of whole objects and of their `status`."""

    __slots__ = ("_state",)

    def __init__(self, state: ServerState) -> None:
        self._state = state

    # Create

    def create(self, served: Served, call: ApiCall) -> Answer:
        """Raises `ApiError`: 400 for an object that is not the path's, 403/404 for its namespace, 409, 422."""
        state, rules, kind = self._state, served.rules, served.type
        now = state.now_unix_ns()
        admission = self._admission(call)
        obj = take_in(served, call, admission, call.body, new=True)
        # A custom resource may be created at another one's path.
        meta = identify(call._replace(name="") if rules.is_custom and call.verb == "create" else call, obj)
        applied = meta.pop("managedFields", ()) if call.patch_type == "apply" else None
        namespace = call.namespace or meta.get("namespace", "")
        if kind.namespaced:
            if not namespace:
                raise status.bad_request("an empty namespace may not be set during creation")
            meta["namespace"] = namespace
        collection = state.collection(served)
        name = meta.get("name", "")
        if not name and meta.get("generateName"):
            for _ in range(_NAME_ATTEMPTS):
                name = generated_name(meta["generateName"], state.rng)
                if collection.get(served.key(namespace, name)) is None:
                    break
            meta["name"] = name
        if kind.namespaced:
            self._check_namespace(served, namespace, name)
        for field in objectmeta.SERVER_OWNED:
            meta.pop(field, None)
        meta.pop("managedFields", None)
        sent_version = meta.pop("resourceVersion", None)
        meta["uid"] = random_uuid(state.rng)
        meta["creationTimestamp"] = rfc3339(now)
        if rules.has_generation:
            meta["generation"] = 1
        without_doubles(meta, admission.warnings, patched=False)
        objectmeta.normalise(meta)
        rules.before_create(obj, admission)
        causes = objectmeta.validate(meta, rules.name_rule, kind.namespaced, rules.standard_finalizers)
        causes += admission.causes
        causes += rules.validate(obj, admission)
        causes += rules.block_rules(causes) if causes else rules.check_rules(obj, None)
        if causes:
            refused = status.invalid(kind.kind, kind.group if rules.reports_group else "", name, causes)
            refused.warnings = tuple(admission.warnings)
            raise refused
        key = served.key(namespace, name)
        existing = collection.get(key)
        if not call.dry_run and _is_version(sent_version):
            raise status.error(500, "", "resourceVersion should not be set on objects to be created")
        if existing is not None:
            if existing.obj["metadata"].get("deletionTimestamp"):
                raise status.being_deleted(kind, name)
            raise status.already_exists(kind, name, generated=bool(meta.get("generateName")))
        if applied is not None:
            if applied:
                meta["managedFields"] = applied
        elif call.field_manager:
            updater = _updater(served, call)
            root, known = root_of(served), admission.settled
            record_create(obj, call.body, root, updater, now, has_status=rules.has_status, known=known)
        rules.warn(obj, None, admission)
        obj = rules.stored_form(obj)
        if call.dry_run:
            if sent_version:
                obj["metadata"]["resourceVersion"] = sent_version
            return Answer(201, rules.served_form(obj), warnings=tuple(admission.warnings))
        cause = state.emit_write("create", served, key)
        stored = collection.put(key, obj, now, cause)
        rules.after_commit(obj, None)
        return self._answer(served, 201, stored, admission)

    def _admission(self, call: ApiCall) -> Admission:
        state = self._state
        return Admission(
            state.now_unix_ns(),
            state.rng,
            state.lookup,
            call.dry_run,
            call.subresource,
            looks_for_unknown=call.field_validation != "Ignore",
            trusted=call.trusted,
            warnings=call.warnings if call.warnings is not None else [],
        )

    def _check_namespace(self, served: Served, namespace: str, name: str) -> None:
        found = self._state.lookup("namespaces", namespace)
        if found is None:
            raise status.error(
                404,
                "NotFound",
                f'namespaces "{namespace}" not found',
                {"name": namespace, "kind": "namespaces"},
            )
        if found["metadata"].get("deletionTimestamp"):
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            text = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise status.forbidden(served.type, name, text, [cause])

    # Update

    def update(self, served: Served, call: ApiCall) -> Answer:
        """Replace an object, or its status. Raises `ApiError`: 400, 404, 409, 422."""
        body = call.body
        if call.subresource == "status" and isinstance(body, dict) and call.field_validation == "Ignore":
            # Nothing else is taken.
            body = {field: body[field] for field in _STATUS_PARTS if field in body}
        admission = self._admission(call)
        obj = take_in(served, call, admission, body, new=False)
        meta = identify(call, obj)
        if objectmeta.mapping(body.get("metadata")).get("managedFields") == []:
            meta["managedFields"] = [{}]
        name = meta.get("name", "")
        if not name:
            raise status.bad_request(undeterminable(call.name) if call.name else "name must be provided")
        namespace = call.namespace or (meta.get("namespace", "") if served.type.namespaced else "")
        meta["name"] = name
        if served.type.namespaced:
            meta["namespace"] = namespace
        current = self._state.collection(served).get(served.key(namespace, name))
        if current is None:
            if served.rules.create_on_update and not call.subresource:
                if uid := meta.get("uid"):
                    raise status.other_object(served.type, namespace, name, uid, "")
                meta.pop("resourceVersion", None)
                return self.create(served, call._replace(body=obj, namespace=namespace))
            raise status.not_found(served.type, name)
        old = served.rules.served_form(current.obj)
        old_meta = old["metadata"]
        uid = meta.get("uid")
        if uid and uid != old_meta["uid"]:
            raise status.other_object(served.type, namespace, name, uid, old_meta["uid"])
        _check_version(served, name, meta.get("resourceVersion"), old_meta)
        return self.replace(served, current, old, obj, call, admission)

    def patch(self, served: Served, call: ApiCall) -> Answer:
        """Change an object, or its status, by a patch. Raises `ApiError`: 400, 404, 409, 415, 422."""
        kind = served.type
        current = self._state.collection(served).get(served.key(call.namespace, call.name))
        if current is None:
            if call.patch_type == "apply" and not call.subresource:
                return self.create(served, call._replace(body=self._applied(served, None, call)))
            raise status.not_found(kind, call.name)
        old = served.rules.served_form(current.obj)
        admission = self._admission(call)
        if call.patch_type == "apply":
            obj = self._applied(served, old, call)
            if not served.rules.is_custom:
                admission.type_name = type_of(served.type) or ""
                obj = served.rules.decode(obj, admission)
        else:
            obj = self._patched(served, old, call, admission)
        meta = identify(call, obj)
        if not meta.get("name"):
            raise status.bad_request(undeterminable(call.name))
        _check_version(served, call.name, meta.get("resourceVersion"), old["metadata"])
        return self.replace(served, current, old, obj, call, admission)

    def _applied(self, served: Served, old: JsonObject | None, call: ApiCall) -> JsonObject:
        """What an applied configuration makes of `old`, with its managedFields."""
        config = self._configuration(served, call)
        meta = identify(call, config)
        if old is None and meta.get("name") == "":
            text = f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
            raise status.bad_request(text)
        if not call.field_manager:
            cause = status.required("fieldManager", "is required for apply patch")
            raise status.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        if old is None:
            meta.pop("resourceVersion", None)
        meta["name"] = call.name
        if served.type.namespaced:
            meta["namespace"] = call.namespace
        if call.subresource == "status":
            config = {field: config[field] for field in ("apiVersion", "kind", "metadata", "status") if field in config}
        elif served.rules.has_status:
            config.pop("status", None)
        manager = Manager(call.field_manager, "Apply", served.type.api_version, call.subresource)
        now = self._state.now_unix_ns()
        made = apply_configuration(old, config, root_of(served), manager, now, force=call.force, sent=call.body)
        if served.rules.is_custom:
            # What is null is not dropped, as it is of other bodies.
            causes: list[status.Cause] = []
            rules = cast("CustomRules", served.rules)
            rules.root.nulls(made, None, causes)
            if causes:
                causes += rules.validate(made, self._admission(call))
                raise status.invalid(served.type.kind, served.type.group, call.name, causes)
        return made

    def _configuration(self, served: Served, call: ApiCall) -> JsonObject:
        """A copy of what is applied, as it was sent. Raises `ApiError` 400, 500 for what is not of its type."""
        body = call.body if call.body is not None else {}
        if not isinstance(body, dict):
            why = f"json: cannot unmarshal {json_type(body)} into Go value of type map[string]interface {{}}"
            raise status.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
        rules, kind = served.rules, served.type
        version, name = body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind
        if (version, name) != (kind.api_version, kind.kind):
            raise status.other_object_type(str(version), str(name))
        meta = body.get("metadata")
        if isinstance(meta, dict) and meta.get("managedFields") is not None:
            raise status.bad_request("metadata.managedFields must be nil")
        schema = cast("CustomRules", rules).schema if rules.is_custom else None
        known = type_of(kind) or ""
        problem = typed_problem(body, known, schema) if known or schema is not None else ""
        if problem:
            given = meta if isinstance(meta, dict) else {}
            where = f"{given.get('namespace') or ''}/{given.get('name') or ''}"
            what = f"{kind.group}/{kind.version}, Kind={kind.kind}"
            raise status.error(500, "", f"failed to create typed patch object ({where}; {what}): {problem}")
        return {**own_copy(body), "apiVersion": kind.api_version, "kind": kind.kind}

    def _patched(self, served: Served, old: JsonObject, call: ApiCall, admission: Admission) -> JsonObject:
        """What the patch makes of `old`, of which parts that the patch does not touch may be shared."""
        patch = call.body
        if isinstance(patch, dict) and call.patch_type in ("merge", "strategic"):
            if call.subresource == "status" and call.field_validation == "Ignore":
                patch = {field: patch[field] for field in _STATUS_PARTS if field in patch}
                call = call._replace(body=patch)
            touched = dict.fromkeys((*patch, "metadata"))
            below = {field: old[field] for field in old if field in touched}
            obj = apply_patch(served, {**old, **own_copy(below)}, call)
        else:
            obj = apply_patch(served, own_copy(old), call)
            touched = dict.fromkeys(obj)
        is_reset = objectmeta.mapping(obj.get("metadata")).get("managedFields") == []
        take_patched(served, call, admission, obj, touched)
        if is_reset:
            obj["metadata"]["managedFields"] = [{}]
        return obj

    def replace(
        self,
        served: Served,
        current: Stored,
        old: JsonObject,
        obj: JsonObject,
        call: ApiCall,
        admission: Admission | None = None,
    ) -> Answer:
        """Put `obj` in the place of `current` (`old` in the caller's version), by the rules of its kind."""
        state, rules, kind = self._state, served.rules, served.type
        verb, subresource, dry_run = call.verb, call.subresource, call.dry_run
        meta, old_meta = obj["metadata"], old["metadata"]
        name, namespace = old_meta["name"], old_meta.get("namespace", "")
        applied = meta.pop("managedFields", ()) if call.patch_type == "apply" else None
        sent = meta.get("managedFields")
        is_reset = applied is None and sent == [{}]
        is_renamed = applied is None and not is_reset and sent != old_meta.get("managedFields") and are_managers(sent)
        if is_renamed:
            # The account as the client would have it; what it changes is added to that.
            old_meta = {**old_meta, "managedFields": sent}
            old = {**old, "metadata": old_meta}
        _keep(meta, old_meta, "managedFields")
        looks = rules.status_looks if subresource == "status" else rules.looks
        causes = objectmeta.immutable_problems(meta, old_meta) * looks.as_change if subresource in _WHOLE else []
        for field in (*objectmeta.SERVER_OWNED, "resourceVersion", "name", "namespace"):
            _keep(meta, old_meta, field)
        _keep(meta, old_meta, "generation")
        admission = admission or self._admission(call)
        without_doubles(meta, admission.warnings, patched=call.verb == "patch")
        objectmeta.normalise(meta)
        if subresource == "status":
            rules.before_status_update(obj, old, admission)
            causes += objectmeta.change_problems(obj["metadata"], old_meta, looks)
            causes += rules.validate_status(obj, old, admission)
        else:
            rules.before_update(obj, old, admission)
            causes += objectmeta.change_problems(obj["metadata"], old_meta, looks)
            causes += rules.validate(obj, admission)
            causes += rules.validate_update(obj, old, admission)
        causes += admission.causes
        causes += rules.block_rules(causes) if causes else rules.check_rules(obj, old)
        if causes:
            refused = status.invalid(kind.kind, kind.group if rules.reports_group else "", name, causes)
            refused.warnings = tuple(admission.warnings)
            raise refused
        if rules.has_generation and subresource != "status" and rules.spec_changed(obj, old):
            obj["metadata"]["generation"] = old_meta.get("generation", 0) + 1
        _share(obj, old)
        if applied:
            obj["metadata"]["managedFields"] = applied
        elif applied is not None or is_reset:
            obj["metadata"].pop("managedFields", None)
        elif old_meta.get("managedFields") and obj != old:
            updater = _updater(served, call)
            record_update(obj, old, root_of(served), updater, admission.unix_ns)
        if not subresource:
            rules.warn(obj, old, admission)
        if obj == old and not is_renamed:
            return self._answer(served, 200, current, admission)
        obj = rules.stored_form(obj)
        if dry_run:
            return Answer(200, rules.served_form(obj), warnings=tuple(admission.warnings))
        key = served.key(namespace, name)
        collection = state.collection(served)
        now = admission.unix_ns
        if _is_finished(obj):
            cause = state.emit_write(verb, served, key, "removed")
            # The event carries the state before this write, finalizer and all; the caller sees what it wrote.
            last = {**current.obj, "metadata": dict(current.obj["metadata"])}
            stored = collection.remove(key, last, now, cause)
            rules.after_removal(last)
            obj["metadata"]["resourceVersion"] = last["metadata"]["resourceVersion"]
            return Answer(200, rules.served_form(obj), warnings=tuple(admission.warnings))
        cause = state.emit_write(verb, served, key, subresource)
        stored = collection.put(key, obj, now, cause)
        rules.after_commit(obj, current.obj)
        return self._answer(served, 200, stored, admission)

    def _answer(self, served: Served, code: int, stored: Stored, admission: Admission) -> Answer:
        if not served.rules.serves_stored_form:
            stored = Stored(served.rules.served_form(stored.obj), stored.revision)
        return Answer(code, stored.obj, stored, tuple(admission.warnings))


_CUSTOM_ROOTS: WeakKeyDictionary[CustomRules, Place] = WeakKeyDictionary()


def root_of(served: Served) -> Place:
    """How objects of this resource merge."""
    if not served.rules.is_custom:
        return builtin_root(type_of(served.type) or "")
    rules = cast("CustomRules", served.rules)
    found = _CUSTOM_ROOTS.get(rules)
    if found is None:
        found = _CUSTOM_ROOTS[rules] = CustomRoot(rules.schema)
    return found


#: Subresources that managedFields name.
_RECORDED = ("status", "scale", "resize", "ephemeralcontainers")


def _updater(served: Served, call: ApiCall) -> Manager:
    subresource = call.subresource if call.subresource in _RECORDED else ""
    return Manager(call.field_manager or "unknown", "Update", served.type.api_version, subresource)


def _share(obj: JsonObject, old: JsonObject) -> None:
    """Let parts that did not change be the ones of the revision before: versions then cost only what is new in them."""
    for field, value in old.items():
        # Metadata takes the new version, so it is never the old one.
        if field != "metadata" and field in obj and obj[field] is not value and obj[field] == value:
            obj[field] = value


def _is_finished(obj: JsonObject) -> bool:
    """Being deleted, and nothing holds it any more."""
    meta = obj["metadata"]
    return (
        bool(meta.get("deletionTimestamp"))
        and not meta.get("finalizers")
        and not meta.get("deletionGracePeriodSeconds")
        and not (obj.get("kind") == "Namespace" and (obj.get("spec") or {}).get("finalizers"))
    )


def _keep(meta: JsonObject, old: JsonObject, field: str) -> None:
    if field in old:
        meta[field] = old[field]
    else:
        meta.pop(field, None)


def _check_version(served: Served, name: str, version: object, old_meta: JsonObject) -> None:
    """Whether a write is one of the present object. Raises `ApiError` 409, 422, and 500 for what is no version at all."""
    if version in (None, "", "0"):
        if not served.rules.unconditional_update:
            cause = status.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise status.invalid(served.type.plural, served.type.group, name, [cause])
    elif version != old_meta["resourceVersion"]:
        text = str(version)
        if not text.isdecimal():
            raise status.error(500, "", f'strconv.ParseUint: parsing "{text}": invalid syntax')
        raise status.conflict(served.type, name)


def _is_version(version: object) -> bool:
    """What is no number is passed over."""
    return isinstance(version, str) and version.isdecimal() and int(version) != 0


def undeterminable(name: str) -> str:
    return f"the name of the object ({name} based on URL) was undeterminable: name must be provided"


def identify(call: ApiCall, obj: JsonObject) -> JsonObject:
    """The metadata of an object, after checking that it is the one the path speaks of. Raises `ApiError` 400 (K8-015)."""
    meta: JsonObject | None = obj.get("metadata")
    if meta is None:
        meta = obj["metadata"] = {}
    namespace = meta.get("namespace")
    if namespace and not call.resource.namespaced:
        del meta["namespace"]
    elif namespace and call.namespace and namespace != call.namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    name = meta.get("name")
    if name and call.name and name != call.name:
        text = f"the name of the object ({name}) does not match the name on the URL ({call.name})"
        raise status.bad_request(text)
    return meta
