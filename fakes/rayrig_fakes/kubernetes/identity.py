"""Who asks, what is asked, and who decides: the words that authentication and authorization share (K8-016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import ResourceType
from rayrig_fakes.kubernetes import status

AUTHENTICATED, UNAUTHENTICATED, MASTERS = "system:authenticated", "system:unauthenticated", "system:masters"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An identity. `groups` are as given; `all_groups` has those that everyone authenticated is in."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def all_groups(self) -> tuple[str, ...]:
        if self.name == ANONYMOUS.name or AUTHENTICATED in self.groups:
            return self.groups
        return (*self.groups, AUTHENTICATED)

    def as_json(self) -> JsonObject:
        """As reviews show it; empty fields are left out."""
        shown: JsonObject = {"username": self.name}
        if self.uid:
            shown["uid"] = self.uid
        shown["groups"] = list(self.all_groups)
        if self.extra:
            shown["extra"] = dict(self.extra)
        return shown


ANONYMOUS = UserInfo("system:anonymous", groups=(UNAUTHENTICATED,))
#: Everyone, where there are no tokens.
ADMIN = UserInfo("kubernetes-admin", "kubernetes-admin", (MASTERS,))


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, list[str]] | None = None
) -> UserInfo:
    """The user that a ServiceAccount is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return UserInfo(f"{_SERVICE_ACCOUNT}{namespace}:{name}", uid, groups, extra or {})


class Attributes(Protocol):
    """What a request asks for. `resource` is empty for paths that name none, of which `path` counts then."""

    @property
    def verb(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def subresource(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """`Attributes` that do not come from a request: those of an access review."""

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says why, where there is something to say: which binding allowed it."""

    allowed: bool
    reason: str = ""


class Authorizer(Protocol):
    """Decides what users may do."""

    #: Roles and bindings mean something: whoever writes them is kept from giving more than they have.
    enforces_roles: bool

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision: ...

    def rules_for(self, user: UserInfo, namespace: str) -> list[JsonObject]:
        """Policy rules that hold for the user in a namespace, those of the whole cluster included."""
        ...

    def check_grant(self, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None) -> None:
        """Raises `ApiError` when writing this role or binding in place of `old` gave what the user does not have."""
        ...


class AlwaysAllow:
    """Everyone may do everything."""

    enforces_roles = False

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        return Decision(True)

    def rules_for(self, user: UserInfo, namespace: str) -> list[JsonObject]:
        return [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]

    def check_grant(self, user: UserInfo, kind: ResourceType, obj: JsonObject, old: JsonObject | None) -> None:
        """There is nothing that anyone does not have."""


def check(authorizer: Authorizer, user: UserInfo, attributes: Attributes) -> None:
    """Raises `ApiError` 403 when the user may not do this."""
    decision = authorizer.authorize(user, attributes)
    if not decision.allowed:
        raise denied(user, attributes, decision.reason)


def denied(user: UserInfo, attributes: Attributes, reason: str = "") -> ApiError:
    """403 in the words of the real server."""
    suffix = f": {reason}" if reason else ""
    if not attributes.resource:
        text = f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"{suffix}'
        return status.error(403, "Forbidden", text, {})
    group, plural = attributes.group, attributes.resource
    resource = f"{plural}/{attributes.subresource}" if attributes.subresource else plural
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    subject = f"{plural}.{group}" if group else plural
    if attributes.name:
        subject += f' "{attributes.name}"'
    details: JsonObject = {"name": attributes.name} if attributes.name else {}
    if group:
        details["group"] = group
    details["kind"] = plural
    text = (
        f'{subject} is forbidden: User "{user.name}" cannot {attributes.verb} resource "{resource}" '
        f'in API group "{group}" {where}{suffix}'
    )
    return status.error(403, "Forbidden", text, details)
