"""Messages from JSON, as protobuf's mapping reads them (`reference/kuberay-apiserver.md` section 2.2).

What cannot be read is said in its words, with line and column.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from rayrig.apiserver.wire.errors import CallError, Code
from rayrig.apiserver.wire.floats import single
from rayrig.apiserver.wire.gojson import Document, Kind, Malformed, Token, first_value
from rayrig.apiserver.wire.messages import EnumType, Field, Message, Scalar
from rayrig_core.objects import JsonObject

#: Some builds of protobuf write a no-break space here, so that nobody relies on their texts; the release's does.
_PREFIX = "proto:\u00a0"
INTEGER_RANGES = {
    Scalar.INT32: (-(2**31), 2**31 - 1),
    Scalar.INT64: (-(2**63), 2**63 - 1),
    Scalar.UINT32: (0, 2**32 - 1),
    Scalar.UINT64: (0, 2**64 - 1),
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
#: No number that a field takes has more digits.
_LONGEST_EXPONENT = 4
_HALF = re.compile("[\ud800-\udfff]")
_OPENING = (Kind.OPEN_OBJECT, Kind.OPEN_ARRAY)
_CLOSING = (Kind.CLOSE_OBJECT, Kind.CLOSE_ARRAY)


def decode(message: Message, body: bytes) -> JsonObject:
    """The message in an HTTP body; an empty body is an empty message. Raises `CallError` 3."""
    try:
        document = first_value(body)
    except Malformed as problem:
        raise CallError(Code.INVALID_ARGUMENT, str(problem)) from None
    return _Reader(document).message(message) if document.tokens else {}


class _Unreadable(Exception):
    """A scalar is not of its field's kind."""


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._next = 0

    def _read(self) -> Token:
        token = self._document.tokens[self._next]
        self._next += 1
        if not token.raw.isascii() or "\\u" in token.raw:
            self._check_text(token)
        return token

    def _check_text(self, token: Token) -> None:
        """Neither bytes that aren't UTF-8 nor halves of characters are text."""
        if _HALF.search(token.raw):
            self._fail(token, "syntax error %s: invalid UTF-8 in string")
        if _HALF.search(json.loads(token.raw)):
            self._fail(token, "syntax error %s: invalid escape code in string")

    def _peek(self) -> Token:
        return self._document.tokens[self._next]

    def _fail(self, token: Token, text: str) -> NoReturn:
        """`text` has `%s` where the place comes."""
        before = self._document.text[: token.position]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise CallError(Code.INVALID_ARGUMENT, _PREFIX + text.replace("%s", f"(line {line}:{column})", 1))

    def _unexpected(self, token: Token) -> NoReturn:
        self._fail(token, f"syntax error %s: unexpected token {token.raw}")

    def _expect(self, kind: Kind) -> None:
        token = self._read()
        if token.kind is not kind:
            self._unexpected(token)

    def message(self, message: Message) -> JsonObject:
        self._expect(Kind.OPEN_OBJECT)
        decoded: JsonObject = {}
        seen: list[Field] = []
        while (name := self._read()).kind is not Kind.CLOSE_OBJECT:
            field = message.by_spelling.get(json.loads(name.raw))
            if field is None:
                self._skip()
                continue
            if field in seen:
                self._fail(name, f"%s: duplicate field {name.raw}")
            seen.append(field)
            if self._peek().kind is Kind.NULL:
                self._read()
                continue
            value = self._value(field)
            if value is not None:
                decoded[field.json_name] = value
        return decoded

    def _value(self, field: Field) -> Any:
        """None: as if it were absent."""
        if field.repeated:
            return self._list(field) or None
        if field.mapped:
            return self._map(field) or None
        value = self._single(field, field.json_name)
        return value if value or field.optional or isinstance(field.kind, Message) else None

    def _list(self, field: Field) -> list[Any]:
        self._expect(Kind.OPEN_ARRAY)
        values = []
        while self._peek().kind is not Kind.CLOSE_ARRAY:
            value = self._single(field, field.json_name)
            if value is not None:
                values.append(value)
        self._read()
        return values

    def _map(self, field: Field) -> dict[str, Any]:
        self._expect(Kind.OPEN_OBJECT)
        values: dict[str, Any] = {}
        while (name := self._read()).kind is not Kind.CLOSE_OBJECT:
            key = json.loads(name.raw)
            if key in values:
                self._fail(name, f"%s: duplicate map key {name.raw}")
            value = self._single(field, "value")
            if value is not None:
                values[key] = value
        return values

    def _single(self, field: Field, name: str) -> Any:
        kind = field.kind
        if isinstance(kind, Message):
            return self.message(kind)
        token = self._read()
        if kind is Scalar.TIMESTAMP:
            return self._timestamp(token)
        try:
            return _enum(kind, token) if isinstance(kind, EnumType) else _scalar(kind, token)
        except _Unreadable:
            word = "enum" if isinstance(kind, EnumType) else kind.value
            self._fail(token, f"%s: invalid value for {word} field {name}: {token.raw}")

    def _timestamp(self, token: Token) -> str:
        if token.kind is not Kind.STRING:
            self._unexpected(token)
        text: str = json.loads(token.raw)
        try:
            if not _TIME.fullmatch(text):
                raise ValueError
            datetime.fromisoformat(text[:19])
        except ValueError:
            self._fail(token, f"%s: invalid google.protobuf.Timestamp value {token.raw}")
        return text

    def _skip(self) -> None:
        """Over one value of an unknown field."""
        depth = 0
        while True:
            kind = self._read().kind
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING:
                depth -= 1
            if not depth and kind is not Kind.NAME:
                return


def _enum(kind: EnumType, token: Token) -> int | None:
    """None for a name that is not known. Numbers need not be."""
    if token.kind is Kind.STRING:
        name = json.loads(token.raw)
        return kind.values.index(name) if name in kind.values else None
    if token.kind is Kind.NUMBER:
        return _integer(token.raw, Scalar.INT32)
    raise _Unreadable


def _scalar(kind: Scalar, token: Token) -> Any:
    if kind is Scalar.STRING:
        if token.kind is Kind.STRING:
            return json.loads(token.raw)
    elif kind is Scalar.BOOL:
        if token.kind in (Kind.TRUE, Kind.FALSE):
            return token.kind is Kind.TRUE
    elif token.kind in (Kind.NUMBER, Kind.STRING):
        text: str = token.raw if token.kind is Kind.NUMBER else json.loads(token.raw)
        return _float(text) if kind is Scalar.FLOAT else _integer(text, kind)
    raise _Unreadable


def _integer(text: str, kind: Scalar) -> int:
    """A number without a fraction, in any of JSON's spellings. Raises `_Unreadable`."""
    if not _NUMBER.fullmatch(text) or len(text.lower().partition("e")[2]) > _LONGEST_EXPONENT:
        raise _Unreadable
    number = Decimal(text)
    lowest, highest = INTEGER_RANGES[kind]
    if number != number.to_integral_value() or not lowest <= number <= highest:
        raise _Unreadable
    return int(number)


def _float(text: str) -> float:
    """Raises `_Unreadable`."""
    if text not in _NOT_FINITE and not _NUMBER.fullmatch(text):
        raise _Unreadable
    try:
        return single(float(text))
    except OverflowError:
        raise _Unreadable from None
