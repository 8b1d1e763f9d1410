"""CustomResourceDefinitions: what makes a server serve more (K8-002, K8-040 to K8-042)."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import objectmeta, status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.crd_names import (
    COMPLETED,
    IN_PROGRESS,
    PENDING,
    accept_names,
    is_established,
    with_condition,
)
from rayrig_fakes.kubernetes.kinds.crd_validation import definition_problems, unknown_formats
from rayrig_fakes.kubernetes.kinds.custom import CustomRules
from rayrig_fakes.kubernetes.registry import Served, selectable
from rayrig_fakes.kubernetes.schema.shape import typed_schema
from rayrig_fakes.kubernetes.schema.structure import structure_problems
from rayrig_fakes.kubernetes.status import Cause
from rayrig_fakes.kubernetes.typed.decoding import Undecodable
from rayrig_fakes.kubernetes.version_rank import version_rank

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.state import ServerState


#: What was found of schemas before, by the schema: the servers of one process are given the same ones again and again.
_REMEMBERED_SCHEMAS = 64


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _typed(schema: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A schema as its type writes it, and the fields that schemas do not have."""
    unknown: list[str] = []
    made = typed_schema(marshal.loads(schema), "", unknown)
    return marshal.dumps(made, 2), tuple(unknown)


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _problems(schema: bytes, field: str) -> tuple[Cause, ...]:
    return tuple(structure_problems(marshal.loads(schema), field))


#: Finalizer of a definition of which there may still be objects.
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_STORAGE = CUSTOM_RESOURCE_DEFINITION.group_resource


def _schema(version: JsonObject) -> JsonObject | None:
    found: JsonObject | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _part(spec: JsonObject, path: str) -> Json:
    value: Json = spec
    for name in path.split("."):
        value = (value or {}).get(name)
    return value


def _accepted(crd: JsonObject) -> JsonObject:
    """Names as they are served; what the definition leaves out is none."""
    names: JsonObject = (crd.get("status") or {}).get("acceptedNames") or {}
    if not names.get("plural"):
        return {}
    return {"shortNames": names.get("shortNames"), "categories": names.get("categories")}


def _deprecation(kind: ResourceType, versions: list[JsonObject]) -> str:
    """What clients of a deprecated version are told, with the version to use instead when there is one."""
    rank = version_rank(kind.version)
    better = [
        version["name"]
        for version in versions
        if version.get("served") and not version.get("deprecated") and version_rank(version["name"]) < rank
    ]
    text = f"{kind.api_version} {kind.kind} is deprecated"
    return f"{text}; use {kind.group}/{min(better, key=version_rank)} {kind.kind}" if better else text


class CrdRules(KindRules):
    """Registers what it stores. Conditions follow the create at once, as a second write."""

    has_status = True
    has_generation = True

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def before_create(self, obj: JsonObject, admission: Admission) -> None:
        self._default(obj)
        stored = [version.get("name") for version in obj["spec"].get("versions") or () if version.get("storage")]
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": stored[:1] or None,
        }

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        keep(obj, old, "status")
        self._default(obj)
        stored = list(obj["status"].get("storedVersions") or ())
        added = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
        if any(name not in stored for name in added):
            obj["status"] = {**obj["status"], "storedVersions": list(dict.fromkeys((*stored, *added)))}

    def _default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.get("names")
        if names is None:
            names = spec["names"] = {}
        kind = str(names.get("kind") or "")
        if kind:
            setdefault(names, singular=kind.lower(), listKind=f"{kind}List")
        setdefault(spec, conversion={"strategy": "None"})

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes = definition_problems(obj)
        versions = obj["spec"].get("versions") or []
        if versions and not admission.trusted and all(_schema(version) is not None for version in versions):
            causes += self._check_schemas(versions)
        return causes

    def validate_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> Sequence[Cause]:
        if not is_established(old):
            return ()
        causes: list[Cause] = []
        for part in ("scope", "names.kind"):
            new_value, old_value = _part(obj["spec"], part), _part(old["spec"], part)
            if new_value != old_value:
                causes.append(status.invalid_value(f"spec.{part}", new_value, objectmeta.IMMUTABLE))
        for part in ("group", "names.plural"):
            new_value, old_value = _part(obj["spec"], part), _part(old["spec"], part)
            if new_value != old_value:
                causes.append(status.invalid_value(f"spec.{part}", new_value, objectmeta.IMMUTABLE))
        return causes

    def before_status_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        super().before_status_update(obj, old, admission)
        given = obj.get("status") or {}
        if not given.get("storedVersions"):
            storage = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
            obj["status"] = {**given, "storedVersions": storage}

    def warn(self, obj: JsonObject, old: JsonObject | None, admission: Admission) -> None:
        super().warn(obj, old, admission)
        if admission.trusted or (old is not None and obj["spec"] == old["spec"]):
            return
        found: dict[str, None] = {}
        for version in obj["spec"]["versions"]:
            found.update(dict.fromkeys(unknown_formats(_schema(version))))
        admission.warnings += [f'unrecognized format "{name}"' for name in found]

    def _check_schemas(self, versions: list[JsonObject]) -> list[Cause]:
        """Causes against the schemas; one that all versions share is spoken of once."""
        schemas = [version["schema"]["openAPIV3Schema"] for version in versions]
        shared = all(schema == schemas[0] for schema in schemas)
        causes: list[Cause] = []
        for index, schema in enumerate(schemas[:1] if shared else schemas):
            field = "spec.validation" if shared else f"spec.versions[{index}].schema"
            causes += _problems(marshal.dumps(schema, 2), f"{field}.openAPIV3Schema")
        return causes

    def decode(self, body: JsonObject, admission: Admission) -> JsonObject:
        obj = super().decode(body, admission)
        for index, version in enumerate(objectmeta.mapping(obj.get("spec")).get("versions") or ()):
            schema = _schema(version)
            if schema is not None and not admission.trusted:
                at = f"spec.versions[{index}].schema.openAPIV3Schema"
                try:
                    packed, unknown = _typed(marshal.dumps(schema, 2))
                except Undecodable as problem:
                    text = str(problem).replace(
                        "JSONSchemaProps.", "JSONSchemaProps.spec.versions.schema.openAPIV3Schema."
                    )
                    raise Undecodable(text) from None
                version["schema"]["openAPIV3Schema"] = marshal.loads(packed)
                admission.unknown += [f"{at}{path}" for path in unknown]
        return obj

    def holds_deletion(self, obj: JsonObject) -> bool:
        """A definition goes after its objects."""
        return True

    def on_deletion_marked(self, obj: JsonObject) -> None:
        meta = obj["metadata"]
        meta["finalizers"] = [*(meta.get("finalizers") or ()), CLEANUP]
        meta.pop("deletionGracePeriodSeconds", None)
        meta["generation"] -= 1
        obj["status"] = with_condition(obj["status"], *PENDING, self._state.now_unix_ns())

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        if obj["metadata"].get("deletionTimestamp"):
            if CLEANUP in (obj["metadata"].get("finalizers") or ()):
                self._clean_up(obj["metadata"]["name"])
            return
        if old is not None and obj["spec"] == old["spec"]:
            return
        if old is not None:
            self._unregister(old)
        self._settle(obj, changed_at=self._state.store.revision if old is not None else 0)

    def _settle(self, obj: JsonObject, *, changed_at: int = 0) -> None:
        """Accept its names as far as they are free, say so, and serve it."""
        state = self._state
        now = state.now_unix_ns()
        collection = state.store.collection(_STORAGE)
        key, group = obj["metadata"]["name"], obj["spec"]["group"]
        others = [
            each.obj
            for each in collection.scan()
            if each.obj["spec"]["group"] == group and each.obj["metadata"]["name"] != key
        ]
        found = accept_names(obj, others, now)
        if found != obj["status"]:
            obj = {**obj, "metadata": dict(obj["metadata"]), "status": found}
            collection.put(key, obj, now)
        if is_established(obj):
            self.register(obj, changed_at=changed_at)

    def _clean_up(self, name: str) -> None:
        """Delete the objects of a definition that is going, and let it go when none is left."""
        state = self._state
        definitions = state.store.collection(_STORAGE)
        current = definitions.get(name)
        if current is None or CLEANUP not in (current.obj["metadata"].get("finalizers") or ()):
            return
        now = state.now_unix_ns()
        crd, spec = current.obj, current.obj["spec"]
        objects = state.store.collection(f"{spec['names']['plural']}.{spec['group']}")
        for served in state.registry.of_storage(f"{spec['names']['plural']}.{spec['group']}"):
            assert isinstance(served.rules, CustomRules)
            served.rules.on_removal = lambda: self._clean_up(name)
        left = False
        for stored in list(objects.scan()):
            meta = stored.obj["metadata"]
            namespace = meta.get("namespace", "")
            key = f"{namespace}/{meta['name']}" if namespace else meta["name"]
            last = {**stored.obj, "metadata": dict(meta)}
            if not meta.get("finalizers"):
                objects.remove(key, last, now)
                continue
            left = True
            if not meta.get("deletionTimestamp"):
                last["metadata"] |= {"deletionTimestamp": rfc3339(now), "deletionGracePeriodSeconds": 0}
                last["metadata"]["generation"] = meta.get("generation", 0) + 1
                objects.put(key, last, now)
        changed = {**crd, "metadata": dict(crd["metadata"])}
        changed["status"] = with_condition(crd["status"], *(IN_PROGRESS if left else COMPLETED), now)
        if not left:
            kept = [each for each in crd["metadata"]["finalizers"] if each != CLEANUP]
            if kept:
                changed["metadata"]["finalizers"] = kept
            else:
                del changed["metadata"]["finalizers"]
                definitions.remove(name, changed, now)
                self.after_removal(changed)
                return
        if changed != crd:
            definitions.put(name, changed, now)

    def register(self, crd: JsonObject, *, changed_at: int = 0) -> None:
        """Serve the versions of a CRD."""
        spec = crd["spec"]
        names, group = {**spec["names"], **_accepted(crd)}, spec["group"]
        storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
        versions: dict[str, CustomRules] = {}
        for version in spec["versions"]:
            kind = ResourceType(group, version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
            parts = version.get("subresources") or {}
            rules = CustomRules(
                kind,
                version["schema"]["openAPIV3Schema"],
                storage_version=f"{group}/{storage}",
                has_status="status" in parts,
                scale=parts.get("scale"),
                changed_at=changed_at,
            )
            versions[kind.api_version], rules.versions = rules, versions
            if not version.get("served"):
                continue
            paths = [field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or ()]
            warning = ""
            if version.get("deprecated"):
                warning = version.get("deprecationWarning") or _deprecation(kind, spec["versions"])
            self._state.registry.add(
                Served(
                    kind,
                    rules,
                    singular=names.get("singular") or "",
                    short_names=tuple(names.get("shortNames") or ()),
                    categories=tuple(names.get("categories") or ()),
                    subresources=tuple(part for part in ("status", "scale") if part in parts),
                    fields=selectable(*paths),
                    warning=warning,
                    scale=parts.get("scale"),
                    columns=tuple(version.get("additionalPrinterColumns") or ()),
                )
            )

    def _unregister(self, crd: JsonObject | None) -> None:
        if crd is None:
            return
        spec = crd["spec"]
        for version in spec["versions"]:
            names = spec["names"]
            self._state.registry.remove(
                ResourceType(
                    spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced"
                )
            )

    def after_restore(self, obj: JsonObject) -> None:
        self.register(obj)

    def after_removal(self, obj: JsonObject) -> None:
        """Its names are free again."""
        self._unregister(obj)
        spec = obj["spec"]
        for other in list(self._state.store.collection(_STORAGE).scan()):
            if other.obj["spec"]["group"] == spec["group"] and not other.obj["metadata"].get("deletionTimestamp"):
                self._settle(other.obj)
