"""Protobuf bodies as JSON objects: the envelope, and messages by the table of numbers."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_core.timestamps import NS, rfc3339, rfc3339_micro
from rayrig_fakes.kubernetes.protobuf.table import MAGIC, fields_of, message_of

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

#: What stands behind a field number: a number for varints, otherwise bytes.
_Value: TypeAlias = "int | bytes"


class Undecodable(ValueError):
    """Not what it should be."""


def decode(body: bytes) -> JsonObject | None:
    """The object in a protobuf body; None for a kind that has no protobuf form here. Raises `Undecodable`."""
    if not body.startswith(MAGIC):
        raise Undecodable("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = b""
    for number, value in _wire(body[len(MAGIC) :]):
        if number == 1:
            for inner, text in _wire(_as_bytes(value)):
                if inner == 1:
                    api_version = _text(text)
                elif inner == 2:
                    kind = _text(text)
        elif number == 2:
            raw = _as_bytes(value)
    message = message_of(api_version, kind)
    if message is None:
        return None
    try:
        return {"apiVersion": api_version, "kind": kind} | _message(message, raw)
    except (RecursionError, OverflowError, struct.error) as problem:
        raise Undecodable(str(problem)) from None


def _wire(data: bytes) -> Iterator[tuple[int, _Value]]:
    """Field numbers and values. Raises `Undecodable` for what ends too early or has an unknown wire type."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if wire == _BYTES:
            length, place = _varint(data, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise Undecodable(f"proto: illegal wireType {wire}")
        if place + length > end:
            raise Undecodable("unexpected EOF")
        yield tag >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise Undecodable("unexpected EOF")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise Undecodable("proto: integer overflow")


def _as_bytes(value: _Value) -> bytes:
    if isinstance(value, int):
        raise Undecodable("proto: wrong wireType = 0")
    return value


def _text(value: _Value) -> str:
    try:
        return _as_bytes(value).decode()
    except UnicodeDecodeError:
        raise Undecodable("string field contains invalid UTF-8") from None


def _int(value: _Value) -> int:
    if not isinstance(value, int):
        raise Undecodable("proto: wrong wireType = 2")
    return value - (1 << 64) if value >= 1 << 63 else value


def _message(message: str, data: bytes) -> JsonObject:
    fields = fields_of(message)
    found: JsonObject = {}
    for number, value in _wire(data):
        field = fields.get(number)
        if field is None:
            continue
        name, kind, keeps_empty = field
        if not name:
            found.update(_message(kind, _as_bytes(value)))
        elif kind.startswith("[]"):
            found.setdefault(name, []).append(_value(kind[2:], value))
        elif kind.startswith("map "):
            key, item = _entry(kind[4:], _as_bytes(value))
            found.setdefault(name, {})[key] = item
        else:
            decoded = _value(kind, value)
            # Go writes empty plain fields too; JSON leaves them out.
            if decoded is not None and (keeps_empty or decoded not in ("", 0, False, {})):
                found[name] = decoded
    return found


def _entry(kind: str, data: bytes) -> tuple[str, Json]:
    key = ""
    item: Json = _EMPTY.get(kind, {})
    for number, value in _wire(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(kind, value)
    return key, item


_EMPTY: dict[str, Json] = {"string": "", "bytes": "", "Quantity": "0", "Items": []}


def _value(kind: str, value: _Value) -> Any:
    if kind == "string":
        return _text(value)
    if kind in ("int32", "int64"):
        return _int(value)
    if kind == "bool":
        return bool(_int(value))
    data = _as_bytes(value)
    if kind == "bytes":
        return base64.b64encode(data).decode()
    if kind == "double":
        return struct.unpack("<d", data)[0]
    if kind in ("Time", "MicroTime"):
        return _time(kind, data)
    if kind == "Quantity":
        return "".join(_text(part) for number, part in _wire(data) if number == 1) or "0"
    if kind == "Items":
        return [_text(part) for number, part in _wire(data) if number == 1]
    if kind == "IntOrString":
        return _int_or_string(data)
    if kind == "Raw":
        return _raw(data)
    return _message(kind, data)


def _time(kind: str, data: bytes) -> str | None:
    parts = {number: _int(value) for number, value in _wire(data)}
    if not parts:
        return None
    ns = parts.get(1, 0) * NS + parts.get(2, 0)
    return rfc3339(ns) if kind == "Time" else rfc3339_micro(ns)


def _int_or_string(data: bytes) -> int | str:
    parts = dict(_wire(data))
    if parts.get(1):
        return _text(parts.get(3, b""))
    return _int(parts.get(2, 0))


def _raw(data: bytes) -> Json:
    for number, value in _wire(data):
        if number == 1:
            try:
                return json.loads(_as_bytes(value))
            except ValueError as problem:
                raise Undecodable(str(problem)) from None
    return None
