"""Who a request comes from: users, static token files, bearer tokens (K8-016)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from rayrig_core.errors import ApiError, InputError
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.identity import ADMIN, ANONYMOUS, UserInfo


def read_token_file(path: Path) -> dict[str, UserInfo]:
    """Users by token from Kubernetes' static token file: lines of `token,user,uid[,"group1,group2"]`.

    Raises `InputError` naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot read: {reason}", where=str(path)) from None
    users: dict[str, UserInfo] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), start=1):
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        where = f"{path}:{number}"
        if len(row) < 3:
            raise InputError("too few columns", where=where, remedy='write token,user,uid,"group1,group2"')
        token, name, uid = (cell.strip() for cell in row[:3])
        if not token or not name:
            raise InputError("token and user must not be empty", where=where)
        if token in users:
            raise InputError("this token was given before", where=where)
        # An empty fourth column is one group without a name.
        groups = tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 else ()
        users[token] = UserInfo(name, uid, groups)
    if not users:
        raise InputError(
            "no tokens", where=str(path), remedy='write a line token,user,uid,"group1,group2" for each user'
        )
    return users


class Tokens:
    """Authenticates bearer tokens. Without any token everyone is `ADMIN`, but for those who come with a service account's."""

    __slots__ = ("_anonymous", "_issued", "_users")

    def __init__(
        self,
        users: Mapping[str, UserInfo] | None = None,
        *,
        anonymous: bool = False,
        issued: Callable[[str], UserInfo | None] = lambda token: None,
    ) -> None:
        """`anonymous`: requests without a token are those of `system:anonymous`; otherwise they are refused. `issued` finds the
        users of tokens that the server gave out itself."""
        self._users = dict(users or {})
        self._anonymous = anonymous
        self._issued = issued

    @property
    def is_open(self) -> bool:
        """Everyone is let in."""
        return not self._users

    def add(self, token: str, user: UserInfo) -> None:
        self._users[token] = user

    def find(self, token: str) -> UserInfo | None:
        return self._users.get(token)

    def user_of(self, authorization: str) -> UserInfo:
        """User of an Authorization header; what is no bearer token says nothing. Raises `ApiError` 401."""
        parts = authorization.split(" ")
        if len(parts) < 2 or parts[0].lower() != "bearer" or not parts[1]:
            if not self._users:
                return ADMIN
            if self._anonymous:
                return ANONYMOUS
            raise unauthorized()
        user = self._users.get(parts[1]) or self._issued(parts[1])
        if user is None and not self._users:
            return ADMIN
        if user is None:
            raise unauthorized()
        return user


def unauthorized() -> ApiError:
    return status.error(401, "Unauthorized", "Unauthorized")
