"""Roles and bindings that are there from the beginning (Kubernetes, "Default roles and role bindings").

The roles for people (`admin`, `edit`, `view`) speak of the resources this server serves.
"""

from __future__ import annotations

from collections.abc import Iterable

from rayrig_core.identifiers import random_uuid
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import rfc3339
from rayrig_fakes.kubernetes.authorization.rbac import RbacAuthorizer
from rayrig_fakes.kubernetes.authorization.rules import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP
from rayrig_fakes.kubernetes.identity import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from rayrig_fakes.kubernetes.state import ServerState

_HEALTH = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_HEALTH)
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
#: What the roles for people speak of: (group, resources to read and write, resources only to read).
_WORKLOADS: tuple[tuple[str, str, str], ...] = (
    (
        "",
        "configmaps endpoints events persistentvolumeclaims pods services services/proxy",
        "bindings limitranges namespaces pods/log pods/status resourcequotas serviceaccounts services/status",
    ),
    (
        "apps",
        "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
        "daemonsets/status deployments/status replicasets/status statefulsets/status",
    ),
    ("batch", "cronjobs jobs", "cronjobs/status jobs/status"),
    ("coordination.k8s.io", "leases", ""),
    ("discovery.k8s.io", "", "endpointslices"),
    ("networking.k8s.io", "ingresses networkpolicies", "ingresses/status"),
    ("policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
)


def _rule(verbs: Iterable[str], group: str, resources: str) -> JsonObject:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": resources.split()}


def _urls(paths: Iterable[str]) -> JsonObject:
    return {"verbs": ["get"], "nonResourceURLs": sorted(paths)}


def _for_viewers() -> list[JsonObject]:
    return [_rule(_READ, group, f"{written} {read}".strip()) for group, written, read in _WORKLOADS]


def _for_editors() -> list[JsonObject]:
    rules = [_rule(_WRITE, group, written) for group, written, _ in _WORKLOADS if written]
    rules += [
        _rule((*_READ, *_WRITE), "", "secrets"),
        _rule(_WRITE, "", "serviceaccounts"),
        _rule(("impersonate",), "", "serviceaccounts"),
        _rule(("create",), "", "pods/eviction serviceaccounts/token"),
        _rule((*_READ, "create"), "", "pods/attach pods/exec pods/portforward pods/proxy"),
    ]
    return rules


def _for_admins() -> list[JsonObject]:
    return [
        _rule((*_WRITE, *_READ), GROUP, "rolebindings roles"),
        _rule(("create",), "authorization.k8s.io", "localsubjectaccessreviews"),
    ]


def _everything() -> list[JsonObject]:
    return [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]


def _about_oneself() -> list[JsonObject]:
    return [
        _rule(("create",), "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        _rule(("create",), "authentication.k8s.io", "selfsubjectreviews"),
    ]


_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def _roles() -> list[JsonObject]:
    roles = [
        _role("cluster-admin", _everything()),
        _role("system:discovery", [_urls(_DISCOVERY)]),
        _role("system:basic-user", _about_oneself()),
        _role("system:public-info-viewer", [_urls(_HEALTH)]),
    ]
    # A viewer's rules are an editor's, and those an administrator's; gathered in the order of the roles' names.
    view, edit, admin = _for_viewers(), _for_editors(), _for_admins()
    people = (
        ("view", view, view, "edit"),
        ("edit", edit, [*edit, *view], "admin"),
        ("admin", admin, [*edit, *view, *admin], ""),
    )
    for name, rules, gathered, above in people:
        roles.append(_role(f"system:aggregate-to-{name}", rules, {f"{_AGGREGATE}{name}": "true"}))
        role = _role(name, gathered, {f"{_AGGREGATE}{above}": "true"} if above else {})
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]}
        roles.append(role)
    return roles


def _bindings() -> list[JsonObject]:
    return [
        _binding("cluster-admin", MASTERS),
        _binding("system:discovery", AUTHENTICATED),
        _binding("system:basic-user", AUTHENTICATED),
        _binding("system:public-info-viewer", AUTHENTICATED, UNAUTHENTICATED),
    ]


def _metadata(name: str, labels: dict[str, str] | None = None) -> JsonObject:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _role(name: str, rules: list[JsonObject], labels: dict[str, str] | None = None) -> JsonObject:
    return {"metadata": _metadata(name, labels), "rules": rules}


def _binding(role: str, *groups: str) -> JsonObject:
    return {
        "metadata": _metadata(role),
        "subjects": [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups],
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
    }


def enforce_rbac(state: ServerState) -> RbacAuthorizer:
    """Store the default roles and bindings, and let roles decide from now on."""
    _store(state, CLUSTER_ROLE, _roles())
    _store(state, CLUSTER_ROLE_BINDING, _bindings())
    authorizer = RbacAuthorizer(state)
    state.authorizer = authorizer
    return authorizer


def _store(state: ServerState, kind: ResourceType, objects: list[JsonObject]) -> None:
    now = state.now_unix_ns()
    collection = state.store.collection(kind.group_resource)
    for each in objects:
        meta = each["metadata"]
        meta["uid"] = random_uuid(state.rng)
        meta["creationTimestamp"] = rfc3339(now)
        collection.put(meta["name"], {"apiVersion": kind.api_version, "kind": kind.kind, **each}, now)
