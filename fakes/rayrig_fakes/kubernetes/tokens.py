"""Who a request comes from: users, static token files, bearer tokens (K8-016)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rayrig_core.errors import ApiError, InputError
from rayrig_fakes.kubernetes import status

AUTHENTICATED, UNAUTHENTICATED, MASTERS = "system:authenticated", "system:unauthenticated", "system:masters"


@dataclass(frozen=True, slots=True)
class User:
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


ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
#: Everyone, where there are no tokens.
ADMIN = User("kubernetes-admin", "kubernetes-admin", (MASTERS,))


def read_token_file(path: Path) -> dict[str, User]:
    """Users by token from Kubernetes' static token file: lines of `token,user,uid[,"group1,group2"]`.

    Raises `InputError` naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot read: {reason}", where=str(path)) from None
    users: dict[str, User] = {}
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
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        users[token] = User(name, uid, groups)
    if not users:
        raise InputError(
            "no tokens", where=str(path), remedy='write a line token,user,uid,"group1,group2" for each user'
        )
    return users


class Tokens:
    """Authenticates bearer tokens. Without any token everyone is `ADMIN`."""

    __slots__ = ("_anonymous", "_users")

    def __init__(self, users: Mapping[str, User] | None = None, *, anonymous: bool = False) -> None:
        """`anonymous`: requests without a token are those of `system:anonymous`; otherwise they are refused."""
        self._users = dict(users or {})
        self._anonymous = anonymous

    @property
    def is_open(self) -> bool:
        """Everyone is let in."""
        return not self._users

    def add(self, token: str, user: User) -> None:
        self._users[token] = user

    def find(self, token: str) -> User | None:
        return self._users.get(token)

    def user_of(self, authorization: str) -> User:
        """User of an Authorization header. Raises `ApiError` 401."""
        if not self._users:
            return ADMIN
        if not authorization:
            if self._anonymous:
                return ANONYMOUS
            raise unauthorized()
        scheme, _, token = authorization.partition(" ")
        user = self._users.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user


def unauthorized() -> ApiError:
    return status.error(401, "Unauthorized", "Unauthorized")
