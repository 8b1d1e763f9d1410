"""Serve's details, as its dashboard gives them, to the reply (`reference/kuberay-apiserver.md` 11.5)."""

from __future__ import annotations

from rayrig.apiserver.serve_submission.messages import BUNDLE, GET_REPLY
from rayrig.apiserver.wire.floats import single
from rayrig.apiserver.wire.go_text import go_text
from rayrig.apiserver.wire.messages import Field, Message, Scalar
from rayrig_core.objects import Json, JsonObject


def reply_of(details: Json) -> JsonObject:
    """The reply's fields in `details`; others are left out, nulls are absent, and every single part is there, if need be empty.

    Raises `ValueError` for a value of another type than the reply has.
    """
    reply = _message(GET_REPLY, details)
    # Serve tells it, nobody ever passed it on.
    reply["controllerInfo"].pop("workerId", None)
    return reply


def _message(message: Message, given: Json) -> JsonObject:
    fields = _object({} if given is None else given)
    reply: JsonObject = {}
    for field in message.fields:
        value = fields.get(field.name)
        if value is not None:
            reply[field.json_name] = _field(field, value)
        elif isinstance(field.kind, Message) and not (field.mapped or field.repeated):
            reply[field.json_name] = _message(field.kind, None)
    return reply


def _field(field: Field, value: Json) -> Json:
    if field.mapped:
        # Anything may be in a user's configuration; it is shown as text.
        is_text = field.kind is Scalar.STRING
        return {key: go_text(each) if is_text else _one(field, each) for key, each in _object(value).items()}
    if field.repeated:
        if not isinstance(value, list):
            raise ValueError(f"not a list: {value!r}")
        return [_one(field, each) for each in value]
    return _one(field, value)


def _one(field: Field, value: Json) -> Json:
    kind = field.kind
    if kind is BUNDLE:
        return _message(BUNDLE, {"bundle": value})
    if isinstance(kind, Message):
        return _message(kind, value)
    if kind is Scalar.STRING:
        if isinstance(value, str):
            return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind is Scalar.FLOAT:
            return _single(value)
        if isinstance(value, int) or value.is_integer():
            return int(value)
    raise ValueError(f"{field.name}: {value!r}")


def _single(value: float) -> float:
    try:
        return single(value)
    except OverflowError as error:
        raise ValueError(f"not a number of 32 bits: {value!r}") from error


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError(f"not an object: {value!r}")
    return value
