"""CustomResourceDefinitions: what makes a server serve more (K8-002, K8-040 to K8-042)."""

from __future__ import annotations

import marshal
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes import objectmeta, status
from rayrig_fakes.kubernetes.kind_rules import Admission, KindRules, keep, setdefault
from rayrig_fakes.kubernetes.kinds.custom import CustomRules
from rayrig_fakes.kubernetes.registry import Served, selectable
from rayrig_fakes.kubernetes.schema.structure import check_types, structure_problems
from rayrig_fakes.kubernetes.status import Cause

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.state import ServerState


def _version_problems(versions: list[JsonObject]) -> list[Cause]:
    """Causes against the names of versions and the paths they give."""
    causes: list[Cause] = []
    names: list[str] = []
    for index, version in enumerate(versions):
        field, name = f"spec.versions[{index}]", version.get("name") or ""
        if not _VERSION.fullmatch(name):
            causes.append(status.invalid_value(f"{field}.name", name, _VERSION_TEXT))
        elif name in names:
            causes.append(status.duplicate(f"{field}.name", name))
        names.append(name)
        for part, required in (
            ("additionalPrinterColumns", ("name", "type", "jsonPath")),
            ("selectableFields", ("jsonPath",)),
        ):
            for at, entry in enumerate(version.get(part) or ()):
                causes += [status.required(f"{field}.{part}[{at}].{key}") for key in required if not entry.get(key)]
        scale = (version.get("subresources") or {}).get("scale")
        if scale is not None:
            causes += [
                status.required(f"{field}.subresources.scale.{key}")
                for key in ("specReplicasPath", "statusReplicasPath")
                if not scale.get(key)
            ]
    return causes


_VERSION = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_VERSION_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
    "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)

#: What was found of schemas before, by the schema: the servers of one process are given the same ones again and again.
_REMEMBERED_SCHEMAS = 64


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _check_types(schema: bytes) -> None:
    check_types(marshal.loads(schema))


@lru_cache(maxsize=_REMEMBERED_SCHEMAS)
def _problems(schema: bytes, field: str) -> tuple[Cause, ...]:
    return tuple(structure_problems(marshal.loads(schema), field))


_STORAGE = CUSTOM_RESOURCE_DEFINITION.group_resource


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
            "storedVersions": stored,
        }

    def before_update(self, obj: JsonObject, old: JsonObject, admission: Admission) -> None:
        keep(obj, old, "status")
        self._default(obj)

    def _default(self, obj: JsonObject) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        kind = str(names.get("kind") or "")
        setdefault(names, singular=kind.lower(), listKind=f"{kind}List")
        setdefault(spec, conversion={"strategy": "None"})

    def validate(self, obj: JsonObject, admission: Admission) -> Sequence[Cause]:
        causes: list[Cause] = []
        spec = obj["spec"]
        names, versions = spec["names"], spec.get("versions") or []
        group, plural = spec.get("group") or "", names.get("plural") or ""
        if obj["metadata"].get("name") != f"{plural}.{group}":
            text = 'must be spec.names.plural+"."+spec.group'
            causes.append(status.invalid_value("metadata.name", obj["metadata"].get("name"), text))
        if not group:
            causes.append(status.required("spec.group"))
        if not plural:
            causes.append(status.required("spec.names.plural"))
        if not names.get("kind"):
            causes.append(status.required("spec.names.kind"))
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            if spec.get("scope"):
                causes.append(status.not_supported("spec.scope", spec["scope"], ["Cluster", "Namespaced"]))
            else:
                causes.append(status.required("spec.scope"))
        if sum(1 for version in versions if version.get("storage")) != 1:
            text = "must have exactly one version marked as storage version"
            causes.append(status.invalid_value("spec.versions", versions, text))
        causes += _version_problems(versions)
        for index, version in enumerate(versions):
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if schema is None:
                field = f"spec.versions[{index}].schema.openAPIV3Schema"
                causes.append(status.required(field, "schemas are required"))
        if not causes and not admission.trusted:
            causes += self._check_schemas(versions)
        return causes

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
        for version in objectmeta.mapping(obj.get("spec")).get("versions") or ():
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if schema is not None and not admission.trusted:
                _check_types(marshal.dumps(schema, 2))
        return obj

    def after_commit(self, obj: JsonObject, old: JsonObject | None) -> None:
        if obj["metadata"].get("deletionTimestamp"):
            return
        if old is not None and obj["spec"] == old["spec"]:
            return
        self._unregister(old)
        self.register(obj, changed_at=self._state.store.revision if old is not None else 0)
        if old is None:
            self._establish(obj)

    def _establish(self, obj: JsonObject) -> None:
        now = self._state.now_unix_ns()
        names = obj["spec"]["names"]
        established = dict(obj)
        established["metadata"] = dict(obj["metadata"])
        conditions = (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
        established["status"] = {
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "lastTransitionTime": rfc3339(now),
                    "reason": reason,
                    "message": message,
                }
                for kind, reason, message in conditions
            ],
            "acceptedNames": dict(names),
            "storedVersions": obj["status"]["storedVersions"],
        }
        self._state.store.collection(_STORAGE).put(obj["metadata"]["name"], established, now)

    def register(self, crd: JsonObject, *, changed_at: int = 0) -> None:
        """Serve the versions of a CRD."""
        spec = crd["spec"]
        names, group = spec["names"], spec["group"]
        storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
        for version in spec["versions"]:
            if not version.get("served"):
                continue
            kind = ResourceType(group, version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
            parts = version.get("subresources") or {}
            rules = CustomRules(
                version["schema"]["openAPIV3Schema"],
                api_version=kind.api_version,
                storage_version=f"{group}/{storage}",
                has_status="status" in parts,
                scale=parts.get("scale"),
                changed_at=changed_at,
            )
            paths = [field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or ()]
            warning = ""
            if version.get("deprecated"):
                warning = version.get("deprecationWarning") or f"{kind.api_version} {kind.kind} is deprecated"
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
        """The objects go with their definition."""
        self._unregister(obj)
        spec = obj["spec"]
        collection = self._state.store.collection(f"{spec['names']['plural']}.{spec['group']}")
        now = self._state.now_unix_ns()
        for stored in list(collection.scan()):
            last = dict(stored.obj)
            meta = last["metadata"] = dict(last["metadata"])
            namespace = meta.get("namespace", "")
            collection.remove(f"{namespace}/{meta['name']}" if namespace else meta["name"], last, now)
