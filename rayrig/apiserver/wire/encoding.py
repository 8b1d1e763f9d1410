"""Messages to JSON as protobuf's mapping writes them, with enums as numbers (`reference/kuberay-apiserver.md` section 2.1)."""

from __future__ import annotations

import json
import math
from typing import Any

from rayrig.apiserver.wire.floats import json_number
from rayrig.apiserver.wire.messages import Field, Message, Scalar
from rayrig_core.objects import JsonObject

_TEXTUAL = (Scalar.INT64, Scalar.UINT64)


def encode(message: Message, value: JsonObject) -> bytes:
    """The message as an HTTP body."""
    return json.dumps(encoded(message, value), separators=(",", ":"), ensure_ascii=False).encode()


def encoded(message: Message, value: JsonObject) -> JsonObject:
    """The message as a JSON object: fields in the descriptor's order, without those that are zero.

    Raises `KeyError` for what the message has no field for: strict clients would not take it.
    """
    unknown = value.keys() - {field.json_name for field in message.fields}
    if unknown:
        raise KeyError(f"{message.name} has no field {min(unknown)}")
    return {
        field.json_name: _field(field, value[field.json_name])
        for field in message.fields
        if field.json_name in value and _is_shown(field, value[field.json_name])
    }


def _is_shown(field: Field, value: Any) -> bool:
    if field.repeated or field.mapped:
        return bool(value)
    if field.optional or isinstance(field.kind, Message):
        return value is not None
    return bool(value)


def _field(field: Field, value: Any) -> Any:
    if field.repeated:
        return [_single(field, item) for item in value]
    if field.mapped:
        return {key: _single(field, value[key]) for key in sorted(value)}
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    if isinstance(field.kind, Message):
        return encoded(field.kind, value)
    if field.kind in _TEXTUAL:
        return str(value)
    if field.kind is Scalar.FLOAT:
        return _float(value)
    return value


def _float(value: float) -> float | int | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return json_number(value)
