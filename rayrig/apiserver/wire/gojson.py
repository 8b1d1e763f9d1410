"""JSON as Go's `encoding/json` reads it: the same texts accepted, and the same words for what is wrong.

Clients see those words: the gateway and the dashboard clients pass them on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum

from rayrig_core.objects import Json


class Kind(Enum):
    """What a token is. A name is the key of an object's member."""

    OPEN_OBJECT = "{"
    CLOSE_OBJECT = "}"
    OPEN_ARRAY = "["
    CLOSE_ARRAY = "]"
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
    """One value as text and as tokens; without tokens where there was only white space."""

    text: str
    tokens: list[Token]


class Malformed(ValueError):
    """Not JSON, in Go's words."""


_SPACE = re.compile(r"[ \t\r\n]*")
_STRING_BODY = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*')
_STRING_UP_TO_ESCAPE = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*\\u?[0-9A-Fa-f]{0,3}')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_EXPONENT_BEGUN = re.compile(r"[eE][+-]?")
_WORDS = {"t": ("true", Kind.TRUE), "f": ("false", Kind.FALSE), "n": ("null", Kind.NULL)}
_OPENING = {"{": Kind.OPEN_OBJECT, "[": Kind.OPEN_ARRAY}
_CLOSING = {Kind.OPEN_OBJECT: ("}", Kind.CLOSE_OBJECT), Kind.OPEN_ARRAY: ("]", Kind.CLOSE_ARRAY)}
_DEEPEST = 10_000
_ESCAPED = {
    "'": "\\'",
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def first_value(body: bytes) -> Document:
    """The first value in `body`, as a stream decoder takes it: what follows isn't looked at. Bytes that aren't UTF-8
    are in it as surrogates.

    Raises `Malformed`.
    """
    reader = _Reader(body)
    return reader.value() if not reader.at_end() else Document("", [])


def parse(body: bytes) -> Json:
    """The one value in `body`. Raises `Malformed`."""
    reader = _Reader(body, "unexpected end of JSON input")
    if reader.at_end():
        raise reader.end()
    reader.value()
    if not reader.at_end():
        raise reader.unexpected("after top-level value")
    value: Json = json.loads(body.decode(errors="replace"))
    return value


class _Reader:
    def __init__(self, body: bytes, end: str = "unexpected EOF") -> None:
        self._text = body.decode(errors="surrogateescape")
        self._end = end
        self._at = 0
        self._begin = 0

    def at_end(self) -> bool:
        """Nothing but white space is left. What comes next is where the reader stands."""
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found is not None else self._at
        return self._at == len(self._text)

    def end(self) -> Malformed:
        return Malformed(self._end)

    def unexpected(self, context: str, at: int | None = None) -> Malformed:
        at = self._at if at is None else at
        if at >= len(self._text):
            return self.end()
        return Malformed(f"invalid character {_quoted(self._text[at])} {context}")

    def value(self) -> Document:
        """Read one value; the reader stands at its first character."""
        self._begin = self._at
        tokens: list[Token] = []
        open_: list[Kind] = []
        while not tokens or open_:
            token = self._one(open_, tokens)
            tokens.append(token)
            if token.kind not in _CLOSING:
                self._close(open_, tokens)
                continue
            open_.append(token.kind)
            if len(open_) > _DEEPEST:
                raise Malformed("exceeded max depth")
        return Document(self._text[self._begin : self._at], tokens)

    def _one(self, open_: list[Kind], tokens: list[Token]) -> Token:
        """The next value's first token, after the name that it has in an object; or the end of what has just begun."""
        inside = open_[-1] if open_ else None
        has_begun = bool(tokens) and tokens[-1].kind in _CLOSING
        if self.at_end():
            raise self.end()
        if inside is not None and has_begun and self._text[self._at] == _CLOSING[inside][0]:
            open_.pop()
            return self._take(_CLOSING[inside][1], 1)
        if inside is Kind.OPEN_OBJECT:
            tokens.append(self._name())
        return self._scalar_or_opening()

    def _close(self, open_: list[Kind], tokens: list[Token]) -> None:
        """Go on behind a value: over a comma, or over the ends of what it was the last of."""
        while open_:
            if self.at_end():
                raise self.end()
            bracket, kind = _CLOSING[open_[-1]]
            if self._text[self._at] == ",":
                self._at += 1
                return
            if self._text[self._at] != bracket:
                is_object = open_[-1] is Kind.OPEN_OBJECT
                raise self.unexpected("after object key:value pair" if is_object else "after array element")
            open_.pop()
            tokens.append(self._take(kind, 1))

    def _name(self) -> Token:
        if self._text[self._at] != '"':
            raise self.unexpected("looking for beginning of object key string")
        name = self._string(Kind.NAME)
        if self.at_end() or self._text[self._at] != ":":
            raise self.unexpected("after object key")
        self._at += 1
        if self.at_end():
            raise self.end()
        return name

    def _scalar_or_opening(self) -> Token:
        first = self._text[self._at]
        if first in _OPENING:
            return self._take(_OPENING[first], 1)
        if first == '"':
            return self._string(Kind.STRING)
        if first in _WORDS:
            return self._word(*_WORDS[first])
        if first == "-" or "0" <= first <= "9":
            return self._number()
        raise self.unexpected("looking for beginning of value")

    def _take(self, kind: Kind, length: int) -> Token:
        token = Token(kind, self._text[self._at : self._at + length], self._at - self._begin)
        self._at += length
        return token

    def _string(self, kind: Kind) -> Token:
        found = _STRING_BODY.match(self._text, self._at)
        assert found is not None
        end = found.end()
        if self._text[end : end + 1] == '"':
            return self._take(kind, end + 1 - self._at)
        if self._text[end : end + 1] != "\\":
            raise self.unexpected("in string literal", end)
        escape = _STRING_UP_TO_ESCAPE.match(self._text, self._at)
        assert escape is not None
        is_hexadecimal = self._text[end + 1 : end + 2] == "u"
        context = "in \\u hexadecimal character escape" if is_hexadecimal else "in string escape code"
        raise self.unexpected(context, escape.end() if is_hexadecimal else end + 1)

    def _word(self, word: str, kind: Kind) -> Token:
        for index, expected in enumerate(word):
            at = self._at + index
            if self._text[at : at + 1] != expected:
                raise self.unexpected(f"in literal {word} (expecting {_quoted(expected)})", at)
        return self._take(kind, len(word))

    def _number(self) -> Token:
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            raise self.unexpected("in numeric literal", self._at + 1)
        fraction, exponent = found.groups()
        if exponent is None:
            end = found.end()
            if fraction is None and self._text[end : end + 1] == ".":
                raise self.unexpected("after decimal point in numeric literal", end + 1)
            if begun := _EXPONENT_BEGUN.match(self._text, end):
                raise self.unexpected("in exponent of numeric literal", begun.end())
        return self._take(Kind.NUMBER, found.end() - self._at)


def _quoted(character: str) -> str:
    """Go looks at bytes, and shows the first of a character's as if it were Latin-1."""
    first = chr(character.encode(errors="surrogateescape")[0])
    if first in _ESCAPED:
        return f"'{_ESCAPED[first]}'"
    if first < " " or first == "\x7f":
        return f"'\\x{ord(first):02x}'"
    return f"'{first}'" if first.isprintable() else f"'\\u{ord(first):04x}'"
