"""Messages from JSON and to JSON as protobuf maps them (`kuberay-apiserver.md` 2.1, 2.2)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from rayrig.apiserver.wire.decoding import decode
from rayrig.apiserver.wire.encoding import encode
from rayrig.apiserver.wire.errors import CallError
from rayrig.apiserver.wire.messages import EnumType, Field, Message, Scalar

_INNER = Message("Inner", (Field("text", Scalar.STRING), Field("flag", Scalar.BOOL, optional=True)))
_OUTER = Message(
    "Outer",
    (
        Field("two_words", Scalar.STRING),
        Field("alreadyCamel", Scalar.STRING),
        Field("serve_config_V2", Scalar.STRING),
        Field("colour", EnumType("Outer.Colour", ("RED", "GREEN"))),
        Field("small", Scalar.INT32),
        Field("unsigned", Scalar.UINT32),
        Field("large", Scalar.INT64),
        Field("huge", Scalar.UINT64),
        Field("part", Scalar.FLOAT),
        Field("switch", Scalar.BOOL),
        Field("moment", Scalar.TIMESTAMP),
        Field("inner", _INNER),
        Field("inners", _INNER, repeated=True),
        Field("texts", Scalar.STRING, repeated=True),
        Field("by_name", Scalar.UINT32, mapped=True),
        Field("inner_by_name", _INNER, mapped=True),
    ),
)


def _decoded(body: Any) -> Any:
    return decode(_OUTER, (body if isinstance(body, str) else json.dumps(body)).encode())


def _refusal(body: str) -> str:
    with pytest.raises(CallError) as refused:
        _decoded(body)
    assert refused.value.code == 3
    return refused.value.message.replace("\u00a0", " ")


@pytest.mark.parametrize("spelling", ["two_words", "twoWords"])
def test_a_field_has_two_spellings(spelling: str) -> None:
    assert _decoded({spelling: "x"}) == {"twoWords": "x"}


def test_capitals_of_a_name_stay() -> None:
    assert _decoded({"serve_config_V2": "a", "alreadyCamel": "b"}) == {"serveConfigV2": "a", "alreadyCamel": "b"}
    assert _decoded({"serveConfigV2": "a"}) == {"serveConfigV2": "a"}


def test_unknown_fields_are_dropped_with_all_they_hold() -> None:
    assert _decoded({"stranger": {"deep": [1, {"small": "x"}]}, "small": 1, "last": []}) == {"small": 1}


def test_zeros_and_nulls_are_as_good_as_absent() -> None:
    zeros = {"twoWords": "", "small": 0, "switch": False, "colour": 0, "texts": [], "byName": {}, "inner": None}
    assert _decoded(zeros) == {}


def test_a_message_that_is_given_is_there_even_when_empty() -> None:
    assert _decoded({"inner": {}, "inners": [{}], "innerByName": {"a": {}}}) == {
        "inner": {},
        "inners": [{}],
        "innerByName": {"a": {}},
    }
    assert _decoded({"inner": {"flag": False}}) == {"inner": {"flag": False}}


@pytest.mark.parametrize("written", ["7", "7.0", "70e-1", "0.7e1", '"7"', '"7.0"'])
def test_whole_numbers_in_all_their_spellings(written: str) -> None:
    assert _decoded(f'{{"small": {written}, "huge": {written}}}') == {"small": 7, "huge": 7}


def test_integers_keep_all_their_digits() -> None:
    assert _decoded({"huge": str(2**64 - 1), "large": -(2**63)}) == {"huge": 2**64 - 1, "large": -(2**63)}


def test_floats_have_the_digits_of_32_bits() -> None:
    assert _decoded('{"part": 0.1}') == {"part": 0.1}
    assert _decoded('{"part": "0.123456789"}') == {"part": 0.12345679}
    assert math.isinf(_decoded('{"part": "-Infinity"}')["part"])
    # As many digits as any needs.
    assert _decoded('{"part": 0.000013644169484905433}') == {"part": 1.36441695e-05}
    # The largest there is, which the next shorter text would go beyond.
    assert _decoded('{"part": 3.4028234663852886e38}') == {"part": 3.4028235e38}


def test_enums_by_name_and_by_number() -> None:
    assert _decoded({"colour": "GREEN"}) == _decoded({"colour": 1}) == {"colour": 1}
    # What a newer version may know.
    assert _decoded({"colour": "BLUE"}) == {}
    assert _decoded({"colour": 9}) == {"colour": 9}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"small": "three"}', 'proto: (line 1:11): invalid value for int32 field small: "three"'),
        ('{"small": 1.5}', "proto: (line 1:11): invalid value for int32 field small: 1.5"),
        ('{"small": 2147483648}', "proto: (line 1:11): invalid value for int32 field small: 2147483648"),
        ('{"unsigned": -1}', "proto: (line 1:14): invalid value for uint32 field unsigned: -1"),
        ('{"small": 1e99999}', "proto: (line 1:11): invalid value for int32 field small: 1e99999"),
        ('{"small": " 1"}', 'proto: (line 1:11): invalid value for int32 field small: " 1"'),
        ('{"two_words": 1}', "proto: (line 1:15): invalid value for string field twoWords: 1"),
        ('{"switch": "true"}', 'proto: (line 1:12): invalid value for bool field switch: "true"'),
        ('{"colour": true}', "proto: (line 1:12): invalid value for enum field colour: true"),
        ('{"part": 1e39}', "proto: (line 1:10): invalid value for float field part: 1e39"),
        ('{"part": "much"}', 'proto: (line 1:10): invalid value for float field part: "much"'),
        ('{"texts": ["a", null]}', "proto: (line 1:17): invalid value for string field texts: null"),
        ('{"byName": {"a": "b"}}', 'proto: (line 1:18): invalid value for uint32 field value: "b"'),
        ('{"small": 1,\n "small": 2}', 'proto: (line 2:2): duplicate field "small"'),
        ('{"two_words": "ä", "twoWords": ""}', 'proto: (line 1:20): duplicate field "twoWords"'),
        ('{"byName": {"a": 1, "a": 1}}', 'proto: (line 1:21): duplicate map key "a"'),
        ('{"moment": "yesterday"}', 'proto: (line 1:12): invalid google.protobuf.Timestamp value "yesterday"'),
        ('{"moment": 1}', "proto: syntax error (line 1:12): unexpected token 1"),
        ('{"inner": []}', "proto: syntax error (line 1:11): unexpected token ["),
        ('{"inners": {}}', "proto: syntax error (line 1:12): unexpected token {"),
        ('{"texts": "a"}', 'proto: syntax error (line 1:11): unexpected token "a"'),
        ('{"byName": [1]}', "proto: syntax error (line 1:12): unexpected token ["),
        ('{"two_words": "\\ud800"}', "proto: syntax error (line 1:15): invalid escape code in string"),
        ("null", "proto: syntax error (line 1:1): unexpected token null"),
        ("[]", "proto: syntax error (line 1:1): unexpected token ["),
        ("{", "unexpected EOF"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(body: str, told: str) -> None:
    assert _refusal(body) == told


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(CallError, match="invalid UTF-8 in string"):
        decode(_OUTER, b'{"two_words": "\xff"}')


@pytest.mark.parametrize("body", ["", " \n"])
def test_no_body_is_an_empty_message(body: str) -> None:
    assert _decoded(body) == {}


def test_replies_leave_zeros_out_and_write_wide_numbers_as_text() -> None:
    value = {
        "twoWords": "",
        "colour": 1,
        "small": -3,
        "large": 12,
        "huge": 2**63,
        "part": 1.5,
        "switch": False,
        "moment": "2026-01-02T03:04:05Z",
        "inner": {},
        "inners": [{"flag": False, "text": "ä"}],
        "texts": [],
        "byName": {"b": 0, "a": 1},
    }
    assert json.loads(encode(_OUTER, value)) == {
        "colour": 1,
        "small": -3,
        "large": "12",
        "huge": str(2**63),
        "part": 1.5,
        "moment": "2026-01-02T03:04:05Z",
        "inner": {},
        "inners": [{"flag": False, "text": "ä"}],
        "byName": {"a": 1, "b": 0},
    }


@pytest.mark.parametrize(
    ("value", "written"), [(0.1, b"0.1"), (2.0, b"2"), (math.inf, b'"Infinity"'), (math.nan, b'"NaN"')]
)
def test_floats_in_replies(value: float, written: bytes) -> None:
    assert encode(_OUTER, {"part": value}) == b'{"part":' + written + b"}"


def test_a_reply_with_a_field_that_nobody_knows_is_a_mistake_of_the_server() -> None:
    with pytest.raises(KeyError, match="Outer has no field stranger"):
        encode(_OUTER, {"stranger": 1})
