"""Who may write roles and bindings: nobody gives permissions they do not have (Kubernetes, "Privilege escalation prevention")."""

from __future__ import annotations

from typing import Protocol

from rayrig_core.errors import NotFound
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import ROLE, ResourceType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.authorization.rules import CLUSTER_ROLE, describe, quoted, uncovered
from rayrig_fakes.kubernetes.identity import MASTERS, Asked, Authorizer, UserInfo

_ROLES = ("roles", "clusterroles")
_EVERYTHING: list[JsonObject] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


class Roles(Authorizer, Protocol):
    """What must be known of the roles in the store."""

    def role_rules(self, binding: JsonObject) -> list[JsonObject]: ...


def check_grant(authorizer: Roles, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None) -> None:
    """`obj` is a role or binding about to be written in place of `old`.

    Raises `ApiError` 403 when it would give what `user` does not have, `NotFound` when a bound role does not exist.
    """
    if MASTERS in user.groups:
        return
    if kind.plural in _ROLES:
        _check_role(authorizer, user, kind, obj, old)
    else:
        _check_binding(authorizer, user, kind, obj, old)


def _check_role(authorizer: Roles, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None) -> None:
    parts = ("rules", "aggregationRule")
    if old is not None and all(obj.get(part) == old.get(part) for part in parts):
        return
    meta = obj["metadata"]
    name, namespace = str(meta.get("name", "")), str(meta.get("namespace", ""))
    asked = Asked("escalate", group=kind.group, resource=kind.plural, namespace=namespace, name=name)
    if authorizer.authorize(user, asked).allowed:
        return
    wanted: list[Json] = list(obj.get("rules") or ())
    if obj.get("aggregationRule") and uncovered(authorizer.rules_for(user, ""), _EVERYTHING):
        # What it will gather is not known.
        raise status.forbidden(kind, name, "must have cluster-admin privileges to use the aggregationRule")
    _check_rules(authorizer, user, kind, name, namespace, [rule for rule in wanted if isinstance(rule, dict)])


def _check_binding(
    authorizer: Roles, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None
) -> None:
    parts = ("roleRef", "subjects")
    if old is not None and all(obj.get(part) == old.get(part) for part in parts):
        return
    reference = obj.get("roleRef")
    if not isinstance(reference, dict) or not reference.get("name"):
        return  # Not valid, which is said elsewhere.
    meta = obj["metadata"]
    name, namespace = str(meta.get("name", "")), str(meta.get("namespace", ""))
    role = CLUSTER_ROLE if reference.get("kind") == "ClusterRole" else ROLE
    asked = Asked("bind", group=role.group, resource=role.plural, namespace=namespace, name=str(reference["name"]))
    if authorizer.authorize(user, asked).allowed:
        return
    try:
        rules = authorizer.role_rules(obj)
    except NotFound:
        raise status.not_found(kind, str(reference["name"])) from None
    _check_rules(authorizer, user, kind, name, namespace, rules)


def _check_rules(
    authorizer: Roles, user: UserInfo, kind: ResourceType, name: str, namespace: str, wanted: list[JsonObject]
) -> None:
    missing = uncovered(authorizer.rules_for(user, namespace), wanted)
    if not missing:
        return
    listed = "".join(f"\n{text}" for text in sorted(describe(rule) for rule in missing))
    why = (
        f'user "{user.name}" (groups={quoted(user.all_groups)}) is attempting to grant RBAC permissions not currently '
        f"held:{listed}"
    )
    raise status.forbidden(kind, name, why)
