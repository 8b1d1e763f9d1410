"""JSON as Go's `encoding/json` reads it: the same texts accepted, and the same words for what is wrong.

Clients see those words: the gateway and the dashboard clients pass them on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum

from rayrig_core.objects import Json
from rayrig_fakes.kubernetes.json_syntax import syntax_error


class Kind(Enum):
    """What a token is. A name is the key of an object's member."""

    OPEN_OBJECT = "{"
    CLOSE_OBJECT = "}"
    OPEN_ARRAY = "["
    CLOSE_ARRAY = "]"
    COLON = ":"
    COMMA = ","
    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    TRUE = "true"
    FALSE = "false"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Token:
    """`raw` as written, `position` counted in characters from the beginning of the value read."""

    kind: Kind
    raw: str
    position: int


@dataclass(frozen=True, slots=True)
class Document:
    """One value as text and as tokens (without colons and commas); without tokens where there was only white space."""

    text: str
    tokens: list[Token]


class Malformed(ValueError):
    """Not JSON, in Go's words."""


_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<sign>[][{}:,]|true|false|null)"
    r'|(?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r")"
)
_SPACE = " \t\r\n"
_CLOSES = {Kind.OPEN_OBJECT: Kind.CLOSE_OBJECT, Kind.OPEN_ARRAY: Kind.CLOSE_ARRAY}
_SCALARS = frozenset((Kind.STRING, Kind.NUMBER, Kind.TRUE, Kind.FALSE, Kind.NULL))
_VALUE = _SCALARS | _CLOSES.keys()
_DEEPEST = 10_000


def parse(body: bytes) -> Json:
    """The one value in `body`. Raises `Malformed`."""
    document = _read(body)
    if document is None or not document.tokens or body.decode("latin-1").strip(_SPACE) != _latin(document.text):
        raise Malformed(_what_is_wrong(body))
    value: Json = json.loads(document.text)
    return value


def first_value(body: bytes) -> Document:
    """The first value in `body`, as a stream decoder takes it: what follows isn't looked at. Bytes that aren't UTF-8
    are in it as surrogates.

    Raises `Malformed`.
    """
    document = _read(body)
    if document is not None:
        return document
    wrong = _what_is_wrong(body)
    # What another character would change is wrong only because the text ends.
    raise Malformed("unexpected EOF" if wrong != _what_is_wrong(body + b"\0") else wrong)


def _what_is_wrong(body: bytes) -> str:
    """Go looks at bytes, and shows each as the letter of that number."""
    return syntax_error(body.decode("latin-1"), in_letters=True)


def _latin(text: str) -> str:
    return text.encode(errors="surrogateescape").decode("latin-1")


def _read(body: bytes) -> Document | None:
    """None where there's no whole value."""
    text = body.decode(errors="surrogateescape")
    begin = len(text) - len(text.lstrip(_SPACE))
    if begin == len(text):
        return Document("", [])
    at = begin
    tokens: list[Token] = []
    open_: list[Kind] = []
    expected: frozenset[Kind] = frozenset(_VALUE)
    while not tokens or open_:
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        at = found.end()
        raw = found.group(found.lastgroup or "")
        kind = Kind(raw) if found.lastgroup == "sign" else Kind(found.lastgroup)
        is_name = kind is Kind.STRING and Kind.NAME in expected
        kind = Kind.NAME if is_name else kind
        if kind not in expected:
            return None
        if kind not in (Kind.COLON, Kind.COMMA):
            tokens.append(Token(kind, raw, at - len(raw) - begin))
        if kind in _CLOSES:
            open_.append(kind)
            if len(open_) > _DEEPEST:
                raise Malformed("exceeded max depth")
        elif kind in _CLOSES.values():
            open_.pop()
        expected = _expected_after(kind, open_[-1] if open_ else None)
    return Document(text[begin:at], tokens)


def _expected_after(kind: Kind, inside: Kind | None) -> frozenset[Kind]:
    if kind is Kind.NAME:
        return frozenset((Kind.COLON,))
    if kind is Kind.OPEN_OBJECT:
        return frozenset((Kind.NAME, Kind.CLOSE_OBJECT))
    if kind is Kind.OPEN_ARRAY:
        return _VALUE | {Kind.CLOSE_ARRAY}
    if kind is Kind.COMMA and inside is Kind.OPEN_OBJECT:
        return frozenset((Kind.NAME,))
    if kind in (Kind.COMMA, Kind.COLON):
        return frozenset(_VALUE)
    return frozenset((Kind.COMMA, _CLOSES[inside])) if inside is not None else frozenset()
