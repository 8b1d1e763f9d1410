"""Schemas of types, with all that they refer to."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes.kinds.custom import CustomRules
from rayrig_fakes.kubernetes.openapi import names
from rayrig_fakes.kubernetes.openapi.descriptions import FIELDS, TYPES
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.typed.catalogue import FieldType, fields_of, type_name, type_of

GVK = "x-kubernetes-group-version-kind"
_SCALARS: dict[str, JsonObject] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "Any": {"x-kubernetes-preserve-unknown-fields": True},
}
#: Lists whose items, when merged, lose the fields a patch does not name; and a field that does.
_RETAINING = {("core.v1.PodSpec", "volumes"): "merge,retainKeys", ("apps.v1.DeploymentSpec", "strategy"): "retainKeys"}
_ANY_VERSION = ("meta.v1.DeleteOptions",)
_STRING: JsonObject = {"type": "string"}


class Schemas:
    """The schemas of one document: what is added brings along what it refers to."""

    def __init__(self, prefix: str, *, v2: bool) -> None:
        """`prefix` of references; `v2`: without what Swagger 2 does not know."""
        self.found: dict[str, JsonObject] = {}
        self._prefix = prefix
        self._v2 = v2

    def sorted(self) -> dict[str, JsonObject]:
        return dict(sorted(self.found.items()))

    def reference(self, name: str) -> JsonObject:
        return {"$ref": f"{self._prefix}{name}"}

    # Kinds

    def add_kind(self, served: Served) -> str:
        """The kind and its list. Returns the kind's name."""
        kind, rules = served.type, served.rules
        if isinstance(rules, CustomRules):
            name = names.kind_name(kind, custom=True)
            self.found[name] = self._custom(kind, rules)
        else:
            name = names.kind_name(kind, custom=False)
            known = type_of(kind)
            if known is not None:
                self.add_type(known)
            elif name not in self.found:
                self.found[name] = self._unknown_kind()
            self.found[name][GVK] = [_gvk(kind)]
        if not served.verbs:
            self.found[f"{name}List"] = self._list(kind, name)
        return name

    def _list(self, kind: ResourceType, name: str) -> JsonObject:
        self._add_list_metadata()
        return {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": _STRING,
                "items": {"type": "array", "items": self.reference(name)},
                "kind": _STRING,
                "metadata": self.reference(names.LIST_META),
            },
            GVK: [{**_gvk(kind), "kind": f"{kind.kind}List"}],
        }

    def _unknown_kind(self) -> JsonObject:
        return {
            "type": "object",
            "properties": {"apiVersion": _STRING, "kind": _STRING, "metadata": self._metadata()},
            "x-kubernetes-preserve-unknown-fields": True,
        }

    def _metadata(self) -> JsonObject:
        self.add_type("meta.v1.ObjectMeta")
        return self.reference(names.OBJECT_META)

    def _custom(self, kind: ResourceType, rules: CustomRules) -> JsonObject:
        schema: JsonObject = dict(rules.schema) if not self._v2 else _for_v2(rules.schema)
        properties = {
            **(schema.get("properties") or {}),
            "apiVersion": {"type": "string", "description": FIELDS["apiVersion"]},
            "kind": {"type": "string", "description": FIELDS["kind"]},
            "metadata": self._metadata(),
        }
        return {**schema, "type": "object", "properties": dict(sorted(properties.items())), GVK: [_gvk(kind)]}

    # Types

    def add_type(self, type_name: str) -> str:
        """A type of the catalogue. Returns its schema's name."""
        name = names.schema_name(type_name)
        if name in self.found:
            return name
        about = TYPES.get(type_name)
        schema: JsonObject = {"description": about, "type": "object"} if about else {"type": "object"}
        # Before its fields: types may hold themselves.
        self.found[name] = schema
        fields = fields_of(type_name)
        properties = {field.name: self._field(type_name, field) for field in fields.values()}
        if properties:
            schema["properties"] = properties
        required = [field.name for field in fields.values() if field.required]
        if required:
            schema["required"] = required
        if type_name in _ANY_VERSION:
            schema[GVK] = [{"group": "", "kind": type_name.rpartition(".")[2], "version": "v1"}]
        return name

    def _field(self, owner: str, field: FieldType) -> JsonObject:
        extensions: JsonObject = {}
        if field.atomic:
            extensions["x-kubernetes-map-type"] = "atomic"
        if field.list_keys is not None:
            extensions["x-kubernetes-list-type"] = "map" if field.list_keys else "set"
            if field.list_keys:
                extensions["x-kubernetes-list-map-keys"] = list(field.list_keys)
        elif field.type.startswith("[]") and field.merge_key is None:
            extensions["x-kubernetes-list-type"] = "atomic"
        if field.merge_key:
            extensions["x-kubernetes-patch-merge-key"] = field.merge_key
        strategy = _RETAINING.get((owner, field.name), "merge" if field.merge_key is not None else "")
        if strategy:
            extensions["x-kubernetes-patch-strategy"] = strategy
        if field.name in FIELDS and "metadata" in fields_of(owner):
            extensions["description"] = FIELDS[field.name]
        schema = self._value(field.type)
        if not extensions:
            return schema
        if "$ref" in schema and not self._v2:
            # In OpenAPI 3.0 nothing may stand beside a reference.
            return {"allOf": [schema], **extensions}
        return {**schema, **extensions}

    def _value(self, text: str) -> JsonObject:
        if text.startswith("[]"):
            return {"type": "array", "items": self._value(text[2:])}
        if text.startswith("map"):
            return {"type": "object", "additionalProperties": self._value(text.partition(" ")[2])}
        text = text.partition("=")[0]
        if text in _SCALARS:
            return dict(_SCALARS[text])
        if text in names.SPECIAL:
            self.found.setdefault(names.SPECIAL[text], self._special(text))
            return self.reference(names.SPECIAL[text])
        return self.reference(self.add_type(text))

    def _special(self, text: str) -> JsonObject:
        if text in ("Time", "MicroTime"):
            schema: JsonObject = {"type": "string", "format": "date-time"}
            return schema if self._v2 else {**schema, "nullable": True}
        if self._v2:
            return {"type": "string", **({"format": "int-or-string"} if text == "IntOrString" else {})}
        either: JsonObject = {"oneOf": [{"type": "string"}, {"type": "integer" if text == "IntOrString" else "number"}]}
        return either | ({"format": "int-or-string"} if text == "IntOrString" else {})

    # What every document has

    def _add_list_metadata(self) -> None:
        self.found.setdefault(
            names.LIST_META,
            {
                "type": "object",
                "properties": {
                    "continue": _STRING,
                    "remainingItemCount": {"type": "integer", "format": "int64"},
                    "resourceVersion": _STRING,
                    "selfLink": _STRING,
                },
            },
        )

    def add_common(self) -> None:
        """Status, DeleteOptions, Patch."""
        self._add_list_metadata()
        self.add_type("meta.v1.DeleteOptions")
        self.found[names.PATCH] = {"type": "object"}
        cause = {"type": "object", "properties": {"field": _STRING, "message": _STRING, "reason": _STRING}}
        int32 = _SCALARS["int32"]
        self.found[names.STATUS] = {
            "type": "object",
            "properties": {
                "apiVersion": _STRING,
                "code": int32,
                "details": {
                    "type": "object",
                    "properties": {
                        "causes": {"type": "array", "items": cause},
                        "group": _STRING,
                        "kind": _STRING,
                        "name": _STRING,
                        "retryAfterSeconds": int32,
                        "uid": _STRING,
                    },
                },
                "kind": _STRING,
                "message": _STRING,
                "metadata": self.reference(names.LIST_META),
                "reason": _STRING,
                "status": _STRING,
            },
            GVK: [{"group": "", "kind": "Status", "version": "v1"}],
        }

    def add_named(self, api_version: str, kind: str) -> str | None:
        """Kind of a subresource (`autoscaling/v1` Scale); None when it is not in the catalogue."""
        found = type_name(api_version, kind)
        if found is None:
            return None
        name = self.add_type(found)
        group, _, version = api_version.rpartition("/")
        self.found[name][GVK] = [{"group": group, "kind": kind, "version": version}]
        return name


def _gvk(kind: ResourceType) -> JsonObject:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


# Swagger 2

#: What Swagger 2 has no words for.
_V3_ONLY = ("allOf", "anyOf", "oneOf", "not", "nullable")


def _for_v2(schema: Any) -> JsonObject:
    """A structural schema as far as Swagger 2 can say it."""
    shown: JsonObject = {}
    if schema.get("nullable"):
        # Said as anything at all, so that null passes.
        return {key: value for key, value in schema.items() if key == "description" or key.startswith("x-")}
    for key, value in schema.items():
        if key in _V3_ONLY:
            continue
        if key == "properties":
            shown[key] = {name: _for_v2(each) for name, each in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            shown[key] = _for_v2(value)
        else:
            shown[key] = value
    return shown
