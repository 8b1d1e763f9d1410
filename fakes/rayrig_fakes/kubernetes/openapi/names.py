"""Names of schemas, as clients look them up: Go package paths with the domain turned round."""

from __future__ import annotations

from rayrig_core.resource_types import ResourceType

_META = "io.k8s.apimachinery.pkg.apis.meta"
_PACKAGES = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "meta": _META,
}
#: Types that are written as plain values.
SPECIAL = {
    "Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "Time": f"{_META}.v1.Time",
    "MicroTime": f"{_META}.v1.MicroTime",
}
OBJECT_META, LIST_META = f"{_META}.v1.ObjectMeta", f"{_META}.v1.ListMeta"
STATUS, DELETE_OPTIONS, PATCH = f"{_META}.v1.Status", f"{_META}.v1.DeleteOptions", f"{_META}.v1.Patch"


def schema_name(type_name: str) -> str:
    """Of a type of the catalogue (`core.v1.Pod`)."""
    package, version, name = type_name.split(".")
    return f"{_PACKAGES.get(package, f'io.k8s.api.{package}')}.{version}.{name}"


def kind_name(kind: ResourceType, *, custom: bool) -> str:
    """Of a served kind."""
    if custom:
        return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])
    return schema_name(f"{kind.group.split('.')[0] or 'core'}.{kind.version}.{kind.kind}")
