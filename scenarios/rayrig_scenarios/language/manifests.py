"""Manifests: the objects a scenario applies, read from files, from rayrig's own collection, or written inline.

Objects of the Ray kinds are held against their schema as `kubectl apply` does (`--validate=strict`: unknown fields are
refused), and a RayService's `serveConfigV2` is checked as the dashboard agent would, so that a mistake is named with its line
before a run begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject
from rayrig_core.remedies import closest
from rayrig_scenarios.language.documents import Document, Place, parse_documents, read_text
from rayrig_scenarios.resource_kinds import KINDS

_OUR_SCHEMAS = ("RayService", "RayCluster")
_KNOWN_VERSIONS = {"Event": ("v1", "events.k8s.io/v1")}


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object and the document it is written in; `base` is its place there (not the root for inline ones)."""

    object: JsonObject
    document: Document
    base: Place = ()

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def namespace(self) -> str:
        if not KINDS[self.kind].namespaced:
            return ""
        return str(self.object["metadata"].get("namespace") or "default")

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name

    def where(self, place: Place = ()) -> str:
        return self.document.where((*self.base, *place))


def bundled_manifests() -> list[str]:
    """Names of rayrig's own manifests."""
    folder = files("rayrig_scenarios") / "library" / "manifests"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def bundled_manifest(name: str, *, where: str = "") -> list[WrittenObject]:
    """The objects of one of rayrig's own manifests. Raises `InputError` for an unknown name."""
    if name not in bundled_manifests():
        raise InputError(
            f'no bundled manifest is called "{name}"', where=where, remedy=closest(name, bundled_manifests())
        )
    text = (files("rayrig_scenarios") / "library" / "manifests" / f"{name}.yaml").read_text(encoding="utf-8")
    return objects_of(parse_documents(text, f"{name}.yaml"))


def manifest_file(path: Path, *, shown: str = "", where: str = "") -> list[WrittenObject]:
    """The objects of a manifest file. Raises `InputError`."""
    shown = shown or str(path)
    found = objects_of(parse_documents(read_text(path, shown=shown, where=where), shown))
    if not found:
        raise InputError(f"{shown} holds no objects", where=where, remedy="write a manifest into it")
    return found


def objects_of(documents: list[Document]) -> list[WrittenObject]:
    """Every object of the documents, `List`s taken apart, each checked. Raises `InputError`."""
    found = []
    for document in documents:
        if isinstance(document.data, dict) and document.data.get("kind") == "List":
            items = document.data.get("items") or []
            if not isinstance(items, list):
                raise InputError(
                    f"this is {type_name(items)}", where=document.where(("items",)), remedy="give a list of objects"
                )
            found += [WrittenObject(item, document, ("items", index)) for index, item in enumerate(items)]
        else:
            found.append(WrittenObject(document.data, document))
    for written in found:
        check_object(written)
    refuse_twins(found)
    return found


def refuse_twins(objects: list[WrittenObject]) -> None:
    """Raises `InputError` when two objects have the same kind, namespace and name."""
    seen: dict[tuple[str, str, str], WrittenObject] = {}
    for written in objects:
        first = seen.setdefault(written.key, written)
        if first is not written:
            raise InputError(
                f'a second {written.kind} is called "{written.name}", the first is at {first.where()}',
                where=written.where(("metadata", "name")),
                remedy="give each its own name, or remove one",
            )


def check_object(written: WrittenObject) -> None:
    """Raises `InputError` for what `kubectl apply` would refuse."""
    obj = written.object
    if not isinstance(obj, dict):
        raise InputError("this is no object", where=written.where(), remedy="write apiVersion, kind, metadata and spec")
    kind = obj.get("kind")
    if not isinstance(kind, str) or not kind:
        raise InputError("the object has no kind", where=written.where(), remedy="add kind: RayService, or what it is")
    resource = KINDS.get(kind)
    if resource is None:
        raise InputError(
            f'no kind is called "{kind}" here', where=written.where(("kind",)), remedy=closest(kind, KINDS)
        )
    versions = _KNOWN_VERSIONS.get(kind, (resource.api_version,))
    version = obj.get("apiVersion")
    if version not in versions and not (resource.group == "ray.io" and version == "ray.io/v1alpha1"):
        raise InputError(
            f"apiVersion of the {kind} is {version!r}",
            where=written.where(("apiVersion",)),
            remedy=f"write {versions[0]}",
        )
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise InputError(f"the {kind} has no name", where=written.where(("metadata",)), remedy="add metadata.name")
    if kind == "RayService" and not isinstance(obj.get("spec"), dict):
        raise InputError("the RayService has no spec", where=written.where(), remedy="add spec.rayClusterConfig")
    if kind in _OUR_SCHEMAS:
        check_schema(written)
    if kind == "RayService":
        check_serve_config(written)


def check_schema(written: WrittenObject) -> None:
    """Raises `InputError` for the first field, in the order written, that the kind's schema refuses."""
    for place, what, remedy in schema_problems(written):
        raise InputError(what, where=written.where(place), remedy=remedy)


def schema_problems(written: WrittenObject) -> Iterator[tuple[Place, str, str]]:
    """(place, what is wrong, remedy) of each field of a RayService or RayCluster that the schema refuses."""
    return _refused(written.object, _schema(written.kind), ())


@cache
def _schema(kind: str) -> JsonObject:
    from rayrig_core.resources.crds import custom_resource_definitions

    for definition in custom_resource_definitions():
        if definition["spec"]["names"]["kind"] == kind:
            for version in definition["spec"]["versions"]:
                if version["name"] == "v1":
                    schema: JsonObject = version["schema"]["openAPIV3Schema"]
                    return schema
    raise LookupError(kind)


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "object": ((dict,), "a mapping"),
    "array": ((list,), "a list"),
    "string": ((str,), "a text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
}


def type_name(value: Any) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f'the text "{value}"' if len(value) <= 40 else "a text"
        case int() | float():
            return f"the number {value}"
        case _:
            return "no plain value"


def _refused(value: Any, schema: JsonObject, place: Place) -> Iterator[tuple[Place, str, str]]:
    if value is None:
        return
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, (int, str, float)):
            yield place, f"this is {type_name(value)}", "give a number or a text"
        elif isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
            yield place, f'"{value}" is no quantity', "write one such as 4, 500m or 16Gi"
        return
    kind = schema.get("type")
    if kind is not None:
        types, words = _TYPES[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
            yield place, f"this is {type_name(value)}", f"give {words}"
            return
    if "enum" in schema and value not in schema["enum"]:
        yield place, f"this is {type_name(value)}", "one of: " + ", ".join(map(str, schema["enum"]))
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        yield place, f"{value} is too small", f"at least {schema['minimum']}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _refused(item, schema.get("items") or {}, (*place, index))
    elif isinstance(value, dict):
        yield from _refused_fields(value, schema, place)


def _refused_fields(value: JsonObject, schema: JsonObject, place: Place) -> Iterator[tuple[Place, str, str]]:
    properties = schema.get("properties")
    values = schema.get("additionalProperties")
    for name, field in value.items():
        if properties is not None and name in properties:
            yield from _refused(field, properties[name], (*place, name))
        elif isinstance(values, dict):
            yield from _refused(field, values, (*place, name))
        elif properties is not None and not values and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield (*place, name), f'no field is called "{name}"', closest(name, properties)
    for name in schema.get("required") or ():
        if value.get(name) is None and "default" not in (properties or {}).get(name, {}):
            yield place, f'"{name}" is missing', f"add {name}"


def check_serve_config(written: WrittenObject) -> None:
    """Raises `InputError` when `spec.serveConfigV2` is no YAML or no valid Serve config."""
    from rayrig_core.resources.serve_config import parse_serve_config

    text = written.object["spec"].get("serveConfigV2")
    if text:
        parse_serve_config(text, written.document.file, first_line=first_line(written, text))


def first_line(written: WrittenObject, text: str) -> int:
    """Line of the file at which the text begins: in a block (`|`) it is the one after the key."""
    line = written.document.line((*written.base, "spec", "serveConfigV2"))
    return line + 1 if "\n" in text else line


def remarks(objects: Iterable[WrittenObject]) -> tuple[str, ...]:
    """What is allowed and yet surely not meant: fields of a Serve config that Serve drops without a word."""
    from rayrig_core.resources.go_yaml import yaml_to_json
    from rayrig_core.resources.serve_config import field_path, line_of, unknown_fields

    found = []
    for written in objects:
        text = written.object["spec"].get("serveConfigV2") if written.kind == "RayService" else None
        if not text:
            continue
        for location in unknown_fields(yaml_to_json(text)):
            line = first_line(written, text) + line_of(text, location) - 1
            found.append(
                f"{written.document.file}:{line} {field_path(location)}: Serve knows no such field and drops it"
            )
    return tuple(found)
