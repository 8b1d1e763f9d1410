"""Secrets and ConfigMaps that pod templates refer to, so that a manifest without them can still be tried out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_scenarios.language.documents import Document
from rayrig_scenarios.language.manifests import WrittenObject

_STAND_IN = "set-by-rayrig"


def missing_namespaces(objects: Sequence[WrittenObject]) -> list[WrittenObject]:
    """The namespaces that objects are in and that are neither among the objects nor in every new cluster."""
    given = {written.name for written in objects if written.kind == "Namespace"} | {"", "default"}
    names = dict.fromkeys(written.namespace for written in objects if written.namespace not in given)
    found = []
    for name in names:
        obj: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        found.append(WrittenObject(obj, Document(obj, f"Namespace/{name}", {}, 1)))
    return found


def missing_references(objects: Iterable[WrittenObject]) -> list[WrittenObject]:
    """Stand-ins for the Secrets and ConfigMaps that must exist and are not among the objects, with the keys that are asked for."""
    given = {written.key for written in objects}
    wanted: dict[tuple[str, str, str], dict[str, str]] = {}
    for written in objects:
        for kind, name, key in _references(written.object.get("spec") or {}):
            identity = (kind, written.namespace, name)
            if identity not in given:
                keys = wanted.setdefault(identity, {})
                if key:
                    keys[key] = _STAND_IN
    found = []
    for (kind, namespace, name), keys in wanted.items():
        obj: JsonObject = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
        obj["stringData" if kind == "Secret" else "data"] = keys
        found.append(WrittenObject(obj, Document(obj, f"{kind}/{name}", {}, 1)))
    return found


def _references(value: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, name, key) of every reference that is not optional; the key is empty for whole objects."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for field, inner in value.items():
            if isinstance(inner, dict) and field in _FIELDS and not inner.get("optional"):
                kind, naming = _FIELDS[field]
                name = inner.get(naming)
                if isinstance(name, str) and name:
                    yield kind, name, str(inner.get("key") or "")
                    for item in inner.get("items") or ():
                        yield kind, name, str(item.get("key") or "")
            yield from _references(inner)


#: Field of a pod template (or of the GCS options) → kind it refers to, and where the name stands.
_FIELDS = {
    "secretKeyRef": ("Secret", "name"),
    "secretRef": ("Secret", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "configMap": ("ConfigMap", "name"),
}
