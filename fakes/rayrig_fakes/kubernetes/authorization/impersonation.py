"""Acting as somebody else: the `Impersonate-*` headers (Kubernetes, "User impersonation")."""

from __future__ import annotations

from collections.abc import Mapping

from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.identity import (
    ANONYMOUS,
    AUTHENTICATED,
    Asked,
    Authorizer,
    UserInfo,
    check,
    service_account_user,
)
from rayrig_fakes.kubernetes.quoted_text import quoted_text

_ACCOUNT = "system:serviceaccount:"


def impersonated(authorizer: Authorizer, user: UserInfo, headers: Mapping[str, str]) -> UserInfo:
    """The user to act as: `user` itself when no header asks for another.

    Several groups are separated by commas. Raises `ApiError` 400 for groups or a uid without a user, 403 when `user` may not
    impersonate these.
    """
    name, uid = headers.get("impersonate-user", ""), headers.get("impersonate-uid", "")
    wanted = tuple(group.strip() for group in headers.get("impersonate-group", "").split(",") if group.strip())
    if not name:
        if wanted or uid:
            raise status.bad_request(f"requested {_printed(uid, wanted)} without impersonating a user name")
        return user
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.removeprefix(_ACCOUNT).split(":")
        check(
            authorizer,
            user,
            Asked("impersonate", resource="serviceaccounts", namespace=namespace, name=account),
        )
        known = service_account_user(namespace, account, uid)
        shown = wanted or known.groups
    else:
        check(authorizer, user, Asked("impersonate", resource="users", name=name))
        shown = wanted
    for group in wanted:
        check(authorizer, user, Asked("impersonate", resource="groups", name=group))
    if uid:
        asked = Asked("impersonate", group="authentication.k8s.io", version="v1", resource="uids", name=uid)
        check(authorizer, user, asked)
    if name != ANONYMOUS.name and AUTHENTICATED not in shown:
        shown = (*shown, AUTHENTICATED)
    return UserInfo(name, uid, ANONYMOUS.groups if name == ANONYMOUS.name and not wanted else shown)


def _printed(uid: str, groups: tuple[str, ...]) -> str:
    """A user without a name, as the real server prints one."""
    listed = f"{{{', '.join(map(quoted_text, groups))}}}" if groups else "(nil)"
    return (
        f'&user.DefaultInfo{{Name:"", UID:{quoted_text(uid)}, Groups:[]string{listed}, Extra:map[string][]string(nil)}}'
    )
