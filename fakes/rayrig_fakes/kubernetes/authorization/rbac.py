"""The authorizer over the roles and bindings in the store (Kubernetes API, "Using RBAC Authorization")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ROLE, ROLE_BINDING, ResourceType
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.authorization.escalation import check_grant
from rayrig_fakes.kubernetes.authorization.rules import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, allows
from rayrig_fakes.kubernetes.identity import MASTERS, Attributes, Decision, UserInfo, service_account_user
from rayrig_fakes.kubernetes.state import ServerState

_BINDINGS = (CLUSTER_ROLE_BINDING, ROLE_BINDING)


@dataclass(frozen=True, slots=True)
class _Grant:
    """One subject of one binding."""

    binding: JsonObject
    subject: JsonObject

    def describe(self) -> str:
        """`RoleBinding "b/ns" of Role "r" to User "u"`."""
        meta, role, subject = self.binding["metadata"], self.binding["roleRef"], self.subject
        name = f"{meta['name']}/{meta['namespace']}" if meta.get("namespace") else meta["name"]
        whom = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            whom = f"{whom}/{_namespace_of(subject, self.binding)}"
        return f'{self.binding["kind"]} "{name}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{whom}"'


class RbacAuthorizer:
    """Allows what a binding gives; the group `system:masters` may do everything."""

    enforces_roles = True

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._read_at = (-1, -1)
        #: Grants by who they are for (`User/name`, `Group/name`), by namespace ("" for the whole cluster).
        self._grants: dict[str, dict[str, list[_Grant]]] = {}

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """`reason` names the binding that allowed it, or roles that are bound and do not exist."""
        if MASTERS in user.groups:
            return Decision(True)
        missing: list[str] = []
        for grant in self._grants_of(user, attributes.namespace):
            try:
                rules = self.role_rules(grant.binding)
            except ApiError as absent:
                missing.append(absent.message)
                continue
            if any(allows(rule, attributes) for rule in rules):
                return Decision(True, f"RBAC: allowed by {grant.describe()}")
        if not missing:
            return Decision(False)
        return Decision(False, f"RBAC: {missing[0]}" if len(missing) == 1 else f"RBAC: [{', '.join(missing)}]")

    def rules_for(self, user: UserInfo, namespace: str) -> list[JsonObject]:
        rules: list[JsonObject] = []
        for grant in self._grants_of(user, namespace):
            try:
                found = self.role_rules(grant.binding)
            except ApiError:
                continue
            rules += [rule for rule in found if rule not in rules]
        return rules

    def check_grant(self, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None) -> None:
        """Raises `ApiError` 403 or 404."""
        check_grant(self, user, kind, obj, old)

    def role_rules(self, binding: JsonObject) -> list[JsonObject]:
        """Rules of the role a binding refers to. Raises `NotFound`."""
        role, name = binding["roleRef"].get("kind"), str(binding["roleRef"].get("name", ""))
        kind = CLUSTER_ROLE if role == "ClusterRole" else ROLE
        namespace = binding["metadata"].get("namespace", "")
        key = f"{namespace}/{name}" if kind.namespaced else name
        found = self._state.lookup(kind.group_resource, key)
        if found is None:
            singular = f"{kind.kind.lower()}.{kind.group}"
            details: JsonObject = {"name": name, "group": kind.group, "kind": kind.plural}
            raise status.error(404, "NotFound", f'{singular} "{name}" not found', details)
        return found.get("rules") or []

    def _grants_of(self, user: UserInfo, namespace: str) -> Iterator[_Grant]:
        """Cluster-wide ones first, each in the order of names."""
        self._read()
        places = ("", namespace) if namespace else ("",)
        who = (f"User/{user.name}", *(f"Group/{group}" for group in user.all_groups))
        for place in places:
            for subject in who:
                yield from self._grants.get(subject, {}).get(place, ())

    def _read(self) -> None:
        """Take in the bindings again when one has changed."""
        collections = [self._state.store.collection(kind.group_resource) for kind in _BINDINGS]
        now = (collections[0].log.end, collections[1].log.end)
        if now == self._read_at:
            return
        self._read_at = now
        self._grants = {}
        for collection in collections:
            for stored in collection.scan():
                binding = stored.obj
                place = binding["metadata"].get("namespace", "")
                for subject in binding.get("subjects") or ():
                    grants = self._grants.setdefault(_who(subject, binding), {}).setdefault(place, [])
                    grants.append(_Grant(binding, subject))


def _namespace_of(subject: JsonObject, binding: JsonObject) -> str:
    return str(subject.get("namespace") or binding["metadata"].get("namespace", ""))


def _who(subject: JsonObject, binding: JsonObject) -> str:
    name = str(subject.get("name", ""))
    if subject.get("kind") == "ServiceAccount":
        return f"User/{service_account_user(_namespace_of(subject, binding), name).name}"
    return f"{subject.get('kind')}/{name}"
