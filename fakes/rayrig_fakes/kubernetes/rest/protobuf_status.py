"""A Status in protobuf, for those who accept nothing else and are refused (K8-009)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject


def protobuf_status(status: JsonObject) -> bytes:
    """The envelope of the API server with a `Status` in it."""
    body = _field(1, b"")
    for number, name in ((2, "status"), (3, "message"), (4, "reason")):
        if status.get(name):
            body += _field(number, str(status[name]).encode())
    body += b"\x30" + _varint(int(status.get("code", 0)))
    kind = _field(1, b"v1") + _field(2, b"Status")
    return b"k8s\x00" + _field(1, kind) + _field(2, body) + _field(3, b"") + _field(4, b"")


def _field(number: int, value: bytes) -> bytes:
    return bytes(((number << 3) | 2,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
