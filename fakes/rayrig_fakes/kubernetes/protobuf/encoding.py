"""JSON objects as protobuf bodies: for clients that take nothing else."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import NS, parse_rfc3339
from rayrig_fakes.kubernetes.protobuf.table import MAGIC, fields_of, message_of


def encode(obj: JsonObject) -> bytes | None:
    """Body of an object, a list of objects or a Status; None for a kind that has no protobuf form here."""
    api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    message = message_of(api_version, kind)
    if message is not None:
        raw = _message(message, obj)
    else:
        item = message_of(api_version, kind.removesuffix("List")) if kind.endswith("List") else None
        if item is None:
            return None
        raw = _field(1, _message("meta.v1.ListMeta", obj.get("metadata") or {}))
        raw += b"".join(_field(2, _message(item, each)) for each in obj.get("items") or ())
    meta = _field(1, api_version.encode()) + _field(2, kind.encode())
    return MAGIC + _field(1, meta) + _field(2, raw) + _field(3, b"") + _field(4, b"")


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _message(message: str, obj: JsonObject) -> bytes:
    out = b""
    for number, (name, kind, _) in fields_of(message).items():
        if not name:
            inner = _message(kind, obj)
            if inner:
                out += _field(number, inner)
            continue
        value = obj.get(name)
        if value is None:
            continue
        if kind.startswith("[]"):
            out += b"".join(_tagged(number, kind[2:], item) for item in value)
        elif kind.startswith("map "):
            for key, item in value.items():
                out += _field(number, _field(1, key.encode()) + _tagged(2, kind[4:], item))
        else:
            out += _tagged(number, kind, value)
    return out


def _tagged(number: int, kind: str, value: Any) -> bytes:
    if kind in ("int32", "int64", "bool"):
        return _varint(number << 3) + _varint(int(value))
    if kind == "double":
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _field(number, _bytes(kind, value))


def _bytes(kind: str, value: Any) -> bytes:
    if kind == "string":
        return str(value).encode()
    if kind == "bytes":
        return base64.b64decode(value)
    if kind in ("Time", "MicroTime"):
        second, rest = divmod(parse_rfc3339(value), NS)
        return _tagged(1, "int64", second) + (_tagged(2, "int32", rest) if rest else b"")
    if kind == "Quantity":
        return _field(1, str(value).encode())
    if kind == "Items":
        return b"".join(_field(1, str(item).encode()) for item in value)
    if kind == "IntOrString":
        if isinstance(value, str):
            return _tagged(1, "int32", 1) + _field(3, value.encode())
        return _tagged(1, "int32", 0) + _tagged(2, "int32", value)
    if kind == "Raw":
        return _field(1, json.dumps(value, separators=(",", ":")).encode())
    return _message(kind, value)
