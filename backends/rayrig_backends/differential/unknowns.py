"""Values that two servers choose for themselves: equal when each stands for the same thing on its side.

As in unification: the first time two unknowns meet they are bound to each other, and from then on neither may stand for anything
else. So a version that one server keeps over an empty change and the other does not is a difference, while the numbers are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_UID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z| \+0000 UTC)"
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
#: What can be an unknown inside a text, with its family.
_TOKEN = re.compile(rf"(?P<uid>{_UID})|(?P<time>{_TIME})|(?P<ip>{_IP})|(?P<number>(?<![\w.-])\d+(?![\w.-]))")
#: Fields whose whole value is chosen by the server.
_VERSION_FIELDS = ("resourceVersion",)
_TOKEN_FIELDS = ("continue", "token", "hash", "serverRelativeURL")
_VERSION_WORDS = re.compile(r"resource ?version|storageVersion|revision", re.IGNORECASE)
_SUFFIX = 5


@dataclass(slots=True)
class Unknowns:
    """What was bound so far in one story."""

    left: dict[tuple[str, str], str] = field(default_factory=dict)
    right: dict[tuple[str, str], str] = field(default_factory=dict)
    #: From which names were asked to be generated, whether or not an object came of it.
    prefixes: list[str] = field(default_factory=list)
    #: Versions of objects, in the order in which they were bound, to see that order is kept.
    _versions: list[tuple[int, int]] = field(default_factory=list)

    def agree(self, name: str, left: str, right: str, *, of_list: bool = False) -> bool:
        """Whether two texts in a field of that name are the same, up to unknowns. `of_list`: a version of a whole list, which
        others' writes move."""
        if name in _VERSION_FIELDS:
            return self._versions_agree(left, right, of_list)
        if left == right:
            return True
        if not left or not right:
            return False
        if name in _TOKEN_FIELDS:
            return True
        bound = self._bound("name", left, right)
        if bound is not None:
            return bound
        left, right = self._without_names(left, right)
        pieces, others = _pieces(left), _pieces(right)
        if [piece for family, piece in pieces if not family] != [piece for family, piece in others if not family]:
            return False
        if [family for family, _ in pieces] != [family for family, _ in others]:
            return False
        return all(
            family == "" or one == other or self._tokens_agree(family, one, other, left)
            for (family, one), (_, other) in zip(pieces, others, strict=True)
        )

    def bind_name(self, prefix: str, left: str, right: str) -> bool:
        """Names generated from that prefix: same beginning, a suffix of five."""
        if (
            len(left) != len(right)
            or left[:-_SUFFIX] != right[:-_SUFFIX]
            or not left.startswith(prefix[: len(left) - _SUFFIX])
        ):
            return False
        return self.bind("name", left, right)

    def _tokens_agree(self, family: str, left: str, right: str, text: str) -> bool:
        if family == "time":
            return True
        if family == "number":
            known = self._bound("version", left, right)
            return known if known is not None else _VERSION_WORDS.search(text) is not None
        return self.bind(family, left, right)

    def _without_names(self, left: str, right: str) -> tuple[str, str]:
        """Texts in which generated names that are bound to each other, or that nothing bears, are the same."""
        for (family, one), other in self.left.items():
            if family == "name" and one in left:
                left, right = left.replace(one, "\0"), right.replace(other, "\0")
        for prefix in self.prefixes:
            suffixed = re.compile(re.escape(prefix) + rf"[a-z0-9]{{{_SUFFIX}}}")
            left, right = suffixed.sub("\0", left), suffixed.sub("\0", right)
        return left, right

    def _versions_agree(self, left: str, right: str, of_list: bool) -> bool:
        if not (left.isdigit() and right.isdigit()):
            return left == right
        if (left == "0") != (right == "0"):
            return False
        if of_list or left == right == "0":
            # Not older than any object seen.
            return True
        if not self.bind("version", left, right):
            return False
        pair = int(left), int(right)
        if any((pair[0] < one) != (pair[1] < other) for one, other in self._versions if one != pair[0]):
            return False
        if pair not in self._versions:
            self._versions.append(pair)
        return True

    def _bound(self, family: str, left: str, right: str) -> bool | None:
        """Whether they are bound to each other; None when neither is bound."""
        one, other = self.left.get((family, left)), self.right.get((family, right))
        if one is None and other is None:
            return None
        return one == right and other == left

    def bind(self, family: str, left: str, right: str) -> bool:
        """Whether each stands for the other, from now on when neither stood for anything."""
        bound = self._bound(family, left, right)
        if bound is None:
            self.left[family, left] = right
            self.right[family, right] = left
            return True
        return bound


def _pieces(text: str) -> list[tuple[str, str]]:
    """(family, piece) of a text; the family of what lies between unknowns is ""."""
    pieces: list[tuple[str, str]] = []
    place = 0
    for found in _TOKEN.finditer(text):
        pieces.append(("", text[place : found.start()]))
        pieces.append((found.lastgroup or "", found.group()))
        place = found.end()
    pieces.append(("", text[place:]))
    return pieces
