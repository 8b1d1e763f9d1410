"""Whatever a client sends is a message or refused; what the server sends is read back as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rayrig.apiserver.clusters.messages import CLUSTER
from rayrig.apiserver.jobs.messages import RAY_JOB
from rayrig.apiserver.wire.decoding import decode
from rayrig.apiserver.wire.encoding import encode
from rayrig.apiserver.wire.errors import CallError, Code
from rayrig.apiserver.wire.floats import single
from rayrig.apiserver.wire.messages import EnumType, Field, Message, Scalar

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_SCALARS: dict[Scalar, st.SearchStrategy[Any]] = {
    Scalar.STRING: _TEXT,
    Scalar.BOOL: st.booleans(),
    Scalar.INT32: st.integers(-(2**31), 2**31 - 1),
    Scalar.INT64: st.integers(-(2**63), 2**63 - 1),
    Scalar.UINT32: st.integers(0, 2**32 - 1),
    Scalar.UINT64: st.integers(0, 2**64 - 1),
    Scalar.FLOAT: st.floats(width=32, allow_nan=False).map(single),
    Scalar.TIMESTAMP: st.datetimes().map(lambda time: f"{time:%Y}".zfill(4) + f"{time:-%m-%dT%H:%M:%SZ}"),
}


def _values(field: Field) -> st.SearchStrategy[Any]:
    kind = field.kind
    if isinstance(kind, Message):
        one = _messages(kind)
    elif isinstance(kind, EnumType):
        one = st.integers(0, len(kind.values))
    else:
        one = _SCALARS[kind]
    if field.repeated:
        return st.lists(one, min_size=1, max_size=2)
    if field.mapped:
        return st.dictionaries(_TEXT, one, min_size=1, max_size=2)
    # A zero is as good as absent, but for messages and where it is said that it isn't.
    return one if isinstance(kind, Message) or field.optional else one.filter(bool)


def _messages(message: Message) -> st.SearchStrategy[dict[str, Any]]:
    return st.deferred(lambda: st.fixed_dictionaries({}, optional={f.json_name: _values(f) for f in message.fields}))


@given(_messages(CLUSTER))
def test_what_is_sent_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    assert decode(CLUSTER, encode(CLUSTER, value)) == value


@given(_messages(RAY_JOB))
def test_floats_and_times_are_read_back_as_they_were(value: dict[str, Any]) -> None:
    assert decode(RAY_JOB, encode(RAY_JOB, value)) == value


def _spoilt(field: Field) -> st.SearchStrategy[Any]:
    if isinstance(field.kind, Message) and not field.repeated and not field.mapped:
        return _documents(field.kind)
    return _JSON | _values(field)


def _documents(message: Message) -> st.SearchStrategy[Any]:
    fields = {field.name: _spoilt(field) for field in message.fields}
    return st.deferred(lambda: _JSON | st.fixed_dictionaries({}, optional=fields))


@given(_documents(CLUSTER).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20))
def test_whatever_is_sent_is_a_message_or_refused(body: bytes) -> None:
    try:
        value = decode(CLUSTER, body)
    except CallError as refused:
        told = refused.code, bool(refused.message)
    else:
        encode(CLUSTER, value)
        told = Code.INVALID_ARGUMENT, True
    assert told == (Code.INVALID_ARGUMENT, True)
