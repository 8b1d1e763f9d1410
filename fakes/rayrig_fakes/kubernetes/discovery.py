"""What a server tells about itself: versions, groups, resources (K8-001 to K8-003, K8-006)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.registry import Registry, Served
from rayrig_fakes.kubernetes.version_rank import version_rank

if TYPE_CHECKING:
    from rayrig_fakes.kubernetes.kinds.custom import CustomRules

VERSION: JsonObject = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "none",
    "compiler": "none",
    "platform": "any",
}
#: Groups of the server's own, by their priority.
_GROUPS = (
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
_BUILTIN_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_SUBRESOURCE_VERBS: dict[str, tuple[str, ...]] = {
    "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"),
    "finalize": ("update",),
    "binding": ("create",),
    "eviction": ("create",),
    "log": ("get",),
    "attach": ("create", "get"),
    "exec": ("create", "get"),
    "portforward": ("create", "get"),
    "ephemeralcontainers": ("get", "patch", "update"),
    "resize": ("get", "patch", "update"),
    "proxy": ("create", "delete", "get", "patch", "update"),
    "token": ("create",),
}
#: Kinds of subresources that are not of the resource's own kind: (group, version, kind).
_SUBRESOURCE_KINDS: dict[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "binding": ("", "", "Binding"),
    "attach": ("", "", "PodAttachOptions"),
    "exec": ("", "", "PodExecOptions"),
    "portforward": ("", "", "PodPortForwardOptions"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}


def verbs_of(served: Served) -> list[str]:
    if served.verbs:
        return list(served.verbs)
    if served.rules.is_custom:
        return list(_CUSTOM_VERBS)
    return [verb for verb in _BUILTIN_VERBS if not (verb == "deletecollection" and served.type.plural == "namespaces")]


def subresource_verbs(subresource: str) -> list[str]:
    return list(_SUBRESOURCE_VERBS[subresource])


def subresource_kind(served: Served, subresource: str) -> tuple[str, str, str]:
    """Group, version and kind that a subresource takes and gives; group and version are empty when they are the resource's own."""
    if subresource == "proxy":
        return ("", "", f"{served.type.kind}ProxyOptions")
    return _SUBRESOURCE_KINDS.get(subresource, ("", "", served.type.kind))


def resource_list(registry: Registry, group: str, version: str) -> JsonObject:
    """APIResourceList of one group version."""
    resources: list[JsonObject] = []
    found = registry.in_version(group, version)
    if not group or not any(served.rules.is_custom for served in found):
        found.sort(key=lambda served: served.type.plural)
    for served in found:
        entry: JsonObject = {
            "name": served.type.plural,
            "singularName": served.singular,
            "namespaced": served.type.namespaced,
            "kind": served.type.kind,
            "verbs": verbs_of(served),
        }
        if served.short_names:
            entry["shortNames"] = list(served.short_names)
        if served.categories:
            entry["categories"] = list(served.categories)
        if not served.verbs:
            entry["storageVersionHash"] = _storage_version_hash(served, registry)
        resources.append(entry)
        for subresource in served.subresources if served.rules.is_custom else sorted(served.subresources):
            of_group, of_version, kind = subresource_kind(served, subresource)
            below: JsonObject = {
                "name": f"{served.type.plural}/{subresource}",
                "singularName": "",
                "namespaced": served.type.namespaced,
                "kind": kind,
                "verbs": subresource_verbs(subresource),
            }
            if of_group:
                below |= {"group": of_group, "version": of_version}
            resources.append(below)
    api_version = f"{group}/{version}" if group else version
    body: JsonObject = {"kind": "APIResourceList"}
    if group:
        body["apiVersion"] = "v1"
    return body | {"groupVersion": api_version, "resources": resources}


#: What is stored in a version that is not served.
_STORED_AS = {
    "customresourcedefinitions.apiextensions.k8s.io": "v1beta1",
    "mutatingadmissionpolicies.admissionregistration.k8s.io": "v1beta1",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": "v1beta1",
}


def _storage_version_hash(served: Served, registry: Registry) -> str:
    """The same for all versions that are stored as one: clients notice by it that the stored version has changed."""
    if served.rules.is_custom:
        text = f"{cast('CustomRules', served.rules).storage_version}/{served.type.kind}"
    else:
        stored = min(
            (each.type for each in registry.of_storage(served.storage)), key=lambda kind: version_rank(kind.version)
        )
        text = f"{stored.group}/{_STORED_AS.get(served.storage, stored.version)}/{stored.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _versions(registry: Registry) -> dict[str, list[str]]:
    """Versions by group, the preferred one first; the core group is left out."""
    groups: dict[str, list[str]] = {}
    for group, version in registry.group_versions():
        if group:
            groups.setdefault(group, []).append(version)
    for versions in groups.values():
        versions.sort(key=version_rank)
    # Groups of definitions come last, by name.
    rank = {name: place for place, name in enumerate(_GROUPS)}
    return {name: groups[name] for name in sorted(groups, key=lambda name: (rank.get(name, len(rank)), name))}


def group(registry: Registry, name: str) -> JsonObject | None:
    """APIGroup; None when there is none of that name."""
    versions = _versions(registry).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _group(name: str, versions: list[str]) -> JsonObject:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(registry: Registry) -> JsonObject:
    groups = [_group(name, versions) for name, versions in _versions(registry).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_versions() -> JsonObject:
    address = {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}


def aggregated(registry: Registry, *, core: bool) -> JsonObject:
    """APIGroupDiscoveryList of the core group, or of all others."""
    groups = {"": ["v1"]} if core else _versions(registry)
    items: list[JsonObject] = []
    for name, versions in groups.items():
        listed = [
            {
                "version": version,
                "resources": [
                    _discovered(served)
                    for served in sorted(registry.in_version(name, version), key=lambda served: served.type.plural)
                ],
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _discovered(served: Served) -> JsonObject:
    kind = served.type
    custom = served.rules.is_custom
    entry: JsonObject = {
        "resource": kind.plural,
        "responseKind": {
            "group": kind.group if custom else "",
            "version": kind.version if custom else "",
            "kind": kind.kind,
        },
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": served.singular,
        "verbs": verbs_of(served),
    }
    if served.short_names:
        entry["shortNames"] = list(served.short_names)
    if served.categories:
        entry["categories"] = list(served.categories)
    if served.subresources:
        entry["subresources"] = []
        for subresource in sorted(served.subresources):
            of_group, of_version, name = subresource_kind(served, subresource)
            if custom and subresource == "status":
                of_group, of_version = kind.group, kind.version
            entry["subresources"].append(
                {
                    "subresource": subresource,
                    "responseKind": {"group": of_group, "version": of_version, "kind": name},
                    "verbs": subresource_verbs(subresource),
                }
            )
    return entry


def root_paths(registry: Registry, others: Iterable[str]) -> JsonObject:
    """Everything there is; `others` name no resources."""
    paths = ["/", "/api", "/api/v1", "/apis", "/apis/", *others]
    for name, versions in _versions(registry).items():
        paths.append(f"/apis/{name}")
        paths += [f"/apis/{name}/{version}" for version in versions]
    return {"paths": sorted(paths)}
