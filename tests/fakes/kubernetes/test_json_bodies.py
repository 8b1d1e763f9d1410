"""Bodies read quickly are what the careful reading makes of them; objects read back are what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rayrig_fakes.kubernetes.bodies import Malformed, parse_body, parse_counting
from rayrig_fakes.kubernetes.storage.json_bytes import to_json
from rayrig_fakes.kubernetes.storage.stored import Stored
from rayrig_fakes.kubernetes.typed.decoding import Undecodable, decode

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def outcome(read: Any, body: Any) -> Any:
    try:
        return repr(read(body))
    except Malformed as problem:
        return str(problem)


@given(st.binary(max_size=12) | _values.map(lambda value: json.dumps(value).encode()))
@example(b'{"a":1,"a":2}')
@example(b'{"a":{"b:":1,"b:":{}}}')
@example(b'{"a":1,"\\u0061":2}')
@example(b'{"a:\\u003a":1}')
@example(b'"\\ud800"')
@example(b"18446744073709551616")
@example(b"-9223372036854775809")
@example(b"[" * 201 + b"]" * 201)
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":"\xff"}')
@example(b"1e999")
@example(b"NaN")
@example(b"-0")
@example(b"1.0")
@example(b"")
@example(b"{} x")
def test_quick_and_careful_reading_agree(body: bytes) -> None:
    assert outcome(parse_body, body) == outcome(lambda it: parse_counting(it.decode("utf-8", "replace")), body)


@given(_values)
def test_what_is_written_is_what_json_would_write(value: Any) -> None:
    assert json.loads(to_json(value)) == value


@pytest.mark.parametrize("number", [1 << 63, 1 << 64, -(1 << 70), 10**19, 1.0, 0.1, 1e300, -0.0])
def test_copies_keep_numbers_as_they_are(number: Any) -> None:
    obj = {"spec": {"number": number}}
    for stored in (Stored(obj, 1), Stored(obj, 1)):
        assert repr(stored.copy()) == repr(obj)
        assert json.loads(stored.json()) == obj
        assert repr(stored.copy()) == repr(obj)
        assert stored.copy()["spec"] is not stored.copy()["spec"]


def test_copies_keep_text_that_has_no_utf8() -> None:
    assert Stored({"a": "\ud800"}, 1).copy() == {"a": "\ud800"}


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"type": ["x"]}, "array into Go struct field LimitRangeItem.spec.limits.type of type v1.LimitType"),
        ({"max": "1"}, "string into Go struct field LimitRangeItem.spec.limits.max of type v1.ResourceList"),
    ],
)
def test_types_that_do_not_fit_have_the_names_of_the_server(limit: dict[str, Any], problem: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decode({"spec": {"limits": [limit]}}, "core.v1.LimitRange", [])
    assert str(refused.value) == f"json: cannot unmarshal {problem}"
