"""JSON as Go reads it: what is wrong, in its words (`kuberay-apiserver.md` 2.2)."""

from __future__ import annotations

import pytest

from rayrig.apiserver.wire.gojson import Kind, Malformed, first_value, parse

_EVERYWHERE = [
    (b'{"name": "x",}', "invalid character '}' looking for beginning of object key string"),
    (b"not json", "invalid character 'o' in literal null (expecting 'u')"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    (b"[1.x]", "invalid character 'x' after decimal point in numeric literal"),
    (b"[01]", "invalid character '1' after array element"),
    (b'"a\nb"', "invalid character '\\n' in string literal"),
    (b'"\\q"', "invalid character 'q' in string escape code"),
    (b'"\\u12g"', "invalid character 'g' in \\u hexadecimal character escape"),
    ("ä".encode(), "invalid character 'Ã' looking for beginning of value"),
    (b"\x81", "invalid character '\\u0081' looking for beginning of value"),
    (b"[NaN]", "invalid character 'N' looking for beginning of value"),
]


@pytest.mark.parametrize(("body", "told"), _EVERYWHERE)
def test_what_cannot_be_read_is_named(body: bytes, told: str) -> None:
    for read in (first_value, parse):
        with pytest.raises(Malformed) as refused:
            read(body)
        assert str(refused.value) == told


@pytest.mark.parametrize("body", [b'{"name": ', b"[1,", b'"a', b"[tru", b"[-", b'{"a"', b'"\\u12'])
def test_a_stream_that_ends_too_early_ends_unexpectedly(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"^unexpected EOF$"):
        first_value(body)


@pytest.mark.parametrize("body", [b"", b"  ", b'{"name": ', b"[1,", b'"a'])
def test_a_whole_text_that_ends_too_early_says_so(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"^unexpected end of JSON input$"):
        parse(body)


def test_a_stream_gives_its_first_value_alone_and_a_text_is_to_have_no_second_one() -> None:
    assert first_value(b" {} nonsense").text == "{}"
    with pytest.raises(Malformed, match="invalid character 'n' after top-level value"):
        parse(b" {} nonsense")


def test_white_space_alone_is_no_value() -> None:
    assert first_value(b"\n\t ").tokens == []


def test_tokens_have_their_places() -> None:
    tokens = first_value(b'\n{"a": [1, "b"]}').tokens
    assert [(token.kind, token.raw, token.position) for token in tokens] == [
        (Kind.OPEN_OBJECT, "{", 0),
        (Kind.NAME, '"a"', 1),
        (Kind.OPEN_ARRAY, "[", 6),
        (Kind.NUMBER, "1", 7),
        (Kind.STRING, '"b"', 10),
        (Kind.CLOSE_ARRAY, "]", 13),
        (Kind.CLOSE_OBJECT, "}", 14),
    ]


def test_nesting_has_an_end() -> None:
    with pytest.raises(Malformed, match="exceeded max depth"):
        first_value(b"[" * 10_001 + b"]" * 10_001)
