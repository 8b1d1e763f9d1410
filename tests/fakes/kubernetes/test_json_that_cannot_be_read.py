"""What is wrong with a text that is no JSON, in the words of the real server's scanner."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_fakes.kubernetes.json_syntax import syntax_error


@pytest.mark.accepts("K8-015")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ('"a', "unexpected end of JSON input"),
        ("- a", "invalid character ' ' in numeric literal"),
        ("1.", "invalid character ' ' after decimal point in numeric literal"),
        ("1e", "invalid character ' ' in exponent of numeric literal"),
        ("tru", "invalid character ' ' in literal true (expecting 'e')"),
        ('{"a": tru}', "invalid character '}' in literal true (expecting 'e')"),
        ("01", "invalid character '1' after top-level value"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ('{"a"}', "invalid character '}' after object key"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ("{'a': 1}", "invalid character '\\'' looking for beginning of object key string"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        ('"\n"', "invalid character '\\n' in string literal"),
        ("é", "invalid character '\\xc3' looking for beginning of value"),
    ],
)
def test_the_place_and_the_expectation_are_told(text: str, told: str) -> None:
    assert syntax_error(text) == told


LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(VALUES)
def test_good_texts_are_only_found_wanting_an_end(value: object) -> None:
    assert syntax_error(json.dumps(value)) == "unexpected end of JSON input"
