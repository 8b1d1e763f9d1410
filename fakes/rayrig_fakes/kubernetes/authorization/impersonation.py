"""Acting as somebody else: the `Impersonate-*` headers (Kubernetes, "User impersonation")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from rayrig_core.errors import ApiError
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.identity import (
    ANONYMOUS,
    AUTHENTICATED,
    Asked,
    Attributes,
    Authorizer,
    UserInfo,
    check,
    service_account_user,
)
from rayrig_fakes.kubernetes.quoted_text import quoted_text

_ACCOUNT, _NODE = "system:serviceaccount:", "system:node:"
_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whom the headers ask for."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: Mapping[str, list[str]]


def impersonated(
    authorizer: Authorizer, user: UserInfo, headers: Mapping[str, str], attributes: Attributes
) -> UserInfo:
    """The user to act as: `user` itself when no header asks for another.

    Several groups are separated by commas. Who may not impersonate in general may be allowed to for this request (`attributes`)
    only. Raises `ApiError` 400 for groups or a uid without a user, 403 when `user` may do neither.
    """
    wanted = _Wanted(
        headers.get("impersonate-user", ""),
        headers.get("impersonate-uid", ""),
        tuple(group.strip() for group in headers.get("impersonate-group", "").split(",") if group.strip()),
        _extra(headers),
    )
    name, uid = wanted.name, wanted.uid
    if not name:
        if wanted.groups or uid or wanted.extra:
            text = f"requested {_printed(uid, wanted.groups, wanted.extra)} without impersonating a user name"
            raise status.bad_request(text)
        return user
    try:
        for asked in _asked(wanted, "impersonate"):
            check(authorizer, user, asked)
    except ApiError:
        _check_constrained(authorizer, user, wanted, attributes)
    shown = wanted.groups
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.removeprefix(_ACCOUNT).split(":")
        shown = shown or service_account_user(namespace, account).groups
    if name != ANONYMOUS.name and AUTHENTICATED not in shown:
        shown = (*shown, AUTHENTICATED)
    if name == ANONYMOUS.name and not wanted.groups:
        shown = ANONYMOUS.groups
    return UserInfo(name, uid, shown, wanted.extra)


def _extra(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        unquote(name.removeprefix(_EXTRA)): [part.strip() for part in value.split(",")]
        for name, value in sorted(headers.items())
        if name.startswith(_EXTRA)
    }


def _asked(wanted: _Wanted, verb: str) -> Iterator[Asked]:
    """What must be allowed: in general (`impersonate`), or in one of the modes for single requests."""
    in_general = verb == "impersonate"
    group = "" if in_general else _GROUP
    if wanted.name.startswith(_ACCOUNT) and wanted.name.count(":") == 3:
        namespace, account = wanted.name.removeprefix(_ACCOUNT).split(":")
        yield Asked(verb, group=group, resource="serviceaccounts", namespace=namespace, name=account)
    elif not in_general and wanted.name.startswith(_NODE):
        yield Asked(verb, group=group, resource="nodes", name=wanted.name.removeprefix(_NODE))
    else:
        yield Asked(verb, group=group, resource="users", name=wanted.name)
    for each in wanted.groups:
        yield Asked(verb, group=group, resource="groups", name=each)
    if wanted.uid:
        yield Asked(verb, group=_GROUP, version="v1", resource="uids", name=wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield Asked(verb, group=_GROUP, version="v1", resource="userextras", subresource=key, name=value)


def _check_constrained(authorizer: Authorizer, user: UserInfo, wanted: _Wanted, attributes: Attributes) -> None:
    """Impersonation for the request at hand: allowed for its verb, and for this identity. Raises `ApiError` 403."""
    mode = "user-info"
    if wanted.name.startswith(_ACCOUNT) and wanted.name.count(":") == 3:
        mode = "serviceaccount"
    elif wanted.name.startswith(_NODE):
        mode = "arbitrary-node"
    on_request = Asked(
        f"impersonate-on:{mode}:{attributes.verb}",
        attributes.path,
        attributes.group,
        attributes.version,
        attributes.resource,
        attributes.subresource,
        attributes.namespace,
        attributes.name,
    )
    check(authorizer, user, on_request)
    for asked in _asked(wanted, f"impersonate:{mode}"):
        check(authorizer, user, asked)


def _printed(uid: str, groups: tuple[str, ...], extra: Mapping[str, list[str]]) -> str:
    """A user without a name, as the real server prints one."""
    listed = f"{{{', '.join(map(quoted_text, groups))}}}" if groups else "(nil)"
    more = "(nil)"
    if extra:
        pairs = (f"{quoted_text(key)}:[]string{{{', '.join(map(quoted_text, extra[key]))}}}" for key in sorted(extra))
        more = f"{{{', '.join(pairs)}}}"
    return f'&user.DefaultInfo{{Name:"", UID:{quoted_text(uid)}, Groups:[]string{listed}, Extra:map[string][]string{more}}}'
